// One server in full, in a sheet beside the page.

import { badge, byId, fill, h, text } from '../dom.js';
import { meaning, term, words } from '../explain.js';
import { bytes, clock, count, latency, percent, rate, span } from '../format.js';
import { Plot } from '../plot.js';

export class Sheet {
  constructor(app) {
    this.app = app;
    this.dialog = byId('sheet');
    this.id = null;
    this.dialog.addEventListener('close', () => {
      this.id = null;
      app.closeServer();
    });
    this.dialog.addEventListener('click', (e) => { if (e.target === this.dialog) this.dialog.close(); });
  }

  // go opens the sheet of a server, or closes it for null.
  go(id) {
    if (id === null) {
      if (this.dialog.open) this.dialog.close();
      return;
    }
    this.id = id;
    this.zoom = null;
    this.whyKey = '';
    this.build();
    if (!this.dialog.open) this.dialog.showModal();
    this.show(this.app.model);
  }

  build() {
    this.title = h('h2', { id: 'sheet-title' });
    this.address = h('p', { class: 'soft mono' });
    this.state = h('div');
    this.why = h('p');
    this.whole = h('button', { type: 'button', class: 'chip', hidden: true, onclick: () => this.look() }, 'All of it');
    this.facts = h('dl', { class: 'facts' });
    this.delays = h('div');
    this.counters = h('dl', { class: 'facts numbers' });
    this.reasons = h('div', { class: 'parts' });
    const requests = h('div');
    const delay = h('div');
    fill(this.dialog, h('div', null,
      h('header', null, h('div', null, this.title, this.address), h('button', { type: 'button', class: 'tool', onclick: () => this.dialog.close() }, 'Close')),
      this.state, this.why, this.facts,
      this.whole, requests, delay, this.delays,
      this.reasons,
      h('section', null, h('h3', null, 'Counters since the start'), this.counters)));
    this.plots = [
      new Plot(requests, { label: 'Requests per second', zoom: (from, to) => this.look(from, to), format: rate, integer: true, lines: [{ name: 'requests', label: '', tone: 'slate' }] }),
      new Plot(delay, { label: 'Time from sending to the reply', zoom: (from, to) => this.look(from, to), format: latency, log: true, lines: [{ name: 'p50', label: 'median', tone: 'slate' }, { name: 'p99', label: 'p99', tone: 'rust' }] }),
    ];
  }

  // look has the plots show a part of the time, or all.
  look(from, to) {
    this.zoom = from ? { from, to } : null;
    this.whole.hidden = !this.zoom;
    this.show(this.app.model);
  }

  show(model) {
    if (this.id === null) return;
    const s = model.servers.find((one) => one.id === this.id);
    if (!model.info) return;
    if (!s) {
      this.dialog.close();
      return;
    }
    text(this.title, s.name);
    text(this.address, s.address);
    const why = s.state === 'up' ? '' : s.reason || '';
    if (this.whyKey !== `${this.id} ${why} ${s.cause}`) {
      this.whyKey = `${this.id} ${why} ${s.cause}`;
      fill(this.why, why ? term(s.cause || words(why), meaning(why)) : null);
    }
    fill(this.state, badge(s.state), s.since ? h('span', { class: 'soft num' }, `  for ${span((model.time - s.since) / 1000)}, since ${clock(s.since)}`) : null);
    const facts = [['pool', s.pool], ['failures in a row', s.failures ? count(s.failures) : null],
      ['service', s.service === 'in service' ? null : s.service], ['tried again in', s.until > model.time ? span((s.until - model.time) / 1000) : null],
      ['weight', String(s.weight)], ['keys', `${percent(s.share)} of the pool’s`],
      ['traffic', `${bytes(s.bytesIn)}/s to it, ${bytes(s.bytesOut)}/s from it, in the last ${this.app.windowLabel()}`],
      ['queues', `${count(s.inQueue)} to be sent (${bytes(s.counters.in_queue_bytes)}), ${count(s.outQueue)} wait for a reply`],
      ['connections', count(s.connections)],
      ['private connections', s.private || s.max_private ? `${count(s.private)} of ${count(s.max_private)}, ${count(s.counters.private_waiting)} wait` : null]];
    fill(this.facts, facts.filter(([, v]) => v).map(([k, v]) => [h('dt', null, k), h('dd', { class: 'num' }, v)]));
    this.app.recall(s.pool, s.name);
    // The proxy's history has a value in ten seconds.
    const gap = Math.max(25e3, this.app.gap());
    for (const plot of this.plots) {
      if (this.zoom) plot.show(model.serverHistory.get(s.id), this.zoom.to, this.zoom.to - this.zoom.from, gap, false);
      else plot.show(model.serverHistory.get(s.id), model.time, 600e3, gap);
    }
    const t = s.total;
    fill(this.delays, t ? h('section', null, h('h3', null, 'Time from sending to the reply, since the start'), h('dl', { class: 'facts numbers' },
      [['median', t.p50], ['p90', t.p90], ['p99', t.p99], ['p99.9', t.p999], ['longest', t.max]].map(([k, v]) => [h('dt', null, k), h('dd', { class: 'num' }, latency(v))]))) : null);
    fill(this.reasons, reasons('Error replies, by their first word', s.replies), reasons('Failed requests, by reason', s.reasons), reasons('Connections that ended, by reason', s.closed));
    fill(this.counters, Object.entries(s.counters).filter(([name]) => !name.endsWith('_at')).map(([name, v]) => [h('dt', null, name.replaceAll('_', ' ')), h('dd', { class: 'num' }, name.endsWith('bytes') ? bytes(v) : v.toLocaleString('en'))]));
  }
}

function reasons(title, list) {
  const seen = list.filter((r) => r.total > 0).sort((a, b) => b.total - a.total);
  if (!seen.length) return null;
  return h('section', null, h('h3', null, title), h('dl', { class: 'facts numbers' },
    seen.map((r) => [h('dt', null, words(r.reason)), h('dd', { class: 'num' }, r.total.toLocaleString('en'))])));
}
