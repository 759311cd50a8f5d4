"""The official inspector, by its command line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driver import Program, clean_environment, is_sanitized
from http_server import HttpServer

LAUNCHER = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
ERAS = ("legacy", "modern", "auto")
WAYS = ("stdio", "http", "sse")


class Inspector:
    """`mcp-inspector --cli`, with a home of its own."""

    def __init__(self, home: Path, target: list[str]) -> None:
        self.home = home
        self.target = target

    @property
    def eras(self) -> tuple[str, ...]:
        """The eras that the way to the server has: SSE has the older alone."""
        return ("legacy",) if "sse" in self.target else ERAS

    def __call__(self, method: str, *args: str) -> subprocess.CompletedProcess[bytes]:
        node = os.environ["VITRINE_TEST_NODE"]
        launcher = Path(os.environ["VITRINE_TEST_NODE_MODULES"]) / LAUNCHER
        return subprocess.run(
            [node, launcher, "--cli", *self.target, "--method", method, *args],
            capture_output=True,
            timeout=60,
            env={**clean_environment(), "HOME": str(self.home)},
            check=False,
        )

    def run(self, code: str, *args: str) -> tuple[int, Any]:
        """Call the tool; the status, and the result if there is one."""
        arguments = json.dumps({"python_code": code})
        done = self(
            "tools/call", "--tool-name", "run_python_code", "--tool-args-json", arguments, *args
        )
        assert done.stdout, done.stderr.decode()
        return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(vitrine: Program) -> Iterator[HttpServer]:
    with HttpServer(vitrine) as running:
        yield running


@pytest.fixture(params=WAYS)
def inspector(
    request: pytest.FixtureRequest, vitrine: Program, server: HttpServer, tmp_path: Path
) -> Inspector:
    sanitized = ["-e", "VITRINE_REQUIRE_JAIL=none"] if is_sanitized() else []
    targets = {
        "stdio": [*sanitized, str(vitrine.path), "stdio"],
        "http": [server.url, "--transport", "http"],
        "sse": [server.sse_url, "--transport", "sse"],
    }
    return Inspector(tmp_path, targets[request.param])


def test_tools_are_listed(inspector: Inspector) -> None:
    for era in inspector.eras:
        done = inspector("tools/list", "--protocol-era", era)
        assert done.returncode == 0, done.stderr.decode()
        tool, *_ = json.loads(done.stdout)["tools"]
        assert tool["name"] == "run_python_code"
        assert tool["outputSchema"]["type"] == "object"


def test_the_schemas_have_no_errors(inspector: Inspector) -> None:
    """Its linter knows what other clients trip over."""
    done = inspector("tools/list", "--strict")
    assert done.returncode == 0, done.stderr.decode()
    assert b"0 errors" in done.stderr or b"errors" not in done.stderr


def test_a_call(inspector: Inspector) -> None:
    for era in inspector.eras:
        status, result = inspector.run("print('né')\n6 * 7", "--protocol-era", era)
        assert status == 0
        assert result["structuredContent"]["return_value"] == 42
        assert result["structuredContent"]["stdout"] == "né\n"


def test_a_failing_call(inspector: Inspector) -> None:
    for era in inspector.eras:
        status, result = inspector.run("1 / 0", "--protocol-era", era)
        assert status != 0
        assert result["isError"]
        assert result["structuredContent"]["error"]["type"] == "ZeroDivisionError"


def test_the_log_level_is_set(inspector: Inspector) -> None:
    done = inspector("logging/setLevel", "--log-level", "warning", "--protocol-era", "legacy")
    assert done.returncode == 0, done.stderr.decode()


def test_its_load_test(inspector: Inspector) -> None:
    """Two hundred calls, ten at a time, without a failure."""
    options = ("--load", "--load-requests", "200", "--load-concurrency", "10")
    status, figures = inspector.run("sum(range(1000))", *options)
    assert status == 0
    assert figures["requests"] == figures["ok"] == 200
    assert figures["toolErrors"] == figures["errors"] == 0
