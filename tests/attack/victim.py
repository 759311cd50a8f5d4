"""The real server with a cache of its own, which takes packages from the attacker's index."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import fetcher
import local_index
from driver import Json, Program, RawServer, children_of

ANSWER_SECONDS_MAX = 90.0
END_SECONDS_MAX = 10.0

# What a program sees that runs in the base environment, whatever was installed for others.
PRISTINE = """\
import json, re, sys
from importlib.util import find_spec
sorted(n for n in ('demo', 'js', 'sitecustomize', 'evil') if n in sys.modules or find_spec(n)), \\
json.__file__, re.__file__, json.dumps(re.findall('a+', 'caaat'))
"""


class Victim:
    """`vitrine stdio` in front of an index that attacks."""

    def __init__(self, world: fetcher.World, program: Program, *args: str) -> None:
        self.world = world
        self.program = program
        self.index = world.server()
        self.environment = {
            **local_index.alone(world.certificate, self.index.address),
            "VITRINE_CACHE": str(world.cache),
            "VITRINE_TIMEOUT": "3",
        }
        self.server = RawServer(program, *args, env=self.environment)
        self.server.initialize()
        self.seen: set[int] = set()

    def __enter__(self) -> Victim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.__exit__(kind, error, trace)

    def serve(self, name: str, *wheels: tuple[str, bytes]) -> None:
        """Put wheels on the project's page."""
        self.index.page(name, *(self.index.file(*wheel) for wheel in wheels))

    def send(self, code: str, dependencies: list[str] | None = None) -> int:
        """Start a call; the number of its answer."""
        message = self.server.call_message(code)
        if dependencies is not None:
            message["params"]["arguments"]["dependencies"] = dependencies
        self.server.send(message)
        return message["id"]

    def wait(self, number: int, seconds: float = ANSWER_SECONDS_MAX) -> Json:
        """The structured content of an answer."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.server.receive(max(0.1, deadline - time.monotonic()))
            self.seen |= children_of(self.server.process.pid)
            if message.get("id") == number:
                assert "result" in message, message
                return message["result"]["structuredContent"]

    def call(self, code: str, dependencies: list[str] | None = None, **options: Any) -> Json:
        """Run code."""
        return self.wait(self.send(code, dependencies), **options)

    def litter(self) -> list[str]:
        """Temporary files in the cache."""
        names = fetcher.files_under(self.world.cache)
        return [name for name in names if ".tmp-" in name or name.startswith("fetching/")]

    def check_unharmed(self) -> None:
        """The server answers, the next run is clean, and nothing is left of what was."""
        clean = self.call(PRISTINE, seconds=30)
        library = "/lib/python3.14"
        assert clean["status"] == "success", clean
        assert clean["return_value"] == [
            [],
            f"{library}/json/__init__.py",
            f"{library}/re/__init__.py",
            '["aaa"]',
        ]
        self.server.close_input()
        assert self.server.process.wait(END_SECONDS_MAX) == 0
        deadline = time.monotonic() + END_SECONDS_MAX
        while left := [pid for pid in self.seen if is_ours(pid)]:
            names = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in left]
            assert time.monotonic() < deadline, names
            time.sleep(0.02)
        assert self.litter() == []


def is_ours(pid: int) -> bool:
    """Whether a process runs that is one of our programs."""
    try:
        return "vitrine" in os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False


def installed(folder: Path) -> set[str]:
    """Names of the environments in a cache."""
    return {path.name for path in (folder / "environments").iterdir() if path.is_dir()}
