"""`vitrine http` in the background, and where it listens."""

from __future__ import annotations

import queue
import re
import signal
import subprocess
import threading
from types import TracebackType

from driver import Program

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 20.0
ADDRESS = re.compile(r"serving at (https?://\S+?:\d+)(/[^\s,]*)")


class HttpServer:
    """A server on a port of its own, from start to SIGTERM."""

    def __init__(
        self,
        program: Program,
        *args: str,
        command: tuple[str, ...] = ("http",),
        env: dict[str, str] | None = None,
    ) -> None:
        self.process = program.start(
            *command,
            "--port",
            "0",
            *args,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=env or {},
        )
        self.lines: list[str] = []
        self.found: queue.Queue[tuple[str, str] | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        found = self.found.get(timeout=START_SECONDS_MAX)
        assert found is not None, f"the server ended: {self.said}"
        self.root, self.path = found

    def _read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            line = raw.decode()
            self.lines.append(line)
            if match := ADDRESS.search(line):
                self.found.put((match[1], match[2]))
        self.found.put(None)

    @property
    def said(self) -> str:
        """What it said on standard error until now."""
        return "".join(self.lines)

    @property
    def url(self) -> str:
        """Of streamable HTTP."""
        return f"{self.root}/mcp"

    @property
    def sse_url(self) -> str:
        """Of the older transport, with two endpoints."""
        return f"{self.root}/sse"

    def stop(self) -> int:
        """End it as a system would; its status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS_MAX)
        self.reader.join(STOP_SECONDS_MAX)
        return status

    def __enter__(self) -> HttpServer:
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
