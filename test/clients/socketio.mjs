// Two nodes of Socket.IO with its Redis adapter, over a proxy at 127.0.0.1:<port>; prints "ok"
// at the end.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { Redis } from "ioredis";
import { Server } from "socket.io";
import { io as connect } from "socket.io-client";

const port = Number(process.argv[2]);

const node = async () => {
  const publishes = new Redis({ host: "127.0.0.1", port });
  const listens = publishes.duplicate();
  const http = createServer();
  const io = new Server(http, { adapter: createAdapter(publishes, listens) });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  io.on("connection", (socket) => socket.join(socket.handshake.query.room));
  return { io, http, url: `http://127.0.0.1:${http.address().port}`, redis: [publishes, listens] };
};
const nodes = [await node(), await node()];
// Each node counts the others by who listens to its channel of requests.
while ((await nodes[0].io.of("/").adapter.serverCount()) < 2) {
  await new Promise((resolve) => setImmediate(resolve));
}

const rooms = ["red", "green", "blue"];
const heard = [];
const clients = await Promise.all(
  rooms.flatMap((room) =>
    nodes.map(async ({ url }, i) => {
      const socket = connect(url, { query: { room }, transports: ["websocket"] });
      socket.on("news", (text) => heard.push(`${room} ${i} ${text}`));
      await new Promise((resolve) => socket.on("connect", resolve));
      return socket;
    }),
  ),
);
const hear = async (n) => {
  while (heard.length < n) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  return heard.splice(0).sort();
};

// What one node tells a room, or everybody, the clients of both hear once.
for (const room of rooms) {
  nodes[0].io.to(room).emit("news", "to the room");
  assert.deepEqual(await hear(2), [`${room} 0 to the room`, `${room} 1 to the room`]);
}
nodes[1].io.emit("news", "to all");
assert.equal((await hear(6)).length, 6);

// One node asks the other: who is there, in which rooms, and for an answer.
assert.equal((await nodes[0].io.fetchSockets()).length, 6);
assert.equal((await nodes[1].io.in("red").fetchSockets()).length, 2);
nodes[1].io.on("sum", (a, b, answer) => answer(a + b));
assert.deepEqual(await nodes[0].io.serverSideEmitWithAck("sum", 1, 2), [3]);
nodes[0].io.in("green").socketsJoin("red");
while ((await nodes[1].io.in("red").fetchSockets()).length < 4) {
  await new Promise((resolve) => setImmediate(resolve));
}

clients.forEach((client) => client.close());
for (const { io, redis } of nodes) {
  await io.close();
  redis.forEach((client) => client.disconnect());
}
console.log("ok");
process.exit(0); // it would wait for timers of the clients' own
