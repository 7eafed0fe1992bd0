// Plots of our own: lines over time in SVG, drawn to the pixel, coloured by the style sheet.

import { attr, h, fill, text } from './dom.js';
import { clock } from './format.js';

const margin = { left: 58, right: 10, top: 10, bottom: 22 };

// ticks gives three to five round values from 0 to at least max.
export function ticks(max, integer) {
  if (!(max > 0)) max = 1;
  const rough = max / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  let step = [1, 2, 2.5, 5, 10].find((m) => m * power >= rough) * power;
  if (integer) step = Math.max(1, Math.ceil(step));
  const out = [];
  for (let v = 0; v < max + step * 0.999; v += step) out.push(v);
  return out;
}

// decades gives the powers of ten around low and high; some that look well if there is nothing to show.
export function decades(low, high) {
  if (!(high > 0)) [low, high] = [1e-4, 1e-2];
  const out = [];
  const last = Math.ceil(Math.log10(high) - 1e-9);
  for (let e = Math.min(Math.floor(Math.log10(low) + 1e-9), last - 1); e <= last; e++) out.push(10 ** e);
  return out;
}

// line is the path through points; it breaks where there is no value, and where two samples are further apart than gap
// and than is usual around them: history is coarser than what is polled, and thinner over a long time.
function line(points, x, y, gap) {
  const apart = (i) => (i > 0 && i < points.length ? points[i][0] - points[i - 1][0] : 0);
  let d = '';
  let on = false;
  points.forEach(([time, value], i) => {
    if (Number.isNaN(value)) {
      on = false;
      return;
    }
    const far = apart(i) > gap && apart(i) > 2.5 * Math.max(apart(i - 1), apart(i + 1));
    d += `${on && !far ? 'L' : 'M'}${x(time).toFixed(1)} ${y(value).toFixed(1)}`;
    on = true;
  });
  return d;
}

// area is what is below the line, and breaks where that does.
function area(points, x, y, bottom, gap) {
  return line(points, x, y, gap).split('M').filter((piece) => piece.includes('L')).map((piece) => {
    const [first] = piece.split(' ', 1);
    const last = piece.slice(piece.lastIndexOf('L') + 1).split(' ', 1)[0];
    return `M${piece}L${last} ${bottom}L${first} ${bottom}Z`;
  }).join('');
}

// Plot draws some names of a Series. options: label, lines [{name, label, tone}], format, log, integer, zoom(from, to): what
// somebody wants to see closer, in milliseconds; without them, all.
export class Plot {
  constructor(host, options) {
    this.options = options;
    this.cursor = null; // time under the pointer or chosen by arrow keys
    this.svg = h('svg', { class: 'plot-svg', 'aria-hidden': 'true' });
    this.frame = h('div', {
      class: 'plot', tabindex: '0', role: 'img', 'aria-label': options.label,
      onpointermove: (e) => this.point(e.offsetX), onpointerleave: () => this.leave(), onblur: () => this.leave(),
      onpointerdown: (e) => this.press(e), onpointerup: (e) => this.release(e), onpointercancel: () => this.forget(),
      ondblclick: () => this.options.zoom?.(), onkeydown: (e) => this.key(e),
    }, this.svg);
    this.values = options.lines.map(() => h('b', { class: 'num' }));
    this.when = h('span', { class: 'when num' });
    this.note = h('small');
    const legend = h('div', { class: 'legend' }, options.lines.map((l, i) =>
      h('span', null, h('i', { class: `swatch ${l.tone}` }), l.label, ' ', this.values[i])));
    fill(host, h('div', { class: 'plot-head' }, h('h3', null, options.label, this.note), legend, this.when), this.frame);
    this.grid = h('g');
    this.paths = options.lines.map((l) => h('path', { class: `line ${l.tone}` }));
    this.area = h('path', { class: `area ${options.lines[0].tone}` });
    this.hair = h('line', { class: 'hair', visibility: 'hidden' });
    this.band = h('rect', { class: 'band', y: margin.top, visibility: 'hidden' });
    this.nothing = h('text', { class: 'tick nothing', 'text-anchor': 'middle' });
    fill(this.svg, this.grid, options.lines.length === 1 ? this.area : null, this.paths, this.band, this.hair, this.nothing);
    this.size = new ResizeObserver(() => this.draw());
    this.size.observe(this.frame);
  }

  // show takes what is to be drawn: a series, the milliseconds that the plot spans, and whether its end is the present.
  show(series, now, width, gap, present = true) {
    Object.assign(this, { series, now, width, gap, present });
    this.draw();
  }

  draw() {
    const w = this.frame.clientWidth;
    const height = this.frame.clientHeight;
    if (!this.series || w < 80 || height < 40) return;
    const from = this.now - this.width;
    const inner = w - margin.left - margin.right;
    const lines = this.options.lines.map((l) => this.series.points(l.name, from, this.now, Math.max(60, Math.floor(inner / 2))));
    const scale = this.scale(lines, height);
    const x = (time) => margin.left + ((time - from) / this.width) * inner;
    attr(this.svg, 'viewBox', `0 0 ${w} ${height}`);
    this.x = { from, inner };
    this.drawGrid(scale, x, w, height);
    lines.forEach((points, i) => attr(this.paths[i], 'd', line(points, x, scale.y, this.gap)));
    if (lines.length === 1) attr(this.area, 'd', area(lines[0], x, scale.y, height - margin.bottom, this.gap));
    attr(this.nothing, 'x', margin.left + inner / 2);
    attr(this.nothing, 'y', height / 2);
    text(this.nothing, lines.flat().some(([, v]) => !Number.isNaN(v)) ? '' : 'nothing measured yet');
    this.drawCursor(x, height);
  }

  scale(lines, height) {
    const all = lines.flat().map(([, v]) => v).filter((v) => !Number.isNaN(v));
    const top = margin.top;
    const room = height - margin.top - margin.bottom;
    if (!this.options.log) {
      const marks = ticks(all.reduce((a, b) => Math.max(a, b), 0), this.options.integer);
      const max = marks[marks.length - 1];
      return { marks, y: (v) => top + room * (1 - v / max) };
    }
    const positive = all.filter((v) => v > 0);
    const marks = decades(positive.reduce((a, b) => Math.min(a, b), Infinity), positive.reduce((a, b) => Math.max(a, b), 0));
    const low = Math.log10(marks[0]);
    const high = Math.log10(marks[marks.length - 1]);
    return { marks, y: (v) => top + room * (1 - (Math.log10(Math.max(v, marks[0])) - low) / (high - low)) };
  }

  drawGrid({ marks, y }, x, w, height) {
    const parts = [];
    for (const v of marks) {
      const at = Math.round(y(v)) + 0.5;
      parts.push(h('line', { class: 'rule', x1: margin.left, x2: w - margin.right, y1: at, y2: at }));
      parts.push(h('text', { class: 'tick', x: margin.left - 8, y: at + 3.5, 'text-anchor': 'end' }, this.options.format(v).replace(/\.0+(?= |$)/, '')));
    }
    const steps = w > 420 ? (this.width % 180e3 === 0 && this.width < 600e3 ? 3 : 4) : 2;
    for (let i = 0; i <= steps; i++) {
      const time = this.now - this.width + (this.width * i) / steps;
      const anchor = i === 0 ? 'start' : i === steps ? 'end' : 'middle';
      const label = !this.present ? clock(time).slice(-8) : i === steps ? 'now' : `−${ago(this.now - time)}`;
      parts.push(h('text', { class: 'tick', x: x(time), y: height - 6, 'text-anchor': anchor }, label));
    }
    fill(this.grid, parts);
  }

  drawCursor(x, height) {
    let at = -1;
    if (this.cursor !== null) at = this.nearest(this.cursor);
    const time = at >= 0 ? this.series.times[at] : NaN;
    this.options.lines.forEach((l, i) => {
      const v = at >= 0 ? this.series.values[l.name][at] : this.present ? this.series.last(l.name) : NaN;
      text(this.values[i], this.options.format(v));
    });
    text(this.when, at >= 0 ? clock(time) : '');
    attr(this.hair, 'visibility', at >= 0 ? 'visible' : 'hidden');
    if (at >= 0) {
      attr(this.hair, 'x1', x(time));
      attr(this.hair, 'x2', x(time));
      attr(this.hair, 'y1', margin.top);
      attr(this.hair, 'y2', height - margin.bottom);
    }
    const words = this.options.lines.map((l, i) => `${l.label} ${this.values[i].textContent}`).join(', ');
    const when = at >= 0 ? `at ${clock(time)}` : this.present ? 'now' : `from ${clock(this.now - this.width)} to ${clock(this.now)}`;
    attr(this.frame, 'aria-label', `${this.options.label} ${when}: ${words}`);
  }

  // time at a place in the frame.
  time(offset) {
    const share = Math.max(0, Math.min(1, (offset - margin.left) / this.x.inner));
    return this.x.from + share * this.width;
  }

  // press begins to choose a part of the time; release looks closer at it.
  press(event) {
    if (!this.options.zoom || !this.x || event.button !== 0) return;
    this.start = event.offsetX;
    this.frame.setPointerCapture(event.pointerId);
  }

  release(event) {
    const { start } = this;
    this.forget();
    if (start === undefined || Math.abs(event.offsetX - start) < 8) return;
    const [from, to] = [this.time(start), this.time(event.offsetX)].sort((a, b) => a - b);
    this.options.zoom(from, to);
  }

  forget() {
    this.start = undefined;
    attr(this.band, 'visibility', 'hidden');
  }

  // closer looks at a part of the time around the cursor; a factor above 1 at more.
  closer(factor) {
    const middle = this.cursor ?? this.now - this.width / 2;
    const width = Math.max(10e3, this.width * factor);
    if (width >= 3600e3) this.options.zoom();
    else this.options.zoom(middle - width / 2, middle + width / 2);
  }

  nearest(time) {
    let best = -1;
    for (let i = 0; i < this.series.length; i++) {
      const at = this.series.at(i);
      if (best < 0 || Math.abs(this.series.times[at] - time) < Math.abs(this.series.times[best] - time)) best = at;
    }
    return best;
  }

  point(offset) {
    if (!this.x) return;
    this.cursor = this.x.from + ((offset - margin.left) / this.x.inner) * this.width;
    if (this.start !== undefined) {
      attr(this.band, 'x', Math.min(this.start, offset));
      attr(this.band, 'width', Math.abs(offset - this.start));
      attr(this.band, 'height', Math.max(0, this.frame.clientHeight - margin.top - margin.bottom));
      attr(this.band, 'visibility', 'visible');
    }
    this.draw();
  }

  leave() {
    if (this.cursor === null) return;
    this.cursor = null;
    if (this.series) this.draw();
  }

  key(event) {
    const zooms = { '+': () => this.closer(0.5), '=': () => this.closer(0.5), '-': () => this.closer(2), 0: () => this.options.zoom() };
    if (zooms[event.key] && this.options.zoom && this.series) {
      event.preventDefault();
      zooms[event.key]();
      return;
    }
    if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
    if (!this.series) return;
    event.preventDefault();
    const step = this.width / 60;
    const start = this.cursor === null ? this.now : this.cursor;
    this.cursor = Math.max(this.now - this.width, Math.min(this.now, start + (event.key === 'ArrowLeft' ? -step : step)));
    this.draw();
  }
}

function ago(ms) {
  const s = Math.round(ms / 1000);
  return s < 120 || s % 30 !== 0 ? `${s} s` : `${s / 60} m`;
}

// spark draws the latest samples of one name into an <svg class="spark">, without axes.
export function spark(svg, series, name, now, width) {
  const w = 120;
  const height = 28;
  const points = series ? series.points(name, now - width, now, 60) : [];
  const max = points.reduce((a, [, v]) => (v > a ? v : a), 0) || 1;
  const x = (time) => ((time - now + width) / width) * w;
  const y = (v) => height - 2 - (v / max) * (height - 4);
  if (!svg.firstChild) {
    attr(svg, 'viewBox', `0 0 ${w} ${height}`);
    attr(svg, 'preserveAspectRatio', 'none');
    svg.append(h('path', { class: 'spark-area' }), h('path', { class: 'spark-line' }));
  }
  const seen = points.filter(([, v]) => !Number.isNaN(v));
  const d = line(seen, x, y, Infinity);
  attr(svg.lastChild, 'd', d);
  attr(svg.firstChild, 'd', seen.length > 1 ? `${d}L${w} ${height}L${x(seen[0][0]).toFixed(1)} ${height}Z` : '');
}
