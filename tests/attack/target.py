"""The real server under attack, with canaries around it and a look at what it leaves behind.

`Target` runs `vitrine stdio` with secrets in its environment and beside it, and with listeners on
every address that a program could try. `check_unharmed` then asks: does it answer, is the next run
clean, are descriptors, processes and temporary files as they were, is every canary alive?
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from driver import Json, Program, RawServer, children_of
from probe import guest_folder, probe_program
from victim import is_ours

SETTLE_SECONDS_MAX = 10.0
SPARE_MAX = 2
CLEAN = "import sys; sorted(n for n in ('evil',) if n in sys.modules), 6 * 7"
TCP_HOSTS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class Listeners:
    """Somebody at home on the loopback, on two kinds of unix sockets, and for datagrams."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "listener"
        self.abstract = f"vitrine-test-{secrets.token_hex(8)}"
        self.ports: dict[str, int] = {}
        self.sockets: list[socket.socket] = []
        for family, host in TCP_HOSTS:
            if family == socket.AF_INET6 and not has_ipv6():
                continue
            stream = self._bind(socket.socket(family, socket.SOCK_STREAM), (host, 0))
            stream.listen()
            self.ports[host] = stream.getsockname()[1]
            self._bind(socket.socket(family, socket.SOCK_DGRAM), (host, self.ports[host]))
        for name in (str(self.path), f"\0{self.abstract}"):
            self._bind(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), name).listen()

    def _bind(self, made: socket.socket, address: object) -> socket.socket:
        made.bind(address)  # type: ignore[arg-type]
        made.setblocking(False)
        self.sockets.append(made)
        return made

    def heard(self) -> list[str]:
        """Who has called; nobody should have."""
        found = []
        for listener in self.sockets:
            try:
                if listener.type == socket.SOCK_STREAM:
                    listener.accept()[0].close()
                else:
                    listener.recv(1)
                found.append(str(listener.getsockname()))
            except BlockingIOError:
                pass
        return found

    def close(self) -> None:
        for listener in self.sockets:
            listener.close()


def has_ipv6() -> bool:
    """Whether this machine has ::1."""
    with socket.socket(socket.AF_INET6) as tried:
        try:
            tried.bind(("::1", 0))
        except OSError:
            return False
        return True


def descriptors(pid: int) -> dict[int, str]:
    """What a process has open."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[int(entry.name)] = os.readlink(entry)
        except FileNotFoundError:
            continue
    return found


class Target:
    """`vitrine stdio`, to be attacked."""

    def __init__(
        self,
        folder: Path,
        program: Program,
        *args: str,
        probe: bool = False,
        env: dict[str, str] | None = None,
    ) -> None:
        self.secret = f"canary-{secrets.token_hex(16)}"
        self.file = folder / "secret"
        self.file.write_text(self.secret, encoding="ascii")
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.listeners = Listeners(folder)
        self.is_probe = probe
        if probe:
            guest = guest_folder(folder / "guest")
            args = ("--cell", str(probe_program()), "--guest-dir", str(guest), *args)
        environment = {"CANARY": self.secret, "TMPDIR": str(self.temporary), **(env or {})}
        self.server = RawServer(program, *args, env=environment)
        self.server.initialize()
        self.seen: set[int] = set()
        self.expect_clean()
        self.seen |= children_of(self.pid)
        self.open_before = len(descriptors(self.pid))

    @property
    def pid(self) -> int:
        return self.server.process.pid

    def __enter__(self) -> Target:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.__exit__(kind, error, trace)
        self.listeners.close()

    def call(self, code: str) -> Json:
        """Run code; its structured content. What the server starts meanwhile is remembered."""
        found = self.server.call(code)["structuredContent"]
        self.seen |= children_of(self.pid)
        return found

    def expect_clean(self) -> None:
        """A run like any other, in a state like any other."""
        if self.is_probe:
            result = self.call("print clean")
            assert (result["status"], result["stdout"]) == ("success", "clean\n"), result
        else:
            result = self.call(CLEAN)
            assert result["status"] == "success", result
            assert result["return_value"] == [[], 42]

    def settled(self) -> bool:
        """Whether no descriptor is left over; a spare cell more or less does not count."""
        return len(descriptors(self.pid)) <= self.open_before + SPARE_MAX

    def check_unharmed(self) -> None:
        """See the top of this file. Ends the server."""
        self.expect_clean()
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while not self.settled():
            assert time.monotonic() < deadline, descriptors(self.pid)
            time.sleep(0.02)
        self.seen |= children_of(self.pid)
        self.server.close_input()
        assert self.server.process.wait(SETTLE_SECONDS_MAX) == 0
        while left := [pid for pid in self.seen if is_ours(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.02)
        assert self.listeners.heard() == []
        assert self.file.read_text(encoding="ascii") == self.secret
        assert list(self.temporary.iterdir()) == []


def status_of(pid: int) -> dict[str, str]:
    """/proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return {name: text.strip() for name, text in (line.split(":", 1) for line in lines)}


def parents_of(pids: set[int]) -> dict[int, int]:
    """Of those that are still there."""
    found = {}
    for pid in pids:
        with suppress(OSError):
            found[pid] = int(status_of(pid)["PPid"])
    return found


def generations(server: int) -> dict[str, list[int]]:
    """What runs below a server: launchers, of each one zygote, and its cells."""
    parents = parents_of(children_of(server))
    launchers = [pid for pid, parent in parents.items() if parent == server]
    zygotes = [pid for pid, parent in parents.items() if parent in launchers]
    cells = [pid for pid, parent in parents.items() if parent in zygotes]
    return {"launcher": launchers, "zygote": zygotes, "cell": cells}


@contextmanager
def family(target: Target) -> Iterator[dict[str, list[int]]]:
    """What runs below a server while a program does."""
    code = "import time; time.sleep(1)"
    running = threading.Thread(target=target.call, args=(code,))
    running.start()
    time.sleep(0.3)
    try:
        yield generations(target.pid)
    finally:
        running.join()
