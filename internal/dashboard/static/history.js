// What the page remembers: it begins with the proxy's history, and goes on with what the polls bring.

// Series is a ring of samples, each a time in milliseconds and one number per name (NaN where there is none).
export class Series {
  constructor(names, capacity) {
    this.capacity = capacity;
    this.length = 0;
    this.next = 0;
    this.times = new Float64Array(capacity);
    this.values = Object.fromEntries(names.map((n) => [n, new Float64Array(capacity)]));
  }

  push(time, sample) {
    this.times[this.next] = time;
    for (const [name, values] of Object.entries(this.values)) {
      const v = sample[name];
      values[this.next] = v === undefined || v === null ? NaN : v;
    }
    this.next = (this.next + 1) % this.capacity;
    this.length = Math.min(this.length + 1, this.capacity);
  }

  // at gives the place in the arrays of the i-th oldest sample.
  at(i) {
    return (this.next - this.length + i + this.capacity) % this.capacity;
  }

  // sample is the i-th oldest one.
  sample(i) {
    return Object.fromEntries(Object.entries(this.values).map(([n, list]) => [n, list[this.at(i)]]));
  }

  // fill replaces what there is by the proxy's history, of which newer samples are kept.
  fill({ at, values }) {
    const newest = at.length ? at[at.length - 1] : -Infinity;
    const names = Object.keys(this.values);
    const kept = [];
    for (let i = 0; i < this.length; i++) {
      const place = this.at(i);
      if (this.times[place] > newest) kept.push([this.times[place], this.sample(i)]);
    }
    this.length = 0;
    this.next = 0;
    at.forEach((time, i) => this.push(time, Object.fromEntries(names.map((n) => [n, values[n]?.[i]]))));
    for (const [time, sample] of kept) this.push(time, sample);
  }

  // last is a name's latest value.
  last(name) {
    return this.length ? this.values[name][this.at(this.length - 1)] : NaN;
  }

  // points gives a name's samples between two times as [time, value] pairs, at most limit of them: of samples that
  // share a place the highest is kept, since a peak is what one looks for.
  points(name, from, to, limit) {
    const out = [];
    const width = (to - from) / limit;
    let slot = -1;
    for (let i = 0; i < this.length; i++) {
      const at = this.at(i);
      const time = this.times[at];
      if (time < from || time > to) continue;
      const value = this.values[name][at];
      const s = Math.floor((time - from) / width);
      if (s !== slot || out.length === 0) {
        out.push([time, value]);
        slot = s;
      } else if (!(value <= out[out.length - 1][1])) {
        out[out.length - 1] = [time, value];
      }
    }
    return out;
  }
}

// Rates turns counters into rates per second. A counter that went back belongs to a new process: no rate then.
export class Rates {
  constructor() {
    this.before = new Map();
    this.after = new Map();
    this.time = 0;
    this.elapsed = 0;
  }

  // begin starts a round of samples, all taken at time (milliseconds).
  begin(time) {
    this.elapsed = this.time ? (time - this.time) / 1000 : 0;
    this.time = time;
    this.before = this.after;
    this.after = new Map();
  }

  // of is the rate of a counter since the round before, undefined if it cannot be told. A counter that was left out
  // before stood at unseen.
  of(name, value, unseen = undefined) {
    if (value === undefined || value === null) return undefined;
    this.after.set(name, value);
    const before = this.before.get(name) ?? unseen;
    if (before === undefined || value < before || this.elapsed <= 0) return undefined;
    return (value - before) / this.elapsed;
  }
}
