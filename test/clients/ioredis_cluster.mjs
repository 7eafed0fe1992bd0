// Drives proxies that look like a Redis Cluster through ioredis's Cluster. The argument is a port
// of one of them. With a second one, "watch", it goes on until its input ends, whatever becomes
// of the proxies but one, and writes errors to its error output as they come. It prints "ok" and
// how many rounds and errors there were.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { Cluster } from "ioredis";

const watch = process.argv[3] === "watch";
const client = new Cluster([{ host: "127.0.0.1", port: Number(process.argv[2]) }], { slotsRefreshInterval: 1000 });
client.on("error", () => {});
client.on("node error", () => {});
let over = !watch;
process.stdin.on("end", () => (over = true)).resume();

assert.equal(await client.cluster("KEYSLOT", "{a}b"), await client.cluster("KEYSLOT", "a"));

const names = Array.from({ length: 20 }, (_, i) => `io:${i}`);

// One round: no value may be another's.
async function check(round) {
  await Promise.all(
    names.map(async (name) => {
      assert.equal(await client.set(name, `${round}:${name}`), "OK");
      assert.equal(await client.get(name), `${round}:${name}`);
    }),
  );
  const pipeline = client.pipeline();
  for (let i = 0; i < 20; i++) pipeline.set(`{io}${i}`, round).get(`{io}${i}`);
  for (const [i, [error, value]] of (await pipeline.exec()).entries()) {
    if (error) throw error;
    assert.equal(value, i % 2 ? String(round) : "OK");
  }
  const all = await client.multi().set("{io}m", round).get("{io}m").exec();
  assert.deepEqual(all, [[null, "OK"], [null, String(round)]]);
}

let rounds = 0;
let errors = 0;
do {
  rounds++;
  try {
    await check(rounds);
  } catch (error) {
    if (error instanceof assert.AssertionError || !watch) throw error;
    errors++;
    console.error("lost:", error);
  }
  if (watch && rounds === 1) console.error("began");
  if (watch) await setTimeout(50);
} while (!over);
await check(rounds + 1);
console.log("ok", rounds, errors);
client.disconnect();
process.stdin.destroy();
