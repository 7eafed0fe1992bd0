// What needs a look, of one round of documents. `nuthatch ctl status` finds the same (internal/ctl/status.go). What fails
// requests, or turns clients away, is red and comes first; the rest is amber.

import { bytes, count, latency, percent, rate, span } from './format.js';

const nearly = 0.8; // the part of a bound from which on it needs a look
const soon = 14 * 86400; // seconds before the end of a certificate
const times = 5; // a server is slow if it takes so many times as long as the others of its pool,
const slowest = 0.01; // and at least so many seconds
const few = 20; // requests in the window, below which percentiles say little

// A finding: fails; state (its mark), words (in the badge); who, server (an id); why; since, until (milliseconds).
export function findings(model) {
  const found = [...ofProcess(model), ...model.pools.flatMap((p) => ofPool(p, model.time))];
  return found.map((f, i) => [f, i]).sort(([a, i], [b, j]) => Boolean(b.fails) - Boolean(a.fails) || i - j).map(([f]) => f);
}

// lost is a pool of which no server is left.
export const lost = (p) => p.servers.length > 0 && p.servers.every((s) => s.state !== 'up' && s.state !== 'probing');

function ofProcess({ info, now }) {
  const who = 'This proxy';
  const found = (info.not_ready || []).map((why) => ({ state: 'failing', words: 'not ready', who, why }));
  const r = info.last_reload;
  if (r?.refused) found.push({ state: 'failing', words: 'reload refused', who, since: Date.parse(r.time), why: `${r.text} Asked for by ${r.by}.` });
  const p = info.process;
  if (p.hard_memory && p.held_memory >= nearly * p.soft_memory) {
    const full = p.held_memory >= p.hard_memory;
    const what = full ? 'Clients are hardly read from' : p.held_memory >= p.soft_memory ? 'Clients wait, and those that do not read are closed' : 'Clients are about to wait';
    found.push({ fails: full, state: 'failing', words: full ? 'memory full' : 'memory', who, why: `${what}: ${bytes(p.held_memory)} of ${bytes(p.hard_memory)} are held for clients.` });
  }
  bound(found, who, now.clients, p.max_clients, 'clients', 'clients that there are descriptors for');
  bound(found, who, p.descriptors, p.max_descriptors, 'descriptors', 'descriptors');
  return found;
}

// bound adds that something is at its bound, or nearly.
function bound(found, who, n, most, words, what, server) {
  if (!most || !(n >= nearly * most)) return;
  const full = n >= most;
  found.push({ fails: full, state: 'failing', words, who, server, why: `${count(n)} of ${count(most)} ${what}${full ? '; more are refused' : ''}.` });
}

function ofPool(p, time) {
  const found = [];
  const who = p.name;
  if (lost(p)) found.push({ fails: true, state: 'failing', words: 'no server', who, why: 'No server of the pool is left: all requests for keys fail.' });
  if (p.errors > 0) found.push({ fails: true, state: 'failing', words: 'failing', who, why: `${rate(p.errors)} of ${rate(p.requests)} requests a second fail (${percent(p.errors / p.requests)}).` });
  if (p.paused) {
    const by = p.paused_by ? ` Paused by ${p.paused_by}.` : '';
    const since = p.pausedSince ? ` It began ${span((time - p.pausedSince) / 1000)} ago.` : '';
    found.push({ state: 'disabled', words: 'paused', who, until: p.pausedUntil, why: (p.pausedUntil ? 'Requests wait until the pause is over, or ended by resume.' : 'Requests wait until it is resumed.') + by + since });
  }
  bound(found, who, p.clients, p.max_clients, 'clients', 'clients (client_connections)');
  const ends = p.counters.certificate_until;
  if (ends > 0 && ends / 1e3 - time < soon * 1e3) {
    const left = ends / 1e6 - time / 1e3;
    found.push({ fails: left <= 0, state: 'failing', words: 'certificate', who, why: left > 0 ? `Its certificate ends in ${span(left)}.` : 'Its certificate has ended: new clients with TLS fail.' });
  }
  const owned = p.servers.some((s) => s.share > 0);
  const slow = slowServers(p.servers);
  for (const s of p.servers) found.push(...ofServer(p, s, owned, slow.get(s)));
  return found;
}

function ofServer(p, s, owned, slow) {
  const found = [];
  const who = `${p.name} / ${s.name}`;
  const ill = s.replies.filter((r) => r.ill);
  const keeps = s.share > 0 || !owned;
  if (s.state !== 'up') {
    const fails = s.state === 'failing' || s.state === 'probing' || keeps;
    const keys = keeps || s.state === 'probing' ? '' : 'The other servers have its keys.';
    const name = s.address === s.name ? '' : `${s.address}. `;
    found.push({ fails, state: s.state, words: s.state, who, server: s.id, since: s.since, why: `${s.reason ? `${s.reason}. ` : ''}${name}${keys}`.trim() });
  }
  if (s.state === 'up' && ill.length) found.push({ fails: true, state: 'failing', words: 'errors', who, server: s.id, why: `It answers with errors: ${ill.map((r) => r.reason).join(', ')}.` });
  if (s.state === 'up' && slow) found.push({ state: 'probing', words: 'slow', who, server: s.id, why: `One request in a hundred takes ${latency(s.p99)} or longer; at the other servers of the pool ${latency(slow)}.` });
  bound(found, who, s.private, s.max_private, 'private', 'private connections (private_connections)', s.id);
  return found;
}

// slowServers are those that are much slower than their siblings, with the usual p99 of these.
export function slowServers(servers) {
  const measured = servers.filter((s) => s.p99 !== undefined && s.state === 'up' && s.measured >= few);
  const slow = new Map();
  if (measured.length < 2) return slow;
  const sorted = measured.map((s) => s.p99).sort((a, b) => a - b);
  for (const s of measured) {
    // The median of the others: of two servers it is the other one.
    const others = sorted.slice();
    others.splice(others.indexOf(s.p99), 1);
    const usual = others[Math.floor((others.length - 1) / 2)];
    if (s.p99 >= slowest && s.p99 >= times * usual) slow.set(s, usual);
  }
  return slow;
}
