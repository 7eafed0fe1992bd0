// Drives a proxy at 127.0.0.1:<port> through node-redis, in RESP2 or RESP3, with TLS if
// the file of who signs its certificate is given; prints "ok" at the end.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createClient, defineScript } from "redis";

const [port, resp] = process.argv.slice(2).map(Number);
const ca = process.argv[4];
const tls = ca ? { tls: true, ca: readFileSync(ca) } : {};

const client = createClient({
  socket: { host: "127.0.0.1", port, reconnectStrategy: false, ...tls },
  RESP: resp,
  name: "noderedis",
  scripts: {
    joined: defineScript({
      NUMBER_OF_KEYS: 1,
      SCRIPT: "return redis.call('GET', KEYS[1]) .. ARGV[1]",
      parseCommand(parser, key, suffix) {
        parser.pushKey(key);
        parser.push(suffix);
      },
      transformReply: (reply) => reply,
    }),
  },
});
client.on("error", (error) => {
  throw error;
});
await client.connect();

assert.equal(await client.ping(), "PONG");
assert.equal(await client.clientGetName(), "noderedis");
assert.match(await client.info("server"), /^redis_version:/m);

// Keys of every server, set and read at once.
const keys = Array.from({ length: 100 }, (_, i) => (((i + 1) * 2654435761) >>> 0).toString(16).padStart(8, "0"));
const values = keys.map((key) => `value of ${key}`);
assert.equal(await client.mSet(keys.map((key, i) => [key, values[i]])), "OK");
assert.deepEqual(await client.mGet([...keys, "none"]), [...values, null]);
assert.equal(await client.exists([...keys, "none"]), 100);

// Commands of one turn of the event loop travel together.
const together = await Promise.all(keys.flatMap((key) => [client.get(key), client.strLen(key), client.get(`no ${key}`)]));
assert.deepEqual(together, keys.flatMap((key, i) => [values[i], values[i].length, null]));
const piped = client.multi();
keys.forEach((key) => piped.append(key, "!").get(key));
assert.deepEqual(await piped.execAsPipeline(), keys.flatMap((key, i) => [values[i].length + 1, `${values[i]}!`]));

// Bytes that are no text, and a value larger than any buffer on its way.
const binary = Buffer.alloc(1 << 20, Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
assert.equal(await client.set("binary", binary), "OK");
const raw = client.withTypeMapping({ [36]: Buffer });
assert.ok(binary.equals(await raw.get("binary")));

// What RESP3 has types of its own for.
assert.equal(await client.hSet("hash", { f: "v", g: "w" }), 2);
assert.deepEqual({ ...(await client.hGetAll("hash")) }, { f: "v", g: "w" });
assert.equal(await client.zAdd("zset", [{ score: 1.5, value: "a" }, { score: 2, value: "b" }]), 2);
assert.equal(await client.zScore("zset", "a"), 1.5);
assert.deepEqual(await client.zRangeWithScores("zset", 0, -1), [{ value: "a", score: 1.5 }, { value: "b", score: 2 }]);
assert.equal(await client.sAdd("set", ["x", "y"]), 2);
assert.deepEqual([...(await client.sMembers("set"))].sort(), ["x", "y"]);
assert.equal(await client.rPush("list", ["1", "2", "3"]), 3);
assert.deepEqual(await client.lRange("list", 0, -1), ["1", "2", "3"]);
assert.equal(await client.get("none"), null);
const id = await client.xAdd("stream", "*", { f: "v" });
assert.deepEqual((await client.xRange("stream", "-", "+")).map((entry) => entry.id), [id]);

// A script, by its hash once the server has it, and one for every server.
for (const key of keys.slice(0, 10)) {
  assert.equal(await client.joined(key, "?"), `value of ${key}!?`);
}
const sha = await client.scriptLoad("return ARGV[1]");
for (const key of keys.slice(0, 20)) {
  assert.equal(await client.evalSha(sha, { keys: [key], arguments: [key] }), key);
}

// All keys of all servers, once each.
const found = new Set();
for await (const batch of client.scanIterator({ COUNT: 10 })) {
  for (const key of batch) {
    assert.ok(!found.has(key), key);
    found.add(key);
  }
}
assert.equal(found.size, await client.dbSize());
assert.ok(keys.every((key) => found.has(key)));

// Transactions: of one server, of keys of several, and of a mistake.
assert.deepEqual(await client.multi().ping().set("{t}a", "1").incr("{t}a").get("{t}a").exec(), ["PONG", "OK", 2, "2"]);
await assert.rejects(keys.reduce((multi, key) => multi.get(key), client.multi()).exec());
assert.deepEqual(await client.multi().del("{t}a").exec(), [1]);

// Channels of every server, a pattern, and shard channels: each message is heard once.
const listener = client.duplicate();
await listener.connect();
const heard = [];
const hear = async (n) => {
  while (heard.length < n) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return heard.splice(0);
};
const note = (message, channel) => heard.push([channel, message]);
await listener.subscribe(keys.slice(0, 20), note);
await listener.pSubscribe("news.*", note);
await listener.sSubscribe(keys[0], note);
for (const key of keys.slice(0, 20)) {
  assert.equal(await client.publish(key, `to ${key}`), 1);
  assert.deepEqual(await hear(1), [[key, `to ${key}`]]);
}
assert.equal(await client.sPublish(keys[0], "shard"), 1);
assert.deepEqual(await hear(1), [[keys[0], "shard"]]);
await client.multi().set("{t}job", "done").publish("news.job", "done").del("{t}job").exec();
assert.deepEqual(await hear(1), [["news.job", "done"]]);
if (resp === 3) {
  assert.equal(await listener.get(keys[0]), `${values[0]}!`);
}
await listener.unsubscribe(keys.slice(0, 20));
await listener.pUnsubscribe("news.*");
await listener.sUnsubscribe(keys[0]);
await listener.close();

// What is refused is refused in words, and the connection goes on.
await assert.rejects(client.incr("list"), /^.*WRONGTYPE/);
await assert.rejects(client.sendCommand(["FROBNICATE", "x"]), /unknown command 'FROBNICATE'/);
await assert.rejects(client.sInter(keys), /CROSSSLOT/);
assert.equal(await client.watch(keys[0]), "OK");
assert.deepEqual(await client.multi().get(keys[0]).exec(), [`${values[0]}!`]);
assert.equal(await client.watch(keys[0]), "OK");
await assert.rejects(client.watch(keys), /CROSSSLOT/);
assert.equal(await client.unwatch(), "OK");
assert.equal((await client.blPop("list", 1)).key, "list");
assert.equal(await client.blPop("nothing", 0.01), null);
assert.equal(await client.get(keys[0]), `${values[0]}!`);

assert.equal(await client.del([...keys, "binary", "none"]), 101);
await client.close();
console.log("ok");
