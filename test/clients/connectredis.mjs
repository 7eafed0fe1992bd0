// A shop of two nodes with express-session and connect-redis, over a proxy at
// 127.0.0.1:<port>; prints "ok" at the end.

import assert from 'node:assert/strict';
import { RedisStore } from 'connect-redis';
import express from 'express';
import session from 'express-session';
import { createClient } from 'redis';

const port = Number(process.argv[2]);
const prefix = 'shop:';

const node = async () => {
  const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
  const store = new RedisStore({ client, prefix, ttl: 1000 });
  const app = express();
  app.use(session({ store, secret: 'secret', resave: false, saveUninitialized: false }));
  app.get('/buy/:what', (req, res) => {
    req.session.basket = [...(req.session.basket ?? []), req.params.what];
    res.json(req.session.basket);
  });
  app.get('/basket', (req, res) => res.json(req.session.basket ?? []));
  app.get('/login', (req, res, next) => {
    const { basket } = req.session;
    req.session.regenerate((err) => {
      if (err) return next(err);
      req.session.basket = basket;
      return res.json(basket);
    });
  });
  app.get('/leave', (req, res, next) => req.session.destroy((err) => (err ? next(err) : res.json('bye'))));
  const http = await new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening));
  });
  return { client, store, http, url: `http://127.0.0.1:${http.address().port}` };
};
const nodes = [await node(), await node()];

// A user keeps the cookie of its session, and is served now by one node, now by the other.
class User {
  cookie = '';
  visits = 0;

  async get(path) {
    const { url } = nodes[this.visits++ % nodes.length];
    const res = await fetch(url + path, { headers: { cookie: this.cookie } });
    assert.equal(res.status, 200);
    const set = res.headers.getSetCookie();
    if (set.length > 0) this.cookie = set[0].split(';')[0];
    return res.json();
  }

  // The cookie is "connect.sid=s%3A<id>.<signature>".
  get key() { return prefix + decodeURIComponent(this.cookie).split('s:')[1].split('.')[0]; }
}

const users = Array.from({ length: 60 }, () => new User());
await Promise.all(users.map(async (user, i) => {
  assert.deepEqual(await user.get('/buy/bread'), ['bread']);
  assert.deepEqual(await user.get(`/buy/${i}`), ['bread', String(i)]);
  const before = user.key;
  assert.deepEqual(await user.get('/login'), ['bread', String(i)]);
  assert.notEqual(user.key, before);
  assert.deepEqual(await user.get('/basket'), ['bread', String(i)]);
}));

// A visit that changes nothing makes the session last longer.
const { client, store } = nodes[0];
await client.expire(users[0].key, 10);
await users[0].get('/basket');
assert.ok((await client.ttl(users[0].key)) > 10);

// The store knows the sessions on all servers.
assert.equal(await store.length(), users.length);
assert.deepEqual((await store.ids()).sort(), users.map((user) => user.key.slice(prefix.length)).sort());
assert.equal((await store.all()).length, users.length);

assert.equal(await users[0].get('/leave'), 'bye');
assert.deepEqual(await users[0].get('/basket'), []);
assert.equal(await store.length(), users.length - 1);
await store.clear();
assert.equal(await store.length(), 0);

for (const { client: redis, http } of nodes) {
  http.closeAllConnections();
  http.close();
  redis.destroy();
}
console.log('ok');
