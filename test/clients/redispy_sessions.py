"""Uses what redis-py has for sessions through the proxy at 127.0.0.1:<port>: its default
pipelines, which are transactions, over keys of all servers; locks; transaction(), which
watches; queues; channels. Prints "ok" at the end.
"""

import sys
import threading
import time

import redis


def locks_everywhere(client, keys):
    """Locks on every server; each is held by one at a time, and ends by itself."""
    held = [client.lock(f"lock:{key}", timeout=20) for key in keys]
    assert all(lock.acquire(blocking=False) for lock in held)
    assert not any(client.lock(f"lock:{key}", timeout=20).acquire(blocking=False) for key in keys)
    assert all(lock.reacquire() and lock.extend(20) for lock in held)
    for lock in held:
        lock.release()
    assert not any(client.lock(f"lock:{key}").locked() for key in keys)
    brief = client.lock("brief", timeout=0.05)
    assert brief.acquire()
    assert client.lock("brief", timeout=20, blocking_timeout=20).acquire()
    try:
        brief.release()
    except redis.exceptions.LockNotOwnedError:
        pass
    else:
        raise AssertionError("who lost the lock could give it up")


def listens_everywhere(client, keys):
    """Channels of every server, and patterns; each message comes once, and in order."""
    channels = [f"news.{key}" for key in keys]
    listener = client.pubsub(ignore_subscribe_messages=False)
    listener.subscribe(*channels)
    listener.psubscribe("news.*")
    for _ in range(len(channels) + 1):
        assert listener.get_message(timeout=20)["type"] in ("subscribe", "psubscribe")
    for i in range(3):
        for name in channels:
            assert client.publish(name, i) == 2
    heard = {}
    for _ in range(3 * 2 * len(channels)):
        message = listener.get_message(timeout=20)
        heard.setdefault((message["type"], message["channel"]), []).append(message["data"])
    for name in channels:
        assert heard["message", name] == heard["pmessage", name] == ["0", "1", "2"], name
    assert sorted(client.pubsub_channels("news.*")) == sorted(channels)
    listener.unsubscribe()
    listener.punsubscribe()
    for _ in range(len(channels) + 1):
        assert listener.get_message(timeout=20)["type"] in ("unsubscribe", "punsubscribe")
    assert client.publish(channels[0], "nobody") == 0
    listener.close()

    # A thread of redis-py's own calls what it is told to.
    got = []
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(**{channels[0]: lambda message: got.append(message["data"])})
    thread = listener.run_in_thread(sleep_time=0.01)
    end = time.time() + 60
    while not got:
        assert time.time() < end
        client.publish(channels[0], "to the thread")
        time.sleep(0.01)
    thread.stop()
    thread.join()


def main(port):
    client = redis.Redis(host="127.0.0.1", port=port, decode_responses=True)
    keys = [f"{i * 2654435761 % 2**32:08x}" for i in range(1, 101)]

    # The default pipeline is a transaction.
    pipe = client.pipeline()
    for i, key in enumerate(keys):
        pipe.set(key, i).incr(key).get(key)
    assert pipe.execute() == [part for i in range(100) for part in (True, i + 1, str(i + 1))]

    # An error in it is that of its command, and the others are carried out.
    pipe.set(keys[0], "text").incr(keys[0]).set(keys[1], "1")
    answers = pipe.execute(raise_on_error=False)
    assert answers[0] is True and isinstance(answers[1], redis.ResponseError) and answers[2] is True, answers

    # Many threads, one counter.
    client.set("{count}er", 0)

    def add(pipe):
        n = int(pipe.get("{count}er"))
        pipe.multi()
        pipe.set("{count}er", n + 1)

    threads = [threading.Thread(target=lambda: [client.transaction(add, "{count}er") for _ in range(20)]) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert client.get("{count}er") == "160"

    # A lock, and one who waits for it.
    lock = client.lock("lock", timeout=20)
    assert lock.acquire()
    waiter = threading.Thread(target=lambda: (client.lock("lock", timeout=20).acquire(), client.rpush("got", "it")))
    waiter.start()
    assert lock.extend(5) and lock.owned()
    lock.release()
    assert client.blpop("got", timeout=20) == ("got", "it")
    waiter.join()
    locks_everywhere(client, keys)
    listens_everywhere(client, keys)

    # A queue.
    pusher = threading.Thread(target=lambda: [client.rpush("queue", i) for i in range(100)])
    pusher.start()
    assert [client.blpop("queue", timeout=20)[1] for _ in range(100)] == [str(i) for i in range(100)]
    pusher.join()
    print("ok")


main(int(sys.argv[1]))
