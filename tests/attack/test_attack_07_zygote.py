"""Attack 7 in a zygote: native code there tries every system call number.

Expected: exactly what docs/seccomp.md says of a zygote, where a hostile package runs that is
imported ahead; and of one that loads its files, which may have been made to break the loader.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from probe import try_in_zygote
from seccomp import ZEROES
from test_attack_07 import HIGHEST, KILLED, X32, check_table, line, numbers_to_try

TABLES = {"A zygote": False, "A zygote that loads the guest's files": True}


@pytest.mark.parametrize("table", TABLES)
def test_every_number(tmp_path: Path, table: str) -> None:
    tried = numbers_to_try(table)
    commands = [line(*attempt) for attempt in tried]
    check_table(table, tried, try_in_zygote(tmp_path, commands, TABLES[table]))


@pytest.mark.parametrize("is_loading", [False, True])
def test_every_i386_and_x32_number(tmp_path: Path, is_loading: bool) -> None:
    commands = [f"int80 {number}" for number in range(512)]
    commands += [line(X32 + number, ZEROES) for number in range(HIGHEST)]
    found = try_in_zygote(tmp_path, commands, is_loading)
    assert {spoken.end for spoken in found[:512]} <= {KILLED, "SIGSEGV"}
    assert {spoken.end for spoken in found[512:]} == {KILLED}
