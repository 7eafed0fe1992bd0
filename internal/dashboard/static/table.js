// Sortable, filtered tables that stay fast with thousands of rows: of a long one only the rows in sight exist.

import { attr, fill, h, text } from './dom.js';
import { plural } from './format.js';

const whole = 60; // up to this many rows all of them exist
const spare = 8; // rows beyond either edge of what is in sight

// Table takes options:
//   caption, empty (said when there is no row), noun (what a row is),
//   columns: [{name, label, title, num, width, narrow (width on a phone), priority, value(row), show(row) or cell(td, row)}]
//     group: a class of its cells; priority 2 to 5: left out on ever wider screens; num: a number, aligned right, sorted downward first
//     title: text, or a function that gives it, since it may say of which window the numbers are
//   changed() is called when somebody has sorted
//   key(row), words(row) (what the filter looks at), sort: {name, down}, open(row) (makes the first column a button)
export class Table {
  constructor(host, options) {
    this.options = options;
    this.sort = { ...options.sort };
    this.rows = [];
    this.order = [];
    this.query = '';
    this.keep = null; // a predicate that rows must meet besides the query
    this.live = new Map(); // key -> tr
    this.build(host);
  }

  build(host) {
    const { columns, caption } = this.options;
    this.heads = columns.map((c) => h('th', { scope: 'col', class: classes(c) },
      h('button', { type: 'button', onclick: () => this.sortBy(c) }, h('span', null, c.label), h('i', { class: 'arrow', 'aria-hidden': 'true' }))));
    const cols = columns.map((c) => {
      const col = h('col', { class: classes(c) });
      if (c.width) col.style.setProperty('--wide', c.width);
      if (c.narrow) col.style.setProperty('--narrow', c.narrow);
      return col;
    });
    this.above = h('tr', { class: 'gap', 'aria-hidden': 'true' });
    this.below = h('tr', { class: 'gap', 'aria-hidden': 'true' });
    this.body = h('tbody');
    this.table = h('table', null, h('caption', { class: 'hidden' }, caption), h('colgroup', null, cols),
      h('thead', null, h('tr', null, this.heads)), this.body);
    this.none = h('p', { class: 'empty' });
    this.scroll = h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': caption, onscroll: () => this.soon() }, this.table, this.none);
    this.body.addEventListener('pointerenter', () => { this.held = true; });
    this.body.addEventListener('pointerleave', () => { this.held = false; });
    fill(host, this.scroll);
    new ResizeObserver(() => this.soon()).observe(this.scroll);
    this.showSort();
  }

  sortBy(column) {
    const again = this.sort.name === column.name;
    this.sort = { name: column.name, down: again ? !this.sort.down : Boolean(column.num) };
    this.showSort();
    this.arrange(true);
    this.draw();
    this.options.changed?.();
  }

  // sorted is the order as an address has it, "name" or "-name"; nothing if it is the first one.
  sorted() {
    const { sort } = this.options;
    return sort.name === this.sort.name && sort.down === this.sort.down ? undefined : `${this.sort.down ? '-' : ''}${this.sort.name}`;
  }

  // setSorted takes it back from an address.
  setSorted(order = '') {
    const name = order.replace(/^-/, '');
    if (!this.options.columns.some((c) => c.name === name)) return;
    this.sort = { name, down: order.startsWith('-') };
    this.showSort();
    this.arrange(true);
    this.draw();
  }

  showSort() {
    this.options.columns.forEach((c, i) => {
      const mine = c.name === this.sort.name;
      attr(this.heads[i], 'aria-sort', mine ? (this.sort.down ? 'descending' : 'ascending') : null);
    });
  }

  // filter keeps rows that contain the query and meet the predicate.
  filter(query, keep = null) {
    this.query = query.trim().toLowerCase();
    this.keep = keep;
    this.arrange(true);
    this.draw();
  }

  update(rows) {
    this.options.columns.forEach((c, i) => attr(this.heads[i].firstChild, 'title', typeof c.title === 'function' ? c.title() : c.title));
    this.rows = rows;
    this.arrange(false);
    this.draw();
  }

  // arrange picks and sorts. While the pointer is over the rows, or the focus in one, they keep their places.
  arrange(forced) {
    const { key, words, columns } = this.options;
    let rows = this.rows;
    if (this.keep) rows = rows.filter(this.keep);
    if (this.query) rows = rows.filter((r) => words(r).toLowerCase().includes(this.query));
    const held = !forced && (this.held || this.body.contains(document.activeElement));
    if (held) {
      const places = new Map(this.order.map((r, i) => [key(r), i]));
      const place = (r) => places.get(key(r)) ?? Infinity;
      this.order = rows.slice().sort((a, b) => place(a) - place(b) || 0);
      return;
    }
    const column = columns.find((c) => c.name === this.sort.name) || columns[0];
    const sign = this.sort.down ? -1 : 1;
    this.order = rows.map((r) => [r, column.value(r), key(r)])
      .sort((a, b) => compare(a[1], b[1], sign) || compare(a[2], b[2], 1))
      .map(([r]) => r);
  }

  soon() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  draw() {
    if (!this.scroll.isConnected || this.scroll.clientWidth === 0) return;
    const total = this.order.length;
    const [first, last] = this.range(total);
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    const seen = new Set();
    let place = this.above;
    if (place.parentNode !== this.body) this.body.replaceChildren(this.above, this.below);
    for (let i = first; i < last; i++) {
      const row = this.order[i];
      const key = this.options.key(row);
      seen.add(key);
      const tr = this.row(key, row);
      attr(tr, 'aria-rowindex', i + 2);
      if (place.nextSibling !== tr) place.after(tr);
      place = tr;
    }
    for (const [key, tr] of this.live) {
      if (seen.has(key)) continue;
      tr.remove();
      this.live.delete(key);
    }
    this.spacer(this.above, first);
    this.spacer(this.below, total - last);
    attr(this.table, 'aria-rowcount', total + 1);
    this.none.hidden = total > 0;
    text(this.none, total > 0 ? '' : this.rows.length ? `None of ${plural(this.rows.length, this.options.noun)} matches.` : this.options.empty);
    if (focused && focused.isConnected && focused !== document.activeElement) focused.focus({ preventScroll: true });
  }

  spacer(tr, rows) {
    const height = `${rows * this.height()}px`;
    if (tr.style.height !== height) tr.style.height = height;
    tr.hidden = rows === 0;
  }

  height() {
    return parseFloat(getComputedStyle(this.table).getPropertyValue('--row')) || 36;
  }

  // range of the rows that must exist.
  range(total) {
    if (total <= whole) return [0, total];
    const height = this.height();
    const first = Math.max(0, Math.floor(this.scroll.scrollTop / height) - spare);
    const seen = Math.ceil(Math.min(this.scroll.clientHeight, innerHeight) / height) + 2 * spare;
    const start = Math.min(first, Math.max(0, total - seen));
    return [start, Math.min(total, start + seen)];
  }

  row(key, row) {
    const { columns, open } = this.options;
    let tr = this.live.get(key);
    if (!tr) {
      tr = h('tr', null, columns.map((c, i) => h(i === 0 ? 'th' : 'td', { class: classes(c), scope: i === 0 ? 'row' : null })));
      if (open) {
        const button = h('button', { type: 'button', class: 'open' });
        tr.firstChild.append(button);
        tr.classList.add('opens');
        tr.addEventListener('click', () => open(tr.row));
      }
      this.live.set(key, tr);
    }
    tr.row = row;
    columns.forEach((c, i) => {
      const td = i === 0 && open ? tr.firstChild.firstChild : tr.children[i];
      if (c.cell) c.cell(td, row);
      else text(td, c.show ? c.show(row) : String(c.value(row) ?? ''));
      if (!c.num && !c.cell) attr(tr.children[i], 'title', td.textContent);
    });
    return tr;
  }
}

function classes(column) {
  return [column.num ? 'num' : '', column.mono ? 'mono' : '', column.priority ? `p${column.priority}` : '', column.group || ''].filter(Boolean).join(' ') || null;
}

// compare puts what is missing last, whichever way the rest goes.
function compare(a, b, sign) {
  const noA = a === undefined || a === null || Number.isNaN(a);
  const noB = b === undefined || b === null || Number.isNaN(b);
  if (noA || noB) return noA - noB;
  if (typeof a === 'string') return sign * a.localeCompare(b, undefined, { numeric: true });
  return sign * (a - b);
}
