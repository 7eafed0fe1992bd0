"""Jobs of RQ, and what is asked of them: `rq worker` works them off, `python3 rqjobs.py PORT`
asks, and prints "ok" at the end.

RQ's keys have fixed names that begin with "rq:". In a pool with hash_tag: "r:" all of them
have one server.
"""

import sys
import time


def add(x, y):
    return x + y


def fail():
    raise ValueError("as it should")


def main(port):
    import redis
    import rq
    import rqjobs  # as the worker finds it

    connection = redis.Redis(host="127.0.0.1", port=port)
    queue = rq.Queue(connection=connection)
    jobs = [queue.enqueue(rqjobs.add, i, 1) for i in range(10)]
    behind = queue.enqueue(rqjobs.add, 5, 5, depends_on=jobs[-1])
    failing = queue.enqueue(rqjobs.fail)
    for want, job in list(enumerate(jobs, 1)) + [(10, behind)]:
        end = time.time() + 60
        while job.get_status() not in ("finished", "failed") and time.time() < end:
            time.sleep(0.05)
        assert job.get_status() == "finished", job.get_status()
        assert job.result == want, job.result
    end = time.time() + 60
    while failing.get_status() != "failed" and time.time() < end:
        time.sleep(0.05)
    assert failing.get_status() == "failed", failing.get_status()
    assert failing.id in queue.failed_job_registry.get_job_ids()
    print("ok")


if __name__ == "__main__":
    main(int(sys.argv[1]))
