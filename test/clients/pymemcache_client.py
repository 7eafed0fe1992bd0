"""Drives a proxy at 127.0.0.1:<port> through pymemcache, with TLS if the file of who signs
its certificate is given; prints "ok" at the end.

Needs Debian's package python3-pymemcache.
"""

import ssl
import sys

try:
    from pymemcache.client.base import Client, PooledClient
    from pymemcache.exceptions import (
        MemcacheClientError,
        MemcacheIllegalInputError,
        MemcacheServerError,
    )
except ImportError:
    sys.exit("pymemcache is not installed: apt-get install python3-pymemcache")


def fails(kind, call, *args, **kwargs):
    try:
        result = call(*args, **kwargs)
    except kind as error:
        return str(error)
    raise AssertionError(f"{call.__name__}{args} gives {result!r}")


def exercise(client):
    keys = [f"{i * 2654435761 % 2**32:08x}" for i in range(1, 201)]
    for key in keys:
        assert client.set(key, f"value of {key}", noreply=False) is True
    found = client.get_many(keys + ["none"])
    assert found == {key: f"value of {key}".encode() for key in keys}, found
    found = client.gets_many(keys[:50] + ["none"])
    assert {key: value for key, (value, _) in found.items()} == {key: f"value of {key}".encode() for key in keys[:50]}

    # noreply is what pymemcache does by default.
    for key in keys:
        client.set(key, key * 3)
        client.append(key, b"!")
        client.prepend(key, b"?")
        client.add(key, b"not this")
        client.delete("none")
        client.touch("none", 10)
    assert client.get_many(keys) == {key: b"?" + key.encode() * 3 + b"!" for key in keys}
    assert client.set_many({key: "many" for key in keys}) == []
    assert set(client.get_many(keys).values()) == {b"many"}

    assert client.add("none", b"1", noreply=False) is True
    assert client.add("none", b"1", noreply=False) is False
    assert client.replace("nothing", b"1", noreply=False) is False
    assert client.append("nothing", b"1", noreply=False) is False
    assert client.incr("none", 41) == 42
    assert client.decr("none", 100) == 0
    assert client.incr("nothing", 1) is None
    client.incr("none", 7, noreply=True)
    value, unique = client.gets("none")  # decr leaves a blank where a digit was
    assert (value, client.cas("none", b"8", unique, noreply=False)) == (b"7 ", True)
    assert client.cas("none", b"9", unique, noreply=False) is False
    assert client.cas("nothing", b"9", unique, noreply=False) is None
    assert client.touch("none", 100, noreply=False) is True
    assert client.touch("nothing", 100, noreply=False) is False
    assert client.delete("none", noreply=False) is True
    assert client.delete("none", noreply=False) is False
    assert client.delete_many(keys) is True
    assert client.get_many(keys) == {}

    big = b"0123456789" * 100_000
    assert client.set("big", big, noreply=False) is True
    assert client.get("big") == big
    assert "too large" in fails(MemcacheServerError, client.set, "big", big * 2, noreply=False)
    assert "non-numeric" in fails(MemcacheClientError, lambda: client.set("text", "x") and client.incr("text", 1))
    fails(MemcacheIllegalInputError, client.get, "k" * 251)
    assert client.get("text") == b"x"


def main(port, ca=None):
    options = {"tls_context": ssl.create_default_context(cafile=ca)} if ca else {}
    client = Client(("127.0.0.1", port), timeout=20, connect_timeout=20, **options)
    exercise(client)
    exercise(PooledClient(("127.0.0.1", port), timeout=20, max_pool_size=4, **options))
    assert client.version().startswith(b"1."), client.version()
    stats = client.stats()
    assert stats[b"pool"] == b"alpha" and stats[b"pid"] > 0, stats
    stats = client.stats("settings")
    assert [name for name in stats if name.endswith(b":maxbytes")] == [b"s1:maxbytes", b"s2:maxbytes", b"s3:maxbytes"], stats
    fails(MemcacheServerError, client.cache_memlimit, 64)
    client.set("last", "1")
    assert client.flush_all(noreply=False) is True
    assert client.get("last") is None
    print("ok")


main(int(sys.argv[1]), *sys.argv[2:])
