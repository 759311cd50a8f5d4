"""The real server under attack, with canaries around it and a look at what it leaves behind.

`Target` runs `vitrine stdio` with secrets in its environment and beside it, and with listeners on
every address that a program could try. After an attack `check_rested` asks: does it answer, is the
next run clean, are descriptors, processes and temporary files as they were, is every canary alive?
`check_unharmed` asks the same, ends the server, and looks for what it has left behind. No answer
may hold a secret or come later than its limit; that of an `attack` may not tell of a process that
ended before its guest did.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from driver import Json, Program, RawServer, children_of, is_sanitized
from glass import Glass
from probe import guest_folder, probe_program
from victim import is_ours

SETTLE_SECONDS_MAX = 10.0
SPARE_MAX = 2
# Beyond a limit of time: half a second until SIGKILL, and what a busy machine may add.
LATE_MS_MAX = 500 + 5000
PULSE_SECONDS = 0.1
CLEAN = "import sys; sorted(n for n in ('evil',) if n in sys.modules), 6 * 7"
TCP_HOSTS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))


class Pulse:
    """How long this machine has stood still at most: a busy one, or one that was itself suspended,
    is late through no fault of the server's.
    """

    def __init__(self) -> None:
        self.still_ms = 0.0
        threading.Thread(target=self._beat, daemon=True).start()

    def _beat(self) -> None:
        last = time.monotonic()
        while True:
            time.sleep(PULSE_SECONDS)
            now = time.monotonic()
            self.still_ms = max(self.still_ms, 1000 * (now - last - PULSE_SECONDS))
            last = now


pulse = Pulse()


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
        bare: bool = False,
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
        self.glass = Glass(folder) if bare else None
        if self.glass:
            args = (*self.glass.options(), *args)
        environment = {"CANARY": self.secret, "TMPDIR": str(self.temporary), **(env or {})}
        environment["VITRINE_SPARE_MEMORY"] = "0"  # so that it comes to rest at once
        self.server = RawServer(program, *args, env=environment)
        self.server.initialize()
        self.timeout_ms = timeout_of(args)
        self.seen: dict[int, str] = {}  # when each was started: numbers are used again
        self.groups: set[Path] = set()
        self.expect_clean()
        self.open_before = len(descriptors(self.pid))
        self.below_before = len(self.remember())

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

    def call(self, code: str, **variables: Any) -> Json:
        """Run code; its structured content. What the server starts meanwhile is remembered."""
        found = self.server.call(code, **variables)["structuredContent"]
        self.remember()
        self.check_answer(found)
        return found

    def remember(self) -> set[int]:
        """What runs below the server."""
        below = children_of(self.pid)
        for pid in below - self.seen.keys():
            self.groups |= groups_of(pid)
            self.seen[pid] = started(pid)
        return below

    def left(self) -> list[int]:
        """What of it is still there."""
        return [pid for pid, when in self.seen.items() if is_ours(pid) and started(pid) == when]

    def check_answer(self, found: Json) -> None:
        """What holds for every answer."""
        assert self.secret not in json.dumps(found)
        late_ms_max = LATE_MS_MAX + pulse.still_ms
        assert found["timings"]["wall_ms"] < self.timeout_ms + late_ms_max, found

    def attack(self, code: str, **variables: Any) -> Json:
        """A call whose guest may end in any way, but its process only as the guest does."""
        found = self.call(code, **variables)
        self.check_contained(found)
        return found

    def attack_all(self, codes: dict[str, str]) -> dict[str, Json]:
        """Many such calls at the same time."""
        waiting = {}
        for name, code in codes.items():
            message = self.server.call_message(code)
            waiting[message["id"]] = name
            self.server.send(message)
        found = {}
        while waiting:
            message = self.server.receive(SETTLE_SECONDS_MAX + len(codes) * self.timeout_ms / 1000)
            self.remember()
            result = message["result"]["structuredContent"]
            self.check_answer(result)
            self.check_contained(result)
            found[waiting.pop(message["id"])] = result
        return found

    def check_contained(self, found: Json) -> None:
        """See attack."""
        message = (found["error"] or {}).get("message", "")
        assert "the sandbox process" not in message, found

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
        """Whether nothing is left over; a spare cell more or less does not count."""
        return (
            len(descriptors(self.pid)) <= self.open_before + SPARE_MAX
            and len(self.remember()) <= self.below_before + SPARE_MAX
        )

    def states(self) -> list[str]:
        """Each process below, for whoever has to find out why it is there."""
        found = []
        for pid in sorted(self.remember()):
            with suppress(OSError):
                parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")
                state, parent, *rest = parts[2].split()
                waits = Path(f"/proc/{pid}/wchan").read_text(encoding="utf-8")
                found.append(f"{pid} of {parent}: {state} in {waits}, {rest[9]} ticks")
        return found

    def check_rested(self) -> None:
        """See the top of this file."""
        self.expect_clean()
        wait_until(self.settled, lambda: (descriptors(self.pid), self.states()))
        assert self.listeners.heard() == []
        assert self.file.read_text(encoding="ascii") == self.secret
        assert list(self.temporary.iterdir()) == []
        assert self.secret.encode() not in self.server.stderr

    def check_unharmed(self) -> None:
        """See the top of this file. Ends the server."""
        self.check_rested()
        self.server.close_input()
        assert self.server.process.wait(SETTLE_SECONDS_MAX) == 0
        own = groups_of(os.getpid())
        wait_until(
            lambda: not self.left() and not any(group.exists() for group in self.groups - own),
            lambda: (self.left(), self.groups - own),
        )
        assert self.listeners.heard() == []
        assert list(self.temporary.iterdir()) == []
        if self.glass:
            glass = self.glass
            wait_until(lambda: not glass.is_writing(), lambda: glass.trace)
            assert glass.strange() == []


def wait_until(holds: Callable[[], bool], facts: Callable[[], object]) -> None:
    """Until it holds, or fail and tell the facts."""
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while not holds():
        assert time.monotonic() < deadline, facts()
        time.sleep(0.02)


def timeout_of(args: Sequence[str]) -> float:
    """Milliseconds of `--timeout SECONDS`."""
    words = [args[i + 1] for i, word in enumerate(args[:-1]) if word == "--timeout"]
    return 1000 * float(words[-1]) if words else 60_000


def started(pid: int) -> str:
    """When a process was started; "" when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def groups_of(pid: int) -> set[Path]:
    """The control groups that a process is in, except for roots, where the dying ones go."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    found = set()
    for _, kinds, path in (line.split(":", 2) for line in lines):
        for root in () if path == "/" else (kinds, kinds.removeprefix("name="), "unified", ""):
            found.add(Path("/sys/fs/cgroup", root) / path.lstrip("/"))
    return found


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
    """What runs below a server: launchers, of each one zygote, and its cells.

    A build under sanitizers has no jail, and so no launchers.
    """
    parents = parents_of(children_of(server))
    children = [pid for pid, parent in parents.items() if parent == server]
    launchers = [] if is_sanitized() else children
    zygotes = [pid for pid, parent in parents.items() if parent in (launchers or [server])]
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
