"""mcp-run-python's own cases, by its names, through the official SDK.

Each goes over standard input and output, streamable HTTP, and streamable HTTP without sessions, by
the command words of mcp-run-python, in both eras of the protocol. Where that project's expectation
names its Python (3.13) or its packages' loading, ours differs and the test says so. Packages come
from the real sources, into a cache that is empty at first.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from driver import Program, clean_environment
from http_server import HttpServer
from mcp import Client, StdioServerParameters

Check = Callable[[Client], Awaitable[None]]

# A command word of mcp-run-python and the era that the SDK speaks: the handshake of 2025-11-25 and
# before, or the requests of 2026-07-28, which stand alone ("auto" finds that era out).
WAYS = (
    "stdio legacy",
    "stdio 2026-07-28",
    "stdio auto",
    "streamable-http legacy",
    "streamable-http auto",
    "streamable-http-stateless legacy",
    "streamable-http-stateless auto",
)
# Where a case is about the tool alone, one era for each word will do.
WORDS = ("stdio auto", "streamable-http legacy", "streamable-http-stateless auto")

INSTALL_SECONDS_MAX = 300


def era_of(way: str) -> str:
    return way.split()[1]


def remembers(way: str) -> bool:
    """Whether a level that was set with one request holds for the next."""
    return way != "streamable-http-stateless legacy"


@contextlib.contextmanager
def server_of(
    vitrine: Program, way: str, args: list[str], cache: Path | None = None
) -> Iterator[Any]:
    """What the SDK takes for a server: how to start it, or its address."""
    variables = {} if cache is None else {"VITRINE_CACHE": str(cache)}
    word = way.split()[0]
    if word == "stdio":
        environment = clean_environment() | variables
        yield StdioServerParameters(command=str(vitrine.path), args=[*args, word], env=environment)
    else:
        with HttpServer(vitrine, command=(*args, word), env=variables) as server:
            yield server.url


def with_client(
    vitrine: Program,
    way: str,
    check: Check,
    *args: str,
    cache: Path | None = None,
    **options: Any,
) -> None:
    """Run `check` with a connected client of the official SDK."""

    async def connect(server: Any) -> None:
        async with Client(server, mode=era_of(way), **options) as client:
            await check(client)

    with server_of(vitrine, way, list(args), cache) as server:
        limit = 60 if cache is None else INSTALL_SECONDS_MAX
        asyncio.run(asyncio.wait_for(connect(server), limit))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that is empty at first, and filled by one test after another."""
    return tmp_path_factory.mktemp("cache")


def text_of(result: Any) -> str:
    assert len(result.content) == 1
    content = result.content[0]
    assert isinstance(content, types.TextContent)
    return content.text


@pytest.mark.parametrize("way", WAYS)
def test_list_tools(vitrine: Program, way: str) -> None:
    async def check(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert len(tools) == 1
        tool = tools[0]
        assert tool.name == "run_python_code"
        assert tool.title == "Run Python code"
        assert tool.description is not None
        assert tool.description.startswith(
            "Tool to execute Python code and return stdout, stderr, and return value."
        )
        schema = dict(tool.input_schema)
        dependencies = schema["properties"].pop("dependencies")  # which is ours alone
        assert dependencies["type"] == "array"
        assert dependencies["items"] == {"type": "string"}
        assert schema["properties"].pop("files")["type"] == "object"  # this one, too
        assert schema == {
            "type": "object",
            "properties": {
                "python_code": {"type": "string", "description": "Python code to run"},
                "global_variables": {
                    "type": "object",
                    "additionalProperties": {},
                    "default": {},
                    "description": "Map of global variables in context when the code is executed",
                },
            },
            "required": ["python_code"],
            "additionalProperties": False,
            "$schema": "http://json-schema.org/draft-07/schema#",
        }

    with_client(vitrine, way, check)


BASIC_CODE = """\
<status>success</status>
<output>
x=4
</output>
<return_value>
4
</return_value>"""

UNDEFINED_VARIABLE = """\
<status>run-error</status>
<error>
Traceback (most recent call last):
  File "main.py", line 1, in <module>
    print(unknown)
          ^^^^^^^
NameError: name 'unknown' is not defined

</error>"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("x = 4\nprint(f'{x=}')\nx", BASIC_CODE, id="basic-code"),
        pytest.param("print(unknown)", UNDEFINED_VARIABLE, id="undefined-variable"),
    ],
)
def test_run_python_code(vitrine: Program, way: str, code: str, expected: str) -> None:
    async def check(client: Client) -> None:
        result = await client.call_tool("run_python_code", {"python_code": code})
        assert text_of(result) == expected
        assert result.is_error == ("error" in expected)
        assert result.structured_content["status"] in expected

    with_client(vitrine, way, check)


IMPORT_NUMPY = """\
<status>success</status>
<dependencies>["numpy"]</dependencies>
<return_value>
[
  1,
  2,
  3
]
</return_value>"""

EMAIL_MODEL = """\
# /// script
# dependencies = ["pydantic", "email-validator"]
# ///
import pydantic
class Model(pydantic.BaseModel):
    email: pydantic.EmailStr
Model(email='hello@pydantic.dev')"""

EMAIL_MODEL_BY_EXTRA = EMAIL_MODEL.replace('"pydantic", "email-validator"', '"pydantic[email]"')

MAGIC_COMMENT = """\
<return_value>
{
  "email": "hello@pydantic.dev"
}
</return_value>"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("code", "installed", "expected"),
    [
        pytest.param(
            "import numpy\nnumpy.array([1, 2, 3])", {"numpy"}, IMPORT_NUMPY, id="import-numpy"
        ),
        pytest.param(
            EMAIL_MODEL, {"pydantic", "email-validator"}, MAGIC_COMMENT, id="magic-comment-import"
        ),
        pytest.param(
            EMAIL_MODEL_BY_EXTRA, {"pydantic", "email-validator"}, MAGIC_COMMENT, id="with-extra"
        ),
    ],
)
def test_run_python_code_with_packages(
    vitrine: Program, cache: Path, way: str, code: str, installed: set[str], expected: str
) -> None:
    async def check(client: Client) -> None:
        result = await client.call_tool("run_python_code", {"python_code": code})
        text = text_of(result)
        assert text.startswith("<status>success</status>\n<dependencies>[")
        assert text.endswith(expected)
        assert not result.is_error
        used = result.structured_content["dependencies"]
        assert installed <= {package["name"] for package in used}
        for package in used:
            assert package["version"][0].isdigit()
            assert set(package["sha256"]) <= set("0123456789abcdef")
            assert len(package["sha256"]) == 64

    with_client(vitrine, way, check, cache=cache)


@pytest.mark.parametrize("way", WAYS)
def test_install_run_python_code(vitrine: Program, tmp_path: Path, way: str) -> None:
    """An installation tells its steps, from an empty cache; the second call has none to tell."""
    logs: list[tuple[str, Any]] = []

    async def keep(params: types.LoggingMessageNotificationParams) -> None:
        logs.append((params.level, params.data))

    async def check(client: Client) -> None:
        if era_of(way) == "legacy":
            await client.set_logging_level("debug")
        arguments = {"python_code": "import msgpack\nmsgpack.unpackb(b'\\x01')"}
        result = await client.call_tool("run_python_code", arguments)
        assert result.structured_content["return_value"] == 1
        assert len(logs) >= 10 or not remembers(way)
        assert {level for level, _ in logs} <= {"debug", "info"}
        assert any("built msgpack" in line for _, line in logs) == remembers(way)
        logs.clear()
        await client.call_tool("run_python_code", arguments)
        assert logs == []

    with_client(vitrine, way, check, cache=tmp_path, logging_callback=keep, log_level="debug")


PRINT_ERROR = """\
Traceback (most recent call last):
  File "main.py", line 1, in <module>
    print(unknown)
          ^^^^^^^
NameError: name 'unknown' is not defined
"""

TRACEBACK_CODE = """\
def foo():
    1 / 0

def bar():
    foo()

def baz():
    bar()

baz()"""

TRACEBACK = """\
Traceback (most recent call last):
  File "main.py", line 10, in <module>
    baz()
    ~~~^^
  File "main.py", line 8, in baz
    bar()
    ~~~^^
  File "main.py", line 5, in bar
    foo()
    ~~~^^
  File "main.py", line 2, in foo
    1 / 0
    ~~^~~
ZeroDivisionError: division by zero
"""

# What its Python API makes of a dataclass with an int, a str and bytes.
COMPLEX = {"a": 1, "b": "2", "c": "3"}


def success(value: Any, *lines: str) -> dict[str, Any]:
    return {"status": "success", "output": list(lines), "return_value": value}


@pytest.mark.parametrize(
    ("code", "variables", "expected"),
    [
        pytest.param("a = 1\na + 1", {}, success(2), id="return-value-success"),
        pytest.param('"foobar"', {}, success("foobar"), id="return-string"),
        pytest.param("print(123)", {}, success(None, "123"), id="print-success"),
        pytest.param("a", {"a": [1, 2, 3]}, success([1, 2, 3]), id="access-global-variables"),
        pytest.param("a + b", {"a": 4, "b": 5}, success(9), id="multiple-globals"),
        pytest.param(
            "print(f)",
            {"f": COMPLEX},
            success(None, "{'a': 1, 'b': '2', 'c': '3'}"),
            id="print-complex-global",
        ),
        pytest.param("f", {"f": COMPLEX}, success(COMPLEX), id="return-complex-global"),
        pytest.param(
            "print(unknown)",
            {},
            {"status": "run-error", "output": [], "error": PRINT_ERROR},
            id="print-error",
        ),
        pytest.param(
            TRACEBACK_CODE,
            {},
            {"status": "run-error", "output": [], "error": TRACEBACK},
            id="traceback",
        ),
        pytest.param("import sys\nsys.version_info[:2]", {}, success([3, 14]), id="python-version"),
    ],
)
@pytest.mark.parametrize("way", WORDS)
def test_sandbox(
    vitrine: Program, way: str, code: str, variables: dict[str, Any], expected: dict[str, Any]
) -> None:
    async def check(client: Client) -> None:
        arguments = {"python_code": code, "global_variables": variables}
        result = await client.call_tool("run_python_code", arguments)
        assert json.loads(text_of(result)) == expected

    with_client(vitrine, way, check, "--return-mode", "json")


@pytest.mark.parametrize("way", WORDS)
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("numpy.array([1, 2, 3])", [1, 2, 3], id="return-numpy-success"),
        pytest.param("numpy.array([[1.5], [2]])", [[1.5], [2.0]], id="two-dimensions"),
        pytest.param("numpy.int64(7)", 7, id="integer"),
        pytest.param("numpy.array([1, 2, 3]).mean()", 2.0, id="scalar"),
        pytest.param("{'a': numpy.array([True])}", {"a": [True]}, id="inside"),
    ],
)
def test_sandbox_numpy(vitrine: Program, cache: Path, way: str, code: str, expected: Any) -> None:
    async def check(client: Client) -> None:
        arguments = {"python_code": f"import numpy\n{code}"}
        result = await client.call_tool("run_python_code", arguments)
        assert json.loads(text_of(result)) == {
            "status": "success",
            "dependencies": ["numpy"],
            "output": [],
            "return_value": expected,
        }

    with_client(vitrine, way, check, "--return-mode", "json", cache=cache)


@pytest.mark.parametrize("way", WAYS)
def test_dependencies_argument(vitrine: Program, cache: Path, way: str) -> None:
    """Ours alone: what to install is said beside the code, and is there for that call only."""
    code = (
        "from importlib.util import find_spec\n[find_spec(n) is not None for n in ('six', 'idna')]"
    )

    async def check(client: Client) -> None:
        for wanted, found in (
            (["six==1.16.0"], [True, False]),
            (["six>=1.16", "idna"], [True, True]),
            ([], [False, False]),
        ):
            arguments = {"python_code": code, "dependencies": wanted}
            result = await client.call_tool("run_python_code", arguments)
            content = result.structured_content
            assert content["return_value"] == found
            versions = {package["name"]: package["version"] for package in content["dependencies"]}
            assert len(versions) == len(wanted)
            if wanted == ["six==1.16.0"]:
                assert versions == {"six": "1.16.0"}

    with_client(vitrine, way, check, cache=cache)


@pytest.mark.parametrize("way", WAYS)
def test_install_error(vitrine: Program, cache: Path, way: str) -> None:
    logs: list[tuple[str, Any]] = []
    name = "no-such-project-of-ours-7f3a"

    async def keep(params: types.LoggingMessageNotificationParams) -> None:
        logs.append((params.level, params.data))

    async def check(client: Client) -> None:
        if era_of(way) == "legacy":
            await client.set_logging_level("debug")
        arguments = {"python_code": "print('never')", "dependencies": [name]}
        result = await client.call_tool("run_python_code", arguments)
        assert result.is_error
        text = text_of(result)
        assert text.startswith("<status>install-error</status>\n<error>\n")
        assert f"No matching distribution found for {name}" in text
        assert "never" not in text
        content = result.structured_content
        assert content["status"] == "install-error"
        assert name in content["error"]["message"]
        assert name in content["install_log"]
        assert content["dependencies"] == []
        errors = [name in line for level, line in logs if level == "error"]
        assert errors == ([True] if remembers(way) else [])
        result = await client.call_tool("run_python_code", {"python_code": "1 + 1"})
        assert result.structured_content["return_value"] == 2

    with_client(vitrine, way, check, cache=cache, logging_callback=keep, log_level="debug")


@pytest.mark.parametrize("way", WORDS)
def test_multiple_commands(vitrine: Program, way: str) -> None:
    async def check(client: Client) -> None:
        for number in (1, 2, 3):
            code = f"print({number})\n{number}"
            result = await client.call_tool("run_python_code", {"python_code": code})
            assert json.loads(text_of(result)) == success(number, str(number))

    with_client(vitrine, way, check, "--return-mode", "json")


@pytest.mark.parametrize("way", WORDS)
def test_multiple_sandboxes(vitrine: Program, way: str) -> None:
    """Three servers live at once, each with its own answer."""

    async def talk(number: int, meeting: asyncio.Barrier) -> str:
        async with Client(servers[number], mode=era_of(way)) as client:
            await meeting.wait()
            code = f"import os\nprint({number})"
            result = await client.call_tool("run_python_code", {"python_code": code})
            await meeting.wait()
            return text_of(result)

    async def talk_all() -> list[str]:
        meeting = asyncio.Barrier(3)
        return await asyncio.gather(*(talk(number, meeting) for number in range(3)))

    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(server_of(vitrine, way, [])) for _ in range(3)]
        texts = asyncio.run(asyncio.wait_for(talk_all(), 60))
    assert texts == [
        f"<status>success</status>\n<output>\n{number}\n</output>" for number in range(3)
    ]


@pytest.mark.parametrize("way", WORDS)
def test_multiple_sandboxes_with_dependencies(vitrine: Program, tmp_path: Path, way: str) -> None:
    """Three servers live at once with what --deps names, on one cache that is empty at first."""
    projects = ("six", "idna", "msgpack")
    code = f"from importlib.util import find_spec\n[n for n in {projects} if find_spec(n)]"

    async def talk(name: str, meeting: asyncio.Barrier) -> Any:
        async with Client(servers[name], mode=era_of(way)) as client:
            await meeting.wait()
            result = await client.call_tool("run_python_code", {"python_code": code})
            await meeting.wait()
            return result.structured_content

    async def talk_all() -> list[Any]:
        meeting = asyncio.Barrier(len(projects))
        return await asyncio.gather(*(talk(name, meeting) for name in projects))

    with contextlib.ExitStack() as stack:
        servers = {
            name: stack.enter_context(server_of(vitrine, way, ["--deps", name], tmp_path))
            for name in projects
        }
        results = asyncio.run(asyncio.wait_for(talk_all(), INSTALL_SECONDS_MAX))
    assert [result["return_value"] for result in results] == [[name] for name in projects]
    names = [[package["name"] for package in result["dependencies"]] for result in results]
    assert names == [[name] for name in projects]


@pytest.mark.parametrize("way", WAYS)
def test_print_handler(vitrine: Program, way: str) -> None:
    """Printed lines come as log messages while the code runs, once the client has set a level."""
    logs: list[tuple[str, Any]] = []

    async def keep(params: types.LoggingMessageNotificationParams) -> None:
        logs.append((params.level, params.data))

    async def check(client: Client) -> None:
        if era_of(way) == "legacy":
            await client.set_logging_level("debug")
        code = "import sys\nprint('hello', 123)\nprint('careful', file=sys.stderr)"
        await client.call_tool("run_python_code", {"python_code": code})

    with_client(vitrine, way, check, logging_callback=keep, log_level="debug")
    expected = [("info", "hello 123"), ("warning", "careful")]
    assert logs == (expected if remembers(way) else [])


def test_print_handler_is_silent_by_default(vitrine: Program) -> None:
    logs: list[Any] = []

    async def keep(params: types.LoggingMessageNotificationParams) -> None:
        logs.append(params)

    async def check(client: Client) -> None:
        await client.call_tool("run_python_code", {"python_code": "print(1)"})

    for way in WAYS:
        with_client(vitrine, way, check, logging_callback=keep)
    assert logs == []


@pytest.mark.parametrize("way", WORDS)
def test_disallow_networking(vitrine: Program, way: str) -> None:
    code = "import socket\nsocket.create_connection(('127.0.0.1', 80), timeout=5)"

    async def check(client: Client) -> None:
        result = await client.call_tool("run_python_code", {"python_code": code})
        assert result.is_error
        assert result.structured_content["status"] == "run-error"

    with_client(vitrine, way, check)


@pytest.mark.parametrize("way", WORDS)
def test_disallow_networking_with_a_package(vitrine: Program, cache: Path, way: str) -> None:
    code = (
        "import httpx\nasync with httpx.AsyncClient() as client:\n"
        "    await client.get('http://localhost')"
    )

    async def check(client: Client) -> None:
        result = await client.call_tool("run_python_code", {"python_code": code})
        assert result.is_error
        assert result.structured_content["status"] == "run-error"
        assert result.structured_content["error"]["type"] == "httpx.ConnectError"

    with_client(vitrine, way, check, cache=cache)


def test_cli_version(vitrine: Program) -> None:
    done = vitrine("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(b"vitrine ")


def test_sandbox_without_handshake(vitrine: Program) -> None:
    """Its Python API sends calls without ever initializing; ours are served, too."""
    lines = [
        {"jsonrpc": "2.0", "id": 0, "method": "logging/setLevel", "params": {"level": "debug"}},
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "run_python_code", "arguments": {"python_code": "1 + 1"}},
        },
    ]
    done = vitrine("stdio", stdin="".join(json.dumps(line) + "\n" for line in lines).encode())
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["id"] for answer in answers] == [0, 1]
    assert answers[1]["result"]["structuredContent"]["return_value"] == 2
