#!/usr/bin/env python3
"""Soak: thousands of calls of four clients at once, a tenth of them hostile, and cells that are
killed meanwhile.

    soak.py BUILD_DIR [--calls COUNT] [--json FILE]

Twice: through one pool that four clients share (bench/soak.c), and, a quarter as many calls,
through four `vitrine stdio`. Hostile programs abort, trap the engine, hang, hang and catch the
interrupt, or flood the output; besides, somebody kills cells with SIGKILL. Each call computes what
no other does, and each answer must be its own call's. At the end memory and descriptors must be
where they were after the first tenth. Prints the figures; the status is 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from driver import Json, Program, RawServer, children_of
from target import descriptors, generations

CLIENTS = 4
IN_FLIGHT = 4  # calls of one client
CALLS = 20_000
KILL_SECONDS = 0.25
REST_SECONDS = 1.5
ANSWER_SECONDS_MAX = 60.0
# What may be more after all the calls than after the first tenth.
RSS_KIB_MORE = 8 * 1024
PSS_KIB_MORE = 16 * 1024
DESCRIPTORS_MORE = 6  # spare cells come and go
PROCESSES_MORE = 6
LATE_SHARE_MAX = 0.05

# By the last digits of a call's number; what a call should end as.
HOSTILE = (
    ("print({n})\nimport os\nos.abort()", "crash"),
    ("print({n})\nimport json\njson.loads('[' * 300000)", "crash"),
    ("print({n})\nwhile True: pass", "limit"),
    ("print({n})\nwhile True:\n try:\n  while True: pass\n except BaseException: pass", "limit"),
    ("print({n})\nwhile True: print('x' * 1000)", "limit"),
)
SERVER = ("--timeout", "3s", "--output-limit", "64K", "--spare-memory", "0")


@dataclass
class Level:
    """What a server and everything below it hold while nothing runs."""

    rss_kib: int  # of the server
    pss_kib: int  # of its zygotes, the larger one
    descriptors: int  # of the server
    processes: int

    def problems(self, before: Level) -> list[str]:
        """What has grown since."""
        more = {
            "rss_kib": RSS_KIB_MORE,
            "pss_kib": PSS_KIB_MORE,
            "descriptors": DESCRIPTORS_MORE,
            "processes": PROCESSES_MORE,
        }
        return [
            f"{name} rose from {getattr(before, name)} to {getattr(self, name)}"
            for name, most in more.items()
            if getattr(self, name) > getattr(before, name) + most
        ]


def level(server: int) -> Level:
    """Look at a server at rest."""
    zygotes = [memory_kib(pid, "smaps_rollup", "Pss") for pid in generations(server)["zygote"]]
    return Level(
        memory_kib(server, "status", "VmRSS"),
        max(zygotes, default=0),
        len(descriptors(server)),
        len(children_of(server)),
    )


def memory_kib(pid: int, file: str, name: str) -> int:
    """One line of /proc/PID/FILE."""
    text = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8")
    return int(text.partition(f"{name}:")[2].split()[0])


class Killer:
    """Ends a random cell of a server now and then."""

    def __init__(self, server: int, seed: int) -> None:
        self.server = server
        self.kills = 0
        self.random = random.Random(seed)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def stop(self) -> int:
        """How many it has killed."""
        self.stopped.set()
        self.thread.join()
        return self.kills

    def _work(self) -> None:
        while not self.stopped.wait(KILL_SECONDS):
            found = generations(self.server)
            if found["cell"] and found["zygote"]:
                self._kill(self.random.choice(found["cell"]), found["zygote"])

    def _kill(self, pid: int, zygotes: list[int]) -> None:
        """By a descriptor, so that a number that was reused meanwhile hits nobody else."""
        try:
            held = os.pidfd_open(pid)
        except OSError:
            return
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2]
            if int(fields.split()[1]) in zygotes:
                signal.pidfd_send_signal(held, signal.SIGKILL)
                self.kills += 1
        except OSError:
            pass
        finally:
            os.close(held)


@dataclass
class Found:
    """What a part of the soak came to."""

    figures: Json
    problems: list[str]


# ---- One pool ----------------------------------------------------------------------------------


def soak_pool(build: Path, calls: int) -> Found:
    """Four clients of one pool."""
    command = [build / "bench" / "bench-soak", build / "vitrine-cell", build / "guest"]
    driver = subprocess.Popen(
        [*command, str(calls), str(CLIENTS * IN_FLIGHT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdin is not None and driver.stdout is not None
    levels: list[Level] = []
    kills = 0
    last = ""
    for _ in range(2):
        killer = Killer(driver.pid, calls)
        last = driver.stdout.readline()
        kills += killer.stop()
        if last != "rest\n":
            break
        levels.append(level(driver.pid))
        driver.stdin.write("\n")
        driver.stdin.flush()
    below = children_of(driver.pid)
    last = driver.stdout.readline()
    status = driver.wait(60)
    if not last.startswith("{"):
        return Found({}, [f"bench-soak ended with status {status}"])
    figures = json.loads(last)
    problems = levels[1].problems(levels[0])
    if figures["wrong"]:
        problems.append(f"{figures['wrong']} wrong answers")
    if figures["calls"] != calls or status != 0:
        problems.append(f"{figures['calls']} of {calls} calls, status {status}")
    if figures["killed"] > kills:
        problems.append(f"{figures['killed']} runs were killed, by {kills} kills of ours")
    if left := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
        problems.append(f"processes are left: {left}")
    figures |= {"kills": kills, "early": asdict(levels[0]), "late": asdict(levels[1])}
    return Found(figures, problems)


# ---- Four servers ------------------------------------------------------------------------------


class Client:
    """One server and its client; several calls are always under way."""

    def __init__(self, program: Program, which: int) -> None:
        self.which = which
        self.server = RawServer(program, *SERVER)
        self.server.initialize()
        self.wrong: list[str] = []
        self.ends: Counter[str] = Counter()
        self.waiting: dict[int, int] = {}  # id to the call's number

    def code(self, n: int) -> tuple[str, str]:
        """A call's program, and the status it should end with."""
        if n % 10 != 9:
            return f"[{n}, {self.which}, {n} * {n} % 1000003]", "success"
        code, status = HOSTILE[n // 10 % len(HOSTILE)]
        return code.format(n=n), status

    def check(self, n: int, result: Json) -> None:
        """Whether the answer is the call's own."""
        _, status = self.code(n)
        message = (result["error"] or {}).get("message", "")
        if result["status"] == "crash" and "SIGKILL" in message:
            self.ends["killed"] += 1
            own = result["stdout"] in ("", f"{n}\n") or n % 10 == 9
        elif status != "limit" and "time limit" in message:
            self.ends["late"] += 1  # the machine is busy; it is nobody else's answer
            own = result["stdout"] in ("", f"{n}\n")
        else:
            self.ends[result["status"]] += 1
            own = result["status"] == status and (
                result["return_value"] == [n, self.which, n * n % 1000003]
                if status == "success"
                else f"{result['stdout']}\n".startswith((f"{n}\n", "\n"))
            )
        if not own:
            self.wrong.append(f"client {self.which}, call {n}: {str(result)[:300]}")

    def work(self, first: int, last: int) -> None:
        """Calls from `first` on, up to `last`."""
        following = first
        while following < last or self.waiting:
            while following < last and len(self.waiting) < IN_FLIGHT:
                message = self.server.call_message(self.code(following)[0])
                self.waiting[message["id"]] = following
                self.server.send(message)
                following += 1
            answer = self.server.receive(ANSWER_SECONDS_MAX)
            n = self.waiting.pop(answer["id"])
            self.check(n, answer["result"]["structuredContent"])


def work_all(clients: list[Client], first: int, last: int) -> None:
    """All clients at once."""
    threads = [threading.Thread(target=client.work, args=(first, last)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def soak_servers(build: Path, calls: int) -> Found:
    """Four servers."""
    each = max(calls // CLIENTS, 20)
    clients = [Client(Program(build / "vitrine"), which) for which in range(CLIENTS)]
    problems: list[str] = []
    kills = 0
    seconds = 0.0
    levels: list[list[Level]] = []
    for first, last in ((0, each // 10), (each // 10, each)):
        killers = [Killer(client.server.process.pid, last) for client in clients]
        start = time.monotonic()
        work_all(clients, first, last)
        seconds += time.monotonic() - start
        kills += sum(killer.stop() for killer in killers)
        for client in clients:
            client.server.call(
                "0"
            )  # whose spare cells were killed while it was idle, makes new ones
        time.sleep(REST_SECONDS)
        levels.append([level(client.server.process.pid) for client in clients])
    ends: Counter[str] = Counter()
    for client, early, late in zip(clients, *levels, strict=True):
        problems += client.wrong + late.problems(early)
        ends += client.ends
        if client.waiting:
            problems.append(f"client {client.which} waits for {len(client.waiting)} answers")
        below = children_of(client.server.process.pid)
        client.server.close_input()
        if client.server.process.wait(20) != 0:
            problems.append("a server ended badly")
        problems += [f"process {p} is left" for p in below if Path(f"/proc/{p}").exists()]
    if ends["killed"] > kills:
        problems.append(f"{ends['killed']} runs were killed, by {kills} kills of ours")
    if ends["late"] > sum(ends.values()) * LATE_SHARE_MAX:
        problems.append(f"{ends['late']} calls had no time")
    figures = {"calls": sum(ends.values()), **ends, "kills": kills}
    figures |= {"wrong": sum(len(client.wrong) for client in clients)}
    figures |= {"calls_per_s": round(sum(ends.values()) / seconds)}
    figures |= {"early": asdict(levels[0][0]), "late": asdict(levels[1][0])}
    return Found(figures, problems)


# ---- Both --------------------------------------------------------------------------------------


def show(title: str, found: Found) -> None:
    """The figures of a part."""
    print(f"{title}:")
    for name, value in found.figures.items():
        print(f"  {name}: {value}")
    for problem in found.problems:
        print(f"  PROBLEM: {problem}")


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Thousands of calls, a tenth of them hostile.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--calls", type=int, default=CALLS, help=f"through the pool ({CALLS})")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    build = options.build.resolve()
    pool = soak_pool(build, options.calls)
    show("four clients of one pool", pool)
    servers = soak_servers(build, options.calls // 4)
    show("four servers", servers)
    if options.json:
        figures = {"pool": pool.figures, "servers": servers.figures}
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 1 if pool.problems or servers.problems else 0


if __name__ == "__main__":
    sys.exit(main())
