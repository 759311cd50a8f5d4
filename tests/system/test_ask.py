"""`vitrine run --ask`: a person sees the program on the terminal, and decides."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from driver import Program, clean_environment

QUESTION = b"Run it? [y/N]"
PROGRAM = """\
# /// script
# dependencies = ["rich>=13"]
# ///
import json
from PIL import Image
hidden = "\x1b[8m\u202e"
print("it ran")
"""


@dataclass
class Asked:
    """A program that asks on a terminal of its own."""

    pid: int
    terminal: int
    shown: bytes = b""

    def read_until(self, text: bytes, seconds: float = 30) -> None:
        """Collect what the terminal shows, until `text` is there."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self.terminal], [], [], left)[0], self.shown
            self.shown += os.read(self.terminal, 65536)

    def end(self) -> int:
        """Collect the rest; the exit status."""
        with contextlib.suppress(OSError):  # EIO: the other end is gone
            while chunk := os.read(self.terminal, 65536):
                self.shown += chunk
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def ask(vitrine: Program, *args: str | Path) -> Asked:
    """Start `vitrine run --ask` on a terminal, and wait for its question."""
    pid, terminal = pty.fork()
    if pid == 0:
        arguments = [str(argument) for argument in (vitrine.path, "run", "--ask", *args)]
        os.execve(vitrine.path, arguments, clean_environment())
    asked = Asked(pid, terminal)
    asked.read_until(QUESTION)
    return asked


def test_yes_runs_it(vitrine: Program) -> None:
    asked = ask(vitrine, "-c", "import math\nprint(math.factorial(5))")
    assert b"    1  import math\r\n    2  print(math.factorial(5))" in asked.shown
    assert b"imports of the standard library: math\r\n" in asked.shown
    assert b"120" not in asked.shown
    os.write(asked.terminal, b"y\n")
    assert asked.end() == 0
    assert b"\r\n120\r\n" in asked.shown


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"yess\n", b"no y\n", b"\x04"])
def test_anything_else_does_not(vitrine: Program, answer: bytes) -> None:
    asked = ask(vitrine, "-c", "print('it' + ' ran')")
    os.write(asked.terminal, answer)
    assert asked.end() == 125
    assert b"it ran" not in asked.shown
    assert b"the program was not run" in asked.shown


def test_ctrl_c_does_not(vitrine: Program) -> None:
    asked = ask(vitrine, "-c", "print('it' + ' ran')")
    os.write(asked.terminal, b"\x03")
    assert asked.end() == 128 + signal.SIGINT
    assert b"it ran" not in asked.shown


def test_what_is_shown_is_what_there_is(vitrine: Program, tmp_path: Path) -> None:
    """Nothing in the source steers the terminal, so no line can hide."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    asked = ask(vitrine, "--color", "never", script)
    os.write(asked.terminal, b"n\n")
    asked.end()
    text = asked.shown.decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert '    6  hidden = "\ufffd[8m\ufffd"' in text
    assert "packages it would install for its imports: PIL (pillow)" in text
    assert "packages it requires by name: rich>=13" in text
    assert "it could reach: no network" in text


def test_what_cannot_be_seen_is_said(vitrine: Program) -> None:
    asked = ask(vitrine, "-c", "def f(:")
    os.write(asked.terminal, b"n\n")
    asked.end()
    assert b"not all of it is known: it does not compile" in asked.shown


def test_program_from_standard_input(vitrine: Program) -> None:
    """The answer comes from the terminal, never from the input that the program came from."""
    command = f"printf 'print(6*7)\\ny\\n' | {vitrine.path} run --ask -"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve("/bin/sh", ["sh", "-c", command], clean_environment())
    asked = Asked(pid, terminal)
    asked.read_until(QUESTION)
    os.write(terminal, b"n\n")
    assert asked.end() == 125


def test_without_a_terminal(vitrine: Program) -> None:
    done = subprocess.run(
        [vitrine.path, "run", "--ask", "-c", "print(1)"],
        input=b"y\n",
        capture_output=True,
        start_new_session=True,
        env=clean_environment(),
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"--ask needs a terminal" in done.stderr
