"""Ways to run the real program: as a command, and as a server spoken to byte by byte."""

from __future__ import annotations

import functools
import itertools
import json
import os
import queue
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

Json = dict[str, Any]
ANSWER_SECONDS_MAX = 30.0


def build_folder() -> Path:
    """Where the programs are."""
    default = Path(__file__).resolve().parents[2] / "build"
    return Path(os.environ.get("VITRINE_BUILD", default)).resolve()


@functools.cache
def is_sanitized() -> bool:
    """Whether the programs under test were built with checks of addresses, and so without jail."""
    options = json.loads((build_folder() / "meson-info/intro-buildoptions.json").read_text())
    return {option["name"]: option["value"] for option in options}["b_sanitize"] != "none"


def clean_environment() -> dict[str, str]:
    """Ours, without what would change the program's options or the look of its output."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("VITRINE_")}
    kept.pop("NO_COLOR", None)
    # What clients do with run_python_code is tested with that tool alone; test_sessions.py has the
    # others.
    kept["VITRINE_NO_SESSIONS"] = "1"
    return kept | ({"VITRINE_REQUIRE_JAIL": "none"} if is_sanitized() else {})


class Program:
    """`vitrine` as a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(
        self,
        *args: str | Path,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        timeout: float = 60,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run to the end."""
        return subprocess.run(
            [self.path, *args],
            input=stdin,
            capture_output=True,
            env={**clean_environment(), **(env or {})},
            timeout=timeout,
            cwd=cwd,
            check=False,
        )

    def code(self, code: str, *args: str) -> subprocess.CompletedProcess[bytes]:
        """`vitrine run -`, so that code of any length fits."""
        return self("run", *args, "-", stdin=code.encode())

    def start(self, *args: str | Path, **options: Any) -> subprocess.Popen[bytes]:
        """Run in the background."""
        return subprocess.Popen(
            [self.path, *args],
            stdin=options.pop("stdin", subprocess.PIPE),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=options.pop("stderr", subprocess.PIPE),
            env={**clean_environment(), **options.pop("env", {})},
            **options,
        )


def children_of(pid: int) -> set[int]:
    """All descendants of a process that are alive."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found: set[int] = set()
    fresh = {pid}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


class RawServer:
    """`vitrine stdio` under a client that may send anything."""

    def __init__(self, program: Program, *args: str, **options: Any) -> None:
        self.process = program.start("stdio", *args, **options)
        self.numbers = itertools.count(1)
        self.messages: queue.Queue[Json | None] = queue.Queue()
        self.stderr = b""
        self.readers = [
            threading.Thread(target=self._read_messages, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def __enter__(self) -> RawServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read_messages(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.messages.put(json.loads(line))
        self.messages.put(None)

    def _read_stderr(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.stderr += line

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, message: Any) -> None:
        self.send_bytes(json.dumps(message).encode() + b"\n")

    def receive(self, timeout: float = ANSWER_SECONDS_MAX) -> Json:
        """The next message; fails when there is none in time or the server has closed."""
        message = self.messages.get(timeout=timeout)
        assert message is not None, f"the server closed its output; it said {self.stderr!r}"
        return message

    def request(self, method: str, params: Json | None = None) -> Json:
        """Send a request and wait for its answer; other messages are dropped."""
        number = next(self.numbers)
        self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}})
        return self.answer_to(number)

    def answer_to(self, number: Any) -> Json:
        while True:
            message = self.receive()
            if message.get("id") == number:
                return message

    def initialize(self, version: str = "2025-11-25") -> Json:
        params = {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }
        answer = self.request("initialize", params)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer["result"]

    def call_message(self, code: str, number: Any = None, **variables: Any) -> Json:
        arguments: Json = {"python_code": code}
        if variables:
            arguments["global_variables"] = variables
        return {
            "jsonrpc": "2.0",
            "id": next(self.numbers) if number is None else number,
            "method": "tools/call",
            "params": {"name": "run_python_code", "arguments": arguments},
        }

    def call(self, code: str, **variables: Any) -> Json:
        """Run code and return the tool's result."""
        message = self.call_message(code, **variables)
        self.send(message)
        answer = self.answer_to(message["id"])
        assert "result" in answer, answer
        return answer["result"]

    def text(self, code: str, **variables: Any) -> str:
        """Run code and return the result's text."""
        return self.call(code, **variables)["content"][0]["text"]

    def close_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
