// What pools have beside servers: the cluster or the sentinels behind them, and what they look like to their clients.

import { h } from '../dom.js';
import { count, plural, span } from '../format.js';

// most is how many lines a table has.
const most = 64;

const ago = (at, now) => (at ? `${span((now - Date.parse(at)) / 1000)} ago` : 'never');

// hasMore tells whether there is anything to say of a pool.
export const hasMore = (p) => Boolean(p.cluster || p.sentinels || p.emulated);

// behind says it, as elements.
export function behind(p, now) {
  return [
    p.cluster && line(clusterLine(p, now), p.cluster.problem),
    ...(p.sentinels ? sentinels(p, now) : []),
    ...(p.emulated ? emulated(p, now) : []),
  ];
}

function line(words, bad) {
  return h('p', { class: bad ? 'bad-value' : null }, words);
}

// table is a small table; a row that is bad has a problem.
function table(caption, heads, rows) {
  const left = rows.length - most;
  return h('div', { class: 'small-table' },
    h('table', null,
      h('caption', { class: 'hidden' }, caption),
      h('thead', null, h('tr', null, heads.map((name) => h('th', { scope: 'col' }, name)))),
      h('tbody', null, rows.slice(0, most).map(({ cells, bad }) => h('tr', { class: bad ? 'bad-value' : null }, cells.map((cell) => h('td', null, cell || '–')))))),
    left > 0 && h('p', null, `and ${count(left)} more`));
}

// clusterLine says how much of a pool's cluster is known, and since when.
function clusterLine(p, now) {
  const c = p.cluster;
  const asked = c.asked ? `asked ${ago(c.asked, now)} (${c.why})` : 'not asked yet';
  return `${p.name}: ${c.slots_covered} of ${c.slots} slots, ${plural(c.primaries, 'primary', 'primaries')}, ${plural(c.replicas, 'replica')}, epoch ${c.epoch < 0 ? 'unknown' : c.epoch}, ${asked}${waiting(p, 'a node')}${c.problem ? `; ${c.problem}` : ''}`;
}

// waiting says how many clients wait for a server that takes their request, if some do.
function waiting(p, what) {
  const n = p.counters.server_waiting;
  return n ? `; ${plural(n, 'client')} ${n === 1 ? 'waits' : 'wait'} for ${what}` : '';
}

// sentinels says where primaries are, and which sentinel says what.
function sentinels(p, now) {
  const s = p.sentinels;
  const moved = (primary) => (primary.switched ? `, switched ${ago(primary.switched, now)}` : '');
  const at = (primary) => `${primary.name} is ${primary.address ? `at ${primary.address}, epoch ${primary.epoch}${moved(primary)}` : 'nowhere yet'}${primary.problem ? `; ${primary.problem}` : ''}`;
  const said = (one) => Object.entries(one.said || {}).map(([name, place]) => `${name} at ${place.address} (epoch ${place.epoch})`).join(', ');
  const problem = (one) => [one.problem, ...Object.values(one.doubted || {}).map((why) => `not believed: ${why}`)].filter(Boolean).join('; ');
  return [
    line(`${p.name}: sentinels asked ${ago(s.asked, now)}${s.why ? ` (${s.why})` : ''}; ${s.primaries.map(at).join('; ')}${waiting(p, 'a primary')}`, s.primaries.some((one) => one.problem)),
    table(`Sentinels of ${p.name}`, ['sentinel', 'asked', 'tells of changes', 'says', 'problem'], s.sentinels.map((one) => ({
      bad: problem(one), cells: [one.address, ago(one.asked, now), one.subscribed ? 'yes' : 'no', said(one), problem(one)],
    }))),
  ];
}

// emulated says what a pool looks like to its clients, and which proxies do so together.
function emulated(p, now) {
  const e = p.emulated;
  const looks = [
    e.cluster && `a cluster of ${count(e.nodes.length)}`,
    e.sentinel && `a Sentinel of ${count(e.sentinel.others.length + 1)} at ${e.sentinel.listens}, for ‘${e.sentinel.name}’, with ${plural(e.sentinel.clients, 'client')} (told of changes: ${count(e.sentinel.subscribers)}; told to go elsewhere: ${count(e.sentinel.switches)})`,
  ].filter(Boolean).join(', and ');
  const nodes = e.nodes.map((n) => ({ cells: [`${n.address}${n.self ? ' (this proxy)' : ''}`, e.cluster ? `${n.first_slot}–${n.last_slot}` : '', n.id] }));
  return [
    line(`${p.name}: looks like ${looks}, since ${ago(e.since, now)}${e.leaving ? '; this proxy is about to end, and the others have its clients' : ''}`, e.leaving),
    table(`Proxies of ${p.name}`, ['proxy', 'slots', 'id'], nodes),
    e.peers.length > 0 && table(`Peers of ${p.name}`, ['peer', 'state', 'since', 'announces', 'sentinel', 'problem'], e.peers.map((one) => ({
      bad: one.problem, cells: [one.address, one.state, ago(one.since, now), one.announced, one.sentinel, one.problem],
    }))),
  ];
}
