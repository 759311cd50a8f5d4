#!/usr/bin/env python3
"""Measure a call of Vitrine beside other ways to run somebody's Python, and print ratios.

    peers.py BUILD_DIR [--quick] [--json FILE]

All run `1+1` and give its value, one call after the other, in rounds that take turns:
- Vitrine, a fresh process for each call: at the pool's interface, and for a client over stdio
- `python3 -I -c`, a process for each call, with nothing between it and the machine
- Pyodide under Node: one interpreter reused, without isolation; and a process for each call
- pydantic-monty of PyPI: an interpreter of its own for a part of Python, in worker processes
- pyeryx of PyPI: CPython in WebAssembly within the caller's process, a fresh sandbox for each call;
  and one session reused

Then calls a second on all cores; how soon Vitrine answers again after its zygote was killed; and
what memory a cell that waits has for itself. A peer's machine-code engine, language, and isolation
differ: the lines say which. The peers of PyPI are installed from bench/peers-requirements.txt into
the cache, once, for the newest Python from 3.12 to 3.14 that is found (VITRINE_BENCH_PYTHON names
another).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

from run import (  # noqa: E402
    CODE,
    PAUSE_MS,
    Bench,
    bench_cell,
    children,
    peer,
    private_kib,
    time_commands,
    zygotes_of,
)

import cache  # noqa: E402

PYTHONS = (14, 13, 12)  # minor versions that the peers have wheels for
CORES = len(os.sched_getaffinity(0))
ANSWER_SECONDS_MAX = 30.0


def find_python() -> str | None:
    """A Python that the peers of PyPI can be installed for."""
    pyenv = Path.home() / ".pyenv" / "versions"
    candidates = [os.environ.get("VITRINE_BENCH_PYTHON", "")]
    for minor in PYTHONS:
        candidates.append(shutil.which(f"python3.{minor}") or "")
        candidates += [str(p) for p in sorted(pyenv.glob(f"3.{minor}.*/bin/python3"))]
    show = "import sys; print(sys.version_info[1])"
    for python in filter(None, candidates):
        done = subprocess.run([python, "-I", "-c", show], capture_output=True, text=True)
        if done.returncode == 0 and int(done.stdout) in PYTHONS:
            return python
    return None


def make_peers(python: str) -> Path:
    """An interpreter that has them."""
    wanted = HERE / "peers-requirements.txt"
    key = cache.sha256_of_all({"python": python, "wanted": cache.sha256_of(wanted)})
    place = cache.root() / "bench" / key[:12]
    if not (place / ".complete").exists():
        shutil.rmtree(place, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(place)], check=True)
        pip = [place / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        options = ["--require-hashes", "--only-binary=:all:", "-r", wanted]
        subprocess.run([*pip, *options], check=True)
        (place / ".complete").touch()
    return place / "bin" / "python"


# ---- A client over stdio -----------------------------------------------------------------------


class Client:
    """The least of an MCP client: one call at a time."""

    def __init__(self, vitrine: Path, *options: str) -> None:
        self.numbers = itertools.count(1)
        self.process = subprocess.Popen(
            [vitrine, "stdio", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        information = {"name": "bench", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": information}
        self.request("initialize", params)
        self.call()

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Its answer; the server sends nothing else here."""
        message = {"jsonrpc": "2.0", "id": next(self.numbers), "method": method, "params": params}
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer["id"] == message["id"], answer
        return answer["result"]

    def call(self) -> str:
        """The status of a run of CODE."""
        params = {"name": "run_python_code", "arguments": {"python_code": CODE}}
        return self.request("tools/call", params)["structuredContent"]["status"]

    def times(self, count: int, pause_ms: int) -> list[float]:
        """Milliseconds of so many calls, with pauses in which cells are made ready."""
        found = []
        for _ in range(count):
            time.sleep(pause_ms / 1000)
            start = time.perf_counter()
            status = self.call()
            found.append((time.perf_counter() - start) * 1000)
            if status != "success":
                raise SystemExit(f"bench: a call ended as {status}")
        return found

    def close(self) -> None:
        """End the server."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


# ---- One call after the other ------------------------------------------------------------------

LABELS = {
    "vitrine": "Vitrine, at the pool (a fresh process, jailed)",
    "vitrine-stdio": "Vitrine, an MCP client over stdio (the same)",
    "native": "python3 -I -c (a fresh process, not jailed)",
    "pyodide": "Pyodide under Node, reused (not isolated)",
    "pyodide-fresh": "Pyodide under Node, a fresh process",
    "monty": "pydantic-monty, a fresh session (not CPython)",
    "eryx": "pyeryx, a fresh sandbox (in the caller's process)",
    "eryx-reused": "pyeryx, one session reused (not isolated)",
}


def python_peer(python: Path, name: str, count: int, threads: int) -> dict[str, Any]:
    """One of the peers of PyPI."""
    command = [python, str(HERE / "python_peer.py"), name, str(count), str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def pool_times(bench: Bench, count: int) -> list[float]:
    """The pool's own client says percentiles; they stand for its calls."""
    found = bench_cell(bench, count, 2, 1, PAUSE_MS)
    return [found["p50_ms"]] * 98 + [found["p99_ms"]] * 2


def measure_latency(bench: Bench, python: Path | None) -> None:
    """Rounds that take turns, so that a slow minute hits all of them."""
    found: dict[str, list[list[float]]] = {}
    client = Client(bench.vitrine)
    count = 40 if bench.quick else 100

    def take(name: str, times: list[float]) -> None:
        found.setdefault(name, []).append(times)

    for _ in range(2 if bench.quick else 5):
        take("vitrine", pool_times(bench, count))
        take("vitrine-stdio", client.times(count, PAUSE_MS))
        take("native", time_commands([bench.native, "-I", "-c", CODE], count // 4))
        if bench.node:
            take("pyodide", json.loads(peer(bench, "calls", str(count), CODE)[-1]))
            command = [bench.node, str(HERE / "pyodide_peer.mjs"), "cold", CODE]
            take("pyodide-fresh", time_commands(command, 2))
        if python is not None:
            for name, share in (("monty", 1), ("eryx", 4), ("eryx-reused", 1)):
                take(name, python_peer(python, name, count // share, 1)["times"])
    client.close()
    print(f"{CODE!r}, one call after the other; median over rounds; ratio to Vitrine at the pool:")
    ours = statistics.median(percentile(times, 50) for times in found["vitrine"])
    for name, rounds in found.items():
        p50 = statistics.median(percentile(times, 50) for times in rounds)
        p99 = statistics.median(percentile(times, 99) for times in rounds)
        bench.found[f"{name}_p50_ms"], bench.found[f"{name}_p99_ms"] = p50, p99
        text = f"p50 {p50:8.2f} ms, p99 {p99:8.2f} ms, {p50 / ours:7.2f} times"
        bench.note(f"{name}_ratio", p50 / ours, f"{LABELS[name]:52}{text}")


def percentile(times: list[float], percent: int) -> float:
    """The nearest rank."""
    return sorted(times)[(len(times) - 1) * percent // 100]


# ---- All cores ---------------------------------------------------------------------------------


def native_rate(bench: Bench, count: int) -> float:
    """Processes a second, as many at a time as there are cores."""
    command = [bench.native, "-I", "-c", CODE]
    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        for done in [pool.submit(subprocess.run, command, check=True) for _ in range(count)]:
            done.result()
    return count / (time.perf_counter() - start)


def measure_rate(bench: Bench, python: Path | None) -> None:
    """Calls a second."""
    count = 100 if bench.quick else 400
    rates: dict[str, list[float]] = {}
    for _ in range(2 if bench.quick else 3):
        rates.setdefault("vitrine", []).append(
            bench_cell(bench, 4 * count, 4, 2 * CORES)["calls_per_s"]
        )
        rates.setdefault("native", []).append(native_rate(bench, count // 4))
        if python is not None:
            for name, share in (("monty", 1), ("eryx", 4)):
                found = python_peer(python, name, count // share, max(CORES, 2))
                rates.setdefault(name, []).append(found["calls_per_s"])
    print(f"calls a second on {CORES} cores; ratio to Vitrine:")
    ours = statistics.median(rates["vitrine"])
    for name, values in rates.items():
        rate = statistics.median(values)
        text = f"{LABELS[name]:52}{rate:8.0f}/s, {rate / ours:7.2f} times"
        bench.note(f"{name}_calls_per_s", rate, text)


# ---- Recovery, memory --------------------------------------------------------------------------


def measure_recovery(bench: Bench) -> None:
    """From SIGKILL for the zygote to the next result. A server of its own each time: one whose
    zygotes die again and again waits longer and longer.
    """
    times = []
    for _ in range(3 if bench.quick else 7):
        client = Client(bench.vitrine)
        for zygote in zygotes_of(client.process.pid):
            os.kill(zygote, signal.SIGKILL)
        start = time.perf_counter()
        while client.call() != "success":
            if time.perf_counter() - start > ANSWER_SECONDS_MAX:
                raise SystemExit("bench: no answer after the zygote was killed")
        times.append((time.perf_counter() - start) * 1000)
        client.close()
    p50 = statistics.median(times)
    text = f"after its zygote was killed: a result after {p50:.0f} ms (worst {max(times):.0f})"
    bench.note("recovery_ms", p50, text)


def measure_memory(bench: Bench) -> None:
    """Private memory of cells that wait."""
    client = Client(bench.vitrine, "--spare-cells", "8")
    time.sleep(2)
    cells = [cell for zygote in zygotes_of(client.process.pid) for cell in children(zygote)]
    if not cells:
        raise SystemExit("bench: the server has no spare cells")
    kib = statistics.median(private_kib(cell) for cell in cells)
    client.close()
    bench.note("cell_private_kib", kib, f"a waiting cell of {len(cells)}: {kib:.0f} KiB private")


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Measure a call beside the peers.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    bench = Bench(options.build.absolute(), options.quick)
    found = find_python()
    python = make_peers(found) if found else None
    if python is None:
        print("no Python 3.12 to 3.14 (VITRINE_BENCH_PYTHON): no pydantic-monty, no pyeryx")
    measure_latency(bench, python)
    measure_rate(bench, python)
    measure_recovery(bench)
    measure_memory(bench)
    if options.json:
        options.json.write_text(json.dumps(bench.found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
