"""Attack 9 in a zygote: native code there makes memory executable.

Expected: a zygote maps machine code that was opened for it, and makes it executable, so mprotect is
left to it. No other way is, and what was only written does not run. A cell that is forked from it
cannot make anything executable.
"""

from __future__ import annotations

from pathlib import Path

from probe import NUMBERS, lived, try_in_zygote
from test_attack_09 import FORBIDDEN, RETURN


def test_asking(tmp_path: Path) -> None:
    left = f"call {NUMBERS['mprotect']} "
    tried = [command for command in FORBIDDEN if not command.startswith(left)]
    assert len(tried) < len(FORBIDDEN)
    found = try_in_zygote(tmp_path, tried)
    assert lived(tried, found) == []


def test_running_what_was_written(tmp_path: Path) -> None:
    [page, argument] = try_in_zygote(tmp_path, ["jump @page", f"jump {RETURN}"])
    assert (page.end, argument.end) == ("SIGSEGV", "SIGSEGV")
