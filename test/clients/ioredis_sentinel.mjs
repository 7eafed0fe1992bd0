// Finds a proxy by Sentinel, and drives it, through ioredis. The arguments are the ports where
// proxies answer as Sentinels. The program goes on until its input ends, whatever becomes of the
// proxies but one, and writes errors to its error output as they come, and "ready" after the first
// round. It prints "ok" and how many rounds and errors there were.

import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { Redis } from "ioredis";

const client = new Redis({
  sentinels: process.argv.slice(2).map((port) => ({ host: "127.0.0.1", port: Number(port) })),
  name: "main",
  sentinelRetryStrategy: () => 50,
  retryStrategy: () => 50,
});
client.on("error", () => {});
let over = false;
process.stdin.on("end", () => (over = true)).resume();

const names = Array.from({ length: 20 }, (_, i) => `io:${i}`);

// One round: no value may be another's.
async function check(round) {
  await Promise.all(
    names.map(async (name) => {
      assert.equal(await client.set(name, `${round}:${name}`), "OK");
      assert.equal(await client.get(name), `${round}:${name}`);
    }),
  );
}

let rounds = 0;
let errors = 0;
do {
  rounds++;
  try {
    await check(rounds);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    errors++;
    console.error("lost:", error);
  }
  if (rounds === 1) console.error("ready");
  await setTimeout(50);
} while (!over);
await check(rounds + 1);
console.log("ok", rounds, errors);
client.disconnect();
process.stdin.destroy();
