// Drives proxies that look like a Redis Cluster through node-redis's createCluster. The argument is a port
// of one of them. With a second one, "watch", it goes on until its input ends, whatever becomes
// of the proxies but one, and writes errors to its error output as they come. It prints "ok" and
// how many rounds and errors there were.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { createCluster } from "redis";

const watch = process.argv[3] === "watch";
const client = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${process.argv[2]}` }], RESP: 3 });
client.on("error", () => {});
client.on("node-error", () => {});
let over = !watch;
process.stdin.on("end", () => (over = true)).resume();
await client.connect();

const names = Array.from({ length: 20 }, (_, i) => `no:${i}`);

// One round: no value may be another's.
async function check(round) {
  await Promise.all(
    names.map(async (name) => {
      assert.equal(await client.set(name, `${round}:${name}`), "OK");
      assert.equal(await client.get(name), `${round}:${name}`);
    }),
  );
  const all = await client.multi().set("{no}m", String(round)).get("{no}m").exec();
  assert.deepEqual([...all], ["OK", String(round)]);
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
client.destroy();
process.stdin.destroy();
