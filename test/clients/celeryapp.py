"""A Celery application, and what it is asked to do: `celery -A celeryapp worker` works,
`python3 celeryapp.py` asks, and prints "ok" at the end.

All its keys begin with one hash tag, as Celery's own documentation has it for several
servers (global_keyprefix). PORT is the proxy's.
"""

import os

from celery import Celery, chain, chord, group

url = f"redis://127.0.0.1:{os.environ['PORT']}/0"
together = {"global_keyprefix": "{celery}:"}
app = Celery("celeryapp", broker=url, backend=url)
app.conf.update(
    broker_transport_options=together,
    result_backend_transport_options=together,
    worker_hijack_root_logger=False,
)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=2)
def stubborn(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


def main():
    wait = {"timeout": 60}
    assert add.delay(2, 3).get(**wait) == 5
    assert [r.get(**wait) for r in [add.apply_async((i, 1), priority=i % 4) for i in range(20)]] == list(range(1, 21))
    assert group(add.s(i, i) for i in range(10))().get(**wait) == [2 * i for i in range(10)]
    assert chain(add.s(1, 2), add.s(4), add.s(5))().get(**wait) == 12
    assert chord((add.s(i, i) for i in range(10)), total.s())().get(**wait) == 90
    assert add.apply_async((1, 1), countdown=0.5).get(**wait) == 2
    assert stubborn.delay().get(**wait) == 2
    assert app.control.ping(timeout=10)
    print("ok")


if __name__ == "__main__":
    main()
