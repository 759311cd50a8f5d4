#!/usr/bin/env python3
"""Measure programs with packages, and print ratios.

    packages.py BUILD_DIR [--quick] [--json FILE]

What is measured:
- request to result in a fresh cell of a warm environment: `import numpy`, `import pandas`, and a
  small DataFrame operation; peer: a native `python -I -c` that does the same
- first use of NumPy without a built environment (its wheels are in the cache, so that no download
  counts), and with one, after a restart
- NumPy's matmul, sort and exp and a pandas groupby, against native CPython with the same versions
  and one thread
- memory of ten idle environments under a budget

The native peers are installed from bench/requirements.txt into the cache, once. Absolute times are
this machine's; only the ratios carry over.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

from run import Bench, children, private_kib  # noqa: E402

import cache  # noqa: E402

PAUSE_MS = 40
WARM = {
    "import numpy": "import numpy; int(numpy.arange(3).sum())",
    "import pandas": "import pandas; pandas.__version__",
    "DataFrame operation": (
        "import pandas as pd\n"
        "df = pd.DataFrame({'k': list('abab'), 'v': [1, 2, 3, 4]})\n"
        "df.groupby('k')['v'].sum().to_dict()"
    ),
}
# Each prints the best of many times of one operation.
OPERATIONS = """
import time
import numpy as np
import pandas as pd

def best(label, call, rounds):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    print("BENCH", label, min(times))

rng = np.random.default_rng(1)
square = rng.random((200, 200))
line = rng.random(200_000)
frame = pd.DataFrame({"k": rng.integers(0, 100, 100_000), "v": rng.random(100_000)})
best("matmul", lambda: square @ square, 20)
best("sort", lambda: np.sort(line), 20)
best("exp", lambda: np.exp(line), 20)
best("add", lambda: line + line, 50)
best("groupby", lambda: frame.groupby("k")["v"].mean(), 20)
"""
ENVIRONMENTS = ("six", "idna", "attrs", "click", "packaging", "certifi", "pytz", "mpmath", "tqdm",
                "jinja2")  # fmt: skip


def make_peer(python: str) -> Path:
    """A native interpreter with the packages to compare with."""
    wanted = HERE / "requirements.txt"
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


def timed(command: list[str | Path], **variables: str) -> float:
    """Seconds from exec to exit."""
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **variables}, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"bench: {command[1:4]} failed: {done.stderr[-500:]}")
    return time.perf_counter() - start


def environment_of(bench: Bench, folder: Path, requirements: str) -> Path:
    """Build an environment in a cache of its own; its folder."""
    before = {path for path in (folder / "environments").glob("*") if path.is_dir()}
    command = [bench.vitrine, "run", "--deps", requirements, "-c", "0"]
    timed(command, VITRINE_CACHE=str(folder))
    made = {path for path in (folder / "environments").glob("*") if path.is_dir()} - before
    return made.pop()


def measure_warm(bench: Bench, peer: Path, folder: Path) -> None:
    """A fresh cell of an environment whose zygote has imported its packages."""
    count = 50 if bench.quick else 200
    place = environment_of(bench, folder, "pandas")
    print(f"request to result in a fresh cell of a warm environment, {count} calls each:")
    for label, code in WARM.items():
        native = min(timed([peer, "-I", "-c", code]) for _ in range(5)) * 1000
        for spare, how in ((2, "spare cell"), (0, "forked on demand")):
            command = [bench.build / "bench" / "bench-cell", bench.build / "vitrine-cell"]
            pause = str(PAUSE_MS if spare else 0)
            command += [bench.build / "guest", str(count), str(spare), "1", pause, code, place]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found = json.loads(done.stdout)
            text = f"{label}, {how}: p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms"
            bench.note(f"warm {label} {how} p50_ms", found["p50_ms"], text)
        print(
            f"    native, a process for each: {native:.0f} ms, {native / found['p50_ms']:.0f} times"
        )


def measure_start(bench: Bench, peer: Path, folder: Path) -> None:
    """From an empty cache but for the wheels, and from a full one."""
    code = "import numpy; print(numpy.arange(3).sum())"
    command = [bench.vitrine, "run", "-c", code]
    timed(command, VITRINE_CACHE=str(folder))
    print("import numpy, from exec to exit:")
    first = []
    for _ in range(1 if bench.quick else 3):
        for part in ("built", "environments"):
            shutil.rmtree(folder / part)
        first.append(timed(command, VITRINE_CACHE=str(folder)))
    bench.note("first_s", min(first), f"nothing built, wheels there: {min(first):.1f} s")
    measure_restart(bench, peer, folder, "numpy", code)
    code = "import numpy, pandas; print(pandas.DataFrame({'a': [1]}).sum())"
    timed([bench.vitrine, "run", "-c", code], VITRINE_CACHE=str(folder))
    measure_restart(bench, peer, folder, "numpy and pandas", code)


def measure_restart(bench: Bench, peer: Path, folder: Path, label: str, code: str) -> None:
    """With an environment that is built, and nothing running; the peers take turns."""
    ours: list[float] = []
    native: list[float] = []
    for _ in range(10):
        ours.append(timed([bench.vitrine, "run", "-c", code], VITRINE_CACHE=str(folder)) * 1000)
        native.append(timed([peer, "-I", "-c", code]) * 1000)
    middle, peers = statistics.median(ours), statistics.median(native)
    text = f"{label}, environment built, nothing running: p50 {middle:.0f} ms, best {min(ours):.0f}"
    bench.note(f"restart {label} ms", middle, text)
    text = f"native: p50 {peers:.0f} ms, best {min(native):.0f}; {middle / peers:.2f} times that"
    bench.note(f"restart {label} ratio", middle / peers, text)


def operation_times(lines: str) -> dict[str, float]:
    """The BENCH lines of a run."""
    rows = [line.split() for line in lines.splitlines() if line.startswith("BENCH ")]
    return {row[1]: float(row[2]) for row in rows}


def measure_operations(bench: Bench, peer: Path, folder: Path) -> None:
    """Numbers; the peers take turns."""
    ours: dict[str, float] = {}
    native: dict[str, float] = {}
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for _ in range(1 if bench.quick else 3):
        for best, command, variables in (
            (ours, [bench.vitrine, "run", "-c", OPERATIONS], {"VITRINE_CACHE": str(folder)}),
            (native, [peer, "-I", "-c", OPERATIONS], one_thread),
        ):
            done = subprocess.run(
                command, check=True, capture_output=True, text=True, env={**os.environ, **variables}
            )
            for label, seconds in operation_times(done.stdout).items():
                best[label] = min(seconds, best.get(label, seconds))
    print("operations; vitrine's time as a multiple of native's, one thread:")
    for label, seconds in ours.items():
        ratio = seconds / native[label]
        bench.note(f"ratio {label}", ratio, f"{label:8} {seconds * 1000:8.2f} ms   {ratio:.2f}")


def measure_idle(bench: Bench, folder: Path) -> None:
    """Ten environments used one after another by one server, and what is left of their zygotes."""
    budget_mib = 128
    command = [bench.vitrine, "stdio", "--environment-memory", f"{budget_mib}M"]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "VITRINE_CACHE": str(folder)},
    )  # fmt: skip

    def ask(number: int, method: str, params: dict[str, object]) -> None:
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        server.stdin.write(json.dumps(message) + "\n")
        server.stdin.flush()
        while json.loads(server.stdout.readline()).get("id") != number:
            pass

    info = {"protocolVersion": "2025-06-18", "capabilities": {}}
    ask(0, "initialize", {**info, "clientInfo": {"name": "bench", "version": "1"}})
    for number, name in enumerate(ENVIRONMENTS, 1):
        arguments = {"python_code": "1", "dependencies": [name]}
        ask(number, "tools/call", {"name": "run_python_code", "arguments": arguments})
    time.sleep(2)
    zygotes = children(server.pid)
    mib = sum(private_kib(pid) for pid in zygotes) / 1024
    server.stdin.close()
    server.wait(20)
    text = f"{len(ENVIRONMENTS)} environments used, budget {budget_mib} MiB: "
    text += f"{len(zygotes)} zygotes left, {mib:.0f} MiB private in all (the base's included)"
    bench.note("idle_mib", mib, text)


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Measure programs with packages.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    bench = Bench(options.build.absolute(), options.quick)
    peer = make_peer(bench.native)
    with tempfile.TemporaryDirectory(prefix="vitrine-bench.") as scratch:
        folder = Path(scratch)
        measure_warm(bench, peer, folder)
        measure_start(bench, peer, folder)
        measure_operations(bench, peer, folder)
        measure_idle(bench, folder)
    if options.json:
        options.json.write_text(json.dumps(bench.found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
