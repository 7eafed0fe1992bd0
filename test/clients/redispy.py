"""Drives a proxy at 127.0.0.1:<port> through redis-py; prints "ok" at the end.

Needs Debian's package python3-redis.
"""

import sys

try:
    import redis
except ImportError:
    sys.exit("redis-py is not installed: apt-get install python3-redis")


def main(port):
    client = redis.Redis(host="127.0.0.1", port=port, client_name="redispy", socket_timeout=20)
    assert client.ping() is True

    keys = [f"{i * 2654435761 % 2**32:08x}" for i in range(1, 101)]
    assert client.mset({key: f"value of {key}" for key in keys}) is True
    assert client.mget(keys + ["none"]) == [f"value of {key}".encode() for key in keys] + [None]
    assert client.set("one", "1", ex=100) is True
    assert client.get("one") == b"1"
    assert client.get("none") is None
    assert client.incr("one") == 2
    assert client.exists("one") == 1
    assert client.lpush("list", "a", "b", "c") == 3
    assert client.lrange("list", 0, -1) == [b"c", b"b", b"a"]
    assert client.hset("hash", mapping={"f": "v"}) == 1
    assert client.hgetall("hash") == {b"f": b"v"}

    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.get(key).delete(key)
    replies = pipe.execute()
    assert replies[::2] == [f"value of {key}".encode() for key in keys], replies
    assert replies[1::2] == [1] * len(keys), replies

    try:
        client.incr("list")
    except redis.ResponseError as error:
        assert str(error).startswith("WRONGTYPE") or "wrong kind" in str(error), error
    else:
        raise AssertionError("INCR of a list succeeds")
    try:
        client.execute_command("FROBNICATE")
    except redis.ResponseError as error:
        assert "FROBNICATE" in str(error).upper(), error
    else:
        raise AssertionError("an unknown command succeeds")
    assert client.get("one") == b"2"
    print("ok")


main(int(sys.argv[1]))
