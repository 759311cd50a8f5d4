"""Attack 9 in a zygote: native code there makes memory executable.

Expected: machine code is made executable while it is loaded, before anything of a guest's runs;
afterwards no way to ask is left, and what was only written does not run.
"""

from __future__ import annotations

from pathlib import Path

from probe import lived, try_in_zygote
from test_attack_09 import FORBIDDEN, RETURN


def test_asking(tmp_path: Path) -> None:
    assert lived(FORBIDDEN, try_in_zygote(tmp_path, FORBIDDEN)) == []


def test_running_what_was_written(tmp_path: Path) -> None:
    [page, argument] = try_in_zygote(tmp_path, ["jump @page", f"jump {RETURN}"])
    assert (page.end, argument.end) == ("SIGSEGV", "SIGSEGV")
