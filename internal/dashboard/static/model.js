// From the API's documents to what the views show: rates out of counters, histories, sums. The only file, with the views
// of keys, slow log and the like, that knows the documents' fields (docs/API.md).

import { Rates, Series } from './history.js';

const long = 3700; // samples kept of the whole and of each pool: an hour, one a second
const short = 180; // of each server
const detailed = 1000; // of a server that was looked at: an hour in steps of ten seconds, and what came since

const totals = ['requests', 'errors', 'p50', 'p99', 'p999', 'clients', 'memory', 'busy', 'queue', 'bytes'];
const perServer = ['requests', 'errors', 'p50', 'p99', 'queue'];

// sum of the numbers that there are; undefined if there is none.
function sum(values) {
  const there = values.filter((v) => v !== undefined && !Number.isNaN(v));
  return there.length ? there.reduce((a, b) => a + b, 0) : undefined;
}

export const moment = (time) => (time ? Date.parse(time) : undefined);

// recent is the distribution of the last ten seconds or so, that since the start if the API does not tell; empty if there
// was no request.
function recent(latency) {
  const latest = latency?.recent || latency;
  return latest?.count > 0 ? latest : {};
}

// Errors that a server is not to blame for: the request was wrong, or is answered so in the course of things
// (docs/METRICS.md).
const requestErrors = new Set(['ERR', 'WRONGTYPE', 'NOSCRIPT', 'EXECABORT', 'CROSSSLOT', 'BUSYGROUP', 'NOGROUP', 'BUSYKEY', 'INVALIDOBJ',
  'UNKILLABLE', 'NOTBUSY', 'NOPROTO', 'UNBLOCKED', 'ERROR', 'CLIENT_ERROR']);

export class Model {
  constructor() {
    this.rates = new Rates();
    this.all = new Series(totals, long);
    this.pools = [];
    this.servers = [];
    this.poolHistory = new Map();
    this.serverHistory = new Map();
    this.reasons = [];
    this.findings = [];
    this.info = null;
    this.time = 0;
  }

  // take reads one round of documents: Info, Pools and Findings, and Pools of the window that is shown, if that is another.
  take(info, document, found, windowed = document) {
    const time = moment(document.time) || Date.now();
    if (time === this.time) return;
    if (this.info && this.info.started !== info.started) this.rates = new Rates();
    this.info = info;
    this.time = time;
    this.local = Date.now();
    this.findings = found.findings;
    this.rates.begin(time);
    this.window = windowed.window;
    this.pools = windowed.pools.map((p) => this.pool(p));
    this.live = document.pools.map((p) => this.present(p));
    this.servers = this.pools.flatMap((p) => p.servers);
    this.reasons = this.pools.flatMap((p) => p.reasons);
    this.forget();
    this.sample(time);
  }

  pool(p) {
    const c = p.counters || {};
    const of = (name) => this.rates.of(`${p.name}\n${name}`, c[name]);
    const requests = of('client_requests');
    const servers = p.servers.map((s) => this.server(p, s));
    const reasons = this.failures(p.name, p.reasons?.failed_requests).map((r) => ({ ...r, pool: p.name }));
    const latency = recent(p.latency);
    const queue = (name) => sum(servers.map((s) => s.counters[name])) || 0;
    return {
      ...p,
      counters: c,
      reasons,
      servers,
      requests: p.recent?.requests ?? requests ?? sum(servers.map((s) => s.requests)),
      errors: p.recent?.failed ?? this.failed(p.name, reasons),
      p50: latency.p50, p99: latency.p99, p999: latency.p999,
      inQueue: queue('in_queue'), outQueue: queue('out_queue'), messages: of('messages'),
      bytesIn: sum(servers.map((s) => s.bytesIn)), bytesOut: sum(servers.map((s) => s.bytesOut)),
      up: servers.filter((s) => s.state === 'up').length,
      pausedUntil: moment(p.paused_until), pausedSince: moment(p.paused_since),
    };
  }

  server(p, s) {
    const c = s.counters || {};
    const id = `${p.name}\n${s.name}`;
    const of = (name) => this.rates.of(`${id}\n${name}`, c[name]);
    const latency = recent(s.latency);
    const reasons = this.failures(id, s.reasons?.failed_requests);
    const replies = this.replies(id, s);
    const closed = Object.entries(s.reasons?.closed_connections || {}).map(([reason, total]) => ({ reason, total }));
    return {
      ...s,
      id, reasons, closed, replies,
      pool: p.name,
      counters: c,
      since: moment(s.since), until: moment(s.until),
      requests: s.recent?.requests ?? of('requests'),
      errors: s.recent?.failed ?? this.failed(id, reasons),
      bytesIn: s.recent?.request_bytes ?? of('request_bytes'), bytesOut: s.recent?.response_bytes ?? of('response_bytes'),
      inQueue: c.in_queue, outQueue: c.out_queue, connections: c.server_connections, private: c.private_connections,
      p50: latency.p50, p99: latency.p99, p999: latency.p999, max: latency.max, measured: latency.count,
      total: s.latency,
    };
  }

  // present is what the plots go on with, of a pool and its servers: rates since the poll before.
  present(p) {
    const since = (of, counters, reasons) => {
      const rate = (name) => this.rates.of(`now\n${of}\n${name}`, counters?.[name]);
      const failed = this.rates.of(`now\n${of}\nfailed`, sum(Object.values(reasons?.failed_requests || {})) || 0);
      return { rate, errors: failed };
    };
    const servers = p.servers.map((s) => {
      const id = `${p.name}\n${s.name}`;
      const { rate, errors } = since(id, s.counters, s.reasons);
      const times = recent(s.latency);
      return {
        id, errors: errors ?? s.recent?.failed, requests: rate('requests') ?? s.recent?.requests, p50: times.p50, p99: times.p99,
        queue: s.counters.in_queue + s.counters.out_queue, bytes: sum([rate('request_bytes'), rate('response_bytes')]),
      };
    });
    const { rate, errors } = since(p.name, p.counters, p.reasons);
    const times = recent(p.latency);
    return {
      name: p.name, servers, errors: errors ?? p.recent?.failed, requests: rate('client_requests') ?? p.recent?.requests ?? sum(servers.map((s) => s.requests)),
      p50: times.p50, p99: times.p99, p999: times.p999, clients: p.clients, queue: sum(servers.map((s) => s.queue)), bytes: sum(servers.map((s) => s.bytes)),
    };
  }

  // failures are counts by reason, with their rates. A reason that has not occurred is left out.
  failures(of, counts = {}) {
    return Object.entries(counts).map(([reason, total]) => ({ reason, total, rate: this.rates.of(`${of}\nreason\n${reason}`, total, 0) }));
  }

  // replies are a server's error replies by prefix. ill: the server is to blame, and it has given some in the last seconds.
  replies(of, s) {
    return this.failures(`${of}\nreply`, s.error_replies)
      .map((r) => ({ ...r, ill: !requestErrors.has(r.reason) && s.recent?.error_replies?.[r.reason] > 0 }))
      .sort((a, b) => b.total - a.total);
  }

  failed(of, reasons) {
    return this.rates.of(`${of}\nfailed`, sum(reasons.map((r) => r.total)) || 0);
  }

  // past takes what the proxy remembers of all, or of a pool, or of a server.
  past(document) {
    const { received = [], sent = [], failed, ...values } = document.values;
    const own = { at: document.at, values: { ...values, errors: failed, bytes: received.map((n, i) => n + sent[i]) } };
    if (document.server) {
      const id = `${document.pool}\n${document.server}`;
      const detail = new Series(perServer, detailed);
      const latest = this.serverHistory.get(id);
      if (latest) for (let i = 0; i < latest.length; i++) detail.push(latest.times[latest.at(i)], latest.sample(i));
      detail.fill(own);
      this.serverHistory.set(id, detail);
    } else if (document.pool) series(this.poolHistory, document.pool, totals, long).fill(own);
    else this.all.fill(own);
  }

  // trends takes one value of all servers of a pool.
  trends({ pool, column, at, values }) {
    for (const [name, list] of Object.entries(values)) series(this.serverHistory, `${pool}\n${name}`, perServer, short).fill({ at, values: { [column]: list } });
  }

  // forget drops the history of what is gone from the configuration.
  forget() {
    const pools = new Set(this.pools.map((p) => p.name));
    const servers = new Set(this.servers.map((s) => s.id));
    for (const name of this.poolHistory.keys()) if (!pools.has(name)) this.poolHistory.delete(name);
    for (const id of this.serverHistory.keys()) if (!servers.has(id)) this.serverHistory.delete(id);
  }

  sample(time) {
    const { info } = this;
    const over = (pools, of) => {
      const worst = (name) => pools.reduce((a, p) => (p[name] > (a ?? -1) ? p[name] : a), undefined);
      return {
        requests: sum(pools.map((p) => p.requests)), errors: sum(pools.map((p) => p.errors)),
        p50: worst('p50'), p99: worst('p99'), p999: worst('p999'), clients: sum(pools.map((p) => p.clients)),
        memory: memoryOf(info.process).used, busy: info.loops.reduce((a, l) => Math.max(a, l.busy), 0), ...of,
      };
    };
    // now is what the tiles show, of the window; the plots go on with what was since the poll before.
    this.now = over(this.pools, { queue: sum(this.pools.map((p) => p.inQueue + p.outQueue)), bytes: sum(this.pools.flatMap((p) => [p.bytesIn, p.bytesOut])) });
    this.all.push(time, over(this.live, { queue: sum(this.live.map((p) => p.queue)), bytes: sum(this.live.map((p) => p.bytes)) }));
    for (const p of this.live) {
      series(this.poolHistory, p.name, totals, long).push(time, p);
      for (const s of p.servers) series(this.serverHistory, s.id, perServer, short).push(time, s);
    }
  }
}

function series(map, key, names, capacity) {
  let s = map.get(key);
  if (!s) map.set(key, s = new Series(names, capacity));
  return s;
}

// memoryOf tells the memory in use and its bound, max_memory; 0 is no bound.
export function memoryOf(process) {
  return { used: process.resident_memory, bound: process.max_memory || 0 };
}

// severity is the colour of how many servers of a pool are up: red if requests fail, amber if the
// other servers have the keys.
export function severity(servers) {
  const down = servers.filter((s) => s.state !== 'up');
  if (!down.length) return undefined;
  const none = down.length === servers.length && down.every((s) => s.state !== 'unknown');
  return none || down.some((s) => s.state === 'failing') ? 'bad-value' : 'warn-value';
}
