// A view of one table, a field that filters it, and a note beside the field. A link to the view
// keeps the filter and the order.

import { fill, h } from '../dom.js';

export class Listing {
  // title is the view's name; words are what the filter looks in. The table, this.table, goes
  // into this.list.
  constructor(host, app, title, words) {
    this.app = app;
    this.search = h('input', {
      type: 'search', placeholder: `Filter: ${words} (/)`, 'aria-label': `Filter ${title.toLowerCase()}`, 'data-filter': true,
      spellcheck: 'false', oninput: () => this.filter(),
    });
    this.note = h('span', { class: 'soft' });
    this.list = h('div');
    fill(host, h('h1', { class: 'hidden' }, title), h('section', { class: 'card flush', 'aria-label': title },
      h('header', null, h('div', { class: 'filter' }, this.search), this.note), this.list));
  }

  filter() {
    this.table.filter(this.search.value);
    this.app.share();
  }

  chosen() {
    return { q: this.search.value, sort: this.table.sorted() };
  }

  restore({ q = '', sort }) {
    this.search.value = q;
    this.table.filter(q);
    this.table.setSorted(sort);
  }
}
