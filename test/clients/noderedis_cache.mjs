// Drives a proxy at 127.0.0.1:<port> through node-redis with client-side caching, which needs
// RESP3; prints "ok" at the end.

import assert from "node:assert/strict";
import { BasicClientSideCache, createClient } from "redis";

const port = Number(process.argv[2]);

async function connect(options) {
  const client = createClient({ RESP: 3, socket: { host: "127.0.0.1", port, reconnectStrategy: false }, ...options });
  client.on("error", (error) => {
    throw error;
  });
  await client.connect();
  return client;
}

const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: "LRU", recordStats: true });
const reader = await connect({ clientSideCache: cache });
const writer = await connect({});

// until waits for something that another connection has brought about.
async function until(what, holds) {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, what);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

// Keys of every server: kept once they are read, and read again once they have changed.
const keys = Array.from({ length: 100 }, (_, i) => `${(Math.imul(i + 1, 2654435761) >>> 0).toString(16)}`);
for (const key of keys) {
  await writer.set(key, "before");
  assert.equal(await reader.get(key), "before");
}
const misses = cache.stats().missCount;
for (const key of keys) {
  assert.equal(await reader.get(key), "before");
}
assert.equal(cache.stats().missCount, misses, "what was read is kept");
for (const key of keys) {
  await writer.set(key, "after");
  await until(`${key} has changed`, async () => (await reader.get(key)) === "after");
}

// Several keys at once, a hash, and what it writes itself.
assert.deepEqual(await reader.mGet(keys.slice(0, 5)), Array(5).fill("after"));
await writer.mSet(Object.entries(Object.fromEntries(keys.slice(0, 5).map((key) => [key, "last"]))));
await until("all have changed", async () => (await reader.mGet(keys.slice(0, 5))).every((value) => value === "last"));
await writer.hSet("hash", "f", "v");
assert.equal(await reader.hGet("hash", "f"), "v");
await reader.hSet("hash", "f", "w");
await until("its own write is seen", async () => (await reader.hGet("hash", "f")) === "w");

reader.destroy();
writer.destroy();
console.log("ok");
