#!/usr/bin/env python3
"""Measure Vitrine over HTTP beside other MCP servers, and print ratios.

    http_peers.py BUILD_DIR [--quick] [--json FILE]

All run `1+1`, asked by the same light client (tests/system/load_client.py), in rounds that take
turns: one client, call after call; and 50 clients at once. Vitrine gives each call a fresh process.
Peers: fastmcp's server, whose tool evaluates in the server's process; and what mcp-run-python is
made of, the official SDK's server in front of one Pyodide interpreter that all calls share. Neither
isolates one call from another. Requests stand alone (2026-07-28 for Vitrine and fastmcp, a server
without sessions of 2025-11-25 for the third, whose SDK knows no other).

Absolute times are this machine's; only the ratios carry over.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

from load_client import LEGACY, MODERN, LoadClient  # noqa: E402

CODE = "1+1"
CLIENTS = 50
START_SECONDS_MAX = 60
LIMITS = ("--client-cells", "16", "--client-queue", "1024", "--client-connections", "1024")


class Standalone(LoadClient):
    """A client of 2025-11-25 for a server without sessions, which needs no handshake."""

    async def initialize(self) -> None:
        """Nothing; each request is served by itself."""


@contextlib.contextmanager
def started(command: list[str], pattern: str) -> Iterator[str]:
    """A server in the background; the address that it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert process.stdout is not None
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            line = process.stdout.readline().decode()
            if match := re.search(pattern, line):
                yield f"http://127.0.0.1:{match[1]}/mcp"
                return
            if not line:
                raise RuntimeError(f"{command[0]} ended")
        raise RuntimeError(f"{command[0]} did not say where it listens")
    finally:
        process.kill()
        process.wait()


def client_of(name: str, url: str) -> LoadClient:
    """A client of the era that the server is best at."""
    return Standalone(url, LEGACY) if name == "pyodide" else LoadClient(url, MODERN)


async def calls(client: LoadClient, count: int) -> list[float]:
    """Seconds of calls, one after the other."""
    seconds = []
    async with client:
        for _ in range(count):
            begin = time.perf_counter()
            result, _ = await client.call(CODE)
            seconds.append(time.perf_counter() - begin)
            assert "2" in result["content"][0]["text"], result
    return seconds


async def crowd(name: str, url: str, count: int) -> tuple[list[float], float]:
    """The same by many clients at once, and how long all took."""
    begin = time.perf_counter()
    lists = await asyncio.gather(*(calls(client_of(name, url), count) for _ in range(CLIENTS)))
    return [second for seconds in lists for second in seconds], time.perf_counter() - begin


def percentile(seconds: list[float], hundredth: int) -> float:
    """In milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=100)[hundredth - 1]


async def wait_until_it_answers(name: str, url: str) -> None:
    """A server that has said its port may need a while to listen there."""
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            await calls(client_of(name, url), 5)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def measure(urls: dict[str, str], quick: bool) -> dict[str, dict[str, float]]:
    """p50 and p99 of one client; p50, p99 and calls a second of many."""
    alone: dict[str, list[float]] = {name: [] for name in urls}
    many: dict[str, list[float]] = {name: [] for name in urls}
    rates: dict[str, list[float]] = {name: [] for name in urls}
    for name, url in urls.items():
        await wait_until_it_answers(name, url)
    for _ in range(1 if quick else 5):
        for name, url in urls.items():
            alone[name] += await calls(client_of(name, url), 100 if quick else 300)
            seconds, total = await crowd(name, url, 4 if quick else 20)
            many[name] += seconds
            rates[name].append(len(seconds) / total)
    return {
        name: {
            "p50_ms": percentile(alone[name], 50),
            "p99_ms": percentile(alone[name], 99),
            "crowd_p50_ms": percentile(many[name], 50),
            "crowd_p99_ms": percentile(many[name], 99),
            "calls_per_second": statistics.median(rates[name]),
        }
        for name in urls
    }


def report(found: dict[str, dict[str, float]]) -> None:
    """One line for each server, then the ratios."""
    for name, figures in found.items():
        print(
            f"  {name:10} one client p50 {figures['p50_ms']:6.2f} ms, p99 {figures['p99_ms']:6.2f};"
            f"  {CLIENTS} clients p50 {figures['crowd_p50_ms']:6.1f} ms,"
            f" p99 {figures['crowd_p99_ms']:6.1f}, {figures['calls_per_second']:6.0f} calls/s"
        )
    ours = found["vitrine"]
    for name, figures in found.items():
        if name != "vitrine":
            print(
                f"  {name} takes {figures['p50_ms'] / ours['p50_ms']:.2f} times Vitrine's p50, with"
                f" {CLIENTS} clients {figures['crowd_p50_ms'] / ours['crowd_p50_ms']:.2f} times;"
                f" its calls a second are"
                f" {figures['calls_per_second'] / ours['calls_per_second']:.2f} times Vitrine's"
            )


def main() -> int:
    """Start all, measure, print."""
    parser = argparse.ArgumentParser(description="Measure Vitrine over HTTP beside its peers.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--quick", action="store_true", help="fewer calls")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    vitrine = [str(options.build.resolve() / "vitrine"), "http", "--port", "0", *LIMITS]
    fastmcp = [sys.executable, str(HERE / "fastmcp_server.py")]
    pyodide = [os.environ["VITRINE_TEST_NODE"], str(HERE / "pyodide_server.mjs")]
    print("MCP over HTTP, 1+1, a fresh process for each call (vitrine) or none (the others)")
    with (
        started(vitrine, r"serving at http://127\.0\.0\.1:(\d+)/mcp") as ours,
        started(fastmcp, r"^(\d+)$") as theirs,
        started(pyodide, r"^(\d+)$") as others,
    ):
        urls = {"vitrine": ours, "fastmcp": theirs, "pyodide": others}
        found: dict[str, Any] = asyncio.run(measure(urls, options.quick))
    report(found)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
