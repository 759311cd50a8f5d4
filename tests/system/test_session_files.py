"""Files of a session: written, read and listed by tools, read and watched as resources."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from driver import Program, clean_environment
from http_server import HttpServer
from mcp import Client, MCPError, StdioServerParameters

Result = TypeVar("Result")
MODES = ("legacy", "2026-07-28")
SESSIONS = {"VITRINE_NO_SESSIONS": "0"}


def run(task: Awaitable[Result]) -> Result:
    return asyncio.run(asyncio.wait_for(task, 120))


def client_of(vitrine: Program, **options: Any) -> Client:
    parameters = StdioServerParameters(
        command=str(vitrine.path), args=["stdio"], env={**clean_environment(), **SESSIONS}
    )
    return Client(parameters, **options)


async def create(client: Client) -> str:
    made = await client.call_tool("create_session", {})
    return made.structured_content["session_id"]


@pytest.mark.parametrize("mode", MODES)
def test_written_read_and_listed(vitrine: Program, mode: str) -> None:
    async def talk() -> None:
        async with client_of(vitrine, mode=mode) as client:
            session = await create(client)

            async def call(tool: str, **arguments: Any) -> Any:
                return await client.call_tool(tool, {"session_id": session, **arguments})

            written = await call("write_file", name="in/table.csv", content="a,b\n1,\u00e9\n")
            assert written.structured_content["size"] == 9
            binary = {"base64": base64.b64encode(bytes(range(256))).decode()}
            assert not (await call("write_file", name="raw.bin", content=binary)).is_error

            code = (
                "text = open('in/table.csv').read()\n"
                "open('out.txt', 'w').write(text.upper())\n"
                "open('raw.bin', 'rb').read() == bytes(range(256))"
            )
            result = await call("run_python_code", python_code=code)
            assert result.structured_content["return_value"] is True

            listed = (await call("list_files")).structured_content
            assert listed["more"] is False
            assert {file["name"]: file["size"] for file in listed["files"]} == {
                "in/table.csv": 9,
                "out.txt": 9,
                "raw.bin": 256,
            }

            read = await call("read_file", name="out.txt")
            assert read.content[0].text == "A,B\n1,\u00c9\n"
            assert read.structured_content["media_type"] == "text/plain"
            part = await call("read_file", name="raw.bin", offset=200, length=3)
            assert part.structured_content["size"] == 256
            assert base64.b64decode(part.content[0].resource.blob) == bytes([200, 201, 202])

            uri = written.structured_content["uri"]
            [found] = (await client.read_resource(uri)).contents
            assert found.text == "a,b\n1,\u00e9\n"

    run(talk())


def test_the_session_stays_as_it_was(vitrine: Program) -> None:
    async def talk() -> None:
        async with client_of(vitrine) as client:
            session = await create(client)
            code = "import os\nos.makedirs('d')\nos.chdir('d')\nbefore = set(globals())"
            for name, arguments in (
                ("run_python_code", {"python_code": code}),
                ("write_file", {"name": "x", "content": "1"}),
                ("list_files", {}),
                ("read_file", {"name": "nothing"}),
            ):
                await client.call_tool(name, {"session_id": session, **arguments})
            after = "sorted(set(globals()) - before), __file__"
            result = await client.call_tool(
                "run_python_code", {"session_id": session, "python_code": after}
            )
            assert result.structured_content["return_value"] == [["before"], "main-2.py"]

    run(talk())


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("read_file", {"name": "nothing"}, "No such file"),
        ("read_file", {"name": "/etc/passwd"}, "No such file"),
        ("read_file", {"name": "x", "offset": -1}, "offset"),
        ("read_file", {"name": "x", "length": 2**21}, "length"),
        ("read_file", {}, "must be there"),
        ("write_file", {"name": "../x", "content": ""}, "x"),
        ("write_file", {"name": "x"}, "must be there"),
        ("write_file", {"name": "x", "content": {"base64": "?"}}, "base64"),
        ("write_file", {"name": "x", "content": 1}, "a string, or an object"),
        ("list_files", {"name": "x"}, "name"),
    ],
)
def test_mistakes(vitrine: Program, name: str, arguments: dict[str, Any], words: str) -> None:
    async def talk() -> None:
        async with client_of(vitrine) as client:
            session = await create(client)
            result = await client.call_tool(name, {"session_id": session, **arguments})
            assert result.is_error
            assert words in result.content[0].text
            listed = await client.call_tool("list_files", {"session_id": session})
            assert listed.structured_content["files"] == []

    run(talk())


def test_a_hostile_session_is_not_believed(vitrine: Program) -> None:
    """What a program does to its interpreter may spoil the answer, and nothing else."""
    code = (
        "import sys, types\n"
        "fake = types.ModuleType('vitrine.files')\n"
        "fake.listing = lambda: {'files': [{'name': 1, 'size': 'x'}], 'more': 0}\n"
        "fake.read = lambda *_: {'size': 1, 'base64': '!'}\n"
        "sys.modules['vitrine.files'] = sys.modules['vitrine'].files = fake"
    )

    async def talk() -> None:
        async with client_of(vitrine) as client:
            session = await create(client)
            await client.call_tool("run_python_code", {"session_id": session, "python_code": code})
            for name, more in (("list_files", {}), ("read_file", {"name": "x"})):
                result = await client.call_tool(name, {"session_id": session, **more})
                assert result.is_error
                assert "the session gives no" in result.content[0].text

    run(talk())


def test_subscribers_hear_of_changes(vitrine: Program) -> None:
    async def talk() -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()

        async def on_message(message: Any) -> None:
            if getattr(message, "method", "") == "notifications/resources/updated":
                heard.put_nowait(str(message.params.uri))

        async with client_of(vitrine, mode="legacy", message_handler=on_message) as client:
            session = await create(client)
            written = await client.call_tool(
                "write_file", {"session_id": session, "name": "a b.txt", "content": "1"}
            )
            uri = written.structured_content["uri"]
            assert uri.endswith("/files/a%20b.txt")
            await client.subscribe_resource(uri)
            code = "open('a b.txt', 'a').write('2')\nopen('other', 'w').write('3')"
            await client.call_tool("run_python_code", {"session_id": session, "python_code": code})
            assert await asyncio.wait_for(heard.get(), 10) == uri
            [found] = (await client.read_resource(uri)).contents
            assert found.text == "12"
            assert heard.empty()

    run(talk())


def test_listeners_hear_of_changes(vitrine: Program) -> None:
    async def talk() -> None:
        async with client_of(vitrine, mode="2026-07-28") as client:
            session = await create(client)
            written = await client.call_tool(
                "write_file", {"session_id": session, "name": "x", "content": "1"}
            )
            uri = written.structured_content["uri"]
            async with client.listen(resource_subscriptions=[uri]) as subscription:
                code = "open('x', 'a').write('2')"
                await client.call_tool(
                    "run_python_code", {"session_id": session, "python_code": code}
                )
                event = await asyncio.wait_for(anext(aiter(subscription)), 10)
                assert str(event.uri) == uri

    run(talk())


def test_another_client_sees_nothing(vitrine: Program) -> None:
    async def talk() -> None:
        with HttpServer(vitrine, env=SESSIONS) as server:
            async with (
                Client(server.url, mode="legacy") as first,
                Client(server.url, mode="legacy") as second,
            ):
                session = await create(first)
                written = await first.call_tool(
                    "write_file", {"session_id": session, "name": "secret", "content": "1"}
                )
                for name, more in (
                    ("read_file", {"name": "secret"}),
                    ("list_files", {}),
                    ("write_file", {"name": "x", "content": ""}),
                ):
                    result = await second.call_tool(name, {"session_id": session, **more})
                    assert result.is_error
                    assert "no such session" in result.content[0].text
                with pytest.raises(MCPError):
                    await second.read_resource(written.structured_content["uri"])

    run(talk())
