// What clients were refused: how often in each pool, and by whose rules.

import { fill, h, text } from '../dom.js';
import { clock, count, plural } from '../format.js';
import { Table } from '../table.js';
import { Searched } from './searched.js';

export class Denials extends Searched {
  constructor(host, app) {
    super(app, 'pool, reason, user, client', 'Filter denials');
    this.note = h('span', { class: 'soft' });
    const counts = h('div', { class: 'short' });
    const records = h('div');
    fill(host, h('h1', { class: 'hidden' }, 'Denials'), h('div', { class: 'filter' }, this.search, this.note),
      h('section', { class: 'card flush', 'aria-label': 'Refused since the start' }, h('header', null, h('h2', null, 'Refused', h('small', null, 'since the start'))), counts),
      h('section', { class: 'card flush', 'aria-label': 'Denials of users' }, h('header', null, h('h2', null, 'Users', h('small', null, 'the latest, as ACL LOG has them'))), records));
    this.counts = new Table(counts, {
      caption: 'Refused since the start', noun: 'reason', empty: 'Nothing was refused.', key: (c) => `${c.pool}\n${c.name}`, words: (c) => `${c.pool} ${c.what}`,
      sort: { name: 'times', down: true },
      columns: [
        { name: 'what', label: 'what', value: (c) => c.what },
        { name: 'pool', label: 'pool', width: '170px', narrow: '92px', value: (c) => c.pool },
        { name: 'times', label: 'times', num: true, width: '120px', narrow: '72px', value: (c) => c.times, show: (c) => count(c.times) },
      ],
    });
    this.records = new Table(records, {
      caption: 'Denials of users', noun: 'denial', empty: 'No user was denied anything.', key: (r) => `${r.pool}\n${r.first}\n${r.reason}\n${r.object}\n${r.user}`,
      words: (r) => `${r.pool} ${r.reason} ${r.object || ''} ${r.user || ''} ${r.client}`, sort: { name: 'time', down: true },
      columns: [
        { name: 'object', label: 'what', mono: true, value: (r) => r.object || '' },
        { name: 'reason', label: 'refused for', width: '120px', narrow: '88px', value: (r) => r.reason },
        { name: 'user', label: 'user', width: '150px', narrow: '70px', value: (r) => r.user || '' },
        { name: 'times', label: 'times', num: true, width: '84px', narrow: '64px', value: (r) => r.count, show: (r) => count(r.count) },
        { name: 'time', label: 'when', num: true, width: '190px', priority: 2, value: (r) => r.at, show: (r) => clock(r.at) },
        { name: 'pool', label: 'pool', width: '120px', priority: 3, value: (r) => r.pool },
        { name: 'client', label: 'client', mono: true, width: '260px', priority: 4, value: (r) => r.client },
      ],
    });
    this.tables = [this.counts, this.records];
  }

  async read(api) {
    const { pools } = await api.get('denials');
    const waiting = pools.reduce((n, p) => n + p.waiting, 0);
    const records = pools.flatMap((p) => p.records.map((r) => ({ ...r, pool: p.pool, at: Date.parse(r.time) })));
    text(this.note, waiting ? `${plural(waiting, 'client waits', 'clients wait')} for a limit` : '');
    this.counts.update(pools.flatMap((p) => Object.entries(p.counts).map(([name, times]) => ({ pool: p.pool, name, what: name.replaceAll('_', ' '), times }))));
    this.records.update(records);
  }
}
