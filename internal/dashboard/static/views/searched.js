// A view of tables that one search filters. What is searched for is in the view's link.

import { h } from '../dom.js';

export class Searched {
  constructor(app, what, label) {
    this.app = app;
    this.search = h('input', {
      type: 'search', placeholder: `Filter: ${what} (/)`, 'aria-label': label, 'data-filter': true, spellcheck: 'false',
      oninput: () => this.filter(),
    });
    this.tables = [];
  }

  filter() {
    this.tables.forEach((t) => t.filter(this.search.value));
    this.app.share();
  }

  chosen() {
    return { q: this.search.value };
  }

  restore({ q = '' }) {
    this.search.value = q;
    this.tables.forEach((t) => t.filter(q));
  }
}
