"""Real clients that nobody wrote for this project: the official SDK and fastmcp."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any, TypeVar

import mcp_types as types
import pytest
from driver import Program, children_of, clean_environment
from fastmcp import Client as FastClient
from fastmcp.client.transports import StdioTransport
from mcp import Client, MCPError, StdioServerParameters

Result = TypeVar("Result")


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 60))


def official(vitrine: Program, *args: str, **options: Any) -> Client:
    parameters = StdioServerParameters(
        command=str(vitrine.path), args=["stdio", *args], env=clean_environment()
    )
    return Client(parameters, **options)


def test_the_official_client_finds_the_newest_version(vitrine: Program) -> None:
    async def talk() -> None:
        async with official(vitrine) as client:
            assert client.protocol_version == "2026-07-28"
            assert client.server_info is not None
            assert client.server_info.name == "vitrine"
            assert client.instructions is not None
            assert "run_python_code" in client.instructions

    run(talk())


def test_the_handshake_of_older_clients(vitrine: Program) -> None:
    async def talk() -> None:
        async with official(vitrine, mode="legacy") as client:
            assert client.protocol_version == "2025-11-25"
            assert client.server_info is not None
            assert client.server_info.title == "Vitrine"
            await client.send_ping()

    run(talk())


def test_the_handshake_does_not_wait_for_the_guest(vitrine: Program) -> None:
    """Warming takes a while; a client that only looks around must not feel it."""

    async def talk() -> float:
        start = time.monotonic()
        async with official(vitrine, mode="legacy") as client:
            await client.list_tools()
            return time.monotonic() - start

    assert min(run(talk()) for _ in range(3)) < 0.2


def test_structured_content_follows_its_schema(vitrine: Program) -> None:
    """The SDK validates it against outputSchema and raises when it does not fit."""
    programs = ["1", "print('x')", "1/0", "import os; os._exit(3)", "float('nan')", "x = "]

    async def talk() -> None:
        for mode in ("legacy", "2026-07-28"):
            async with official(vitrine, "--timeout", "2", mode=mode) as client:
                await client.list_tools()
                for code in [*programs, "while True: pass"]:
                    result = await client.call_tool("run_python_code", {"python_code": code})
                    assert result.structured_content["status"]

    run(talk())


def test_calls_run_side_by_side(vitrine: Program) -> None:
    """Five sleeps take the time of one, and a good call does not fail beside a bad one."""
    good = "import time\ntime.sleep(1)\n'awake'"

    async def talk() -> list[Any]:
        async with official(vitrine) as client:
            await client.call_tool("run_python_code", {"python_code": ""})
            start = time.monotonic()
            calls = [
                client.call_tool("run_python_code", {"python_code": code})
                for code in [good, "1/0", good, "import os; os.abort()", good]
            ]
            results = await asyncio.gather(*calls)
            assert time.monotonic() - start < 2.5
            return results

    results = run(talk())
    assert [result.is_error for result in results] == [False, True, False, True, False]


def test_a_server_without_packages_says_so(vitrine: Program) -> None:
    async def talk() -> None:
        async with official(vitrine, "--no-install") as client:
            tool = (await client.list_tools()).tools[0]
            arguments = {"python_code", "global_variables", "files"}
            assert set(tool.input_schema["properties"]) == arguments
            assert "no packages can be installed" in (tool.description or "")
            result = await client.call_tool("run_python_code", {"python_code": "import numpy"})
            assert result.is_error
            assert result.structured_content["error"]["type"] == "ModuleNotFoundError"
            assert result.structured_content["dependencies"] == []

    run(talk())


def test_wrong_dependencies_are_explained(vitrine: Program) -> None:
    async def talk() -> None:
        async with official(vitrine) as client:
            description = (await client.list_tools()).tools[0].description or ""
            assert "installed when the code imports them" in description
            for wrong in ("numpy", ["--pre"], [""], [1], {"numpy": "2"}):
                arguments = {"python_code": "1", "dependencies": wrong}
                result = await client.call_tool("run_python_code", arguments)
                assert result.is_error
                assert result.structured_content["status"] == "refused"
                assert "dependencies" in result.structured_content["error"]["message"]

    run(talk())


def test_unknown_tool(vitrine: Program) -> None:
    async def talk() -> None:
        async with official(vitrine) as client:
            with pytest.raises(MCPError) as caught:
                await client.call_tool("no_such_tool", {})
            assert caught.value.code == -32602
            result = await client.call_tool("run_python_code", {"python_code": "1"})
            assert not result.is_error

    run(talk())


def test_a_cancelled_call_ends_its_program(vitrine: Program) -> None:
    async def talk() -> None:
        async with official(vitrine, mode="legacy", read_timeout_seconds=1.0) as client:
            with pytest.raises(MCPError):
                await client.call_tool("run_python_code", {"python_code": "while True: pass"})
            result = await client.call_tool("run_python_code", {"python_code": "'alive'"})
            assert result.structured_content["return_value"] == "alive"

    run(talk())


def test_progress_is_shown(vitrine: Program) -> None:
    seen: list[float] = []

    async def keep(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    async def talk() -> None:
        code = "import time\ntime.sleep(2.5)"
        async with official(vitrine) as client:
            await client.call_tool("run_python_code", {"python_code": code}, progress_callback=keep)

    run(talk())
    assert len(seen) >= 2
    assert seen == sorted(seen)


def test_fastmcp(vitrine: Program) -> None:
    logs: list[Any] = []

    async def keep(message: Any) -> None:
        logs.append((message.level, message.data))

    async def talk() -> None:
        transport = StdioTransport(
            str(vitrine.path), ["stdio"], env=clean_environment(), keep_alive=False
        )
        async with FastClient(transport, log_handler=keep) as client:
            tools = await client.list_tools()
            assert [tool.name for tool in tools] == ["run_python_code"]
            result = await client.call_tool("run_python_code", {"python_code": "sum(range(10))"})
            assert not result.is_error
            assert result.structured_content["return_value"] == 45
            text = result.content[0]
            assert isinstance(text, types.TextContent)
            assert text.text == ("<status>success</status>\n<return_value>\n45\n</return_value>")
            failed = await client.call_tool(
                "run_python_code", {"python_code": "1/0"}, raise_on_error=False
            )
            assert failed.is_error

    run(talk())


def test_nothing_is_left_when_a_client_leaves(vitrine: Program) -> None:
    import os

    before = children_of(os.getpid())

    async def talk() -> None:
        async with official(vitrine) as client:
            await client.call_tool("run_python_code", {"python_code": "1"})
            assert len(children_of(os.getpid()) - before) >= 2  # the server and its zygote

    run(talk())
    deadline = time.monotonic() + 5
    while children_of(os.getpid()) - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children_of(os.getpid()) - before == set()
