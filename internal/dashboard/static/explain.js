// Words that explain themselves: a reason, a kind of finding. Pointing at one, a tap, or Enter shows what it means in a
// small box; Escape, or a look elsewhere, hides it.

import { attr, byId, fill, h, text } from './dom.js';

let fields = null;
let owner = null;

// learn reads once what the API's words mean.
export async function learn(api) {
  if (fields) return;
  let answer = {};
  try {
    answer = await api.get('fields');
  } catch (fault) {
    if (fault instanceof api.Refused) throw fault;
    return; // the words stay as they are, and it is tried again
  }
  const { reasons, errors, findings } = answer;
  fields = new Map([findings, errors, reasons].flatMap((list) => list || []).map((r) => [r.name, r]));
}

// meaning is what a word means; empty if it is not known.
export const meaning = (name) => fields?.get(name)?.help || '';

// words are a reason in words, as clients and the log have it.
export const words = (name) => {
  const known = fields?.get(name);
  return known && known.text !== 'unknown' ? known.text : (name || '').replaceAll('_', ' ');
};

// term makes a button of a word that says help when it is asked.
export function term(word, help, tag = {}) {
  if (!help) return h('span', null, word);
  const el = h('button', { type: 'button', class: 'term', 'aria-expanded': 'false', 'aria-controls': 'explain', ...tag }, word);
  el.help = help;
  el.addEventListener('pointerenter', (e) => { if (e.pointerType === 'mouse') open(el); });
  el.addEventListener('pointerleave', (e) => { if (e.pointerType === 'mouse' && el !== document.activeElement) close(el); });
  el.addEventListener('blur', () => close(el));
  el.addEventListener('click', (e) => {
    e.stopPropagation();
    if (owner === el && el.pinned) close(el);
    else {
      open(el);
      el.pinned = true;
    }
  });
  el.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape' || owner !== el) return;
    e.preventDefault();
    e.stopPropagation();
    close(el);
  });
  return el;
}

// box is where it is said: in the open dialog, or the page.
function box(el) {
  let found = byId('explain');
  if (!found) found = h('div', { id: 'explain', class: 'explain', role: 'status' });
  const home = el.closest('dialog') || document.body;
  if (found.parentNode !== home) home.append(found);
  return found;
}

function open(el) {
  if (owner && owner !== el) close(owner);
  owner = el;
  const where = box(el);
  fill(where, h('b', null, el.textContent), h('span', null, el.help));
  where.hidden = false;
  attr(el, 'aria-expanded', 'true');
  const at = el.getBoundingClientRect();
  const width = Math.min(340, innerWidth - 24);
  where.style.width = `${width}px`;
  where.style.left = `${Math.max(12, Math.min(at.left, innerWidth - width - 12))}px`;
  const below = at.bottom + 6;
  where.style.top = `${below + where.offsetHeight > innerHeight ? Math.max(6, at.top - where.offsetHeight - 6) : below}px`;
}

function close(el) {
  el.pinned = false;
  attr(el, 'aria-expanded', 'false');
  if (owner !== el) return;
  owner = null;
  const where = byId('explain');
  if (where) {
    where.hidden = true;
    text(where, '');
  }
}
