"""Attack 7 in a zygote: native code there tries every system call number.

Expected: exactly what docs/seccomp.md says of a zygote. A hostile package that is imported ahead
runs there, after the jail has closed.
"""

from __future__ import annotations

from pathlib import Path

from probe import try_in_zygote
from seccomp import ZEROES
from test_attack_07 import HIGHEST, KILLED, X32, check_table, line, numbers_to_try

TABLE = "A zygote"


def test_every_number(tmp_path: Path) -> None:
    tried = numbers_to_try(TABLE)
    check_table(TABLE, tried, try_in_zygote(tmp_path, (line(*attempt) for attempt in tried)))


def test_every_i386_and_x32_number(tmp_path: Path) -> None:
    commands = [f"int80 {number}" for number in range(512)]
    commands += [line(X32 + number, ZEROES) for number in range(HIGHEST)]
    found = try_in_zygote(tmp_path, commands)
    assert {spoken.end for spoken in found[:512]} <= {KILLED, "SIGSEGV"}
    assert {spoken.end for spoken in found[512:]} == {KILLED}
