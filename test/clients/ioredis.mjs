// Drives a proxy at 127.0.0.1:<port> through ioredis, with TLS if the file of who signs its
// certificate is given behind RESP's version; prints "ok" at the end.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import Redis from "ioredis";

const port = Number(process.argv[2]);
const ca = process.argv[4];
const tls = ca ? { ca: readFileSync(ca) } : undefined;

const client = new Redis({ host: "127.0.0.1", port, tls, connectionName: "ioredis", enableAutoPipelining: true, retryStrategy: null });
client.on("error", (error) => {
  throw error;
});

// It asks for INFO before it is ready, and waits while that says "loading".
assert.equal(await client.ping(), "PONG");
assert.equal(await client.client("GETNAME"), "ioredis");

// Keys of every server, set and read at once.
const keys = Array.from({ length: 100 }, (_, i) => (((i + 1) * 2654435761) >>> 0).toString(16).padStart(8, "0"));
const values = keys.map((key) => `value of ${key}`);
assert.equal(await client.mset(new Map(keys.map((key, i) => [key, values[i]]))), "OK");
assert.deepEqual(await client.mget([...keys, "none"]), [...values, null]);
assert.equal(await client.exists(...keys, "none"), 100);

// Pipelines: by hand, and of what one turn of the event loop brings.
const pipeline = client.pipeline();
keys.forEach((key) => pipeline.append(key, "!").get(key));
assert.deepEqual(await pipeline.exec(), keys.flatMap((key, i) => [[null, values[i].length + 1], [null, `${values[i]}!`]]));
const together = await Promise.all(keys.flatMap((key) => [client.get(key), client.get(`no ${key}`)]));
assert.deepEqual(together, keys.flatMap((key, i) => [`${values[i]}!`, null]));

// Transactions: of keys of one server, and of several.
assert.deepEqual(await client.multi().set("{t}a", "1").incr("{t}a").lpush("{t}a", "x").exec().then((all) => all.map(([e, v]) => (e ? "error" : v))), [
  "OK",
  2,
  "error",
]);
await assert.rejects(keys.reduce((multi, key) => multi.get(key), client.multi()).exec(), /EXECABORT/);
assert.equal(await client.del("{t}a"), 1);

// Bytes that are no text, and a value larger than any buffer on its way.
const binary = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
assert.equal(await client.set("binary", binary), "OK");
assert.ok(binary.equals(await client.getBuffer("binary")));

assert.equal(await client.hset("hash", { f: "v", g: "w" }), 2);
assert.deepEqual(await client.hgetall("hash"), { f: "v", g: "w" });
assert.equal(await client.zadd("zset", 1.5, "a", 2, "b"), 2);
assert.deepEqual(await client.zrange("zset", 0, -1, "WITHSCORES"), ["a", "1.5", "b", "2"]);
assert.equal(await client.rpush("list", "1", "2", "3"), 3);
assert.deepEqual(await client.lrange("list", 0, -1), ["1", "2", "3"]);

// A script, by its hash once the server has it, and one for every server.
client.defineCommand("joined", { numberOfKeys: 1, lua: "return redis.call('GET', KEYS[1]) .. ARGV[1]" });
for (const key of keys.slice(0, 10)) {
  assert.equal(await client.joined(key, "?"), `value of ${key}!?`);
}
const sha = await client.script("LOAD", "return ARGV[1]");
for (const key of keys.slice(0, 20)) {
  assert.equal(await client.evalsha(sha, 1, key, key), key);
}

// All keys of all servers, once each.
const found = new Set();
for await (const batch of client.scanStream({ count: 10 })) {
  for (const key of batch) {
    assert.ok(!found.has(key), key);
    found.add(key);
  }
}
assert.equal(found.size, await client.dbsize());
assert.ok(keys.every((key) => found.has(key)));

// Channels of every server, and a pattern: each message is heard once.
const listener = client.duplicate();
const heard = [];
const hear = async (n) => {
  while (heard.length < n) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return heard.splice(0);
};
listener.on("message", (channel, message) => heard.push([channel, message]));
listener.on("pmessage", (pattern, channel, message) => heard.push([pattern, channel, message]));
assert.equal(await listener.subscribe(...keys.slice(0, 20)), 20);
assert.equal(await listener.psubscribe("news.*"), 21);
for (const key of keys.slice(0, 20)) {
  assert.equal(await client.publish(key, `to ${key}`), 1);
  assert.deepEqual(await hear(1), [[key, `to ${key}`]]);
}
await client.multi().set("{t}job", "done").publish("news.job", "done").del("{t}job").exec();
assert.deepEqual(await hear(1), [["news.*", "news.job", "done"]]);
assert.equal(await listener.unsubscribe(...keys.slice(0, 20)), 1);
assert.equal(await listener.punsubscribe("news.*"), 0);
assert.equal(await listener.get(keys[0]), `${values[0]}!`);
assert.equal(await listener.quit(), "OK");

// What is refused is refused in words, and the connection goes on.
await assert.rejects(client.incr("list"), /WRONGTYPE/);
await assert.rejects(client.call("FROBNICATE", "x"), /unknown command 'FROBNICATE'/);
await assert.rejects(client.sinter(keys), /CROSSSLOT/);
assert.equal(await client.watch("list"), "OK");
await client.rpush("list", "more");
assert.equal(await client.multi().del("list").exec(), null);
await assert.rejects(client.watch(...keys), /CROSSSLOT/);
assert.equal(await client.get(keys[0]), `${values[0]}!`);

assert.equal(await client.del(...keys, "binary", "none"), 101);
assert.equal(await client.quit(), "OK");
console.log("ok");
process.exit(0); // it would wait for a timer of the client's own
