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
      type: 'search', placeholder: 'Filter: command, key, server, client  ( / )', 'aria-label': 'Filter the slow log', 'data-filter': true, spellcheck: 'false',
      oninput: () => this.table.filter(this.search.value),
    });
    this.note = h('span', { class: 'soft' });
    const list = h('div');
    fill(host, h('h1', { class: 'hidden' }, 'Slow log'), h('section', { class: 'card flush', 'aria-label': 'Slow log' },
      h('header', null, h('div', { class: 'filter' }, this.search, h('span', { class: 'legend' }, parts.map((p) => h('span', null, h('i', { class: `block ${p.tone}` }), p.label)))), this.note), list));
    this.table = new Table(list, {
      caption: 'Slow log', noun: 'entry', empty: 'No request was slow.', key: (e) => `${e.pool}\n${e.id}`,
      words: (e) => `${request(e)} ${e.pool} ${e.server || ''} ${e.client || ''} ${e.client_name || ''} ${e.error || ''}`, sort: { name: 'time', down: true },
      columns: [
        { name: 'command', label: 'request', mono: true, value: request },
        { name: 'time', label: 'when', width: '176px', num: true, priority: 2, value: (e) => e.at, show: (e) => clock(e.at) },
        { name: 'duration', label: 'took', num: true, width: '90px', narrow: '74px', value: (e) => e.duration, show: (e) => latency(e.duration) },
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
