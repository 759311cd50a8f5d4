"""Attack 10 in a zygote: native code there opens the host's files.

Expected: its root is an empty folder, so that there is none; what it needs was found before.
"""

from __future__ import annotations

import os
from pathlib import Path

from driver import children_of
from probe import lived, try_in_zygote
from target import Target, parents_of
from test_attack_10 import READING


def test_native_code(tmp_path: Path) -> None:
    assert lived(READING, try_in_zygote(tmp_path, READING)) == []


def test_the_root_of_the_real_program_is_empty(target: Target) -> None:
    parents = parents_of(children_of(target.pid))
    jailed = [pid for pid, parent in parents.items() if parent != target.pid]
    assert len(jailed) >= 2  # what the server starts itself stays outside, and waits
    for pid in jailed:
        assert os.listdir(f"/proc/{pid}/root/") == []
        assert os.readlink(f"/proc/{pid}/cwd") == os.readlink(f"/proc/{pid}/root")
