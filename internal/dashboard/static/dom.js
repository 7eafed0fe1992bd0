// Building the page's elements. Names of keys, clients, servers and pools are other people's words: they become text
// nodes and attribute values here, never markup.

const svgTags = new Set(['svg', 'path', 'circle', 'line', 'rect', 'text', 'g', 'title']);

// h makes an element: attributes, on<Event> listeners, then children (strings become text; null is left out).
export function h(tag, attributes, ...children) {
  const el = svgTags.has(tag)
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) el.addEventListener(name.slice(2).toLowerCase(), value);
    else el.setAttribute(name, value === true ? '' : value);
  }
  append(el, children);
  return el;
}

function append(el, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) el.append(child);
  }
}

// fill replaces an element's children.
export function fill(el, ...children) {
  el.replaceChildren();
  append(el, children);
  return el;
}

// text sets an element's text if it is another one: the browser then has nothing to lay out.
export function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
  return el;
}

export function attr(el, name, value) {
  if (value === null || value === undefined || value === false) {
    if (el.hasAttribute(name)) el.removeAttribute(name);
  } else if (el.getAttribute(name) !== String(value)) {
    el.setAttribute(name, value);
  }
  return el;
}

export function byId(id) {
  return document.getElementById(id);
}

// States of a server differ by shape and by word; colour comes third. Shapes are paths in a square of 12, filled or
// drawn as lines.
const disc = 'M6 1.8 A4.2 4.2 0 0 1 6 10.2 A4.2 4.2 0 0 1 6 1.8 Z';
const shapes = {
  up: [['solid', disc]],
  probing: [['solid', 'M6 1.8 A4.2 4.2 0 0 1 6 10.2 Z'], ['thin', disc]],
  ejected: [['bold', 'M2.4 2.4 L9.6 9.6 M9.6 2.4 L2.4 9.6']],
  failing: [['thin', 'M6 1.6 L10.9 10.2 L1.1 10.2 Z'], ['thin', 'M6 5 V7.4']],
  disabled: [['bold', 'M3.7 2 V10 M8.3 2 V10']],
  unknown: [['thin', disc]],
};

// states, the worst first.
export const states = ['failing', 'ejected', 'probing', 'disabled', 'unknown', 'up'];

// place of a state in that order; one that this page does not know is as bad as any.
export function place(state) {
  return states.indexOf(state);
}

export function mark(state) {
  return h('svg', { class: `mark ${state}`, viewBox: '0 0 12 12', 'aria-hidden': 'true' },
    (shapes[state] || shapes.unknown).map(([kind, d]) => h('path', { class: kind, d })));
}

export function badge(state, words = state) {
  return h('span', { class: `badge ${state}` }, mark(state), words);
}

// meter is a bar of a share; the number beside it says the same.
export function meter(share, label, tone = '') {
  const bar = h('span', { class: `meter-fill ${tone}` });
  bar.style.transform = `scaleX(${Math.max(0, Math.min(1, share || 0))})`;
  return h('span', { class: 'meter', role: 'img', 'aria-label': label }, bar);
}
