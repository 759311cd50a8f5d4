"""Every client library over every transport that it speaks, through one tour each.

clients/tour.py and clients/tour.mjs say what a tour is. It is made once for each pair of a library
and a way to the server, and the tests judge what the client saw.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from driver import Program, RawServer, clean_environment
from http_server import HttpServer

CLIENTS = Path(__file__).parent / "clients"
TOUR_SECONDS_MAX = 120
MODERN = "2026-07-28"
# As many programs at once as the tour calls; a call that is never cancelled holds a place for long.
OPTIONS = ("--max-cells", "6", "--client-cells", "6", "--timeout", "50")

PYTHON = {
    "mcp2": lambda: sys.executable,
    "fast": lambda: sys.executable,
    "mcp1": lambda: os.environ["VITRINE_TEST_MCP1_PYTHON"],
}

# Library, way, mode. The mode is the era where the library has a choice; the older transports are
# for the older era alone. A server without sessions does not know in the older era what an earlier
# request said: which level is set, or which call is cancelled.
PAIRS = [
    ("mcp2", "stdio", "legacy"),
    ("mcp2", "stdio", "auto"),
    ("mcp2", "http", "legacy"),
    ("mcp2", "http", "auto"),
    ("mcp2", "stateless", "legacy"),
    ("mcp2", "stateless", "auto"),
    ("mcp2", "sse", "legacy"),
    ("fast", "stdio", "auto"),
    ("fast", "stdio", "legacy"),
    ("fast", "http", "auto"),
    ("fast", "http", "legacy"),
    ("fast", "stateless", "auto"),
    ("fast", "sse", "legacy"),
    ("mcp1", "stdio", None),
    ("mcp1", "http", None),
    ("mcp1", "stateless", None),
    ("mcp1", "sse", None),
    ("sdk1", "stdio", None),
    ("sdk1", "http", None),
    ("sdk1", "stateless", None),
    ("sdk1", "sse", None),
    ("client2", "stdio", "legacy"),
    ("client2", "stdio", MODERN),
    ("client2", "http", "legacy"),
    ("client2", "http", MODERN),
    ("client2", "stateless", "legacy"),
    ("client2", "stateless", MODERN),
    ("client2", "sse", "legacy"),
]


def command_of(library: str) -> list[str]:
    if library in PYTHON:
        return [PYTHON[library](), str(CLIENTS / "tour.py"), library]
    return [os.environ["VITRINE_TEST_NODE"], str(CLIENTS / "tour.mjs"), library]


def take(library: str, target: dict[str, Any]) -> dict[str, Any]:
    """Make a tour; its report."""
    done = subprocess.run(
        [*command_of(library), json.dumps(target)],
        capture_output=True,
        timeout=TOUR_SECONDS_MAX,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


class Tour:
    """One library's tour, made when it is first asked for."""

    def __init__(self, library: str, way: str, mode: str | None, target: dict[str, Any]) -> None:
        self.library = library
        self.way = way
        self.mode = mode
        self.target = target | ({} if mode is None else {"mode": mode})
        if not self.remembers:
            self.target["without"] = ["cancel"]

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        return take(self.library, self.target)

    def __getitem__(self, step: str) -> Any:
        seen = self.report[step]
        assert not (isinstance(seen, dict) and "failure" in seen), seen["failure"]
        return seen

    @property
    def is_modern(self) -> bool:
        return self.mode in (MODERN, "auto")

    @property
    def remembers(self) -> bool:
        """Whether the server knows from one request to the next what the client has said."""
        return self.is_modern or self.way != "stateless"


@pytest.fixture(scope="module")
def ways(vitrine: Program) -> Iterator[dict[str, dict[str, Any]]]:
    """Where the clients go: how a server is started, or what its address is."""
    arguments = ["stdio", *OPTIONS]
    environment = clean_environment()
    program = {"command": str(vitrine.path), "args": arguments, "env": environment}
    with (
        HttpServer(vitrine, *OPTIONS) as server,
        HttpServer(vitrine, *OPTIONS, "--stateless") as stateless,
    ):
        yield {
            "stdio": {"transport": "stdio", **program},
            "http": {"transport": "http", "url": server.url},
            "stateless": {"transport": "http", "url": stateless.url},
            "sse": {"transport": "sse", "url": server.sse_url},
        }


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: "-".join(filter(None, pair)))
def tour(request: pytest.FixtureRequest, ways: dict[str, dict[str, Any]]) -> Tour:
    library, way, mode = request.param
    return Tour(library, way, mode, ways[way])


@pytest.fixture(scope="module")
def schema(vitrine: Program) -> dict[str, Any]:
    """What the tool says its structured content is."""
    with RawServer(vitrine) as server:
        server.initialize()
        return server.request("tools/list")["result"]["tools"][0]["outputSchema"]


def test_the_server_is_found(tour: Tour) -> None:
    seen = tour["server"]
    assert seen["name"] == "vitrine"
    assert seen["tools"][0] == "run_python_code"
    if tour.is_modern:
        assert seen["version"] == MODERN
    else:
        assert seen["version"] in ("2025-11-25", None)


def test_a_value(tour: Tour, schema: dict[str, Any]) -> None:
    seen = tour["value"]
    assert not seen["is_error"]
    assert seen["structured"]["return_value"] == {"answer": 42}
    assert seen["text"].startswith("<status>success</status>\n")
    jsonschema.validate(seen["structured"], schema)


def test_an_error(tour: Tour, schema: dict[str, Any]) -> None:
    seen = tour["error"]
    assert seen["is_error"]
    assert seen["structured"]["error"]["type"] == "ZeroDivisionError"
    assert "ZeroDivisionError: division by zero" in seen["text"]
    jsonschema.validate(seen["structured"], schema)


def test_an_unknown_tool(tour: Tour) -> None:
    assert "no_such_tool" in tour["unknown_tool"]["raised"]


def test_unicode(tour: Tour) -> None:
    seen = tour["unicode"]
    assert seen["structured"]["return_value"] == seen["sent"]
    assert seen["structured"]["stdout"] == seen["sent"] + "\n"


def test_a_large_result(tour: Tour) -> None:
    seen = tour["large"]
    assert seen["structured"]["return_value"] == "é" * 200_000
    assert "é" * 200_000 in seen["text"]


def test_log_messages_come_in_order_while_the_code_runs(tour: Tour) -> None:
    seen = tour["talk"]
    if not tour.remembers:
        assert seen["logs"] == []
        return
    assert [(level, text) for _, level, text in seen["logs"]] == [
        ("warning" if number == 3 else "info", f"line {number}") for number in range(6)
    ]
    times = [when for when, _, _ in seen["logs"]]
    assert times == sorted(times)
    # Lines are 0.4 s apart, and the first is 2.4 s older than the answer.
    assert seen["seconds"] - times[0] > 2.0
    assert times[-1] - times[0] > 1.5


def test_progress_comes_while_the_code_runs(tour: Tour) -> None:
    seen = tour["talk"]
    assert seen["progress"]
    values = [value for _, value in seen["progress"]]
    assert values == sorted(values)
    assert seen["progress"][0][0] < seen["seconds"] - 0.5


def run_side_by_side(calls: list[Any]) -> bool:
    """Whether calls of one list ran at the same time, each with an answer of its own."""
    assert [me for me, _, _ in calls] == list(range(len(calls)))
    return max(begin for _, begin, _ in calls) < min(end for _, _, end in calls)


def test_parallel_calls(tour: Tour) -> None:
    assert run_side_by_side(tour["parallel"])


def test_cancelled_calls_end(tour: Tour) -> None:
    """The old era without sessions has no way to say which call is meant, but to disconnect."""
    if not tour.remembers:
        assert "cancel" not in tour.report
        return
    assert run_side_by_side(tour["cancel"])
