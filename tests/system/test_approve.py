"""`--approve`: the person at the client is asked before each program, in every era."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, TypeVar

import mcp_types as types
import pytest
from driver import Program, RawServer, clean_environment
from mcp import Client, StdioServerParameters

Result = TypeVar("Result")
MODES = ("legacy", "2026-07-28")


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 60))


class Person:
    """Sees questions, and always gives the same answer."""

    def __init__(self, action: str) -> None:
        self.action = action
        self.questions: list[str] = []

    async def __call__(self, _context: object, question: Any) -> types.ElicitResult:
        self.questions.append(question.message)
        content: dict[str, Any] | None = {} if self.action == "accept" else None
        return types.ElicitResult(action=self.action, content=content)


def client_of(vitrine: Program, **options: Any) -> Client:
    parameters = StdioServerParameters(
        command=str(vitrine.path), args=["stdio", "--approve"], env=clean_environment()
    )
    return Client(parameters, **options)


@pytest.mark.parametrize("mode", MODES)
def test_accepted(vitrine: Program, mode: str) -> None:
    person = Person("accept")

    async def talk() -> None:
        async with client_of(vitrine, mode=mode, elicitation_callback=person) as client:
            for code in ("import math\nmath.factorial(5)", "6 * 7"):
                result = await client.call_tool("run_python_code", {"python_code": code})
                assert not result.is_error
            assert result.structured_content["return_value"] == 42

    run(talk())
    assert len(person.questions) == 2
    assert "import math\nmath.factorial(5)\n" in person.questions[0]
    assert "imports of the standard library: math\n" in person.questions[0]
    reach = "it could reach: no network, no other programs, no files of yours; for 60 seconds"
    assert reach in person.questions[0]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("action", ["decline", "cancel"])
def test_not_accepted(vitrine: Program, mode: str, action: str) -> None:
    person = Person(action)

    async def talk() -> None:
        async with client_of(vitrine, mode=mode, elicitation_callback=person) as client:
            result = await client.call_tool("run_python_code", {"python_code": "print('it ran')"})
            assert result.is_error
            assert result.structured_content["status"] == "refused"
            assert result.structured_content["stdout"] == ""
            assert "did not let this program run" in result.content[0].text

    run(talk())
    assert len(person.questions) == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_cannot_ask(vitrine: Program, mode: str) -> None:
    async def talk() -> None:
        async with client_of(vitrine, mode=mode) as client:
            result = await client.call_tool("run_python_code", {"python_code": "print('it ran')"})
            assert result.is_error
            assert "could not ask one" in result.content[0].text

    run(talk())


@pytest.mark.parametrize("mode", MODES)
def test_what_is_shown_is_what_there_is(vitrine: Program, mode: str) -> None:
    person = Person("decline")
    code = "x = 1  # \u202e\x1b[8m\u2028 hidden\nprint(x)"

    async def talk() -> None:
        async with client_of(vitrine, mode=mode, elicitation_callback=person) as client:
            await client.call_tool("run_python_code", {"python_code": code})

    run(talk())
    assert "x = 1  # \ufffd\ufffd[8m\ufffd hidden\nprint(x)" in person.questions[0]


@pytest.mark.parametrize("mode", MODES)
def test_bad_arguments_are_not_asked_about(vitrine: Program, mode: str) -> None:
    person = Person("accept")

    async def talk() -> None:
        async with client_of(vitrine, mode=mode, elicitation_callback=person) as client:
            result = await client.call_tool("run_python_code", {"python_code": 1})
            assert result.is_error
            assert "python_code must be a string" in result.content[0].text

    run(talk())
    assert person.questions == []


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
}


def test_an_answer_is_for_the_program_that_was_shown(vitrine: Program) -> None:
    """Not for one that nobody has been asked about, nor for another one."""
    accepted = {"approval": {"action": "accept", "content": {}}}

    def call(server: RawServer, code: str, **more: Any) -> Any:
        params = {"name": "run_python_code", "arguments": {"python_code": code}, "_meta": META}
        return server.request("tools/call", params | more)

    with RawServer(vitrine, "--approve") as server:
        unasked = call(server, "1", inputResponses=accepted)["result"]
        assert unasked["resultType"] == "input_required"
        state = {"inputResponses": accepted, "requestState": unasked["requestState"]}
        assert call(server, "2", **state)["error"]["code"] == -32602
        assert call(server, "1", **state)["result"]["structuredContent"]["return_value"] == 1


def test_cancelled_while_the_person_thinks(vitrine: Program) -> None:
    with RawServer(vitrine, "--approve") as server:
        capabilities = {"elicitation": {}}
        hello = {"protocolVersion": "2025-11-25", "capabilities": capabilities}
        server.request("initialize", hello | {"clientInfo": {"name": "t", "version": "1"}})
        server.send(server.call_message("1", "call"))
        asked = server.receive()
        assert asked["method"] == "elicitation/create"
        params = {"requestId": "call"}
        server.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        assert server.receive()["params"] == {"requestId": asked["id"]}
        server.send({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept"}})
        assert server.request("ping", {})["result"] == {}


def test_a_program_too_long_to_be_shown(vitrine: Program) -> None:
    person = Person("accept")

    async def talk() -> None:
        async with client_of(vitrine, elicitation_callback=person) as client:
            code = "#" * 70_000 + "\nprint('it ran')"
            result = await client.call_tool("run_python_code", {"python_code": code})
            assert result.is_error
            assert "too long to be shown" in result.content[0].text

    run(talk())
    assert person.questions == []


def test_directories_are_told(vitrine: Program, tmp_path: Path) -> None:
    person = Person("decline")
    parameters = StdioServerParameters(
        command=str(vitrine.path),
        args=["stdio", "--approve", "--mount", f"{tmp_path}:/data:rw"],
        env=clean_environment(),
    )

    async def talk() -> None:
        async with Client(parameters, elicitation_callback=person) as client:
            await client.call_tool("run_python_code", {"python_code": "1"})

    run(talk())
    assert "your directory at /data (to read and change); for" in person.questions[0]
