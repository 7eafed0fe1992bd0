"""Finds a proxy by Sentinel, and drives it, through redis-py's Sentinel.

The arguments are the ports where proxies answer as Sentinels. The program goes on until its input
ends, whatever becomes of the proxies but one, and writes errors to its error output as they come,
and "ready" after the first round. It prints "ok" and how many rounds and errors there were.
"""

import select
import sys

from redis import exceptions
from redis.sentinel import Sentinel

sentinel = Sentinel([("127.0.0.1", int(port)) for port in sys.argv[1:]], socket_timeout=5)
client = sentinel.master_for("main", socket_timeout=5)
reader = sentinel.slave_for("main", socket_timeout=5)

assert sentinel.sentinels[0].sentinel_master("main")["is_master"]
assert sentinel.sentinels[0].execute_command("SENTINEL", "CKQUORUM", "main").startswith(b"OK 3 usable")
assert sentinel.discover_slaves("main") == []


def check(round_: int) -> None:
    """One round: no value may be another's."""
    for i in range(20):
        key, value = f"py:{i}", f"{round_}:{i}"
        client.set(key, value)
        assert client.get(key) == value.encode(), key
    assert reader.get("py:0") == f"{round_}:0".encode()
    pipe = client.pipeline(transaction=False)
    for i in range(20):
        pipe.set(f"py:p{i}", f"{round_}-{i}")
        pipe.get(f"py:p{i}")
    assert pipe.execute()[1::2] == [f"{round_}-{i}".encode() for i in range(20)]


rounds, errors = 0, 0
while True:
    rounds += 1
    try:
        check(rounds)
    except (exceptions.RedisError, OSError) as error:
        errors += 1
        print("lost:", repr(error), file=sys.stderr, flush=True)
    if rounds == 1:
        print("ready", file=sys.stderr, flush=True)
    if select.select([sys.stdin], [], [], 0.05)[0]:
        break
check(rounds + 1)
print("ok", rounds, errors)
