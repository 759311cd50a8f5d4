#!/usr/bin/env python3
"""Measure Vitrine beside its peers in one run, and print ratios.

    run.py BUILD_DIR [--quick] [--json FILE]

What is measured:
- request to result in a fresh cell, at the pool's interface, with spare cells and without;
  peers: `python3 -I -c` (a process for each call) and Pyodide under Node (one interpreter reused,
  so not isolated; and a fresh one for each call)
- the same in bursts, and beside a client that has many runs waiting
- cold start: `vitrine run -c 'print(1)'` from exec to exit, nothing warm but the disk cache
- CPU-bound Python: the ten programs of bench/programs, against native CPython 3.13 or newer and
  against Pyodide under Node; each runs for some tens of milliseconds, times itself many times over,
  and the best counts: on a shared machine only short pieces get through undisturbed
- memory that a waiting spare cell has for itself

Absolute times are this machine's; only the ratios carry over. VITRINE_BENCH_PYTHON names the native
interpreter, when the newest that is found should not be taken.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROGRAMS = sorted((HERE / "programs").glob("*.py"))
CODE = "1+1"
PAUSE_MS = 30  # between calls that are to find a spare cell
SHORT_PAUSE_MS = 8  # just enough for that, so that the processor's caches are warm as well

# Runs a program several times in one process, silently, and prints its name and best time.
WRAPPER = """
import io, sys, time
source = {source!r}
code = compile(source, {name!r}, "exec")
best, real = 1e9, sys.stdout
for _ in range({rounds}):
    sys.stdout = io.StringIO()
    start = time.perf_counter()
    try:
        exec(code, {{"__name__": "__main__"}})
    finally:
        best = min(best, time.perf_counter() - start)
        text, sys.stdout = sys.stdout.getvalue(), real
print("BENCH", {name!r}, best, hash(text) and len(text))
"""


class Bench:
    """What a run needs to know, and what it has found."""

    def __init__(self, build: Path, quick: bool) -> None:
        self.build = build
        self.quick = quick
        self.vitrine = build / "vitrine"
        self.node = os.environ.get("VITRINE_TEST_NODE")
        self.native, self.native_version = find_native()
        self.found: dict[str, object] = {}

    def note(self, key: str, value: float, text: str) -> None:
        """Keep a figure and show it."""
        self.found[key] = value
        print(f"  {text}")


def find_native() -> tuple[str, str]:
    """The native interpreter to compare with: the one that is named, or the newest there is."""
    candidates = [os.environ.get("VITRINE_BENCH_PYTHON", "")]
    candidates += [shutil.which(f"python3.{minor}") or "" for minor in (15, 14, 13)]
    pyenv = Path.home() / ".pyenv" / "versions"
    candidates += [str(p) for p in sorted(pyenv.glob("3.1[3-9]*/bin/python3"), reverse=True)]
    candidates.append(shutil.which("python3") or sys.executable)
    show = "import platform; print(platform.python_version())"
    for python in filter(None, candidates):
        done = subprocess.run([python, "-I", "-c", show], capture_output=True, text=True)
        if done.returncode == 0:
            return python, done.stdout.strip()
    raise SystemExit("bench: no native Python found")


def time_commands(command: list[str], count: int) -> list[float]:
    """Milliseconds from exec to exit, for each of `count` runs after two that do not count."""
    times = []
    for _ in range(count + 2):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1000)
    return times[2:]


def bench_cell(
    bench: Bench, count: int, spare: int, parallel: int, pause_ms: int = 0
) -> dict[str, float]:
    """One run of the pool's own client."""
    command = [bench.build / "bench" / "bench-cell", bench.build / "vitrine-cell"]
    command += [bench.build / "guest", str(count), str(spare), str(parallel), str(pause_ms), CODE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def peer(bench: Bench, *arguments: str) -> list[str]:
    """Pyodide under Node; its lines."""
    command = [bench.node, str(HERE / "pyodide_peer.mjs"), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def measure_calls(bench: Bench) -> None:
    """Request to result, each in a fresh cell."""
    count = 200 if bench.quick else 1000
    print(f"request to result of {CODE!r}, a fresh cell for each of {count} calls:")
    spare = bench_cell(bench, count // 4, 2, 1, PAUSE_MS)
    bench.note(
        "cell_spare_p50_ms",
        spare["p50_ms"],
        f"spare cells, a call each {PAUSE_MS} ms: p50 {spare['p50_ms']:.2f} ms,"
        f" p99 {spare['p99_ms']:.2f} ms",
    )
    soon = bench_cell(bench, count // 4, 2, 1, SHORT_PAUSE_MS)
    bench.note(
        "cell_spare_soon_p50_ms",
        soon["p50_ms"],
        f"spare cells, a call each {SHORT_PAUSE_MS} ms: p50 {soon['p50_ms']:.2f} ms,"
        f" p99 {soon['p99_ms']:.2f} ms",
    )
    forked = bench_cell(bench, count, 0, 1)
    bench.note(
        "cell_forked_p50_ms",
        forked["p50_ms"],
        f"forked on demand: p50 {forked['p50_ms']:.2f} ms, p99 {forked['p99_ms']:.2f} ms",
    )
    busy = bench_cell(bench, 2 * count, 4, 4)
    bench.note(
        "calls_per_s", busy["calls_per_s"], f"four at a time: {busy['calls_per_s']:.0f} calls/s"
    )
    native = statistics.median(time_commands([bench.native, "-I", "-c", CODE], 20))
    bench.note(
        "native_call_ratio",
        native / spare["p50_ms"],
        f"python{bench.native_version} -I -c: p50 {native:.1f} ms,"
        f" {native / spare['p50_ms']:.0f} times a fresh cell",
    )
    if bench.node:
        reused = statistics.median(json.loads(peer(bench, "calls", str(count), CODE)[-1]))
        bench.note(
            "pyodide_reused_ratio",
            reused / spare["p50_ms"],
            f"Pyodide under Node, one interpreter reused (no isolation): p50 {reused:.2f} ms,"
            f" {reused / spare['p50_ms']:.2f} times a fresh cell",
        )


def bench_load(bench: Bench, *arguments: object) -> dict[str, float]:
    """One run of the pool's client with uneven load; see bench/load.c."""
    command = [bench.build / "bench" / "bench-load", bench.build / "vitrine-cell"]
    command += [bench.build / "guest", *map(str, arguments), CODE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def measure_load(bench: Bench) -> None:
    """Bursts, and a client beside another one that has many runs waiting; both in turns."""
    rounds = 2 if bench.quick else 4
    spare: dict[str, list[float]] = {"2": [], "2+64": []}
    waiting: dict[int, list[float]] = {0: [], 900: []}
    for _ in range(rounds):
        for cells, times in spare.items():
            times.append(bench_load(bench, "bursts", cells, 8, 50, 60)["p50_ms"])
        for count, times in waiting.items():
            times.append(bench_load(bench, "fair", 4, count, 50, 40)["p50_ms"])
    floor, more = (statistics.median(times) for times in spare.values())
    alone, beside = (statistics.median(times) for times in waiting.values())
    print("uneven load, p50 of a run:")
    bench.note(
        "burst_ratio",
        floor / more,
        f"eight at once, each 50 ms: {more:.2f} ms; {floor / more:.1f} times that with two spare"
        " cells and no more",
    )
    bench.note(
        "beside_many_ratio",
        beside / alone,
        f"one each 50 ms, four cells: {alone:.2f} ms; {beside / alone:.1f} times that beside a"
        " client that has 900 waiting",
    )


def measure_cold(bench: Bench) -> None:
    """Nothing running before, nothing after; the peers take turns."""
    print("cold start, print(1) from exec to exit:")
    ours: list[float] = []
    native: list[float] = []
    for _ in range(5 if bench.quick else 15):
        ours += time_commands([str(bench.vitrine), "run", "-c", "print(1)"], 2)
        native += time_commands([bench.native, "-I", "-c", "print(1)"], 2)
    vitrine = statistics.median(ours)
    text = f"vitrine run: p50 {vitrine:.1f} ms, best {min(ours):.1f} ms"
    bench.note("cold_ms", vitrine, text)
    ratio = vitrine / statistics.median(native)
    text = f"native: p50 {statistics.median(native):.1f} ms, best {min(native):.1f} ms"
    bench.note("cold_native_ratio", ratio, f"{text}; vitrine takes {ratio:.1f} times that")
    if bench.node:
        command = [bench.node, str(HERE / "pyodide_peer.mjs"), "cold", "print(1)"]
        pyodide = statistics.median(time_commands(command, 3))
        bench.note(
            "cold_pyodide_ratio",
            pyodide / vitrine,
            f"Pyodide under Node: p50 {pyodide:.0f} ms, {pyodide / vitrine:.0f} times vitrine",
        )


def program_times(lines: list[str]) -> dict[str, float]:
    """The BENCH lines of wrapped programs."""
    rows = [line.split() for line in lines if line.startswith("BENCH ")]
    return {row[1]: float(row[2]) for row in rows}


def wrap_programs(folder: Path, rounds: int) -> list[Path]:
    """Each program in its wrapper, as a file."""
    wrapped = []
    for program in PROGRAMS:
        source = program.read_text(encoding="utf-8")
        path = folder / program.name
        path.write_text(
            WRAPPER.format(source=source, name=program.stem, rounds=rounds), encoding="utf-8"
        )
        wrapped.append(path)
    return wrapped


def run_each(command: list[str], files: list[Path]) -> dict[str, float]:
    """The programs' times, a process for each."""
    lines: list[str] = []
    for file in files:
        done = subprocess.run([*command, str(file)], check=True, capture_output=True, text=True)
        lines += done.stdout.splitlines()
    return program_times(lines)


def keep_best(best: dict[str, float], times: dict[str, float]) -> None:
    """Take over what was quicker than before."""
    for name, seconds in times.items():
        best[name] = min(seconds, best.get(name, seconds))


def measure_programs(bench: Bench) -> None:
    """CPU-bound Python; the peers take turns, so that a slow minute hits them all."""
    ours: dict[str, float] = {}
    native: dict[str, float] = {}
    pyodide: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        files = wrap_programs(Path(scratch), 25)
        for _ in range(1 if bench.quick else 3):
            keep_best(ours, run_each([str(bench.vitrine), "run", "--timeout", "300"], files))
            keep_best(native, run_each([bench.native, "-I"], files))
            if bench.node:
                keep_best(pyodide, program_times(peer(bench, "programs", *map(str, files))))
    print(f"CPU-bound Python; vitrine's time as a multiple of the peer's ({bench.native_version}):")
    for name, seconds in sorted(ours.items()):
        other = f", Pyodide under Node {seconds / pyodide[name]:.2f}" if pyodide else ""
        print(f"  {name:10} {seconds * 1000:7.1f} ms   native {seconds / native[name]:.2f}{other}")
    for key, peers, label in (
        ("cpu_native_ratio", native, "native"),
        ("cpu_pyodide_ratio", pyodide, "Pyodide under Node"),
    ):
        if peers:
            ratio = math.exp(statistics.fmean(math.log(ours[n] / peers[n]) for n in ours))
            bench.note(key, ratio, f"geometric mean against {label}: {ratio:.2f}")


def private_kib(pid: int) -> int:
    """Memory that a process shares with nobody, in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    rows = dict(line.split(":", 1) for line in text.splitlines()[1:])
    return sum(int(rows[name].split()[0]) for name in ("Private_Clean", "Private_Dirty"))


def measure_memory(bench: Bench) -> None:
    """Spare cells of a server that waits for its first call."""
    print("memory of a waiting spare cell:")
    server = subprocess.Popen(
        [bench.vitrine, "stdio"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(2)
        zygotes = zygotes_of(server.pid)
        cells = [cell for zygote in zygotes for cell in children(zygote)]
        if not cells:
            raise SystemExit("bench: the server has no spare cells")
        kib = statistics.median(private_kib(cell) for cell in cells)
        bench.note("cell_private_kib", kib, f"{len(cells)} cells, {kib:.0f} KiB private each")
        kib = statistics.median(private_kib(zygote) for zygote in zygotes)
        bench.note("zygote_private_kib", kib, f"the zygote: {kib / 1024:.1f} MiB")
    finally:
        server.stdin.close()
        server.wait(10)


def children(pid: int) -> list[int]:
    """The processes that a process has started, from any of its threads."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def zygotes_of(server: int) -> list[int]:
    """Each is the one child of what the server starts."""
    return [zygote for launcher in children(server) for zygote in children(launcher)]


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Measure Vitrine beside its peers.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    bench = Bench(options.build.absolute(), options.quick)
    if not bench.node:
        print("VITRINE_TEST_NODE is not set (see tools/test_env.py): no Pyodide under Node")
    for measure in (measure_calls, measure_load, measure_cold, measure_memory, measure_programs):
        measure(bench)
    if options.json:
        options.json.write_text(json.dumps(bench.found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
