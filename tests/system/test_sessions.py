"""Sessions as a client sees them: what is kept, what is lost, and who may use what."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from driver import Program, RawServer, children_of, is_sanitized

WITH_SESSIONS = {"VITRINE_NO_SESSIONS": "0"}

TOOLS = [
    "run_python_code",
    "create_session",
    "list_sessions",
    "reset_session",
    "close_session",
    "fork_session",
    "checkpoint",
    "rollback",
    "write_file",
    "read_file",
    "list_files",
]


@pytest.fixture(scope="module")
def client(vitrine: Program) -> Iterator[RawServer]:
    with RawServer(vitrine, env=WITH_SESSIONS) as running:
        running.initialize()
        yield running


def call(server: Any, name: str, **arguments: object) -> tuple[dict[str, Any], bool]:
    """Call a tool: its structured content, and whether it is an error."""
    result = server.request("tools/call", {"name": name, "arguments": arguments})["result"]
    if name != "run_python_code":
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    return result["structuredContent"], result.get("isError", False)


def done(server: Any, name: str, **arguments: object) -> dict[str, Any]:
    content, is_error = call(server, name, **arguments)
    assert not is_error, content
    return content


def value(server: Any, session: str, code: str) -> object:
    content = done(server, "run_python_code", python_code=code, session_id=session)
    assert content["status"] == "success"
    return content["return_value"]


def create(server: Any) -> str:
    return done(server, "create_session")["session_id"]


def test_tools_are_listed(client: RawServer, vitrine: Program) -> None:
    tools = client.request("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == TOOLS
    assert "session_id" in tools[0]["inputSchema"]["properties"]
    assert "create_session" in tools[0]["description"]
    with RawServer(vitrine, "--no-sessions", env=WITH_SESSIONS) as plain:
        plain.initialize()
        tools = plain.request("tools/list")["result"]["tools"]
        assert [tool["name"] for tool in tools] == TOOLS[:1]
        assert "session_id" not in tools[0]["inputSchema"]["properties"]
        assert "create_session" not in tools[0]["description"]


def test_state_goes_on(client: RawServer) -> None:
    session = create(client)
    assert re.fullmatch(r"py-[0-9a-f]{32}", session)
    assert value(client, session, "import math\nx = [1]\nopen('a.txt', 'w').write('one')") == 3
    assert value(client, session, "x.append(math.floor(2.5))\nx, open('a.txt').read()") == [
        [1, 2],
        "one",
    ]
    assert client.call("'x' in globals()")["structuredContent"]["return_value"] is False
    listed = done(client, "list_sessions")["sessions"]
    assert [each["state"] for each in listed if each["session_id"] == session] == ["open"]
    assert done(client, "reset_session", session_id=session)["session_id"] == session
    assert value(client, session, "'x' in globals()") is False
    done(client, "close_session", session_id=session)
    content, is_error = call(client, "run_python_code", python_code="1", session_id=session)
    assert is_error
    assert "there is no such session" in content["error"]["message"]


def test_an_error_keeps_it_and_shows_earlier_lines(client: RawServer) -> None:
    session = create(client)
    value(client, session, "def f(x):\n    return 1 / x\nkept = 5")
    content, is_error = call(client, "run_python_code", python_code="f(0)", session_id=session)
    assert is_error
    assert 'File "main.py", line 2, in f\n    return 1 / x\n' in content["error"]["traceback"]
    assert value(client, session, "kept") == 5
    done(client, "close_session", session_id=session)


def test_a_crash_says_what_is_lost(client: RawServer) -> None:
    session = create(client)
    value(client, session, "x = 1")
    code = "import os\nos._exit(3)"
    content, is_error = call(client, "run_python_code", python_code=code, session_id=session)
    assert is_error
    assert content["status"] == "crash"
    assert "its variables, imports and files are lost" in content["error"]["message"]
    content, is_error = call(client, "run_python_code", python_code="x", session_id=session)
    assert is_error
    assert "reset_session" in content["error"]["message"]
    listed = done(client, "list_sessions")["sessions"]
    assert [each["state"] for each in listed if each["session_id"] == session] == ["ended"]
    done(client, "reset_session", session_id=session)
    assert value(client, session, "1 + 1") == 2
    done(client, "close_session", session_id=session)


@pytest.mark.parametrize("tool", ["fork_session", "checkpoint"])
def test_a_copy_that_fails(client: RawServer, tool: str) -> None:
    """The jail's filter is how a copy is let be made: programs with sanitizers make none."""
    first = create(client)
    value(client, first, "x = [1]")
    for _ in range(3):
        content, is_error = call(client, tool, session_id=first)
        assert is_error == is_sanitized()
        if is_error:
            assert "could not be copied" in content["error"]
        else:
            copy = content["session_id" if tool == "fork_session" else "checkpoint_id"]
            done(client, "close_session", session_id=copy)
    assert value(client, first, "x") == [1]
    done(client, "close_session", session_id=first)


def test_a_copy_is_nobodys_until_it_is_there(vitrine: Program) -> None:
    with RawServer(vitrine, env=WITH_SESSIONS) as server:
        server.initialize()
        first = create(server)
        value(server, first, "x = [1]")
        programs = children_of(server.process.pid)
        for pid in programs:
            os.kill(pid, signal.SIGSTOP)
        params = {"name": "fork_session", "arguments": {"session_id": first}}
        server.send({"jsonrpc": "2.0", "id": "fork", "method": "tools/call", "params": params})
        listed = done(server, "list_sessions")["sessions"]
        for pid in programs:
            os.kill(pid, signal.SIGCONT)
        assert [each["session_id"] for each in listed] == [first]
        assert "result" in server.answer_to("fork")


def test_forks_and_checkpoints(client: RawServer) -> None:
    if is_sanitized():
        return  # see above
    first = create(client)
    value(client, first, "x = [1]")
    second = done(client, "fork_session", session_id=first)["session_id"]
    assert value(client, second, "x.append(2)\nx") == [1, 2]
    assert value(client, first, "x") == [1]
    kept = done(client, "checkpoint", session_id=first)["checkpoint_id"]
    for _ in range(3):
        assert value(client, first, "x.append(3)\nx") == [1, 3]
        back = done(client, "rollback", session_id=first, checkpoint_id=kept)
        assert back["session_id"] == first
    call(client, "run_python_code", python_code="import os\nos._exit(1)", session_id=first)
    done(client, "rollback", session_id=first, checkpoint_id=kept)
    assert value(client, first, "x") == [1]
    for wrong in (
        call(client, "run_python_code", python_code="1", session_id=kept),
        call(client, "rollback", session_id=first, checkpoint_id=second),
        call(client, "reset_session", session_id=kept),
        call(client, "fork_session", session_id="py-" + "0" * 32),
        call(client, "fork_session"),
        call(client, "create_session", other=1),
    ):
        assert wrong[1], wrong
    for each in (first, second, kept):
        done(client, "close_session", session_id=each)


def test_there_are_not_too_many(vitrine: Program) -> None:
    with RawServer(vitrine, "--client-python-sessions", "2", env=WITH_SESSIONS) as server:
        server.initialize()
        sessions = [create(server) for _ in range(2)]
        content, is_error = call(server, "create_session")
        assert is_error
        assert "close one" in content["error"]
        done(server, "close_session", session_id=sessions[0])
        create(server)


# ---- Over HTTP -----------------------------------------------------------------------------------


class Conversation:
    """One client of a server over HTTP, with a session of the protocol's."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.protocol_session = ""
        self.number = 0
        self.request(
            "initialize",
            {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        )

    def request(self, method: str, params: object = None) -> dict[str, Any]:
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params or {}}
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.protocol_session:
            headers["Mcp-Session-Id"] = self.protocol_session
        data = json.dumps(message).encode()
        request = urllib.request.Request(self.address, data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.protocol_session = answer.headers.get("Mcp-Session-Id") or self.protocol_session
            body = answer.read().decode()
        if body.startswith("{"):
            return json.loads(body)
        lines = [line[6:] for line in body.splitlines() if line.startswith("data: {")]
        return next(each for each in map(json.loads, lines) if each.get("id") == self.number)


@contextmanager
def http_server(vitrine: Program) -> Iterator[str]:
    process = vitrine.start("http", "--port", "0", stdin=subprocess.DEVNULL, env=WITH_SESSIONS)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(rb"http://[0-9a-z.:\[\]]+/mcp", line):
                yield found.group().decode()
                break
    finally:
        process.kill()
        process.wait()


def test_clients_do_not_see_each_others_sessions(vitrine: Program) -> None:
    with http_server(vitrine) as address:
        one, other = Conversation(address), Conversation(address)
        session = create(one)
        value(one, session, "x = 'secret'")
        assert done(other, "list_sessions")["sessions"] == []
        for name, arguments in (
            ("run_python_code", {"python_code": "x"}),
            ("fork_session", {}),
            ("checkpoint", {}),
            ("reset_session", {}),
            ("close_session", {}),
        ):
            content, is_error = call(other, name, session_id=session, **arguments)
            assert is_error
            assert "there is no such session" in json.dumps(content)
        assert value(one, session, "x") == "secret"
        assert len(done(one, "list_sessions")["sessions"]) == 1
