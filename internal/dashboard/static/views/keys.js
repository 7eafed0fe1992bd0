// Hot keys and big keys: what the sampling of each pool has found.

import { fill, h, meter, text } from '../dom.js';
import { bytes, clock, keyText, percent, plural, rate } from '../format.js';
import { Table } from '../table.js';
import { Searched } from './searched.js';

const whole = (k) => keyText(k.key, k.key_length);

export class Keys extends Searched {
  constructor(host, app) {
    super(app, 'key, pool', 'Filter keys');
    this.note = h('span', { class: 'soft' });
    const hot = h('div', { class: 'short' });
    const big = h('div', { class: 'short' });
    fill(host, h('h1', { class: 'hidden' }, 'Keys'),
      h('div', { class: 'filter' }, this.search, this.note),
      h('div', { class: 'pairs' }, h('section', { class: 'card flush', 'aria-label': 'Hot keys' }, h('header', null, h('h2', null, 'Hot keys', h('small', null, 'estimated from samples'))), hot),
      h('section', { class: 'card flush', 'aria-label': 'Big requests and replies' }, h('header', null, h('h2', null, 'Big requests and replies')), big)));
    this.hot = new Table(hot, {
      caption: 'Hot keys', noun: 'key', empty: 'No key stands out.', key: (k) => `${k.pool}\n${k.key}`, words: (k) => `${k.pool} ${k.key} ${k.server || ''}`,
      sort: { name: 'rate', down: true },
      columns: [
        { name: 'key', label: 'key', mono: true, value: (k) => k.key, show: whole },
        { name: 'pool', label: 'pool', width: '110px', priority: 2, value: (k) => k.pool },
        { name: 'server', label: 'server', width: '130px', narrow: '86px', group: 'wraps', title: 'that owns the key now; a key of which only the beginning is kept may have any', value: (k) => k.server || '' },
        { name: 'rate', label: 'req/s', num: true, width: '92px', narrow: '62px', title: 'about, from samples of the last half minute', value: (k) => k.rate, show: (k) => rate(k.rate) },
        { name: 'within', label: 'within', num: true, width: '92px', priority: 5, title: 'how exactly the rate is known', value: (k) => k.error / k.rate, show: (k) => `± ${percent(k.error / k.rate)}` },
        { name: 'share', label: 'share', title: 'of the pool’s requests', num: true, width: '78px', narrow: '54px', value: (k) => k.share, show: (k) => percent(k.share) },
        { name: 'bar', label: '', title: 'share of the pool’s requests', width: '80px', priority: 5, value: (k) => k.share, cell: (td, k) => fill(td, meter(k.share, percent(k.share))) },
      ],
    });
    this.big = new Table(big, {
      caption: 'Big requests and replies', noun: 'key', empty: 'Nothing big has passed.', key: (k) => `${k.pool}\n${k.kind}\n${k.key}`, words: (k) => `${k.pool} ${k.key} ${k.command} ${k.kind}`,
      sort: { name: 'size', down: true },
      columns: [
        { name: 'key', label: 'key', mono: true, value: (k) => k.key, show: whole },
        { name: 'pool', label: 'pool', width: '110px', priority: 2, value: (k) => k.pool },
        { name: 'server', label: 'server', width: '120px', priority: 3, value: (k) => k.server || '' },
        { name: 'command', label: 'command', width: '96px', priority: 5, value: (k) => k.command || '' },
        { name: 'kind', label: 'what', width: '80px', narrow: '68px', value: (k) => k.kind },
        { name: 'when', label: 'when', num: true, width: '92px', priority: 5, value: (k) => Date.parse(k.time), show: (k) => clock(Date.parse(k.time)).slice(-8) },
        { name: 'size', label: 'size', num: true, width: '92px', narrow: '76px', value: (k) => k.size, show: (k) => bytes(k.size) },
      ],
    });
    this.tables = [this.hot, this.big];
  }

  async read(api) {
    const answer = await api.get('hotkeys');
    const pools = answer.pools || [];
    const hot = pools.flatMap((p) => (p.keys || []).map((k) => ({ ...k, pool: p.pool })));
    const big = pools.flatMap((p) => [
      ...(p.big_requests || []).map((k) => ({ ...k, pool: p.pool, kind: 'request' })),
      ...(p.big_replies || []).map((k) => ({ ...k, pool: p.pool, kind: 'reply' }))]);
    text(this.note, plural(hot.length, 'hot key'));
    this.hot.update(hot);
    this.big.update(big);
  }
}
