"""Uses redis-py's client-side cache through the proxy at 127.0.0.1:<port>: what another
changes is read anew, and what nobody changes is not asked for again. Prints "ok" at the end.
"""

import sys
import time

import redis
from redis.cache import CacheConfig, CacheKey
from redis.connection import CacheProxyConnection

# It wants servers of Redis 7.4 or later. Older ones know the same commands.
CacheProxyConnection.MIN_ALLOWED_VERSION = "6.0.0"


def main(port):
    reader = redis.Redis(host="127.0.0.1", port=port, protocol=3, cache_config=CacheConfig(), decode_responses=True)
    writer = redis.Redis(host="127.0.0.1", port=port, decode_responses=True)
    keys = [f"{i * 2654435761 % 2**32:08x}" for i in range(1, 101)]

    def kept(key):
        return reader.get_cache().get(CacheKey(command="GET", redis_keys=(key,)))

    def awaits(what, holds):
        end = time.time() + 60
        while not holds():
            assert time.time() < end, what
            time.sleep(0.001)

    for key in keys:
        writer.set(key, "before")
        assert reader.get(key) == "before"
        assert kept(key) is not None, key
        assert reader.get(key) == "before"
        writer.set(key, "after")
        awaits(f"{key} is not told of", lambda: reader.get(key) == "after")
    assert all(reader.get(key) == "after" for key in keys)
    assert sum(kept(key) is not None for key in keys) == len(keys)

    # Another type, a key that goes, and several keys at once.
    writer.hset("hash", mapping={"a": "1"})
    assert reader.hgetall("hash") == {"a": "1"}
    writer.hset("hash", "b", "2")
    awaits("the hash", lambda: reader.hgetall("hash") == {"a": "1", "b": "2"})
    writer.delete(keys[0])
    awaits("the key that goes", lambda: reader.get(keys[0]) is None)
    assert reader.mget(keys[1:4]) == ["after"] * 3
    writer.set(keys[2], "later")
    awaits("one of three", lambda: reader.mget(keys[1:4]) == ["after", "later", "after"])

    # What it writes itself, a transaction, and a pipeline.
    reader.set(keys[5], "mine")
    awaits("its own", lambda: reader.get(keys[5]) == "mine")
    with reader.pipeline() as pipe:
        assert pipe.set("{t}a", "1").incr("{t}a").execute() == [True, 2]
    print("ok")


main(int(sys.argv[1]))
