// Which server has a key, and why.

import { badge, fill, h, text } from '../dom.js';

export class Where {
  constructor(host, app) {
    this.app = app;
    this.key = h('input', { type: 'text', id: 'where-key', 'data-filter': true, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off', required: true });
    this.pool = h('select', { id: 'where-pool' });
    this.fault = h('p', { class: 'fault', role: 'alert' });
    this.answer = h('div', { class: 'stack', role: 'status' });
    fill(host, h('h1', { class: 'hidden' }, 'Where a key lives'), h('section', { class: 'card', 'aria-label': 'Where a key lives' },
      h('header', null, h('h2', null, 'Where a key lives', h('small', null, 'and why it lives there'))),
      h('form', { class: 'where', onsubmit: (e) => this.ask(e) },
        h('label', { for: 'where-key' }, 'Key', this.key), h('label', { for: 'where-pool' }, 'Pool', this.pool),
        h('button', { type: 'submit', class: 'primary' }, 'Find')), this.fault), this.answer);
  }

  show(model) {
    const names = model.pools.map((p) => p.name);
    if (names.join('\n') === this.names) return;
    this.names = names.join('\n');
    const chosen = this.wanted ?? this.pool.value;
    this.wanted = undefined;
    fill(this.pool, h('option', { value: '' }, 'all pools'), names.map((n) => h('option', { value: n }, n)));
    this.pool.value = names.includes(chosen) ? chosen : '';
  }

  chosen() {
    return { key: this.asked, pool: this.pool.value };
  }

  restore({ key = '', pool = '' }) {
    this.key.value = key;
    this.wanted = pool;
    this.names = null;
    this.show(this.app.model);
    if (key && key !== this.asked) this.ask();
  }

  async ask(event) {
    event?.preventDefault();
    this.asked = this.key.value;
    this.app.share();
    text(this.fault, '');
    const parameters = { key: this.key.value };
    if (this.pool.value) parameters.pool = this.pool.value;
    try {
      const answer = await this.app.api.get('where', parameters);
      fill(this.answer, (answer.placements || []).map((p) => this.placement(p)));
    } catch (fault) {
      fill(this.answer);
      if (!this.app.refused(fault)) text(this.fault, fault.message);
    }
  }

  placement(p) {
    const rows = [['address', p.address], ['hashed', p.hashed === p.key ? 'the whole key' : p.hashed],
      ['hash', `${p.hash_function}: ${p.hash} (0x${p.hash.toString(16).padStart(8, '0')})`],
      ['point', p.point === undefined ? null : `${p.distribution}: ${p.point} (0x${p.point.toString(16).padStart(8, '0')})`],
      ['home', p.home ? `${p.home}, when every server is in its place` : null], ['why', p.why]];
    const id = `${p.pool}\n${p.server}`;
    const known = this.app.model.servers.some((s) => s.id === id);
    return h('section', { class: 'card', 'aria-label': `${p.key} in ${p.pool}` },
      h('header', null, h('h2', null, p.pool), p.state ? badge(p.state) : null),
      h('p', { class: 'owner' }, h('code', null, p.key), h('span', { class: 'soft' }, ' lives on '),
        known ? h('button', { type: 'button', class: 'open', onclick: () => this.app.openServer(id) }, p.server) : h('b', null, p.server || 'no server')),
      h('dl', { class: 'facts' }, rows.filter(([, v]) => v).map(([k, v]) => [h('dt', null, k), h('dd', { class: k === 'why' ? null : 'mono' }, v)])));
  }
}
