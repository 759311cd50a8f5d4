"""What docs/guide-clients.md shows is right.

JSON has the shape that its client documents, shell commands parse, and Python runs against the real
server, with a stand-in for the model. A snippet that this file knows nothing of is a failure, too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
from driver import Program, clean_environment
from http_server import HttpServer

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide-clients.md"
ADDRESS = "http://127.0.0.1:3001"
STAND_INS = Path(__file__).parent / "clients" / "stand_ins.py"


class Snippet(NamedTuple):
    """A block of the guide, below a heading."""

    section: str
    language: str
    text: str
    number: int

    @property
    def is_http(self) -> bool:
        return ADDRESS in self.text


def snippets() -> list[Snippet]:
    found = []
    for section in re.split(r"^## ", GUIDE.read_text(), flags=re.MULTILINE):
        title = section.splitlines()[0]
        blocks = re.findall(r"^```(\w*)\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        found += [Snippet(title, language, text, n) for n, (language, text) in enumerate(blocks, 1)]
    return found


def of(language: str) -> list[Any]:
    """The guide's blocks of a language, as parameters."""
    return [
        pytest.param(snippet, id=f"{snippet.section}-{snippet.number}".replace(" ", "-"))
        for snippet in snippets()
        if snippet.language == language
    ]


def server(required: list[str], **kinds: Any) -> dict[str, Any]:
    """The schema of one server in a client's file."""
    properties: dict[str, Any] = {
        "command": {"type": "string", "minLength": 1},
        "args": {"type": "array", "items": {"type": "string"}},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "url": {"type": "string", "pattern": "^https?://"},
    }
    chosen = {name: properties[name] for name in ("command", "args", "env", "url")}
    if "url" in required:
        chosen = {"url": chosen["url"], "headers": properties["env"]}
    else:
        chosen.pop("url")
    return {
        "type": "object",
        "properties": chosen | kinds,
        "required": required,
        "additionalProperties": False,
    }


def servers(name: str, *forms: dict[str, Any]) -> dict[str, Any]:
    """The schema of a client's file: servers of these forms below a member."""
    return {
        "type": "object",
        "properties": {
            name: {
                "type": "object",
                "patternProperties": {"^[a-zA-Z][a-zA-Z0-9_-]*$": {"anyOf": list(forms)}},
                "additionalProperties": False,
                "minProperties": 1,
            }
        },
        "required": [name],
        "additionalProperties": False,
    }


def constant(value: str) -> dict[str, Any]:
    return {"const": value}


# Claude Desktop starts programs only. Claude Code takes a missing type for stdio, and needs it for
# addresses. Cursor tells by the members. Visual Studio Code requires the type.
FILES = {
    "Claude Desktop": servers("mcpServers", server(["command"])),
    "Claude Code": servers(
        "mcpServers",
        server(["command"], type=constant("stdio")),
        server(["url", "type"], type={"enum": ["http", "sse"]}),
    ),
    "Cursor": servers("mcpServers", server(["command"]), server(["url"])),
    "Visual Studio Code": servers(
        "servers",
        server(["command", "type"], type=constant("stdio")),
        server(["url", "type"], type={"enum": ["http", "sse"]}),
    ),
    "Coming from mcp-run-python": servers("mcpServers", server(["command"])),
}
NOT_OURS = {"mcp-run-python"}


def test_every_client_is_there() -> None:
    sections = {snippet.section for snippet in snippets()}
    assert sections >= {*FILES, "pydantic-ai", "LangChain", "OpenAI Agents"}
    assert {snippet.language for snippet in snippets()} == {"json", "sh", "python"}


@pytest.mark.parametrize("snippet", of("json"))
def test_json_has_the_shape_of_the_client(snippet: Snippet) -> None:
    jsonschema.validate(json.loads(snippet.text), FILES[snippet.section])


@pytest.mark.parametrize("snippet", of("json"))
def test_json_starts_a_server(vitrine: Program, snippet: Snippet) -> None:
    """The command line of each file is one that our program takes."""
    (named,) = json.loads(snippet.text).values()
    for entry in named.values():
        if "command" in entry and entry["command"] not in NOT_OURS:
            assert entry["command"] == "vitrine"
            assert vitrine(*entry["args"], "--help", env=entry.get("env")).returncode == 0
            arguments = [text for text in entry["args"] if text not in ("--deps", "numpy")]
            done = vitrine(*arguments, env=entry.get("env"))  # its input is empty, so it ends
            assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize("snippet", of("sh"))
def test_shell_commands_parse(vitrine: Program, snippet: Snippet) -> None:
    checked = subprocess.run(
        ["bash", "-n"], input=snippet.text.encode(), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()
    for line in snippet.text.splitlines():
        words = shlex.split(line)
        if words[0] == "vitrine":  # each command and each of its options is there
            done = vitrine(*words[1:], "--help")
            assert done.returncode == 0, done.stderr.decode()
        if "--add-mcp" in words:
            added = json.loads(words[words.index("--add-mcp") + 1])
            assert set(added) == {"name", "command", "args"}


@pytest.fixture(scope="module")
def http(vitrine: Program) -> Iterator[HttpServer]:
    with HttpServer(vitrine) as running:
        yield running


@pytest.mark.parametrize("snippet", of("python"))
def test_python_runs(vitrine: Program, http: HttpServer, snippet: Snippet, tmp_path: Path) -> None:
    """With the server's address, `vitrine` on PATH, and a model that asks to run `6 * 7`."""
    program = tmp_path / "program.py"
    program.write_text(snippet.text.replace(ADDRESS, http.root))
    python = sys.executable
    if "langchain_mcp_adapters" in snippet.text:
        python = os.environ["VITRINE_TEST_MCP1_PYTHON"]
    # Clients give the programs that they start few of their own variables; clean_environment()'s
    # must get there.
    launcher = tmp_path / "vitrine"
    variables = {name: text for name, text in clean_environment().items() if "VITRINE" in name}
    words = ["exec", "env", *(f"{name}={text}" for name, text in variables.items())]
    launcher.write_text(f'#!/bin/sh\n{shlex.join([*words, str(vitrine.path)])} "$@"\n')
    launcher.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [python, str(STAND_INS), str(program)],
        capture_output=True,
        env={**clean_environment(), "PATH": path},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    said = done.stdout.decode()
    if "call_tool(" in snippet.text:
        assert said == "45\n"
    elif "get_tools()" in snippet.text:
        assert said.count("'run_python_code'") == 2, said
    else:
        assert "42" in said, said
