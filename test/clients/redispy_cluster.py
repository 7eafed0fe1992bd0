"""Drives proxies that look like a Redis Cluster through redis-py's RedisCluster.

The argument is a port of one of them. With a second one, "watch", it goes on until its input
ends, whatever becomes of the proxies but one, and writes errors to its error output as they come.
It prints "ok" and how many rounds and errors there were.
"""

import select
import sys

from redis import exceptions
from redis.cluster import RedisCluster

client = RedisCluster(host="127.0.0.1", port=int(sys.argv[1]), socket_timeout=5)
watch = len(sys.argv) > 2

assert client.ping(target_nodes=RedisCluster.RANDOM)
for key in ("a", "{tag}b", "", "{}c", "x{y}z{w}"):
    assert client.cluster_keyslot(key) == client.keyslot(key), key
nodes = client.get_nodes()
assert nodes and all(node.server_type == "primary" for node in nodes), nodes
assert client.cluster_info(target_nodes=RedisCluster.RANDOM)["cluster_state"] == "ok"


def over() -> bool:
    return not watch or bool(select.select([sys.stdin], [], [], 0.05)[0])


def check(round_: int) -> None:
    """One round: no value may be another's."""
    for i in range(20):
        key, value = f"py:{i}", f"{round_}:{i}"
        client.set(key, value)
        assert client.get(key) == value.encode(), key
    client.mset_nonatomic({f"py:{{{i}}}": f"{round_}" for i in range(20)})
    assert client.mget_nonatomic([f"py:{{{i}}}" for i in range(20)]) == [str(round_).encode()] * 20
    pipe = client.pipeline()
    for i in range(20):
        pipe.set(f"py:p{i}", f"{round_}-{i}")
        pipe.get(f"py:p{i}")
    assert pipe.execute()[1::2] == [f"{round_}-{i}".encode() for i in range(20)]
    assert client.mget("{py}a", "{py}b", "{py}none")[2] is None


rounds, errors = 0, 0
while True:
    rounds += 1
    try:
        check(rounds)
    except (exceptions.RedisError, OSError) as error:
        errors += 1
        assert watch, error
        print("lost:", repr(error), file=sys.stderr, flush=True)
    if watch and rounds == 1:
        print("began", file=sys.stderr, flush=True)
    if over():
        break
check(rounds + 1)
print("ok", rounds, errors)
