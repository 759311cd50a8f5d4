"""`vitrine repl` as a person sees it: on a terminal that tmux draws."""

from __future__ import annotations

import contextlib
import itertools
import os
import pty
import select
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Program, clean_environment

_numbers = itertools.count()
SECONDS_MAX = 30.0


class Terminal:
    """A terminal with `vitrine repl` on it."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str]) -> None:
        self._socket = f"vitrine-test-{os.getpid()}-{next(_numbers)}"
        environment = {**clean_environment(), "XDG_STATE_HOME": str(folder), **variables}
        environment.pop("TMUX", None)
        words = ["env", *(f"{name}={text}" for name, text in variables.items()), *command]
        line = f"{shlex.join(words)}; echo status $?; sleep 60"
        size = ("-x", "100", "-y", "50", "-c", str(folder))
        subprocess.run(
            ["tmux", "-L", self._socket, "-f", "/dev/null", "new-session", "-d", *size, line],
            env=environment,
            check=True,
        )

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self._socket, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, *keys: str) -> None:
        """Type texts and keys, such as Enter, Tab, C-c."""
        for key in keys:
            is_key = key in ("Enter", "Tab", "Up", "Down", "Left", "Home", "BSpace") or (
                len(key) == 3 and key.startswith(("C-", "M-"))
            )
            self._tmux("send-keys", *(() if is_key else ("-l",)), key)

    def shown(self, *options: str) -> str:
        """All that is on the screen, and has been."""
        return self._tmux("capture-pane", "-p", "-S", "-500", *options)

    def wait_for(self, text: str, count: int = 1) -> str:
        """Wait until a text stands there so many times; what is shown then."""
        deadline = time.monotonic() + SECONDS_MAX
        while (shown := self.shown()).count(text) < count:
            assert time.monotonic() < deadline, shown
            time.sleep(0.02)
        return shown

    def close(self) -> None:
        """Take the terminal away."""
        subprocess.run(["tmux", "-L", self._socket, "kill-server"], check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def terminal(vitrine: Program, folder: Path) -> Iterator[Terminal]:
    found = Terminal([str(vitrine.path), "repl"], folder, {})
    found.wait_for(">>>")
    yield found
    found.close()


def test_values_are_shown_and_kept(terminal: Terminal) -> None:
    terminal.type("x = 6 * 7", "Enter", "x", "Enter", "_ + 1", "Enter", "None", "Enter")
    terminal.wait_for("43")
    terminal.type("'text'", "Enter")
    assert ">>> x\n42\n>>> _ + 1\n43\n>>> None\n>>> 'text'\n'text'\n" in terminal.wait_for(
        "'text'\n>"
    )


def test_a_block_ends_with_a_blank_line(terminal: Terminal) -> None:
    terminal.type(
        "def double(n):", "Enter", "return 2 * n", "Enter", "Enter", "double(21)", "Enter"
    )
    shown = terminal.wait_for("\n42\n")
    assert ">>> def double(n):\n...     return 2 * n\n...\n>>> double(21)\n42\n" in shown


def test_a_block_is_edited_as_a_whole(terminal: Terminal) -> None:
    terminal.type("for i in (1, 2):", "Enter", "print('n', i)", "Up", "Home", "Down", "Home")
    terminal.type("    if i > 1: ", "Enter")
    terminal.type(
        "C-c", "while True:", "Enter", "break", "Enter", "Enter", "print('after')", "Enter"
    )
    terminal.wait_for("\nafter\n")


def test_errors_look_like_pythons(terminal: Terminal) -> None:
    terminal.type("def f():", "Enter", "1/0", "Enter", "Enter", "f()", "Enter")
    shown = terminal.wait_for("ZeroDivisionError: division by zero\n>>>")
    assert (
        "Traceback (most recent call last):\n"
        '  File "<python-input-1>", line 1, in <module>\n'
        "    f()\n    ~^^\n"
        '  File "<python-input-0>", line 2, in f\n'
        "    1/0\n    ~^~\n"
        "ZeroDivisionError: division by zero\n" in shown
    )
    assert "\x1b[35m" in terminal.shown("-e")  # in colours
    terminal.type("x = (", "Enter", "1 1)", "Enter")
    terminal.wait_for("SyntaxError")


def test_ctrl_c_ends_the_line_and_the_program(terminal: Terminal) -> None:
    terminal.type("kept = 'still here'", "Enter", "half a li")
    terminal.wait_for(">>> half a li")
    terminal.type("C-c")
    terminal.wait_for("KeyboardInterrupt\n>>>")
    terminal.type("import time", "Enter", "print('go'); time.sleep(1000)", "Enter")
    terminal.wait_for("\ngo\n")
    terminal.type("C-c")
    terminal.wait_for("KeyboardInterrupt\n>>>", 2)
    terminal.type("kept", "Enter")
    terminal.wait_for("\n'still here'\n")


def test_what_does_not_let_itself_be_interrupted(terminal: Terminal) -> None:
    terminal.type("while True:", "Enter", "try:", "Enter", "while True: pass", "Enter")
    terminal.type("BSpace", "except BaseException: pass", "Enter", "Enter")
    terminal.type("Enter")
    time.sleep(0.5)
    terminal.type("C-c")
    time.sleep(0.3)
    terminal.type("C-c")
    terminal.wait_for("what follows begins anew")
    terminal.type("'there again'", "Enter")
    terminal.wait_for("\n'there again'\n")


def test_a_crash_says_what_is_lost(terminal: Terminal) -> None:
    terminal.type("x = 1", "Enter", "import os; os._exit(3)", "Enter")
    terminal.wait_for("lost")
    terminal.type("x", "Enter")
    terminal.wait_for("NameError")


def test_names_are_completed(terminal: Terminal) -> None:
    terminal.type("import mat", "Tab", "Enter", "math.facto", "Tab", "(5)", "Enter")
    assert ">>> import math\n>>> math.factorial(5)\n120\n" in terminal.wait_for("\n120\n")
    terminal.type("long_variable_name = 3", "Enter", "print(long_v", "Tab", ")", "Enter")
    terminal.wait_for("\n3\n")
    terminal.type("math.is", "Tab")
    assert "isfinite" in terminal.wait_for("isclose")


def test_completion_does_not_change_the_session(terminal: Terminal) -> None:
    terminal.type(
        "before = set(globals())", "Enter", "bef", "Tab", "; _ = 5", "Enter", "_", "Enter"
    )
    terminal.wait_for("\n5\n")
    terminal.type("set(globals()) - before - {'before', '_'}", "Enter")
    terminal.wait_for("\nset()\n")


def test_history_survives(vitrine: Program, folder: Path) -> None:
    first = Terminal([str(vitrine.path), "repl"], folder, {})
    first.wait_for(">>>")
    first.type("for i in range(2):", "Enter", "print('line', i)", "Enter", "Enter")
    first.wait_for("line 1\n")
    first.type("exit(3)", "Enter")
    first.wait_for("status 3")
    first.close()
    second = Terminal([str(vitrine.path), "repl"], folder, {})
    second.wait_for(">>>")
    second.type("Up", "Up")
    second.wait_for(">>> for i in range(2):\n...     print('line', i)")
    second.type("C-c", "C-r", "ran", "Enter", "Enter", "Enter")
    second.wait_for("\nline 1\n")
    second.type("C-d")
    second.wait_for("status 0")
    second.close()
    assert (folder / "vitrine" / "history").stat().st_size > 0
    assert (folder / "vitrine").stat().st_mode & 0o077 == 0


def test_pictures_are_saved_where_none_can_be_shown(terminal: Terminal, folder: Path) -> None:
    png = (
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA"
        "AABJRU5ErkJggg=="
    )
    terminal.type("import base64", "Enter", "class P:", "Enter")
    terminal.type(f"_repr_png_ = lambda s: base64.b64decode('{png}')", "Enter", "Enter")
    terminal.type("display(P())", "Enter")
    terminal.wait_for("a picture was saved as vitrine-1.png")
    assert (folder / "vitrine-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("variables", "begin"),
    [
        ({"TERM": "xterm-kitty"}, b"\x1b_Ga=T,f=100,q=2,m=0;iVBOR"),
        ({"TERM_PROGRAM": "iTerm.app"}, b"\x1b]1337;File=inline=1;size=69:iVBOR"),
        ({"TERM": "xterm-sixel"}, b'\x1bPq"1;1;1;1#'),
    ],
)
def test_pictures_are_shown_where_they_can_be(
    vitrine: Program, folder: Path, variables: dict[str, str], begin: bytes
) -> None:
    """What the terminal gets: tmux would not pass it on."""
    environment = {**clean_environment(), "XDG_STATE_HOME": str(folder), **variables}
    environment.pop("TMUX", None)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(vitrine.path, [str(vitrine.path), "repl", "--deps", "pillow"], environment)
    os.write(terminal, b"from PIL import Image; Image.new('RGB', (1, 1), 'red')\r")
    shown = b""
    deadline = time.monotonic() + 120
    while begin not in shown:
        left = max(0.0, deadline - time.monotonic())
        assert select.select([terminal], [], [], left)[0], shown
        shown += os.read(terminal, 65536)
    os.write(terminal, b"\x04")
    with contextlib.suppress(OSError):
        while os.read(terminal, 65536):
            pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not list(folder.glob("vitrine-*"))


def test_output_does_not_steer_the_terminal(terminal: Terminal) -> None:
    terminal.type("print('\\x1b[2J\\x1b]0;title\\x07visible')", "Enter")
    terminal.wait_for("visible\n")
    assert "Python 3.14" in terminal.shown()


def test_a_directory_is_there(vitrine: Program, folder: Path) -> None:
    (folder / "helper.py").write_text("def double(n):\n    return 2 * n\n")
    found = Terminal([str(vitrine.path), "repl", "--mount", f"{folder}:rw"], folder, {})
    found.wait_for(">>>")
    found.type("import helper; helper.double(21)", "Enter")
    found.wait_for("\n42\n")
    found.type("print(open('made.txt', 'w').write('kept'), 'written')", "Enter")
    found.wait_for("4 written")
    found.type("exit()", "Enter")
    found.wait_for("status 0")
    found.close()
    assert (folder / "made.txt").read_text() == "kept"


def test_without_a_terminal(vitrine: Program) -> None:
    done = vitrine("repl", stdin=b"print(1)\n")
    assert done.returncode == 2
    assert b"repl needs a terminal" in done.stderr
