// The first look: is it well, what is not, since when; and the last minutes as plots.

import { attr, fill, h, mark, meter, text } from '../dom.js';
import { meaning, term, words } from '../explain.js';
import { bytes, clock, count, latency, percent, plural, rate, span } from '../format.js';
import { link } from '../links.js';
import { memoryOf, severity } from '../model.js';
import { Plot, spark } from '../plot.js';

const spans = [['2 min', 120e3], ['10 min', 600e3], ['1 h', 3600e3]];
const mapped = 4000; // servers that the map shows at most
const most = 12; // rows of what needs a look

export class Overview {
  constructor(host, app) {
    this.app = app;
    this.span = spans[0][1];
    this.zoom = null; // from and to, in milliseconds, if a part of the time is looked at
    this.pool = '';
    this.build(host);
  }

  build(host) {
    this.vitals = vitalTiles();
    this.picker = h('select', { 'aria-label': 'Pool of the plots', onchange: () => { this.pool = this.picker.value; this.changed(); } });
    this.spans = spans.map(([label, ms]) => h('button', {
      type: 'button', class: 'chip', 'aria-pressed': String(ms === this.span), onclick: () => this.choose(ms),
    }, label));
    this.whole = h('button', { type: 'button', class: 'chip', hidden: true, onclick: () => this.look() }, 'All of it');
    const requests = h('div');
    const delays = h('div');
    const errors = h('div');
    this.trouble = h('ul', { class: 'trouble' });
    this.troubleNote = h('small');
    this.events = h('ul', { class: 'happened' });
    this.poolRows = h('div');
    this.process = h('dl', { class: 'bars' });
    this.reasons = h('div');
    this.map = h('div', { class: 'maps' });
    this.mapNote = h('small');
    fill(host,
      h('h1', { class: 'hidden' }, 'Overview'),
      h('dl', { class: 'vitals', 'aria-label': 'At this moment' }, this.vitals.map((v) => v.el)),
      h('div', { class: 'columns' },
        h('div', { class: 'stack' },
          h('section', { class: 'card', 'aria-label': 'Over time' },
            h('header', null, h('h2', null, 'Over time', h('small', null, 'a value a second; drag to look closer')), h('div', { class: 'filter tail' }, this.picker, this.whole, h('div', { class: 'chips', role: 'group', 'aria-label': 'Time shown' }, this.spans))),
            h('div', { class: 'plots' }, requests, delays, errors)),
          section('Process', null, this.process)),
        h('div', { class: 'stack' },
          section('What needs a look', this.troubleNote, this.trouble, 'first'),
          section('What has happened', h('small', null, h('a', { href: '#events' }, 'all events')), this.events),
          section('Pools', null, this.poolRows),
          section('Failed requests by reason', null, this.reasons))),
      section('Servers', this.mapNote, this.map));
    const zoom = (from, to) => this.look(from, to);
    this.plots = [
      new Plot(requests, { label: 'Requests per second', zoom, format: rate, integer: true, lines: [{ name: 'requests', label: '', tone: 'slate' }] }),
      new Plot(delays, {
        label: 'Latency, as clients see it', zoom, format: latency, log: true,
        lines: [{ name: 'p50', label: 'median', tone: 'slate' }, { name: 'p99', label: 'p99', tone: 'rust' }, { name: 'p999', label: 'p99.9', tone: 'plum' }],
      }),
      new Plot(errors, { label: 'Failed requests per second', zoom, format: rate, integer: true, lines: [{ name: 'errors', label: '', tone: 'bad' }] }),
    ];
    this.tiles = new Map();
  }

  choose(ms) {
    this.span = ms;
    this.look();
  }

  // look has the plots show a part of the time, or all of what is chosen.
  look(from, to) {
    this.zoom = from ? { from: Math.round(from), to: Math.round(to) } : null;
    this.changed();
  }

  changed() {
    this.spans.forEach((b, i) => attr(b, 'aria-pressed', String(!this.zoom && spans[i][1] === this.span)));
    this.whole.hidden = !this.zoom;
    this.app.share();
    this.show(this.app.model);
  }

  chosen() {
    return { pool: this.pool, span: this.span === spans[0][1] ? undefined : this.span / 1e3, from: this.zoom?.from, to: this.zoom?.to };
  }

  restore({ pool = '', span: seconds, from, to }) {
    this.pool = pool;
    this.picker.value = pool;
    this.span = spans.find(([, ms]) => ms === Number(seconds) * 1e3)?.[1] ?? spans[0][1];
    this.zoom = Number(from) < Number(to) ? { from: Number(from), to: Number(to) } : null;
    this.spans.forEach((b, i) => attr(b, 'aria-pressed', String(!this.zoom && spans[i][1] === this.span)));
    this.whole.hidden = !this.zoom;
  }

  show(model) {
    if (!model.info) return;
    this.showVitals(model);
    this.showPlots(model);
    this.showTrouble(model);
    this.showPools(model);
    this.showReasons(model);
    this.showProcess(model);
    this.showMap(model);
  }

  showVitals(model) {
    const { now, info } = model;
    const memory = memoryOf(info.process);
    const failing = now.errors > 0;
    const figures = {
      requests: [rate(now.requests), now.bytes == null ? '' : `${bytes(now.bytes)}/s to and from servers`],
      p99: [latency(now.p99), `median ${latency(now.p50)}`],
      errors: [rate(now.errors), failing ? `${percent(now.errors / now.requests)} of requests` : now.errors == null ? '' : 'none fails'],
      clients: [count(now.clients), `${plural(info.process.connections, 'connection')} in all${listeners(model.pools)}`],
      memory: [bytes(memory.used), memory.bound ? `of ${bytes(memory.bound)}` : 'resident, no bound'],
      busy: [percent(now.busy), `busiest of ${plural(info.loops.length, 'loop')}`],
    };
    for (const v of this.vitals) {
      const [figure, note] = figures[v.name];
      text(v.label, `${v.words}, ${v.lasting ? `last ${this.app.windowLabel()}` : 'now'}`);
      text(v.figure, figure);
      text(v.note, note);
      spark(v.spark, model.all, v.name, model.time, 120e3);
      if (v.name === 'errors') {
        v.figure.classList.toggle('bad', failing);
        v.spark.classList.toggle('bad', failing);
      }
    }
  }

  showPlots(model) {
    const names = model.pools.map((p) => p.name);
    if (this.picker.childElementCount !== names.length + 1 || names.some((n, i) => this.picker.options[i + 1].value !== n)) {
      fill(this.picker, h('option', { value: '' }, 'all pools'), names.map((n) => h('option', { value: n }, n)));
      if (!names.includes(this.pool)) this.pool = '';
      this.picker.value = this.pool;
    }
    this.picker.hidden = names.length < 2;
    this.app.recall(this.pool);
    const series = this.pool ? model.poolHistory.get(this.pool) : model.all;
    text(this.plots[1].note, this.pool || names.length < 2 ? '' : 'of the slowest pool');
    for (const plot of this.plots) {
      if (this.zoom) plot.show(series, this.zoom.to, this.zoom.to - this.zoom.from, this.app.gap(), false);
      else plot.show(series, model.time, this.span, this.app.gap());
    }
  }

  showTrouble(model) {
    const found = model.findings;
    const fails = found.filter((f) => f.fails).length;
    text(this.troubleNote, found.length ? (fails ? `${fails} of ${found.length} fail requests` : 'none of them fails requests') : '');
    const shown = found.slice(0, most);
    const key = JSON.stringify([found.length, shown.map((f) => [f.fails, f.label, f.pool, f.server, f.reason, f.cause, f.follows])]);
    if (key !== this.troubleKey) {
      this.troubleKey = key;
      this.rows = shown.map((f) => troubleRow(f, f.server ? () => this.app.openServer(`${f.pool}\n${f.server}`) : null));
      const rest = found.length > most ? h('li', null, h('span'), h('a', { href: '#servers' }, `and ${found.length - most} more`)) : null;
      fill(this.trouble, shown.length ? [this.rows.map((r) => r.el), rest] : h('li', { class: 'calm' }, mark('up'),
        h('span', null, `Nothing. ${model.servers.length === 1 ? 'The server is' : `All ${model.servers.length} servers are`} up.`)));
      this.trouble.classList.toggle('quiet', shown.length === 0);
    }
    shown.forEach((f, i) => {
      text(this.rows[i].since, f.until ? `${span((Date.parse(f.until) - model.time) / 1000)} more` : f.since ? `for ${span((model.time - Date.parse(f.since)) / 1000)}` : '');
      text(this.rows[i].why, f.text[0].toUpperCase() + f.text.slice(1));
    });
  }

  // read brings the last events.
  async read(api) {
    const { events } = await api.get('events', { limit: 8 });
    fill(this.events, events.length ? events.reverse().map((e) => h('li', { class: e.severity === 'failure' ? 'bad' : null },
      h('span', { class: 'soft num' }, clock(Date.parse(e.time))), ' ',
      e.server ? h('a', { href: link('overview', e.pool, e.server) }, `${e.pool} / ${e.server}`) : h('span', null, e.pool || 'this proxy'), ' ',
      h('span', null, e.text))) : h('li', { class: 'soft' }, 'Nothing yet.'));
  }

  showPools(model) {
    const rows = model.pools.map((p) => h('tr', null,
      h('th', { scope: 'row', title: `${p.protocol} on ${p.listen}` }, p.name),
      h('td', { class: `num ${severity(p.servers) || ''}` }, `${p.up}/${p.servers.length}`),
      h('td', { class: 'num' }, rate(p.requests)), h('td', { class: 'num p2' }, latency(p.p99)),
      h('td', { class: p.errors > 0 ? 'num bad-value' : 'num' }, rate(p.errors)),
      h('td', { class: 'num p2' }, count(p.inQueue + p.outQueue))));
    fill(this.poolRows, h('div', { class: 'scroll-x' }, h('table', { class: 'plain' }, h('caption', { class: 'hidden' }, 'Pools'), h('thead', null, h('tr', null,
      h('th', { scope: 'col' }, 'pool'), ...[['up'], ['req/s'], ['p99', 'p2'], ['failed/s'], ['queued now', 'p2']].map(([l, p]) => h('th', { scope: 'col', class: `num ${p || ''}` }, l)))),
    h('tbody', null, rows))));
  }

  showReasons(model) {
    const seen = model.reasons.filter((r) => r.total > 0).sort((a, b) => (b.rate || 0) - (a.rate || 0) || b.total - a.total).slice(0, 6);
    if (!seen.length) {
      this.reasonKey = '';
      fill(this.reasons, h('p', { class: 'soft' }, 'None since the start.'));
      return;
    }
    const key = JSON.stringify(seen.map((r) => [r.pool, r.reason]));
    if (key !== this.reasonKey) {
      this.reasonKey = key;
      this.reasonRows = seen.map((r) => ({
        rate: h('td', { class: 'num' }), total: h('td', { class: 'num' }),
        name: h('th', { scope: 'row' }, term(words(r.reason), meaning(r.reason)), model.pools.length > 1 ? h('span', { class: 'soft' }, ` ${r.pool}`) : null),
      }));
      fill(this.reasons, h('table', { class: 'plain' }, h('caption', { class: 'hidden' }, 'Failed requests by reason'),
        h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'reason'), h('th', { scope: 'col', class: 'num' }, 'per second, now'), h('th', { scope: 'col', class: 'num' }, 'since start'))),
        h('tbody', null, this.reasonRows.map((r) => h('tr', null, r.name, r.rate, r.total)))));
    }
    seen.forEach((r, i) => {
      const row = this.reasonRows[i];
      text(row.rate, rate(r.rate));
      row.rate.classList.toggle('bad-value', r.rate > 0);
      text(row.total, count(r.total));
    });
  }

  showProcess({ info }) {
    const p = info.process;
    const memory = memoryOf(p);
    const rows = info.loops.map((l) => [`loop ${l.id}`, l.busy, `${percent(l.busy)} busy, ${plural(l.counters.clients, 'client')}`]);
    if (memory.bound) rows.push(['memory', memory.used / memory.bound, `${bytes(memory.used)} of ${bytes(memory.bound)}`]);
    if (p.hard_memory) rows.push(['for clients', p.held_memory / p.hard_memory, `${bytes(p.held_memory)} held, bound ${bytes(p.hard_memory)}`]);
    if (p.max_clients) rows.push(['clients', this.app.model.now.clients / p.max_clients, `${count(this.app.model.now.clients)} of ${count(p.max_clients)}`]);
    if (p.max_descriptors) rows.push(['descriptors', p.descriptors / p.max_descriptors, `${count(p.descriptors)} of ${count(p.max_descriptors)}`]);
    fill(this.process, rows.map(([name, share, words]) => h('div', null, h('dt', null, name),
      h('dd', { class: 'bar' }, meter(share, `${name}: ${words}`, share > 0.95 ? 'bad' : share > 0.8 ? 'warn' : '')), h('dd', { class: 'num' }, words))),
    h('div', null, h('dt', null, 'heap'), h('dd', { class: 'num long' }, bytes(p.heap_memory))),
    info.engine ? h('div', null, h('dt', null, 'engine'), h('dd', { class: 'num long', title: info.engine_reason }, info.engine)) : null,
    ringsOf(info.loops));
  }

  // showMap keeps one button for each server; its fill is its load next to the busiest.
  showMap(model) {
    const servers = model.servers.slice(0, mapped);
    text(this.mapNote, model.servers.length > mapped ? `the first ${mapped} of ${model.servers.length}` : 'fill: load next to the busiest of its pool');
    const key = servers.map((s) => s.id).join('\t');
    if (key !== this.mapKey) {
      this.mapKey = key;
      this.tiles.clear();
      fill(this.map, model.pools.map((p) => h('section', { class: 'map-pool', 'aria-label': `Servers of ${p.name}` }, model.pools.length > 1 ? h('h3', null, p.name) : null,
        h('div', { class: 'map' }, servers.filter((s) => s.pool === p.name).map((s) => {
          const tile = h('button', { type: 'button', onclick: () => this.app.openServer(s.id) });
          this.tiles.set(s.id, { el: tile });
          return tile;
        })))));
    }
    const most = new Map(model.pools.map((p) => [p.name, p.servers.reduce((a, s) => Math.max(a, s.requests || 0), 0)]));
    for (const s of servers) this.showTile(this.tiles.get(s.id), s, most.get(s.pool));
  }

  showTile(tile, s, most) {
    if (tile.state !== s.state) {
      tile.state = s.state;
      tile.el.className = s.state;
      fill(tile.el, mark(s.state));
    }
    const load = most ? ((s.requests || 0) / most).toFixed(2) : '0';
    if (tile.load !== load) {
      tile.load = load;
      tile.el.style.setProperty('--load', load);
    }
    const words = `${s.pool} / ${s.name}: ${s.state}, ${rate(s.requests)} requests per second`;
    attr(tile.el, 'aria-label', words);
    attr(tile.el, 'title', words);
  }
}

function section(title, note, content, placed = '') {
  return h('section', { class: `card ${placed}`, 'aria-label': title }, h('header', null, h('h2', null, title, note)), content);
}

// listeners says how many clients listen to channels, what they are told, and who did not keep up.
function listeners(pools) {
  const all = (of) => pools.reduce((n, p) => n + (of(p) || 0), 0);
  const slow = all((p) => p.counters.subscribers_slow);
  const some = all((p) => p.counters.subscribers);
  if (!some && !slow) return '';
  return `; ${count(some)} listen, ${rate(all((p) => p.messages))} messages/s${slow ? `, ${count(slow)} closed as too slow` : ''}`;
}

function vitalTiles() {
  const tiles = [['requests', 'Requests/s', '', true], ['p99', 'Latency p99', 'rust', true], ['errors', 'Failed/s', '', true],
    ['clients', 'Clients', ''], ['memory', 'Memory', ''], ['busy', 'Event loops', '', true]];
  return tiles.map(([name, words, tone, lasting]) => {
    const label = h('dt', null, words);
    const figure = h('dd', { class: 'figure num' }, '–');
    const note = h('dd', { class: 'note' });
    const line = h('svg', { class: 'spark', 'aria-hidden': 'true' });
    return { name, words, lasting, label, figure, note, spark: line, el: h('div', { class: `vital ${tone}`, 'data-vital': name }, label, figure, note, h('dd', { class: 'spark-host' }, line)) };
  });
}

// The marks of what is not the state of a server.
const marks = { server_slow: 'probing', pool_paused: 'disabled', draining: 'disabled' };

function troubleRow(f, open) {
  const since = h('span', { class: 'since num' });
  const why = h('span');
  const who = f.server ? `${f.pool} / ${f.server}` : f.pool || 'This proxy';
  const state = f.kind === 'server_state' ? f.label : marks[f.kind] || 'failing';
  const el = h('li', { 'data-fails': String(f.fails), 'data-kind': f.kind }, h('span', { class: `badge ${f.fails ? 'bad' : 'warn'}` }, mark(state), term(f.label, meaning(f.kind))),
    h('span', { class: 'who' }, open ? h('button', { type: 'button', onclick: open }, who) : who, f.address ? h('span', { class: 'soft mono' }, ` ${f.address}`) : null),
    since, h('span', { class: 'why' }, f.follows ? [f.cause ? [term(f.cause, f.help), '; '] : null, f.follows, '.'] : why));
  return { el, since, why };
}

// ringsOf is what the rings of io_uring have done, if there are any.
function ringsOf(loops) {
  const sum = (name) => loops.reduce((n, l) => n + (l.counters[name] || 0), 0);
  const enters = sum('ring_enters');
  if (!enters) return null;
  const overflows = sum('ring_overflows');
  return h('div', null, h('dt', null, 'rings'), h('dd', { class: 'num long', title: `at most ${bytes(sum('ring_bytes'))} of memory` },
    `${plural(enters, 'enter')}, ${count(sum('ring_submissions'))} submitted, ${count(sum('ring_completions'))} completed${overflows ? `, ${plural(overflows, 'overflow')}` : ''}`));
}
