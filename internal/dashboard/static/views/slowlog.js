// The slow log: which requests took long, and where the time went.

import { attr, fill, h, text } from '../dom.js';
import { clock, keyText, latency, plural } from '../format.js';
import { Table } from '../table.js';

// Where a request's time goes, in the order in which it passes.
const parts = [
  { name: 'connect', label: 'waits for a connection', tone: 'plum' },
  { name: 'queue', label: 'waits in the queue', tone: 'rust' },
  { name: 'server_time', label: 'at the server', tone: 'slate' },
  { name: 'turn', label: 'waits for its turn', tone: 'grey' },
];

// request is the command and what is kept of its key. Its error, if it had one, comes behind.
function request(e) {
  return [e.command, keyText(e.key, e.key_length, false), e.keys > 1 ? `(${e.keys} keys)` : '', e.error ? `: ${e.error}` : ''].filter(Boolean).join(' ');
}

export class SlowLog {
  constructor(host, app) {
    this.app = app;
    this.search = h('input', {
      type: 'search', placeholder: 'Filter: command, key, server, client (/)', 'aria-label': 'Filter the slow log', 'data-filter': true, spellcheck: 'false',
      oninput: () => this.filter(),
    });
    this.note = h('span', { class: 'soft' });
    this.grouped = true;
    this.by = [['by server and command', true], ['each request', false]].map(([label, grouped]) => h('button', {
      type: 'button', class: 'chip', 'aria-pressed': String(grouped), onclick: () => this.choose(grouped),
    }, label));
    this.groupHost = h('div');
    const list = h('div', { hidden: true });
    this.entryHost = list;
    fill(host, h('h1', { class: 'hidden' }, 'Slow log'), h('section', { class: 'card flush', 'aria-label': 'Slow log' },
      h('header', null, h('div', { class: 'filter' }, this.search, h('div', { class: 'chips', role: 'group', 'aria-label': 'Shown' }, this.by), h('span', { class: 'legend p3' }, parts.map((p) => h('span', null, h('i', { class: `block ${p.tone}` }), p.label)))), this.note), this.groupHost, list));
    this.groups = groupTable(this.groupHost, () => app.share());
    this.table = new Table(list, {
      caption: 'Slow log', noun: 'entry', empty: 'No request was slow.', key: (e) => `${e.pool}\n${e.id}`,
      words: (e) => `${request(e)} ${e.pool} ${e.server || ''} ${e.client || ''} ${e.client_name || ''} ${e.error || ''}`, sort: { name: 'time', down: true }, changed: () => app.share(),
      columns: [
        { name: 'command', label: 'request', mono: true, value: request },
        { name: 'time', label: 'when', width: '176px', num: true, priority: 2, value: (e) => e.at, show: (e) => clock(e.at) },
        { name: 'duration', label: 'took', title: 'from when the request was taken until its reply could go out', num: true, width: '90px', narrow: '74px', value: (e) => e.duration, show: (e) => latency(e.duration) },
        { name: 'split', label: 'where the time went', width: '200px', priority: 3, value: (e) => e.server_time, cell: split },
        { name: 'server', label: 'server', width: '170px', narrow: '100px', value: (e) => e.server || 'several' },
        { name: 'pool', label: 'pool', width: '120px', priority: 4, value: (e) => e.pool },
        { name: 'client', label: 'client', mono: true, width: '170px', priority: 4, value: (e) => e.client || '' },
      ],
    });
  }

  async read(api) {
    const answer = await api.get('slowlog');
    const entries = (answer.entries || []).map((e) => ({ ...e, at: Date.parse(e.time) }));
    text(this.note, plural(entries.length, 'entry', 'entries'));
    this.table.update(entries);
    this.groups.update(groupsOf(entries));
  }

  filter() {
    for (const t of [this.table, this.groups]) t.filter(this.search.value);
    this.app.share();
  }

  chosen() {
    return { q: this.search.value, each: this.grouped ? undefined : 1, sort: (this.grouped ? this.groups : this.table).sorted() };
  }

  restore({ q = '', each, sort }) {
    this.search.value = q;
    for (const t of [this.table, this.groups]) t.filter(q);
    (each ? this.table : this.groups).setSorted(sort);
    this.choose(!each);
  }

  choose(grouped) {
    this.grouped = grouped;
    this.by.forEach((b, i) => attr(b, 'aria-pressed', String((i === 0) === grouped)));
    this.groupHost.hidden = !grouped;
    this.entryHost.hidden = grouped;
    (grouped ? this.groups : this.table).draw();
    this.app.share();
  }
}

function split(td, e) {
  if (!td.firstChild) td.append(h('div', { class: 'split', role: 'img' }, parts.map((p) => h('i', { class: p.tone }))));
  const values = parts.map((p) => e[p.name] || 0);
  values.forEach((v, i) => { td.firstChild.children[i].style.flexGrow = String(v / (e.duration || 1)); });
  const words = parts.map((p, i) => `${p.label}: ${latency(values[i])}`).join(', ');
  attr(td.firstChild, 'aria-label', words);
  attr(td, 'title', words);
}

// groupsOf puts the entries of one server and command together: how many, how long, and where most of the time went.
function groupsOf(entries) {
  const groups = new Map();
  for (const e of entries) {
    const key = [e.pool, e.server || '', e.command].join('\n');
    const g = groups.get(key) || { key, pool: e.pool, server: e.server, command: e.command, count: 0, longest: 0, total: 0, at: 0, errors: 0, duration: 0 };
    g.count++;
    g.total += e.duration;
    g.longest = Math.max(g.longest, e.duration);
    g.at = Math.max(g.at, e.at);
    if (e.error) g.errors++;
    for (const p of parts) g[p.name] = (g[p.name] || 0) + (e[p.name] || 0);
    g.duration = g.total;
    groups.set(key, g);
  }
  return [...groups.values()];
}

function groupTable(host, changed) {
  return new Table(host, {
    changed,
    caption: 'Slow log by server and command', noun: 'group', empty: 'No request was slow.', key: (g) => g.key,
    words: (g) => `${g.command} ${g.pool} ${g.server || ''}`, sort: { name: 'count', down: true },
    columns: [
      { name: 'server', label: 'server', value: (g) => g.server || 'several, or none' },
      { name: 'command', label: 'command', mono: true, width: '130px', narrow: '80px', value: (g) => g.command },
      { name: 'pool', label: 'pool', width: '130px', priority: 3, value: (g) => g.pool },
      { name: 'count', label: 'entries', num: true, width: '84px', narrow: '64px', value: (g) => g.count, show: (g) => String(g.count) },
      { name: 'errors', label: 'failed', num: true, width: '84px', priority: 3, value: (g) => g.errors, show: (g) => String(g.errors) },
      { name: 'mean', label: 'mean', title: 'of the entries: they are the slowest of all requests', num: true, width: '90px', priority: 2, value: (g) => g.total / g.count, show: (g) => latency(g.total / g.count) },
      { name: 'longest', label: 'longest', num: true, width: '90px', narrow: '74px', value: (g) => g.longest, show: (g) => latency(g.longest) },
      { name: 'split', label: 'where the time went', width: '200px', priority: 3, value: (g) => g.server_time, cell: split },
      { name: 'time', label: 'last', width: '190px', num: true, priority: 4, value: (g) => g.at, show: (g) => clock(g.at) },
    ],
  });
}
