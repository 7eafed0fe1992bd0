// The page: views by the address's #, one poll at a time, and what is said when the proxy cannot be reached.

import * as api from './api.js';
import { attr, byId, fill, h, text } from './dom.js';
import { learn } from './explain.js';
import { clock, span } from './format.js';
import { link, parse } from './links.js';
import { Model, moment, severity } from './model.js';
import { Clients } from './views/clients.js';
import { Configuration } from './views/config.js';
import { Denials } from './views/denials.js';
import { Events } from './views/events.js';
import { Keys } from './views/keys.js';
import { Overview } from './views/overview.js';
import { Servers } from './views/servers.js';
import { Sheet } from './views/sheet.js';
import { SlowLog } from './views/slowlog.js';
import { Where } from './views/where.js';

const quick = 1000; // milliseconds between two polls
const slowest = 10000; // between two tries of a proxy that does not answer
// What rates and times are of, as the API and people have it, and in seconds.
const windows = [['10s', '10 s', 10], ['1m', '1 min', 60], ['10m', '10 min', 600]];

// A view has show(model) for what every poll brings, read(api) for a document of its own, or both.
const views = [
  { name: 'overview', title: 'Overview', make: Overview },
  { name: 'servers', title: 'Servers', make: Servers },
  { name: 'clients', title: 'Clients', make: Clients },
  { name: 'keys', title: 'Keys', make: Keys },
  { name: 'slowlog', title: 'Slow log', make: SlowLog },
  { name: 'where', title: 'Where', make: Where },
  { name: 'config', title: 'Configuration', make: Configuration },
  { name: 'denials', title: 'Denials', make: Denials },
  { name: 'events', title: 'Events', make: Events },
];

class App {
  constructor() {
    this.api = api;
    this.model = new Model();
    this.failures = 0;
    this.paused = false;
    this.timer = 0;
    this.pace = quick;
    this.polling = false;
    this.window = windows[0][0];
    this.windowChips = windows.map(([name, label]) => h('button', { type: 'button', class: 'chip', 'aria-pressed': 'false', onclick: () => this.choose(name) }, label));
    fill(byId('windows'), this.windowChips);
    this.tabs = views.map((v) => h('a', { href: `#${v.name}` }, v.title));
    fill(byId('tabs'), this.tabs);
    this.sheet = new Sheet(this);
    this.current = null;
    this.listen();
    this.route();
  }

  listen() {
    addEventListener('hashchange', () => this.route(true));
    document.addEventListener('visibilitychange', () => this.soon(0));
    addEventListener('online', () => this.soon(0));
    document.addEventListener('keydown', (e) => this.key(e));
    byId('pause').addEventListener('click', () => this.pause());
    byId('theme').addEventListener('click', () => this.theme());
    byId('help-open').addEventListener('click', () => byId('help').showModal());
    byId('login-form').addEventListener('submit', (e) => this.login(e));
    this.showTheme(window.nuthatchTheme.current());
  }

  // route shows the view that the address names; views are made when they are first seen.
  route(moved = false) {
    const address = parse(location.hash);
    this.setWindow(address.chosen.window);
    const view = views.find((v) => v.name === address.view) || views[0];
    if (!view.host) {
      view.host = h('div', { class: `view view-${view.name}` });
      byId('main').append(view.host);
      view.page = new view.make(view.host, this);
    }
    for (const v of views) if (v.host) v.host.hidden = v !== view;
    views.forEach((v, i) => attr(this.tabs[i], 'aria-current', v === view ? 'page' : null));
    const same = this.current === view;
    this.current = view;
    if (Object.keys(address.chosen).some((k) => k !== 'window')) view.page.restore?.(address.chosen);
    document.title = `${view.title} · nuthatch`;
    const server = address.server === undefined ? null : `${address.pool}\n${address.server}`;
    if (server !== this.sheet.id) this.sheet.go(server);
    if (moved && server === null && !same) scrollTo(0, 0);
    this.share();
    this.tabs[views.indexOf(view)].scrollIntoView({ block: 'nearest', inline: 'nearest' });
    this.draw();
    this.soon(0);
  }

  // setWindow has rates and times be of another window; of the same if none is named.
  setWindow(name = this.window) {
    if (windows.some(([w]) => w === name)) this.window = name;
    windows.forEach(([w], i) => attr(this.windowChips[i], 'aria-pressed', String(w === this.window)));
    this.showScope();
  }

  // showScope says which seconds the numbers in sight are of. A young process has fewer than were chosen.
  showScope() {
    const until = this.windowShown() && moment(this.windowShown().until);
    text(byId('scope'), `Rates and times are of the last ${this.windowLabel()}${until ? `, until ${clock(until)}` : ''}, unless they say otherwise; clients, queues and connections are of now; totals are since the start.`);
  }

  windowLabel() {
    const [, label, full] = windows.find(([w]) => w === this.window);
    const seconds = Math.round(this.windowShown()?.seconds ?? full);
    return seconds === full ? label : span(seconds);
  }

  // windowShown is the window of the numbers in sight; undefined if another one was chosen since.
  windowShown() {
    return this.model.windowName === this.window ? this.model.window : undefined;
  }

  choose(window) {
    this.setWindow(window);
    this.share();
    this.soon(0);
  }

  // share puts what is chosen into the address.
  share() {
    const { pool, server } = parse(location.hash);
    const hash = link(this.current.name, pool, server, this.chosen());
    if (location.hash !== hash && !(location.hash === '' && hash === '#overview')) history.replaceState(null, '', hash);
  }

  // chosen is what was chosen in the view, but for what is so by itself.
  chosen() {
    return { ...this.current.page.chosen?.(), window: this.window === windows[0][0] ? undefined : this.window };
  }

  // soon makes the next poll come after so many milliseconds.
  soon(delay) {
    clearTimeout(this.timer);
    if (document.hidden) return;
    this.timer = setTimeout(() => this.poll(), delay);
  }

  async poll() {
    if (this.polling) return;
    if (this.paused && this.model.info && !this.current.page.read) return;
    this.polling = true;
    const view = this.current;
    const began = performance.now();
    try {
      if (!this.paused || !this.model.info) {
        const name = this.window;
        const window = name === windows[0][0] ? undefined : { window: name };
        const [info, pools, found, windowed] = await Promise.all([
          api.get('info'), api.get('pools'), api.get('findings', window), window ? api.get('pools', window) : undefined, learn(api)]);
        // What was asked before a pause may come after it, and is not to move what is held.
        if (!this.paused || !this.model.info) {
          this.model.take(info, pools, found, windowed);
          this.model.windowName = name;
          this.showScope();
          this.draw();
        }
        await this.remember();
      }
      if (view.page.read && (!this.paused || !view.seen)) {
        await view.page.read(api);
        view.seen = true;
      }
      this.reached();
    } catch (fault) {
      this.lost(fault);
    }
    this.polling = false;
    // A proxy with very many servers is not asked more often than a quarter of the time.
    this.pace = Math.max(quick, 4 * (performance.now() - began));
    if (view !== this.current) this.soon(0);
    else if (this.failures) this.retry();
    else if (!this.paused && !byId('login').open) this.soon(this.pace);
  }

  // remember asks for the proxy's history: at first, and after a time in which the page did not ask.
  async remember() {
    const { model } = this;
    if (model.time - (this.remembered ?? -Infinity) < 2 * this.gap()) {
      this.remembered = model.time;
      return;
    }
    this.remembered = model.time;
    this.recalled = new Set();
    try {
      model.past(await api.get('history'));
      for (const p of model.pools) if (p.servers.length) model.trends(await api.get('history', { pool: p.name, column: 'requests', seconds: 180 }));
    } catch (fault) {
      if (fault instanceof api.Refused) throw fault;
      return; // the page goes on without
    }
    this.draw();
  }

  // recall asks for the history of a pool or a server, once.
  async recall(pool, server) {
    const key = `${pool}\n${server ?? ''}`;
    if (!pool || !this.recalled || this.recalled.has(key)) return;
    this.recalled.add(key);
    try {
      this.model.past(await api.get('history', server ? { pool, server } : { pool }));
      this.draw();
    } catch {
      this.recalled.delete(key);
    }
  }

  // gap is the time between two samples above which a line breaks.
  gap() {
    return Math.max(4000, 3.5 * this.pace);
  }

  draw() {
    const { model } = this;
    if (!model.info) return;
    this.showIdentity(model.info);
    this.current.page.show?.(model);
    this.sheet.show(model);
    const ill = model.servers.filter((s) => s.state !== 'up').length;
    const grave = model.pools.map((p) => severity(p.servers)).sort()[0];
    const tab = this.tabs[1];
    if (tab.ill !== ill || tab.grave !== grave) {
      Object.assign(tab, { ill, grave });
      fill(tab, 'Servers ', ill ? h('b', { class: `num ${grave}`, 'aria-label': `${ill} not up` }, String(ill)) : null);
    }
  }

  showIdentity(info) {
    const empty = this.model.findings.filter((f) => f.kind === 'no_server');
    const state = info.state !== 'serving' ? info.state : empty.length ? `no server left in ${empty.length === 1 ? empty[0].pool : `${empty.length} pools`}` : info.ready ? 'ready' : 'not ready';
    const rows = [['', info.host, ''], ['state', state, empty.length ? 'failing' : info.ready ? 'up' : 'ejected'], ['up', span(info.uptime), ''], ['version', info.version, '', 'wide'], ['pid', String(info.pid), '', 'wide']];
    const key = JSON.stringify(rows);
    if (key === this.identityKey) return;
    this.identityKey = key;
    fill(byId('identity'), rows.map(([k, v, tone, wide]) => h('div', { class: wide }, h('dt', null, k || h('span', { class: 'hidden' }, 'host')), h('dd', { class: `num ${tone}`, title: v }, v))));
  }

  reached() {
    this.failures = 0;
    byId('notice').hidden = true;
    document.body.classList.remove('stale');
    this.pulse(this.paused ? 'held' : 'live', this.paused ? `held at ${clock(this.model.local)}` : 'live');
  }

  lost(fault) {
    if (this.refused(fault)) return;
    this.failures++;
    this.fault = fault instanceof TypeError || fault.name === 'TimeoutError' || fault.name === 'AbortError' ? 'The proxy cannot be reached.' : `The proxy cannot be read: ${fault.message}.`;
  }

  // refused asks for the token if that is what is missing.
  refused(fault) {
    if (!(fault instanceof api.Refused)) return false;
    const dialog = byId('login');
    if (!dialog.open) {
      text(byId('login-fault'), api.token.get() ? 'That token is not the one.' : '');
      api.token.forget();
      dialog.showModal();
    }
    this.pulse('lost', 'needs a token');
    return true;
  }

  login(event) {
    event.preventDefault();
    const input = byId('token');
    api.token.set(input.value);
    input.value = '';
    byId('login').close();
    this.failures = 0;
    this.soon(0);
  }

  // retry counts down to the next try, in sight.
  retry() {
    const until = Date.now() + Math.min(slowest, quick * 2 ** Math.min(this.failures - 1, 4));
    const notice = byId('notice');
    const words = h('span');
    fill(notice, words, h('button', { type: 'button', onclick: () => this.soon(0) }, 'Try now'));
    document.body.classList.add('stale');
    this.pulse('lost', 'no connection');
    const step = () => {
      const left = Math.ceil((until - Date.now()) / 1000);
      if (left <= 0) {
        this.poll();
        return;
      }
      const since = this.model.local ? ` What is shown is of ${clock(this.model.local)}.` : '';
      text(words, `${this.fault}${since} Next try in ${left} s.`);
      this.timer = setTimeout(step, 250);
    };
    clearTimeout(this.timer);
    if (!document.hidden) step();
    notice.hidden = false;
  }

  pulse(tone, words) {
    const el = byId('pulse');
    if (el.className !== `pulse ${tone}`) el.className = `pulse ${tone}`;
    text(el, words);
  }

  pause() {
    this.paused = !this.paused;
    const button = byId('pause');
    attr(button, 'aria-pressed', String(this.paused));
    text(button, this.paused ? 'Go on' : 'Freeze');
    if (!this.failures && this.model.info) this.reached();
    this.soon(0);
  }

  theme() {
    this.showTheme(window.nuthatchTheme.next());
  }

  showTheme(choice) {
    text(byId('theme'), { auto: 'Auto', light: 'Light', dark: 'Dark' }[choice]);
    attr(byId('theme'), 'aria-label', `Colours: ${choice}`);
  }

  // openServer goes to the address that has the server open, and closeServer to that of the view alone.
  openServer(id) {
    location.hash = link(this.current.name, ...id.split('\n'), this.chosen());
  }

  closeServer() {
    if (parse(location.hash).server !== undefined) location.hash = link(this.current.name, undefined, undefined, this.chosen());
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
    if (event.key === 'Escape' && typing) {
      if (event.target.value && event.target.type === 'search') {
        event.target.value = '';
        event.target.dispatchEvent(new Event('input'));
      } else event.target.blur();
    }
    if (typing) return;
    const actions = { '/': () => this.search(), p: () => this.pause(), t: () => this.theme(), w: () => this.nextWindow(), '?': () => byId('help').showModal() };
    const view = views[Number(event.key) - 1];
    if (view) location.hash = view.name;
    else if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
  }

  nextWindow() {
    const at = windows.findIndex(([w]) => w === this.window);
    this.choose(windows[(at + 1) % windows.length][0]);
  }

  // search goes to the view's filter; a view without one leaves for the servers.
  search() {
    if (!this.current.host.querySelector('[data-filter]')) {
      location.hash = 'servers';
      this.route();
    }
    this.current.host.querySelector('[data-filter]').focus();
  }
}

new App();
