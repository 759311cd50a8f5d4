"""Drives `vitrine-cell-probe`: native code in the place of a guest, or of a zygote.

`ProbeZygote` speaks the frames of `src/wire/wire.h` as the pool does, so that an attack sees how
the kernel ended each process. The same program also runs under the real `vitrine` (`--cell`).
"""

from __future__ import annotations

import array
import os
import re
import selectors
import signal
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from driver import build_folder

REQUEST, STDOUT, END = 1, 16, 19
FORK = 32
READY, EXITED, JAILED = 48, 50, 51
REQUEST_CODE = 1
LIMITS = {7: 10_000, 8: 512 << 20, 9: 64 << 20, 10: 1 << 20, 11: 256 << 20, 12: 20_000}

CONTROL_FD = 3
HEADER = struct.Struct("<IB3x")
SECONDS_MAX = 30.0
LIVES = 42  # the exit status of a `try` that came to its end


def probe_program() -> Path:
    """The probe."""
    path = build_folder() / "tests" / "attack" / "probe" / "vitrine-cell-probe"
    assert path.exists(), f"{path} is missing: build with -Dtests=true"
    return path


def guest_folder(folder: Path, script: str = "", image: str = "") -> Path:
    """A folder as `--guest-dir` wants it: the probe's core is a script for its zygote, and so is
    its image, for the time before the jail has closed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "core.cwasm").write_text(script or "print booted\n", encoding="utf-8")
    (folder / "stdlib.img").write_text(image or "print loaded\n", encoding="utf-8")
    return folder


def frame(kind: int, payload: bytes) -> bytes:
    """One frame."""
    return HEADER.pack(len(payload), kind) + payload


def request(script: str) -> bytes:
    """A request's record."""
    code = script.encode()
    record = struct.pack("<BI", REQUEST_CODE, len(code)) + code
    for number, value in LIMITS.items():
        record += struct.pack("<BIQ", number, 8, value)
    return record


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """The frames that bytes are made of."""
    found = []
    at = 0
    while at + HEADER.size <= len(data):
        length, kind = HEADER.unpack_from(data, at)
        found.append((kind, data[at + HEADER.size : at + HEADER.size + length]))
        at += HEADER.size + length
    return found


def status_text(status: int) -> str:
    """A wait status as attacks compare it: "exit 0", "SIGSYS"."""
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit {os.WEXITSTATUS(status)}"


@dataclass
class Spoken:
    """What a probe in a cell said, and how its process ended."""

    lines: list[str] = field(default_factory=list)
    end: str = ""

    def results(self) -> list[int]:
        """What its system calls returned."""
        return [int(line.rsplit(" ", 1)[1]) for line in self.lines if re.match(r"call|int80", line)]


class Attempt:
    """A cell under way."""

    def __init__(self, number: int, ours: socket.socket) -> None:
        self.number = number
        self.socket = ours

    def send(self, script: str) -> None:
        """Give it its script."""
        self.socket.sendall(frame(REQUEST, request(script)))

    def said(self) -> list[str]:
        """All its lines, when it has ended."""
        self.socket.settimeout(SECONDS_MAX)
        data = b""
        try:
            while got := self.socket.recv(1 << 16):
                data += got
        except ConnectionResetError:
            pass  # it left its request unread
        self.socket.close()
        text = b"".join(payload for kind, payload in frames(data) if kind == STDOUT)
        return text.decode(errors="replace").splitlines()


class ProbeZygote:
    """One probe, booted; its script has run in the zygote, and cells can be forked."""

    def __init__(
        self,
        folder: Path,
        script: str = "",
        image: str = "",
        mounts: Sequence[tuple[str, Path]] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        """`mounts`: mode and directory, which become descriptors from 4 on. `prefix`: a command
        that starts the probe.
        """
        guest = guest_folder(folder, script, image)
        self.log = folder / "log"
        self.number = 0
        program = probe_program()
        command = [str(program), "--core", f"{guest}/core.cwasm", "--image", f"{guest}/stdlib.img"]
        command += ["--memory-max", str(512 << 20), "--cold"]
        command[:0] = prefix
        granted = [os.open(path, os.O_PATH | os.O_DIRECTORY) for _, path in mounts]
        for place, (mode, _) in enumerate(mounts):
            command += ["--mount", f"{mode}:/work{place}"]
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.posix_spawn(
            command[0],
            command,
            {},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL_FD),
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (
                    os.POSIX_SPAWN_OPEN,
                    2,
                    str(self.log),
                    os.O_WRONLY | os.O_CREAT | os.O_APPEND,
                    0o600,
                ),
                # In two steps, as one may be where another is to go.
                *((os.POSIX_SPAWN_DUP2, fd, 100 + i) for i, fd in enumerate(granted)),
                *((os.POSIX_SPAWN_DUP2, 100 + i, CONTROL_FD + 1 + i) for i in range(len(granted))),
                *((os.POSIX_SPAWN_CLOSE, 100 + i) for i in range(len(granted))),
            ],
            setsid=True,
        )
        for fd in (theirs.detach(), *granted):
            os.close(fd)
        self.end = ""
        try:
            packet = self._receive()
            if packet is not None and packet[0] == JAILED:
                packet = self._receive()
        except BaseException:
            os.kill(self.pid, signal.SIGKILL)
            raise
        self.is_ready = packet is not None and packet[0] == READY
        if not self.is_ready:
            self.wait()

    def __enter__(self) -> ProbeZygote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wait()

    def wait(self) -> str:
        """End it, by the end of its control socket; how it ended."""
        self.control.close()
        deadline = time.monotonic() + SECONDS_MAX
        while not self.end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == 0:
                assert time.monotonic() < deadline, "the zygote does not end"
                time.sleep(0.002)
            else:
                self.end = status_text(status)
        return self.end

    def said(self) -> list[str]:
        """What the script said in the zygote."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def fork(self) -> Attempt:
        """A cell that waits for its script."""
        self.number += 1
        ours, theirs = socket.socketpair()
        with theirs:
            self.control.sendmsg(
                [frame(FORK, struct.pack("<I", self.number))],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))],
            )
        return Attempt(self.number, ours)

    def run_all(self, scripts: Iterable[str], at_once: int = 8) -> list[Spoken]:
        """Each script in a cell of its own."""
        waiting = list(enumerate(scripts))[::-1]
        found = [Spoken() for _ in waiting]
        running: dict[int, tuple[int, Attempt]] = {}
        while waiting or running:
            while waiting and len(running) < at_once:
                place, script = waiting.pop()
                attempt = self.fork()
                attempt.send(script)
                running[attempt.number] = (place, attempt)
            packet = self._receive()
            assert packet is not None and packet[0] == EXITED, (packet, self.said())
            number, status = struct.unpack("<II", packet[1])
            place, attempt = running.pop(number)
            found[place] = Spoken(attempt.said(), status_text(status))
        return found

    def run(self, script: str) -> Spoken:
        """A script in a cell."""
        return self.run_all([script])[0]

    def _receive(self) -> tuple[int, bytes] | None:
        with selectors.DefaultSelector() as selector:
            selector.register(self.control, selectors.EVENT_READ)
            assert selector.select(SECONDS_MAX), f"the zygote is silent: {self.said()}"
        try:
            packet = self.control.recv(1 << 16)
        except ConnectionResetError:
            return None
        return frames(packet)[0] if packet else None


# ---- Names of system calls ---------------------------------------------------------------------


def numbers_of(header: str) -> dict[str, int]:
    """Name to number, of unistd_64.h, unistd_32.h or unistd_x32.h."""
    for folder in ("/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"):
        path = Path(folder) / header
        if path.exists():
            text = path.read_text(encoding="ascii")
            pattern = r"#define __NR_(\w+) \(?(?:__X32_SYSCALL_BIT \+ )?(\d+)\)?"
            return {name: int(number) for name, number in re.findall(pattern, text)}
    raise AssertionError(f"{header} is missing: install linux-libc-dev")


NUMBERS = numbers_of("unistd_64.h")


def call(name: str, *arguments: object) -> str:
    """A line of the probe's language for a call by its name."""
    return " ".join(["call", str(NUMBERS[name]), *map(str, arguments)])


def hexed(data: bytes) -> str:
    """Bytes as an argument."""
    return "#" + data.hex()


# ---- In a zygote -------------------------------------------------------------------------------


def trials(commands: Iterable[str]) -> str:
    """A script that tries each command in a child of the zygote."""
    return "".join(f"print :{i}\ntry {command}\n" for i, command in enumerate(commands))


def try_in_zygote(folder: Path, commands: Iterable[str], is_loading: bool = False) -> list[Spoken]:
    """What became of each command in a zygote whose jail has closed, before it forks any cell; or
    earlier, while it reads its files.
    """
    script = trials(commands)
    with ProbeZygote(folder, *(("", script) if is_loading else (script,))) as zygote:
        said = zygote.said()
    found: list[Spoken] = []
    for said_line in said:
        if re.fullmatch(r":\d+", said_line):
            found.append(Spoken())
        elif found and (ended := re.fullmatch(r"try: (\d+)", said_line)):
            found[-1].end = status_text(int(ended[1]))
        elif found:
            found[-1].lines.append(said_line)
    return found


def is_denied(spoken: Spoken) -> bool:
    """Whether a call came to nothing: it ended the process, or was answered with an error."""
    return spoken.end == "SIGSYS" or (spoken.results() != [] and spoken.results()[0] < 0)


def lived(commands: Iterable[str], found: list[Spoken]) -> list[tuple[str, Spoken]]:
    """The commands that came to something."""
    pairs = zip(commands, found, strict=True)
    return [(command, spoken) for command, spoken in pairs if not is_denied(spoken)]
