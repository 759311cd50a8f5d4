"""Attack 13: signals to others - kill(-1), the parent, the zygote, the server - and input pushed
into a terminal (TIOCSTI).

Expected: native code is ended with SIGSYS for asking; Python in the guest gets an error, or reaches
nobody but itself. Everybody else lives, and nothing is typed into the user's terminal.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import time

from driver import Program, children_of, clean_environment
from probe import ProbeZygote, call, guest_folder, probe_program
from target import Target

TIOCSTI, TIOCSWINSZ, TIOCLINUX, TIOCSCTTY, TIOCCONS = 0x5412, 0x5414, 0x541C, 0x540E, 0x541D

# Signal 0 asks whether one may, and URG is ignored where nobody waits for it.
SIGNALS = [
    *(call("kill", pid, number) for pid in (-1, 0, 1, "@parent", "@pid") for number in (0, 23)),
    call("tkill", "@parent", 23),
    call("tgkill", "@parent", "@parent", 23),
    call("rt_sigqueueinfo", "@parent", 23, "@page"),
    call("rt_tgsigqueueinfo", "@parent", "@parent", 23, "@page"),
    call("pidfd_send_signal", 3, 23, 0, 0),
    call("fcntl", 3, 8, "@parent"),  # F_SETOWN
    call("timer_create", 0, "@page", "@page"),
    call("mq_notify", 3, "@page"),
    call("setitimer", 1, "@page", 0),
    call("alarm", 1),
]
TERMINAL = [
    *(call("ioctl", fd, TIOCSTI, "'x") for fd in range(4)),
    *(call("ioctl", 2, request, "@page") for request in (TIOCSWINSZ, TIOCLINUX, TIOCCONS)),
    call("ioctl", 0, TIOCSCTTY, 1),
    call("ioctl", 2, 0x100000000 | TIOCSTI, "'x"),
    call("setsid"),
    call("setpgid", 0, 0),
]

PYTHON = """\
import os, signal
found = []
def attempt(label, action):
    try:
        action()
    except (OSError, AttributeError, ValueError, PermissionError):
        return
    found.append(label)
for pid in (-1, 0, 1, 2, *pids):
    for number in (0, signal.SIGURG, signal.SIGKILL):
        attempt(('kill', pid, int(number)), lambda: os.kill(pid, number))
        attempt(('killpg', pid, int(number)), lambda: os.killpg(pid, number))
attempt('queue', lambda: signal.pthread_kill(1, 9))
attempt('pidfd', lambda: os.pidfd_open(1))
attempt('parent', lambda: os.kill(os.getppid(), 9))
found
"""
INJECT = """\
import fcntl, termios
for fd in range(8):
    for request in (0x5412, 0x541C):
        try:
            fcntl.ioctl(fd, request, b'x')
            print('done', fd)
        except OSError:
            pass
"""


def test_native_signals_in_a_cell(probe_zygote: ProbeZygote) -> None:
    found = probe_zygote.run_all(SIGNALS)
    lived = [c for c, spoken in zip(SIGNALS, found, strict=True) if spoken.end != "SIGSYS"]
    assert lived == []


def test_native_input_in_a_cell(probe_zygote: ProbeZygote) -> None:
    found = probe_zygote.run_all(TERMINAL)
    lived = [c for c, spoken in zip(TERMINAL, found, strict=True) if spoken.end != "SIGSYS"]
    assert lived == []


def test_python_signals_nobody(target: Target) -> None:
    """A signal to itself ends a run at most; the host's numbers mean nothing in the guest."""
    pids = [target.pid, os.getpid(), *sorted(children_of(target.pid))]
    zygotes = {pid for pid in children_of(target.pid) if has_children(pid)}
    assert zygotes
    for batch in ([], pids):
        result = target.call(f"pids = {batch!r}\n{PYTHON}")
        assert result["status"] in ("success", "run-error", "crash"), result
        reached = [row for row in result["return_value"] or [] if row[1:2] not in ([0], [42])]
        assert reached == [], result
    assert zygotes <= children_of(target.pid)


def has_children(pid: int) -> bool:
    return bool(children_of(pid))


class Terminal:
    """A terminal with `vitrine run` in its foreground."""

    def __init__(self, program: Program, *args: str) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(program.path, [str(program.path), *args], clean_environment())

    def output(self, seconds: float) -> bytes:
        """All that is shown until the end."""
        found = b""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            try:
                found += os.read(self.master, 4096)
            except OSError:  # the program has ended
                break
        return found

    def end(self) -> int:
        """The exit status."""
        status = os.waitpid(self.pid, 0)[1]
        os.close(self.master)
        return status


def test_nothing_is_typed_into_the_terminal(vitrine: Program, tmp_path: os.PathLike[str]) -> None:
    """What would be typed would be echoed."""
    program = tmp_path / "program.py"  # type: ignore[operator]
    program.write_text(INJECT + "print('end')\n", encoding="utf-8")
    terminal = Terminal(vitrine, "run", str(program))
    shown = terminal.output(30)
    assert (terminal.end(), shown.split()) == (0, [b"end"])


def test_native_code_types_nothing_either(vitrine: Program, tmp_path: os.PathLike[str]) -> None:
    guest = guest_folder(tmp_path / "guest")  # type: ignore[operator]
    for command in TERMINAL[:4]:
        program = tmp_path / "script"  # type: ignore[operator]
        program.write_text(f"print before\n{command}\nprint after\n", encoding="ascii")
        options = ("--cell", str(probe_program()), "--guest-dir", str(guest))
        terminal = Terminal(vitrine, "run", *options, str(program))
        shown = terminal.output(30)
        assert os.waitstatus_to_exitcode(terminal.end()) == 128 + signal.SIGSYS
        assert b"before" in shown and b"after" not in shown and b"x\r" not in shown
