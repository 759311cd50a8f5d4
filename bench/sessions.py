#!/usr/bin/env python3
"""Measure what can be done with a session's state, and print ratios.

    sessions.py BUILD_DIR [--quick] [--json FILE]

The state: NumPy and pandas imported, and 100 MB of random numbers in an array and a frame. The peer
is a native interpreter with the same state, which is not isolated:

- fork_session, and rollback with one program: `os.fork()` of the process, and a first byte from it
- save_session and restore_session: `pickle` of the data alone to a file, fsync included, and back
  in a new process with the packages imported

Absolute times are this machine's; only the ratios carry over.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

from packages import environment_of, make_peer, timed  # noqa: E402
from run import Bench  # noqa: E402

STATE = """
import numpy as np
import pandas as pd
rng = np.random.default_rng(1)
array = rng.random(6_250_000)
frame = pd.DataFrame({"k": rng.integers(0, 100, 3_125_000), "v": rng.random(3_125_000)})
"""
NATIVE_FORK = (
    STATE
    + """
import os, statistics, time
def fork():
    start = time.perf_counter()
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, b"1")
        os._exit(0)
    os.read(reader, 1)
    spent = time.perf_counter() - start
    os.close(reader), os.close(writer), os.wait()
    return spent
print(1000 * statistics.median([fork() for _ in range(50)]))
"""
)
NATIVE_SAVE = (
    STATE
    + """
import os, pickle, sys, time
start = time.perf_counter()
with open(sys.argv[1], "wb") as file:
    pickle.dump((array, frame), file, protocol=5)
    file.flush()
    os.fsync(file.fileno())
print(time.perf_counter() - start)
"""
)
NATIVE_RESTORE = """
import pickle, sys
import numpy, pandas
with open(sys.argv[1], "rb") as file:
    array, frame = pickle.load(file)
print(len(array), len(frame))
"""


def output_of(command: list[object]) -> str:
    """What a program prints; its errors are shown."""
    return subprocess.run(
        [str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def measure_forks(bench: Bench, peer: Path, place: Path) -> None:
    """A second session from one point, and back to it."""
    count = 10 if bench.quick else 50
    cell = [bench.build / "bench" / "bench-fork", bench.build / "vitrine-cell"]
    found = json.loads(output_of([*cell, bench.build / "guest", count, STATE, place]))
    native = float(output_of([peer, "-I", "-c", NATIVE_FORK]))
    print(f"NumPy, pandas and 100 MB of data, {count} times each:")
    for key, label in (("ready", "fork_session"), ("back", "rollback, and a program")):
        middle = found[f"{key}_p50_ms"]
        text = f"{label}: p50 {middle:.1f} ms, p99 {found[f'{key}_p99_ms']:.1f} ms"
        text += f"; {middle / native:.1f} times a native fork ({native:.1f} ms)"
        bench.note(f"{key} p50_ms", middle, text)


def measure_files(bench: Bench, peer: Path, place: Path, folder: Path) -> None:
    """To a file, and back."""
    saved, pickled = folder / "state", folder / "pickle"
    command = [bench.build / "bench" / "bench-session", bench.build / "vitrine-cell"]
    command += [bench.build / "guest", f"in={place}", f"run={STATE}", f"save={saved}"]
    command += ["new", f"in={place}", f"restore={saved}", "run=print(len(array), len(frame))"]
    times = json.loads(output_of(command))
    steps = dict(zip(command[3:], times, strict=True))
    native_save = float(output_of([peer, "-I", "-c", NATIVE_SAVE, pickled]))
    native_restore = timed([peer, "-I", "-c", NATIVE_RESTORE, pickled])
    size = saved.stat().st_size / 1e6
    for key, native in (("save", native_save), ("restore", native_restore)):
        seconds = next(ms for step, ms in steps.items() if str(step).startswith(f"{key}=")) / 1000
        text = f"{key}: {seconds:.2f} s"
        text += f" ({size:.0f} MB)" if key == "save" else ", in a new cell"
        text += f"; {seconds / native:.1f} times a native pickle ({native:.2f} s)"
        bench.note(f"{key}_s", seconds, text)


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Measure what can be done with a session.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    bench = Bench(options.build.absolute(), options.quick)
    peer = make_peer(bench.native)
    with tempfile.TemporaryDirectory(prefix="vitrine-bench.") as scratch:
        folder = Path(scratch)
        place = environment_of(bench, folder, "pandas")
        measure_forks(bench, peer, place)
        measure_files(bench, peer, place, folder)
    if options.json:
        options.json.write_text(json.dumps(bench.found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
