// Every server with its state and numbers: sortable, filtered by words and by state.

import { attr, badge, fill, h, mark, place, text } from '../dom.js';
import { meaning, term, words } from '../explain.js';
import { bytes, count, latency, percent, rate, span } from '../format.js';
import { spark } from '../plot.js';
import { Table } from '../table.js';
import { behind, hasMore } from './behind.js';

export class Servers {
  constructor(host, app) {
    this.app = app;
    this.state = '';
    this.search = h('input', {
      type: 'search', placeholder: 'Filter: name, address, reason (/)', 'aria-label': 'Filter servers', 'data-filter': true,
      spellcheck: 'false', oninput: () => this.filter(true),
    });
    this.pool = h('select', { 'aria-label': 'Pool', onchange: () => this.filter(true) });
    this.chips = h('div', { class: 'chips', role: 'group', 'aria-label': 'State' });
    this.clusters = h('div', { class: 'clusters soft' });
    const list = this.list = h('div');
    fill(host, h('h1', { class: 'hidden' }, 'Servers'), h('section', { class: 'card flush', 'aria-label': 'Servers' },
      h('header', null, h('div', { class: 'filter' }, this.search, this.pool, this.chips)), this.clusters, list));
    this.table = new Table(list, {
      caption: 'Servers', noun: 'server', empty: 'No pool has a server.', key: (s) => s.id,
      words: (s) => `${s.pool} ${s.name} ${s.address} ${s.state} ${s.reason || ''} ${s.replies.map((r) => r.reason).join(' ')}`,
      sort: { name: 'state', down: false }, open: (s) => app.openServer(s.id), changed: () => app.share(), columns: this.columns(),
    });
  }

  columns() {
    const now = () => this.app.model.time;
    const lately = (what) => () => `${what}, in the last ${this.app.windowLabel()}`;
    return [
      { name: 'name', label: 'server', value: (s) => s.name, cell: (el, s) => named(el, s) },
      { name: 'address', label: 'address', mono: true, width: '158px', priority: 4, value: (s) => s.address },
      { name: 'reason', label: 'reason', title: 'why it is not up', width: '168px', priority: 3, value: (s) => s.reason || '', cell: (td, s) => reasoned(td, s) },
      { name: 'pool', label: 'pool', width: '96px', priority: 3, value: (s) => s.pool },
      { name: 'state', label: 'state', width: '192px', priority: 2, value: (s) => rank(s), cell: (el, s) => stated(el, s, now()) },
      { name: 'role', label: 'role', title: 'whether the server is a primary or a replica', width: '84px', group: 'role', value: roleOf, cell: (el, s) => placed(el, s) },
      { name: 'slots', label: 'slots', title: 'slots of the cluster that the node has', num: true, width: '72px', group: 'node', value: (s) => s.node?.slots, show: (s) => count(s.node?.slots) },
      { name: 'redirects', label: 'redirects', title: 'how often the node has sent requests elsewhere, since the start', num: true, width: '88px', priority: 4, group: 'node', value: redirected, cell: (el, s) => redirecting(el, s) },
      { name: 'lag', label: 'lag', title: 'how many bytes the replica was behind its primary when it was asked last; or why it is not read from', num: true, width: '96px', group: 'replication', value: (s) => s.replication?.lag, cell: (el, s) => lagging(el, s) },
      { name: 'zone', label: 'zone', title: 'where the server is', width: '84px', priority: 4, group: 'replication', value: (s) => s.replication?.zone || '' },
      { name: 'requests', label: 'req/s', title: lately('requests per second'), num: true, width: '76px', narrow: '62px', value: (s) => s.requests, show: (s) => rate(s.requests) },
      { name: 'trend', label: '3 min', title: 'requests per second over the last minutes', width: '120px', priority: 5, value: (s) => s.requests, cell: (el, s) => this.trend(el, s) },
      { name: 'p50', label: 'median', title: lately('half of the requests took so long, from sending to the reply'), num: true, width: '88px', priority: 3, value: (s) => s.p50, show: (s) => latency(s.p50) },
      { name: 'p99', label: 'p99', title: lately('one request in a hundred took longer, from sending to the reply'), num: true, width: '88px', narrow: '72px', value: (s) => s.p99, show: (s) => latency(s.p99) },
      { name: 'errors', label: 'failed/s', title: lately('requests per second without a response'), num: true, width: '86px', narrow: '66px', value: (s) => s.errors, cell: (el, s) => failing(el, s) },
      { name: 'replies', label: 'errors/s', title: 'error replies of the server per second, since the poll before', num: true, width: '86px', priority: 4, value: (s) => replyRate(s), cell: (el, s) => erring(el, s) },
      { name: 'in', label: 'in queue', title: 'requests that wait to be sent, now', num: true, width: '88px', priority: 5, value: (s) => s.inQueue, show: (s) => count(s.inQueue) },
      { name: 'out', label: 'out queue', title: 'requests that wait for their reply, now', num: true, width: '94px', priority: 3, value: (s) => s.outQueue, show: (s) => count(s.outQueue) },
      { name: 'connections', label: 'conns', title: 'connections open now', num: true, width: '74px', priority: 5, value: (s) => s.connections, show: (s) => count(s.connections) },
      { name: 'private', label: 'private', title: 'connections that single clients have to themselves now, for WATCH and commands that block', num: true, width: '82px', priority: 5, value: (s) => s.private, show: (s) => count(s.private) },
      { name: 'bytes', label: 'bytes/s', title: lately('bytes per second to and from the server'), num: true, width: '96px', priority: 5, value: (s) => traffic(s), show: (s) => bytes(traffic(s)) },
      { name: 'share', label: 'keys', title: 'share of the pool’s keys, now', num: true, width: '76px', priority: 4, value: (s) => s.share, show: (s) => percent(s.share) },
    ];
  }

  trend(td, s) {
    if (!td.firstChild) td.append(h('svg', { class: 'spark', 'aria-hidden': 'true' }));
    spark(td.firstChild, this.app.model.serverHistory.get(s.id), 'requests', this.app.model.time, 180e3);
  }

  filter(byHand = false) {
    const pool = this.pool.value;
    if (byHand) this.app.share();
    this.table.filter(this.search.value, (s) => (!pool || s.pool === pool) && (!this.state || s.state === this.state));
  }

  chosen() {
    return { q: this.search.value, pool: this.pool.value, state: this.state, sort: this.table.sorted() };
  }

  restore({ q = '', pool = '', state = '', sort }) {
    this.search.value = q;
    this.state = state;
    this.wanted = pool;
    this.poolKey = this.chipKey = null;
    this.table.setSorted(sort);
    this.show(this.app.model);
    this.filter();
  }

  show(model) {
    if (!model.info) return;
    this.showPools(model.pools.map((p) => p.name));
    this.showChips(model.servers);
    this.showClusters(model);
    this.table.update(model.servers);
  }

  // showClusters tells of clusters, sentinels and peers, and has a cluster's columns only if there is one.
  showClusters(model) {
    const pools = model.pools.filter((p) => p.cluster);
    const replicated = model.servers.some((s) => s.replication);
    this.list.classList.toggle('no-nodes', !pools.length);
    this.list.classList.toggle('no-roles', !pools.length && !replicated);
    this.list.classList.toggle('no-replication', !replicated);
    const more = model.pools.filter(hasMore);
    this.clusters.hidden = !more.length;
    fill(this.clusters, more.map((p) => behind(p, model.time)));
  }

  showPools(names) {
    const key = names.join('\n');
    if (key === this.poolKey) return;
    this.poolKey = key;
    const chosen = this.wanted ?? this.pool.value;
    this.wanted = undefined;
    fill(this.pool, h('option', { value: '' }, 'all pools'), names.map((n) => h('option', { value: n }, n)));
    this.pool.value = names.includes(chosen) ? chosen : '';
    this.pool.hidden = names.length < 2;
    this.filter();
  }

  showChips(servers) {
    const counts = new Map();
    for (const s of servers) counts.set(s.state, (counts.get(s.state) || 0) + 1);
    const key = JSON.stringify([...counts, this.state]);
    if (key === this.chipKey) return;
    this.chipKey = key;
    if (this.state && !counts.has(this.state)) counts.set(this.state, 0);
    const names = [...counts.keys()].sort((a, b) => place(b) - place(a));
    const focused = this.chips.contains(document.activeElement) ? document.activeElement.dataset.state : null;
    fill(this.chips, names.map((name) => h('button', {
      type: 'button', class: 'chip', 'data-state': name, 'aria-pressed': String(this.state === name), onclick: () => this.choose(name),
    }, h('span', { class: name }, mark(name)), name, ' ', h('b', { class: 'num' }, count(counts.get(name))))));
    if (focused) this.chips.querySelector(`[data-state="${CSS.escape(focused)}"]`)?.focus();
  }

  choose(state) {
    this.state = this.state === state ? '' : state;
    this.showChips(this.app.model.servers);
    this.filter(true);
  }
}

const traffic = (s) => (s.bytesIn === undefined ? undefined : s.bytesIn + (s.bytesOut || 0));

// redirectKinds are the counters of redirects, and what a node says.
const redirectKinds = [['redirects_moved', 'MOVED'], ['redirects_ask', 'ASK'], ['redirects_tryagain', 'TRYAGAIN'], ['redirects_unready', 'not ready']];

const redirected = (s) => (s.node ? redirectKinds.reduce((sum, [name]) => sum + (s.counters[name] || 0), 0) : undefined);

function redirecting(el, s) {
  text(el, s.node ? count(redirected(s)) : '');
  attr(el, 'title', s.node ? redirectKinds.map(([name, said]) => `${said}: ${count(s.counters[name] || 0)}`).join(', ') : null);
}

const roleOf = (s) => s.node?.role || s.replication?.role || '';

// placed tells a server's role, and whose replica it is.
function placed(el, s) {
  const of = s.node?.of || s.replication?.of;
  text(el, roleOf(s));
  attr(el, 'title', of ? `of ${of}` : null);
}

// lagging tells how far a replica is behind, or why it is not read from.
function lagging(el, s) {
  const r = s.replication;
  const unfit = r?.state && r.state !== 'fit';
  text(el, unfit ? r.state.replace('_', ' ') : bytes(r?.lag));
  el.classList.toggle('bad-value', Boolean(unfit));
  attr(el, 'title', r?.silence ? `heard of its primary ${span(r.silence)} ago` : null);
}

// rank sorts by state, and within a state the newest change first.
function rank(s) {
  return place(s.state) * 1e14 - (s.state === 'up' ? 0 : s.since || 0);
}

function named(el, s) {
  if (!el.lastChild) el.append(h('span', { class: 'mark-host' }), h('span', { class: 'name' }));
  if (el.state !== s.state) {
    el.state = s.state;
    el.firstChild.className = `mark-host ${s.state}`;
    fill(el.firstChild, mark(s.state), h('span', { class: 'hidden' }, s.state));
  }
  text(el.lastChild, s.name);
  attr(el, 'title', s.name === s.address ? s.name : `${s.name} (${s.address})`);
}

function stated(td, s, now) {
  if (td.state !== s.state) {
    td.state = s.state;
    fill(td, badge(s.state), h('span', { class: 'soft num' }));
  }
  text(td.lastChild, s.state !== 'up' && s.since ? ` ${span((now - s.since) / 1000)}` : '');
  attr(td, 'title', s.reason || null);
}

// reasoned is why a server is not up, in words that explain themselves.
function reasoned(td, s) {
  const reason = s.state === 'up' ? '' : s.reason || '';
  if (td.reason === reason) return;
  td.reason = reason;
  fill(td, reason ? term(s.cause || words(reason), meaning(reason)) : null);
}

const replyRate = (s) => s.replies.reduce((a, r) => (r.rate === undefined ? a : (a || 0) + r.rate), s.replies.length ? undefined : 0);

function erring(td, s) {
  text(td, rate(replyRate(s)));
  td.classList.toggle('bad-value', s.replies.some((r) => r.ill));
  attr(td, 'title', s.replies.map((r) => `${r.reason}: ${count(r.total)}`).join(', ') || null);
}

function failing(td, s) {
  text(td, rate(s.errors));
  td.classList.toggle('bad-value', s.errors > 0);
}
