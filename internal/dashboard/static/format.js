// Numbers as people read them. Every function takes undefined or NaN and gives a dash.

const none = '–';
const missing = (v) => v === undefined || v === null || Number.isNaN(v);

// digits keeps three significant digits, so that columns stay narrow and still.
function digits(v) {
  if (v >= 100) return v.toFixed(0);
  if (v >= 10) return v.toFixed(1);
  return v.toFixed(2);
}

function scaled(v, base, units) {
  let i = 0;
  while (i < units.length - 1 && Math.abs(v) >= base * 0.9995) {
    v /= base;
    i++;
  }
  return [v, units[i], i];
}

// count: 0, 950, 1.24 k, 31.0 M.
export function count(v) {
  if (missing(v)) return none;
  const [n, unit, i] = scaled(v, 1000, ['', 'k', 'M', 'G', 'T']);
  return i === 0 ? String(Math.round(n)) : `${digits(n)} ${unit}`;
}

// rate is a count per second; below ten it keeps a fraction.
export function rate(v) {
  if (missing(v)) return none;
  if (v > 0 && v < 0.1) return '<0.1';
  if (v > 0 && v < 9.95) return v.toFixed(1);
  return count(v);
}

// bytes in binary units, as memory is counted.
export function bytes(v) {
  if (missing(v)) return none;
  const [n, unit, i] = scaled(v, 1024, ['B', 'KB', 'MB', 'GB', 'TB']);
  return `${i === 0 ? Math.round(n) : digits(n)} ${unit}`;
}

// latency takes seconds: 84 µs, 1.24 ms, 2.10 s.
export function latency(seconds) {
  if (missing(seconds)) return none;
  if (seconds === 0) return '0';
  const [n, unit] = scaled(seconds * 1e6, 1000, ['µs', 'ms', 's']);
  return `${unit === 'µs' ? Math.round(n) : digits(n)} ${unit}`;
}

// span of time in two units: 12 s, 4 m 10 s, 3 h 2 m, 12 d 4 h.
export function span(seconds) {
  if (missing(seconds)) return none;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function percent(share) {
  if (missing(share)) return none;
  const p = share * 100;
  if (p > 0 && p < 0.1) return '<0.1 %';
  return `${p < 9.95 ? p.toFixed(1) : p.toFixed(0)} %`;
}

// clock of a moment in milliseconds: the time alone if it was today.
export function clock(ms) {
  if (missing(ms)) return none;
  const d = new Date(ms);
  const two = (n) => String(n).padStart(2, '0');
  const time = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  if (d.toDateString() === new Date().toDateString()) return time;
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${time}`;
}

export function plural(n, one, many = `${one}s`) {
  return `${count(n)} ${n === 1 ? one : many}`;
}

// keyText marks a key of which the API tells the beginning only; length is that of the whole, in bytes.
export function keyText(key, length, words = true) {
  if (!key || !(length > new TextEncoder().encode(key).length)) return key;
  return words ? `${key}…  (${length} bytes)` : `${key}…`;
}
