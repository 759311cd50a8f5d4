"""Attack 8 in a zygote: code of a hostile package, imported ahead, is native code there.

Expected: nothing comes of any call. Most end the process with SIGSYS; the few that a zygote needs
until its cells are jailed fail in the empty root and without privileges. Forking is left to it.
"""

from __future__ import annotations

from pathlib import Path

from probe import call, lived, try_in_zygote
from test_attack_08 import ALL

HARMLESS = [call("chdir", "'/")]  # it is there


def test_in_a_zygote(tmp_path: Path) -> None:
    tried = [command for command in ALL if command not in HARMLESS]
    found = try_in_zygote(tmp_path, tried)
    assert lived(tried, found) == []
    assert [spoken.end for spoken in found].count("SIGSYS") > len(tried) * 0.9
