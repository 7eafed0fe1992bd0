"""Django Channels over the proxy, with one of the two layers of channels_redis: rooms whose
members are in two layers, as in two processes, and jobs for a worker. Prints "ok" at the end.

Usage: channelsapp.py core|pubsub PORT...

The layer "core" runs scripts that do not say which keys they use: it gets several pools of one
server each, as its own documentation has it for several servers ("hosts"). The layer "pubsub"
has only channels, and one pool.
"""

import asyncio
import os
import sys

import redis.asyncio
from django.conf import settings

kind, ports = sys.argv[1], sys.argv[2:]
BACKENDS = {
    "core": "channels_redis.core.RedisChannelLayer",
    "pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer",
}
layer_settings = {"BACKEND": BACKENDS[kind], "CONFIG": {"hosts": [f"redis://127.0.0.1:{port}/0" for port in ports]}}
settings.configure(CHANNEL_LAYERS={"default": layer_settings, "other": layer_settings})

from asgiref.testing import ApplicationCommunicator  # noqa: E402 (the settings come first)
from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.layers import channel_layers  # noqa: E402

PATIENCE = 60


class Member(AsyncWebsocketConsumer):
    """A member of a room, who tells the room all that it says, until it says that it leaves."""

    async def connect(self):
        self.room = self.scope["path"].strip("/")
        await self.channel_layer.group_add(self.room, self.channel_name)
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        if text_data == "leaves":
            await self.channel_layer.group_discard(self.room, self.channel_name)
            await self.send(text_data="has left")
            return
        await self.channel_layer.group_send(self.room, {"type": "said", "text": text_data})

    async def said(self, event):
        await self.send(text_data=event["text"])


class Elsewhere(Member):
    channel_layer_alias = "other"


async def enter(consumer, room):
    socket = ApplicationCommunicator(consumer.as_asgi(), {"type": "websocket", "path": f"/{room}/"})
    await socket.send_input({"type": "websocket.connect"})
    assert (await socket.receive_output(PATIENCE))["type"] == "websocket.accept"
    return socket


async def hears(socket, want):
    message = await socket.receive_output(PATIENCE)
    assert message["text"] == want, (message, want)


async def rooms():
    """What a member says, all of its room hear once, and nobody else."""
    members = {f"room{i}": [await enter(c, f"room{i}") for c in (Member, Elsewhere, Member)] for i in range(20)}
    await listened([f"asgi__group__{room}" for room in members], 2)
    for turn in range(3):
        for room, sockets in members.items():
            await sockets[turn].send_input({"type": "websocket.receive", "text": f"{turn} in {room}"})
        for room, sockets in members.items():
            for socket in sockets:
                await hears(socket, f"{turn} in {room}")
    for room, sockets in members.items():
        await sockets[0].send_input({"type": "websocket.receive", "text": "leaves"})
        await hears(sockets[0], "has left")
        await sockets[1].send_input({"type": "websocket.receive", "text": "who is left?"})
        for socket in sockets[1:]:
            await hears(socket, "who is left?")
    assert await members["room0"][0].receive_nothing(timeout=0.1)


async def listened(channels, n):
    """Waits until that many listen: the layer "pubsub" does not wait for the answer to SUBSCRIBE."""
    if kind == "core":
        return
    client = redis.asyncio.Redis(host="127.0.0.1", port=int(ports[0]))
    for channel in channels:
        while (await client.pubsub_numsub(channel))[0][1] < n:
            await asyncio.sleep(0.01)
    await client.close()


async def answers(layer, other):
    """One process asks another, which answers on the channel of the first alone. The layer
    "core" of release 4.0 sends that to another host than it receives it from.
    """
    asks, does = await layer.new_channel(), await other.new_channel()
    await listened([asks, does], 1)
    for i in range(50):
        await layer.send(does, {"type": "sum", "numbers": [i, 1], "to": asks})
        job = await asyncio.wait_for(other.receive(does), PATIENCE)
        await other.send(job["to"], {"type": "answer", "sum": sum(job["numbers"])})
        assert (await asyncio.wait_for(layer.receive(asks), PATIENCE))["sum"] == i + 1


async def jobs(layer, other):
    """Jobs wait in a worker's channel, which all hosts share."""
    for i in range(60):
        await layer.send("jobs", {"type": "job", "number": i})
    done = [(await asyncio.wait_for(other.receive("jobs"), PATIENCE))["number"] for _ in range(60)]
    assert sorted(done) == list(range(60)), done


async def main():
    layer, other = channel_layers["default"], channel_layers["other"]
    if kind == "core":
        await jobs(layer, other)
    else:
        await answers(layer, other)
    await rooms()
    print("ok", flush=True)
    os._exit(0)  # all members still wait for messages


asyncio.run(main())
