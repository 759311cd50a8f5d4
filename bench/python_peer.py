"""A sandbox of PyPI as a peer, run by a Python that has it: prints one line of JSON.

    python_peer.py NAME COUNT THREADS

NAME is of PEERS below. Runs `1+1` COUNT times and prints milliseconds of each call, one call after
the other, and calls a second with THREADS at once.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

WARM_UP = 5


def monty() -> tuple[Callable[[], Any], Callable[[], None]]:
    """pydantic-monty: a fresh session of its interpreter, which is not CPython, in a worker process
    that is used again.
    """
    import pydantic_monty

    pool = pydantic_monty.Monty()
    pool.__enter__()

    def call() -> Any:
        with pool.checkout() as session:
            return session.feed_run("1+1")

    return call, lambda: pool.__exit__(None, None, None)


def eryx() -> tuple[Callable[[], Any], Callable[[], None]]:
    """pyeryx: CPython in WebAssembly, a fresh sandbox for each call, within this process."""
    import eryx as module

    def call() -> Any:
        return module.Sandbox().execute("print(1+1)").stdout

    return call, lambda: None


def eryx_reused() -> tuple[Callable[[], Any], Callable[[], None]]:
    """pyeryx: one session, whose variables stay."""
    import eryx as module

    session = module.Session()
    return (lambda: session.execute("print(1+1)").stdout), lambda: None


PEERS = {"monty": monty, "eryx": eryx, "eryx-reused": eryx_reused}


def check(answer: Any) -> None:
    """A peer that fails fast is no peer."""
    text = answer.decode() if isinstance(answer, bytes) else str(answer)
    if text.strip() != "2":
        raise SystemExit(f"python_peer: 1+1 is {answer!r}")


def main() -> None:
    """Command line; see the top of this file."""
    name, count, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    call, close = PEERS[name]()
    for _ in range(WARM_UP):
        check(call())
    times = []
    for _ in range(count):
        start = time.perf_counter()
        answer = call()
        times.append((time.perf_counter() - start) * 1000)
        check(answer)

    def work() -> None:
        for _ in range(count // threads):
            check(call())

    together = 0.0
    if threads > 1:
        workers = [threading.Thread(target=work) for _ in range(threads)]
        start = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        together = count // threads * threads / (time.perf_counter() - start)
    close()
    print(json.dumps({"times": times, "calls_per_s": together}))


if __name__ == "__main__":
    main()
