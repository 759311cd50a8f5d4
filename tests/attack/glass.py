"""The glass alone: the true guest in processes without a jail, and a record of what they ask of
the kernel.

`Glass` gives a program for `--cell` that runs `vitrine-cell-bare` under strace. No filter stops a
cell there; `strange` tells which of its system calls the filter would have stopped.
"""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

from probe import NUMBERS, build_folder
from seccomp import ZEROES, expected, tables

CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<arguments>[^)<]*)")
DEATH = re.compile(r"^(?P<pid>\d+) +\+\+\+ killed by (?P<signal>\w+)")
SCRIPT = '#!/bin/sh\nexec "{strace}" -D -f -qq -e raw=all -o "{trace}" "{program}" "$@"\n'
# The last two calls with which a cell closes itself in; what comes before is not the guest's.
ENTRANCE = ("dup2", "close_range")
RULES = tables()["A cell"]


class Glass:
    """One record, of one server's zygotes and cells."""

    def __init__(self, folder: Path) -> None:
        strace = shutil.which("strace")
        assert strace, "strace is missing: install it"
        program = build_folder() / "tests" / "attack" / "probe" / "vitrine-cell-bare"
        assert program.exists(), f"{program} is missing: build with -Dtests=true"
        self.trace = folder / "trace"
        self.cell = folder / "cell"
        text = SCRIPT.format(strace=strace, trace=self.trace, program=program)
        self.cell.write_text(text, encoding="utf-8")
        self.cell.chmod(0o755)

    def options(self) -> tuple[str, ...]:
        """For `vitrine`."""
        guest = str(build_folder() / "guest")
        return ("--cell", str(self.cell), "--guest-dir", guest, "--require-jail", "none")

    def is_writing(self) -> bool:
        """Whether strace still runs: it ends after what it watches."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                if str(self.trace).encode() in path.read_bytes():
                    return True
        return False

    def strange(self) -> list[str]:
        """Calls of cells that are not in the table, and deaths that no trap explains.

        To be asked when nothing is written any more.
        """
        last: dict[str, tuple[str, ...]] = {}  # calls of each process, until it has entered
        entered = 0
        found = []
        for line in self.trace.read_text(encoding="utf-8", errors="replace").splitlines():
            if died := DEATH.match(line):
                if last.pop(died["pid"], ()) == ENTRANCE and died["signal"] != "SIGKILL":
                    found.append(line)
            elif call := CALL.match(line):
                before = last.get(call["pid"], ())
                if before != ENTRANCE:
                    last[call["pid"]] = (*before, call["name"])[-len(ENTRANCE) :]
                    entered += last[call["pid"]] == ENTRANCE
                elif not is_allowed(call["name"], call["arguments"]):
                    found.append(line)
                if call["name"] == "exit_group":  # the number may be used again
                    last.pop(call["pid"])
        assert entered > 0, "strace has seen no cell"
        return found


def is_allowed(name: str, arguments: str) -> bool:
    """Whether a cell's filter lets a call pass."""
    found = list(ZEROES)
    for i, word in enumerate(filter(None, arguments.replace(" ", "").split(","))):
        found[i] = int(word, 0)
    return expected(RULES, NUMBERS[name], tuple(found)) == "allowed"
