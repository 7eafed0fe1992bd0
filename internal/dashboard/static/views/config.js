// The configuration in force, without its secrets.

import { fill, h } from '../dom.js';
import { plural } from '../format.js';

export class Configuration {
  constructor(host, app) {
    this.app = app;
    this.search = h('input', {
      type: 'search', placeholder: 'Filter: key or value (/)', 'aria-label': 'Filter settings', 'data-filter': true, spellcheck: 'false', oninput: () => { this.draw(); this.app.share(); },
    });
    this.changed = h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => this.toggle() }, 'only what differs from the defaults');
    this.list = h('div', { class: 'stack' });
    fill(host, h('h1', { class: 'hidden' }, 'Configuration in force'),
      h('div', { class: 'filter' }, this.search, this.changed), this.list);
  }

  toggle() {
    this.changed.setAttribute('aria-pressed', String(this.changed.getAttribute('aria-pressed') !== 'true'));
    this.draw();
    this.app.share();
  }

  chosen() {
    return { q: this.search.value, changed: this.changed.getAttribute('aria-pressed') === 'true' ? 1 : undefined };
  }

  restore({ q = '', changed }) {
    this.search.value = q;
    this.changed.setAttribute('aria-pressed', String(Boolean(changed)));
    this.draw();
  }

  async read(api) {
    const answer = await api.get('config');
    const key = JSON.stringify(answer);
    if (key === this.key) return;
    this.key = key;
    this.answer = answer;
    this.draw();
  }

  draw() {
    if (!this.answer) return;
    const { file, process, pools, text } = this.answer;
    fill(this.list, this.block('Process', file || 'not read from a file', process || []),
      (pools || []).map((p) => this.block(p.name, plural(p.servers.length, 'server'), p.settings, p.servers)),
      text ? h('details', { class: 'card', 'aria-label': 'The configuration as a file' }, h('summary', null, 'As a file'), h('pre', null, text)) : null);
  }

  block(title, note, settings, servers = []) {
    const query = this.search.value.trim().toLowerCase();
    const only = this.changed.getAttribute('aria-pressed') === 'true';
    const rows = settings.filter((s) => (!only || s.value !== s.default) && `${s.key} ${s.value}`.toLowerCase().includes(query));
    const lines = servers.filter((l) => l.toLowerCase().includes(query));
    if (!rows.length && !lines.length) return null;
    return h('section', { class: 'card', 'aria-label': `Configuration of ${title}` }, h('header', null, h('h2', null, title, h('small', null, note))),
      h('dl', { class: 'settings' }, rows.map((s) => h('div', { class: s.value === s.default ? null : 'differs' }, h('dt', { class: 'mono' }, s.key),
        h('dd', { class: 'mono', title: (s.from ? `from ${s.from}; ` : '') + (s.value === s.default ? 'the default' : `the default is ${s.default || 'no value'}`) }, s.value || '–')))),
      lines.length ? h('details', { open: lines.length <= 12, 'aria-label': `Servers of ${title}` }, h('summary', null, `servers (${lines.length})`), h('pre', null, lines.join('\n'))) : null);
  }
}
