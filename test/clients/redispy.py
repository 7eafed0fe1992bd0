"""Drives a proxy at 127.0.0.1:<port> through redis-py, in RESP2 or RESP3, and with TLS if
the file of who signs its certificate is given; prints "ok" at the end, or that this release
of redis-py has no RESP3.

Needs Debian's package python3-redis.
"""

import sys
import threading

try:
    import redis
except ImportError:
    sys.exit("redis-py is not installed: apt-get install python3-redis")

RELEASE = tuple(int(part) for part in redis.__version__.split(".")[:2])


def refused(text, call, *args):
    """The call fails, and says so in these words."""
    try:
        call(*args)
    except redis.RedisError as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"{call.__name__} {args} succeeds")


def listens(client, keys):
    """Listens to channels of every server and to a pattern, and hears each message once."""
    with client.pubsub() as listener:

        def hear(n):
            messages = []
            while len(messages) < n:
                message = listener.get_message(timeout=20)
                if message is not None:
                    messages.append((message["type"], message["channel"], message["data"]))
            return messages

        listener.subscribe(*keys[:20])
        assert hear(20) == [("subscribe", key.encode(), i + 1) for i, key in enumerate(keys[:20])]
        listener.psubscribe("news.*")
        assert hear(1) == [("psubscribe", b"news.*", 21)]
        listener.ping("still there?")
        assert hear(1) == [("pong", None, b"still there?")]
        for key in keys[:20]:
            assert client.publish(key, key * 2) == 1
            assert hear(1) == [("message", key.encode(), key.encode() * 2)]
        with client.pipeline() as pipe:
            pipe.set("{t}job", "done").publish("news.job", "done").delete("{t}job")
            pipe.execute()
        assert hear(1) == [("pmessage", b"news.job", b"done")]
        assert sum(n for _, n in client.pubsub_numsub(*keys[:20])) == 20
        assert client.pubsub_numpat() == 1
        assert any(row["sub"] == "20" and row["psub"] == "1" and "P" in row["flags"] for row in client.client_list())
        listener.unsubscribe()
        assert {channel for _, channel, _ in hear(20)} == {key.encode() for key in keys[:20]}
        listener.punsubscribe("news.*")
        assert hear(1) == [("punsubscribe", b"news.*", 0)]


def main(port, resp, ca=None):
    options = {"ssl": True, "ssl_ca_certs": ca} if ca else {}
    if RELEASE >= (5, 0):
        options["protocol"] = resp
    elif resp == 3:
        print(f"redis-py {redis.__version__} has no RESP3")
        return
    client = redis.Redis(host="127.0.0.1", port=port, client_name="redispy", socket_timeout=20, **options)
    assert client.ping() is True
    assert client.client_getname() in ("redispy", b"redispy")
    assert "redis_version" in client.info("server")

    # Keys of every server, set and read at once.
    keys = [f"{i * 2654435761 % 2**32:08x}" for i in range(1, 101)]
    assert client.mset({key: f"value of {key}" for key in keys}) is True
    assert client.mget(keys + ["none"]) == [f"value of {key}".encode() for key in keys] + [None]
    assert client.set("one", "1", ex=100) is True
    assert client.get("one") == b"1"
    assert client.get("none") is None
    assert client.incr("one") == 2
    assert client.exists("one", *keys) == 101

    # Bytes that are no text, and a value larger than any buffer on its way.
    binary = bytes(range(256)) * 4096
    assert client.set("binary", binary) is True
    assert client.get("binary") == binary

    # What RESP3 has types of its own for.
    assert client.lpush("list", "a", "b", "c") == 3
    assert client.lrange("list", 0, -1) == [b"c", b"b", b"a"]
    assert client.hset("hash", mapping={"f": "v"}) == 1
    assert client.hgetall("hash") == {b"f": b"v"}
    assert client.sadd("set", "x", "y") == 2
    assert set(client.smembers("set")) == {b"x", b"y"}
    assert client.zadd("zset", {"a": 1.5, "b": 2}) == 2
    assert client.zscore("zset", "a") == 1.5
    assert [tuple(pair) for pair in client.zrange("zset", 0, -1, withscores=True)] == [(b"a", 1.5), (b"b", 2.0)]

    # A script, by its hash once the server has it, and one for every server.
    joined = client.register_script("return redis.call('GET', KEYS[1]) .. ARGV[1]")
    for key in keys[:10]:
        assert joined(keys=[key], args=["?"]) == f"value of {key}?".encode()
    sha = client.script_load("return ARGV[1]")
    for key in keys[:20]:
        assert client.evalsha(sha, 1, key, key) == key.encode()

    # All keys of all servers, once each.
    found = list(client.scan_iter(count=10))
    assert len(found) == len(set(found)) == client.dbsize(), len(found)
    assert {key.encode() for key in keys} <= set(found)

    # Transactions, as a pipeline is by default: of one server, of keys of several, and
    # one that watches.
    with client.pipeline() as pipe:
        pipe.set("{t}a", 1).incr("{t}a").get("{t}a").ping()
        assert pipe.execute() == [True, 2, b"2", True]
        pipe.incr("{t}a").lpush("{t}a", "x").incr("{t}a")
        replies = pipe.execute(raise_on_error=False)
        assert replies[0] == 3 and replies[2] == 4 and isinstance(replies[1], redis.ResponseError), replies
        for key in keys:
            pipe.get(key)
        refused("CROSSSLOT", pipe.execute)
        pipe.reset()
        pipe.watch("{t}a")
        seen = int(pipe.get("{t}a"))
        client.incr("{t}a")
        pipe.multi()
        pipe.set("{t}a", seen + 1)
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("a transaction succeeds whose key was changed")
        client.transaction(lambda pipe: pipe.multi() or pipe.incr("{t}a"), "{t}a")
        assert int(client.get("{t}a")) == seen + 2
        pipe.watch(keys[0])
        refused("CROSSSLOT", pipe.watch, *keys)
    assert client.execute_command("UNWATCH") in (True, b"OK")
    with client.pipeline() as pipe:
        assert pipe.delete("{t}a").execute() == [1]

    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.get(key).delete(key)
    replies = pipe.execute()
    assert replies[::2] == [f"value of {key}".encode() for key in keys], replies
    assert replies[1::2] == [1] * len(keys), replies

    # What is refused is refused in words, and the connection goes on.
    try:
        client.incr("list")
    except redis.ResponseError as error:
        assert str(error).startswith("WRONGTYPE") or "wrong kind" in str(error), error
    else:
        raise AssertionError("INCR of a list succeeds")
    refused("FROBNICATE", client.execute_command, "FROBNICATE")
    refused("CROSSSLOT", client.sinter, keys)

    # Waits for an element: one that is there, none, and one that comes.
    assert client.blpop(["list"], 1)[0] == b"list"
    assert client.blpop(["nothing"], 0.01) is None
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(client.brpop(["queue"], 30)))
    waiting.start()
    while not any(row["cmd"] == "brpop" for row in client.client_list()):
        pass
    client.rpush("queue", "job")
    waiting.join()
    assert taken == [(b"queue", b"job")], taken
    assert client.get("one") == b"2"
    listens(client, keys)
    print("ok")


main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
