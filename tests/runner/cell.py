"""A small client of ``vitrine-cell``: one zygote, and a fresh cell for each run.

It speaks the frames of ``src/wire/wire.h`` as the pool does, so that the runner can be tested in
the real guest without the pool's own ways: its deadlines, its spare cells, its words.
"""

import array
import itertools
import os
import selectors
import signal
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from cases import Case
from records import LIMITS, ROOT, Came, decode, request, wire

REQUEST, STDOUT, STDERR, RESULT, END = 1, 16, 17, 18, 19
FORK, INTERRUPT, KILL, FORK_SESSION, SPLIT_CELL = 32, 33, 34, 35, 36
SPLIT, SPLIT_DONE = 6, 24
DISPLAY = 21
READY, FATAL, EXITED, JAILED, INTERRUPTED, BORN = 48, 49, 50, 51, 52, 53
READY_SNAPSHOT = 4

RETURNED, LEFT, TRAPPED, LIMIT, PROTOCOL = range(5)
LIMIT_MEMORY, LIMIT_OUTPUT = 1, 2

END_REASON, END_EXIT_CODE, END_LIMITS, END_DETAIL = 1, 2, 3, 4

CONTROL_FD = 3  # of vitrine-cell
HEADER = struct.Struct("<IB3x")
READY_S = 60.0
RUN_S = 60.0
# A spare cell rehearses when its request does not come at once; this is long enough.
REHEARSAL_S = 0.1
CHUNK_BYTES = 1 << 18


def frame(kind: int, payload: bytes) -> bytes:
    """Make one frame."""
    return HEADER.pack(len(payload), kind) + payload


@dataclass
class Run(Came):
    """What came of a run in a cell: the result, if there was one, and how the cell ended."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    displays: list[bytes] = field(default_factory=list)
    results: list[bytes] = field(default_factory=list)  # the guest's words: perhaps no records
    reason: int | None = None  # None when the cell died without an END
    end_exit_code: int = 0
    limits: int = 0
    detail: str = ""
    wait_status: int = 0

    def add(self, kind: int, payload: bytes) -> None:
        """Take the next frame of the cell."""
        assert self.reason is None, "END is the last frame"
        self.frames.append((kind, payload))
        if kind == STDOUT:
            self.stdout += payload
        elif kind == STDERR:
            self.stderr += payload
        elif kind == RESULT:
            self.results.append(payload)
        elif kind == DISPLAY:
            self.displays.append(payload)
        else:
            assert kind == END, f"no frame of a cell's: {kind}"
            end = dict(wire.fields(payload))
            self.reason = wire.number(end[END_REASON])
            self.end_exit_code = wire.number(end[END_EXIT_CODE])
            self.limits = wire.number(end[END_LIMITS])
            self.detail = end[END_DETAIL].decode()
            if self.reason == RETURNED:
                decode(b"".join(self.results), self)

    def output(self) -> list[tuple[int, bytes]]:
        """List the output in its order; frames of one stream that follow each other are joined."""
        output = [(kind, payload) for kind, payload in self.frames if kind in (STDOUT, STDERR)]
        runs = itertools.groupby(output, key=lambda item: item[0])
        return [(kind, b"".join(payload for _, payload in group)) for kind, group in runs]


class Cell:
    """One cell: a request down, frames up, and the zygote's word that it has ended."""

    def __init__(
        self, zygote: "Zygote", number: int, ours: socket.socket, stays: bool = False
    ) -> None:
        self.zygote = zygote
        self.stays = stays
        self.number = number
        self._socket = ours
        self._bytes = bytearray()
        self._run = Run()

    def send(self, case: Case) -> None:
        """Give the cell its one request."""
        self._socket.settimeout(RUN_S)
        of_session = wire.field_u32(wire.REQUEST_SESSION, 1) if self.stays else b""
        self._socket.sendall(frame(REQUEST, request(case) + of_session))

    def interrupt(self) -> None:
        """Ask for a KeyboardInterrupt."""
        self.zygote.command(INTERRUPT, self.number)

    def wait_for(self, output: bytes) -> None:
        """Read until stdout ends with this."""
        deadline = time.monotonic() + RUN_S
        while not self._run.stdout.endswith(output):
            assert self._read(deadline), f"no {output!r} in {self._run}"

    def finish(self, seconds: float = RUN_S) -> Run:
        """Read all that the cell says, then how its process ended. Kills it when it is late."""
        deadline = time.monotonic() + seconds
        try:
            while self._read(deadline):
                pass
        except TimeoutError:
            self._kill()
            raise AssertionError(f"not done within {seconds} s: {self._run!r:.2000}") from None
        except BaseException:
            self._kill()  # the zygote goes on to the next test
            raise
        self._socket.close()
        self._run.wait_status = self.zygote.wait_exited(self.number)
        assert not self._bytes, "a frame is cut off"
        return self._run

    def run(self, case: Case, seconds: float = RUN_S) -> Run:
        """Run a case in a session's cell, which goes on, and read what it says up to its END."""
        self.send(case)
        return self.read_end(seconds)

    def read_end(self, seconds: float = RUN_S) -> Run:
        """Read up to the END of the case that was sent last."""
        deadline = time.monotonic() + seconds
        while self._run.reason is None:
            assert self._read(deadline), f"no END: {self._run!r:.2000}"
        came, self._run = self._run, Run()
        return came

    def split(self) -> "Cell":
        """Have a session's cell make a copy of itself, and give that."""
        copy = self.zygote.order_copy(self.number)
        self._socket.sendall(frame(SPLIT, b""))
        self._socket.settimeout(RUN_S)
        assert self._socket.recv(CHUNK_BYTES) == frame(SPLIT_DONE, struct.pack("<I", 0))
        self.zygote.wait_born(copy.number)
        return copy

    def close(self) -> int:
        """End a session by the end of its socket; gives the wait status."""
        self._socket.close()
        return self.zygote.wait_exited(self.number)

    def _kill(self) -> None:
        self._socket.close()
        self.zygote.command(KILL, self.number)
        self.zygote.wait_exited(self.number)

    def _read(self, deadline: float) -> bool:
        """Take the next bytes; False at the end."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        got = self._socket.recv(CHUNK_BYTES)
        self._bytes += got
        at = 0
        while len(self._bytes) >= at + HEADER.size:
            length, kind = HEADER.unpack_from(self._bytes, at)
            end = at + HEADER.size + length
            if len(self._bytes) < end:
                break
            self._run.add(kind, bytes(self._bytes[at + HEADER.size : end]))
            at = end
        del self._bytes[:at]
        return got != b""


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def _private_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    rows = [line.split() for line in rollup.splitlines() if line.startswith("Private_")]
    return sum(int(row[1]) for row in rows)


class Zygote:
    """A ``vitrine-cell``, booted: cold, warm, warm with cells that rehearse, or from a snapshot."""

    def __init__(self, boot: str, log: Path) -> None:
        self.rehearses = boot == "rehearsed"
        self.log = log
        self._number = 0
        build = Path(os.environ.get("VITRINE_BUILD", ROOT / "build")).absolute()
        program = build / "vitrine-cell"
        assert program.exists(), f"{program} is missing: run `make build`"
        command = [str(program), "--core", f"{build}/guest/core.cwasm"]
        command += ["--image", f"{build}/guest/stdlib.img"]
        command += ["--memory-max", str(LIMITS[wire.REQUEST_MEMORY_BYTES])]
        command += ["--cold" if boot in ("cold", "restored") else "--warm"]
        if boot == "restored":
            command += ["--snapshot", f"{build}/guest/snapshot"]
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Not subprocess, which has no way to say which number a descriptor gets.
        self._pid = os.posix_spawn(
            program,
            command,
            {"PATH": "/usr/bin:/bin"},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL_FD),
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            ],
        )
        theirs.close()
        try:
            kind, payload = self._receive(READY_S)
            assert kind == JAILED, f"{payload!r} {log.read_text()}"
            kind, payload = self._receive(READY_S)
            assert kind == READY, f"{payload!r} {log.read_text()}"
        except BaseException:
            self._control.close()
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            raise
        self.ready = dict(wire.fields(payload))
        assert self.ready[READY_SNAPSHOT] == struct.pack("<I", boot == "restored")

    def __enter__(self) -> "Zygote":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it: it goes when the control socket does."""
        self._control.close()
        _, status = os.waitpid(self._pid, 0)
        assert kind or status == 0, f"the zygote ended with {status:#x}: {self.log.read_text()}"

    def command(self, kind: int, number: int) -> None:
        """Send a command that is about one cell."""
        self._control.send(frame(kind, struct.pack("<I", number)))

    def fork(self, stays: bool = False) -> Cell:
        """Make a cell; one that stays is a session's."""
        self._number += 1
        ours, theirs = socket.socketpair()
        attached = array.array("i", [theirs.fileno()])
        self._control.sendmsg(
            [frame(FORK_SESSION if stays else FORK, struct.pack("<I", self._number))],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, attached)],
        )
        theirs.close()
        if self.rehearses:
            time.sleep(REHEARSAL_S)
        return Cell(self, self._number, ours, stays)

    def private_kib(self) -> list[int]:
        """Memory that each of the cells shares with nobody, in KiB; the system must let us look."""
        cells = _children(self._pid)
        while below := _children(cells[0]):
            cells = below
        return [_private_kib(cell) for cell in cells]

    def run(self, case: Case) -> Run:
        """Run one case in a fresh cell."""
        cell = self.fork()
        cell.send(case)
        return cell.finish()

    def wait_exited(self, number: int) -> int:
        """Wait for the end of the cell; there is never another one under way."""
        kind, payload = self._receive(RUN_S)
        assert kind == EXITED, f"{payload!r} {self.log.read_text()}"
        ended, status = struct.unpack("<II", payload)
        assert ended == number
        return status

    def order_copy(self, number: int) -> Cell:
        """Order a copy of a session's cell."""
        self._number += 1
        ours, theirs = socket.socketpair()
        attached = array.array("i", [theirs.fileno()])
        self._control.sendmsg(
            [frame(SPLIT_CELL, struct.pack("<II", self._number, number))],
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, attached)],
        )
        theirs.close()
        return Cell(self, self._number, ours, True)

    def wait_born(self, number: int) -> None:
        """Wait until a copy is there."""
        kind, payload = self._receive(RUN_S)
        assert (kind, payload) == (BORN, struct.pack("<I", number))

    def wait_interrupted(self, number: int) -> None:
        """Wait until an interrupt has reached a session's cell."""
        kind, payload = self._receive(RUN_S)
        assert (kind, payload) == (INTERRUPTED, struct.pack("<I", number))

    def _receive(self, seconds: float) -> tuple[int, bytes]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            assert selector.select(seconds), f"the zygote is silent: {self.log.read_text()}"
        packet = self._control.recv(1 << 16)
        assert packet, f"the zygote is gone: {self.log.read_text()}"
        length, kind = HEADER.unpack_from(packet)
        assert len(packet) == HEADER.size + length
        return kind, packet[HEADER.size :]
