// The clients: who holds most, who waits, who idles.

import { text } from '../dom.js';
import { bytes, count, plural, span } from '../format.js';
import { Table } from '../table.js';
import { Listing } from './listing.js';

// What binds a client to servers.
const session = (c) => [c.blocked ? 'blocked' : '', c.multi === undefined ? '' : `multi ${c.multi}`, c.watched ? `watch ${c.watched}` : '', c.private ? `private ${c.private}` : '']
  .filter(Boolean).join(', ');

const held = (c) => (c.received || 0) + (c.held || 0) + (c.unsent || 0);

export class Clients extends Listing {
  constructor(host, app) {
    super(host, app, 'Clients', 'address, name, library, pool');
    this.table = new Table(this.list, {
      caption: 'Clients', noun: 'client', empty: 'No client is connected.', key: (c) => String(c.id),
      words: (c) => `${c.address} ${c.name || ''} ${c.library || ''} ${c.pool} ${c.user || ''}`,
      sort: { name: 'held', down: true }, changed: () => app.share(),
      columns: [
        { name: 'address', label: 'client', mono: true, value: (c) => c.address },
        { name: 'pool', label: 'pool', width: '120px', priority: 3, value: (c) => c.pool },
        { name: 'name', label: 'name', width: '16%', priority: 2, value: (c) => c.name || '' },
        { name: 'library', label: 'library', width: '150px', priority: 4, value: (c) => [c.library, c.library_version].filter(Boolean).join(' ') },
        { name: 'held', label: 'held', title: 'bytes held for it: received, in requests and replies, unsent', num: true, width: '86px', narrow: '66px', value: held, show: (c) => bytes(held(c)) },
        { name: 'unsent', label: 'unsent', title: 'bytes of replies that it has not taken yet', num: true, width: '86px', priority: 3, value: (c) => c.unsent, show: (c) => bytes(c.unsent) },
        { name: 'flight', label: 'in flight', title: 'requests without a reply', num: true, width: '84px', narrow: '58px', value: (c) => c.in_flight, show: (c) => count(c.in_flight) },
        { name: 'session', label: 'session', title: 'whether it waits at a server, is in a transaction, watches keys, or has connections to itself', width: '150px', priority: 4, value: session },
        { name: 'idle', label: 'idle', title: 'since it last sent something', num: true, width: '90px', priority: 2, value: (c) => c.idle, show: (c) => span(c.idle) },
        { name: 'age', label: 'age', title: 'since it came', num: true, width: '100px', narrow: '84px', value: (c) => c.age, show: (c) => span(c.age) },
        { name: 'loop', label: 'loop', num: true, width: '64px', priority: 4, value: (c) => c.loop },
        { name: 'protocol', label: 'RESP', num: true, width: '68px', priority: 4, value: (c) => c.protocol || undefined, show: (c) => String(c.protocol || '–') },
      ],
    });
  }

  async read(api) {
    const answer = await api.get('clients');
    const clients = answer.clients || [];
    text(this.note, answer.total > clients.length ? `${clients.length} of ${plural(answer.total, 'client')}` : plural(answer.total, 'client'));
    this.table.update(clients);
  }
}
