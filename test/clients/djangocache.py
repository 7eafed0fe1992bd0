"""Uses django-redis as a cache through the proxy at 127.0.0.1:<port>; prints "ok" at the end.

set_many is a transaction over keys of all servers: the pool has transactions: per_server.
"""

import sys

from django.conf import settings

settings.configure(CACHES={
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{sys.argv[1]}/0",
        "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
    },
})

from django.core.cache import cache  # noqa: E402 (the settings come first)

many = {f"key:{i}": i for i in range(100)}
cache.set_many(many, timeout=100)
assert cache.get_many(many) == many
assert cache.get("key:7") == 7
assert cache.incr("key:7", 3) == 10
assert cache.ttl("key:8") > 0
assert cache.add("key:8", 1) is False
assert cache.touch("key:8", 1000) is True
cache.delete_many(list(many)[:50])
assert cache.get("key:8") is None
assert len(list(cache.iter_keys("key:*"))) == 50
assert len(cache.keys("key:*")) == 50
with cache.lock("lock", timeout=10):
    assert cache.lock("lock", timeout=10).acquire(blocking=False) is False
assert cache.delete_pattern("key:*") == 50
assert cache.get_or_set("made", lambda: "value", 10) == "value"
print("ok")
