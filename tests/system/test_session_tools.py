"""Sessions through the official client, in both eras, over stdio and HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from driver import Program, clean_environment, is_sanitized
from http_server import HttpServer
from mcp import Client, StdioServerParameters

Result = TypeVar("Result")
MODES = ("legacy", "2026-07-28")
CARRIERS = ("stdio", "http")


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 120))


class Python:
    """A client that has sessions."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def tool(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool that works."""
        result = await self.client.call_tool(tool, arguments)
        assert not result.is_error, result.content[0].text
        return result.structured_content

    async def refusal(self, tool: str, **arguments: Any) -> str:
        """Call a tool that does not."""
        result = await self.client.call_tool(tool, arguments)
        assert result.is_error
        return result.content[0].text

    async def create(self) -> str:
        return (await self.tool("create_session"))["session_id"]

    async def value(self, session: str, code: str) -> object:
        found = await self.tool("run_python_code", session_id=session, python_code=code)
        return found["return_value"]


@asynccontextmanager
async def connected(
    vitrine: Program, carrier: str, mode: str, *options: str, count: int = 1
) -> AsyncIterator[list[Python]]:
    """As many clients of one server; over standard input and output each has its own."""
    environment = {**clean_environment(), "VITRINE_NO_SESSIONS": "0"}
    async with AsyncExitStack() as stack:
        if carrier == "http":
            server = stack.enter_context(HttpServer(vitrine, *options, env=environment))
            targets: list[Any] = [server.url] * count
        else:
            command = [str(vitrine.path), "stdio", *options]
            targets = [
                StdioServerParameters(command=command[0], args=command[1:], env=environment)
            ] * count
        clients = [await stack.enter_async_context(Client(to, mode=mode)) for to in targets]
        yield [Python(client) for client in clients]


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("mode", MODES)
def test_variables_stay_and_an_error_changes_nothing(
    vitrine: Program, carrier: str, mode: str
) -> None:
    async def talk() -> None:
        async with connected(vitrine, carrier, mode, "--timeout", "1") as [python]:
            session = await python.create()
            await python.value(session, "import json\nx = [1]\nopen('f', 'w').write('kept')")
            assert "ZeroDivisionError" in await python.refusal(
                "run_python_code", session_id=session, python_code="x.append(2); 1/0"
            )
            assert "KeyboardInterrupt" in await python.refusal(
                "run_python_code", session_id=session, python_code="while True: pass"
            )
            code = "json.dumps(x) + open('f').read()"
            assert await python.value(session, code) == "[1, 2]kept"
            fresh = await python.tool("run_python_code", python_code="'x' in globals()")
            assert fresh["return_value"] is False
            assert "lost" in await python.refusal(
                "run_python_code", session_id=session, python_code="import os; os._exit(1)"
            )
            assert "lost" in await python.refusal(
                "run_python_code", session_id=session, python_code="x"
            )
            await python.tool("reset_session", session_id=session)
            assert await python.value(session, "'x' in globals()") is False

    run(talk())


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("mode", MODES)
def test_two_ways_from_one_point(vitrine: Program, carrier: str, mode: str) -> None:
    if is_sanitized():  # there is no filter then, and so nobody who could give leave to fork
        return

    async def talk() -> None:
        async with connected(vitrine, carrier, mode) as [python]:
            session = await python.create()
            await python.value(session, "x = [1]")
            kept = (await python.tool("checkpoint", session_id=session))["checkpoint_id"]
            other = (await python.tool("fork_session", session_id=session))["session_id"]
            assert await python.value(session, "x.append(2); x") == [1, 2]
            assert await python.value(other, "x.append(3); x") == [1, 3]
            for _ in range(2):
                await python.tool("rollback", session_id=session, checkpoint_id=kept)
                assert await python.value(session, "x.append(4); x") == [1, 4]
            assert await python.value(other, "x") == [1, 3]

    run(talk())


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("mode", MODES)
def test_saved_for_another_server(
    vitrine: Program, carrier: str, mode: str, tmp_path: Path
) -> None:
    options = ("--session-dir", str(tmp_path))

    async def talk() -> None:
        async with connected(vitrine, carrier, mode, *options) as [python]:
            session = await python.create()
            await python.value(session, "x = {'a': [1]}\nf = open('log', 'w+')\nf.write('one ')")
            saved = (await python.tool("save_session", session_id=session))["saved_id"]
        async with connected(vitrine, carrier, mode, *options) as [python]:
            session = (await python.tool("restore_session", saved_id=saved))["session_id"]
            code = "f.write('two'); f.seek(0)\nx['a'].append(f.read())\nx"
            assert await python.value(session, code) == {"a": [1, "one two"]}

    run(talk())


@pytest.mark.parametrize("mode", MODES)
def test_two_clients_do_not_see_each_other(vitrine: Program, mode: str) -> None:
    async def talk() -> None:
        async with connected(vitrine, "http", mode, count=2) as [first, second]:
            session = await first.create()
            await first.value(session, "x = 'secret'")
            listed = await second.tool("list_sessions")
            assert listed["sessions"] == []
            guessed = session[:-4] + ("0000" if session[-4:] != "0000" else "1111")
            assert "no such session" in await second.refusal(
                "run_python_code", session_id=guessed, python_code="x"
            )
            if mode == "legacy":  # the newest revision has no conversations: who knows it has it
                assert "no such session" in await second.refusal(
                    "run_python_code", session_id=session, python_code="x"
                )
            assert await first.value(session, "x") == "secret"

    run(talk())
