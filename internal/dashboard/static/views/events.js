// What has happened: reloads, pauses, servers that failed and answer again, the latest first.

import { attr, fill, h, text } from '../dom.js';
import { clock, plural, span } from '../format.js';
import { link } from '../links.js';
import { Table } from '../table.js';
import { Listing } from './listing.js';

// lasted is how long it lasted, or lasts at most.
const lasted = (e) => (e.duration > 0 ? span(e.duration) : '');

export class Events extends Listing {
  constructor(host, app) {
    super(host, app, 'Events', 'kind, pool, server, text');
    this.table = new Table(this.list, {
      caption: 'Events', noun: 'event', empty: 'Nothing has happened.', key: (e) => String(e.id),
      words: (e) => `${e.kind} ${e.pool || ''} ${e.server || ''} ${e.text} ${e.by || ''}`, sort: { name: 'time', down: true }, changed: () => app.share(),
      columns: [
        { name: 'text', label: 'what', value: (e) => e.text, cell: told },
        { name: 'time', label: 'when', width: '176px', narrow: '96px', num: true, group: 'moment', value: (e) => e.at + e.id / 1e6, show: (e) => clock(e.at) },
        { name: 'kind', label: 'event', width: '170px', priority: 3, value: (e) => e.kind, cell: (td, e) => kind(td, e) },
        { name: 'server', label: 'server', width: '190px', priority: 2, value: (e) => `${e.pool || ''} ${e.server || ''}`, cell: (td, e) => place(td, e) },
        { name: 'lasted', label: 'for', title: 'how long it lasted, or lasts at most', num: true, width: '96px', priority: 3, value: (e) => e.duration || 0, show: lasted },
        { name: 'by', label: 'by', width: '220px', priority: 4, value: (e) => e.by || '' },
      ],
    });
  }

  async read(api) {
    const answer = await api.get('events', { limit: 1024 });
    const events = answer.events.map((e) => ({ ...e, at: Date.parse(e.time) }));
    const since = Math.min(Date.parse(answer.started), ...events.map((e) => e.at)); // the program before an upgrade may have had some
    text(this.note, `${plural(events.length, 'event')} since ${clock(since)}`);
    this.table.update(events);
  }
}

// told is what has happened, on several lines where there is no room for one.
function told(td, e) {
  if (!td.firstChild) td.append(h('span', { class: 'lines' }));
  text(td.firstChild, e.text);
  attr(td, 'title', e.text);
}

function kind(td, e) {
  text(td, e.kind.replaceAll('_', ' '));
  td.classList.toggle('bad-value', e.severity === 'failure');
}

function place(td, e) {
  const key = `${e.pool}\n${e.server}`;
  if (td.key === key) return;
  td.key = key;
  fill(td, e.server ? h('a', { href: link('events', e.pool, e.server) }, `${e.pool} / ${e.server}`) : e.pool || 'this proxy');
}
