"""Uses what redis-py has for sessions through the proxy at 127.0.0.1:<port>: its default
pipelines, which are transactions, over keys of all servers; locks; transaction(), which
watches; queues. Prints "ok" at the end.
"""

import sys
import threading

import redis


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

    # A queue.
    pusher = threading.Thread(target=lambda: [client.rpush("queue", i) for i in range(100)])
    pusher.start()
    assert [client.blpop("queue", timeout=20)[1] for _ in range(100)] == [str(i) for i in range(100)]
    pusher.join()
    print("ok")


main(int(sys.argv[1]))
