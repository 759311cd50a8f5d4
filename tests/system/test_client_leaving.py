"""A client that leaves takes its programs with it, however it goes; and several at once.

By closing its connection in order, as the official SDK does, and by being killed. A session of the
older era outlives a lost connection, since its client may come back; test_http.py has that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from driver import Program, children_of, clean_environment
from http_server import HttpServer
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from raw_http import RawClient

Result = TypeVar("Result")
CLIENTS = Path(__file__).parent / "clients"
SECONDS_MAX = 20.0
ENDLESS = {"python_code": "import time\ntime.sleep(1000)"}
# Kind of server, era.
WAYS = ("http legacy", "http auto", "stateless legacy", "stateless auto", "sse legacy")


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 60))


@pytest.fixture(scope="module")
def servers(vitrine: Program) -> Iterator[dict[str, HttpServer]]:
    with HttpServer(vitrine) as server, HttpServer(vitrine, "--stateless") as stateless:
        yield {"http": server, "sse": server, "stateless": stateless}


def client_of(servers: dict[str, HttpServer], way: str) -> Client:
    kind, era = way.split()
    server: Any = servers[kind].url
    if kind == "sse":
        server = sse_client(servers[kind].sse_url)
    return Client(server, mode=era)


def running(server: HttpServer) -> float:
    """How many programs run."""
    return RawClient(server.root).metrics()["vitrine_running"]


def wait_until_running(server: HttpServer, count: float) -> None:
    deadline = time.monotonic() + SECONDS_MAX
    while running(server) != count:
        assert time.monotonic() < deadline, (running(server), count)
        time.sleep(0.05)


@pytest.mark.parametrize("way", WAYS)
def test_closing_ends_the_program(servers: dict[str, HttpServer], way: str) -> None:
    server = servers[way.split()[0]]

    async def talk() -> None:
        calls: list[asyncio.Task[Any]] = []
        # The SDK may trip over its own call's end while it closes.
        with contextlib.suppress(BaseExceptionGroup):
            async with client_of(servers, way) as client:
                calls.append(asyncio.create_task(client.call_tool("run_python_code", ENDLESS)))
                while running(server) != 1:
                    await asyncio.sleep(0.05)
        await asyncio.gather(*calls, return_exceptions=True)

    run(talk())
    wait_until_running(server, 0)


CALL = """
import asyncio, importlib, json, sys
sys.path.insert(0, sys.argv[1])

async def main():
    async with importlib.import_module("mcp2").connect(json.loads(sys.argv[2])) as client:
        await client.call("import time\\ntime.sleep(1000)")

asyncio.run(main())
"""


@pytest.mark.parametrize("way", [way for way in WAYS if way != "http legacy"])
def test_a_killed_client_ends_the_program(servers: dict[str, HttpServer], way: str) -> None:
    kind, era = way.split()
    server = servers[kind]
    url = server.sse_url if kind == "sse" else server.url
    target = {"transport": "sse" if kind == "sse" else "http", "url": url, "mode": era}
    client = subprocess.Popen([sys.executable, "-c", CALL, CLIENTS, json.dumps(target)])
    try:
        wait_until_running(server, 1)
    finally:
        client.kill()
        client.wait()
    wait_until_running(server, 0)


def test_a_killed_client_ends_its_server(vitrine: Program) -> None:
    """Over standard input and output, nothing stays."""
    target = {
        "transport": "stdio",
        "command": str(vitrine.path),
        "args": ["stdio"],
        "env": clean_environment(),
    }
    client = subprocess.Popen([sys.executable, "-c", CALL, CLIENTS, json.dumps(target)])
    try:
        deadline = time.monotonic() + SECONDS_MAX
        while len(started := children_of(client.pid)) < 3:  # server, zygote, a cell at least
            assert time.monotonic() < deadline, started
            time.sleep(0.05)
    finally:
        client.kill()
        client.wait()
    deadline = time.monotonic() + SECONDS_MAX
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_all_kinds_at_once(vitrine: Program, servers: dict[str, HttpServer]) -> None:
    """One program with a client for each way, all calling at the same time."""
    local = StdioServerParameters(
        command=str(vitrine.path), args=["stdio"], env=clean_environment()
    )

    async def talk() -> list[Any]:
        async with contextlib.AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(client)
                for client in [
                    Client(local, mode="legacy"),
                    Client(local, mode="auto"),
                    *(client_of(servers, way) for way in WAYS),
                ]
            ]
            results = await asyncio.gather(
                *(
                    client.call_tool(
                        "run_python_code", {"python_code": f"import time; time.sleep(0.3); {which}"}
                    )
                    for which, client in enumerate(clients * 2)
                )
            )
            return [result.structured_content["return_value"] for result in results]

    assert run(talk()) == list(range(2 * (2 + len(WAYS))))
