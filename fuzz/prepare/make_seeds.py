#!/usr/bin/env python3
"""Make the seeds for fuzzing the preparation of modules.

    make_seeds.py FOLDER

Writes small random side modules, each after a zero byte, two cores after a one, and the bodies of
functions, each after a two.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests" / "system"))
import side_modules

SEEDS = 30
# Indices as in fuzz.c's module: a call and a reference of an import that the module has itself, a
# tail call of it, and globals.
BODIES = {
    "calls": b"\0\x10\0\xd2\0\x1a\x10\2\x0b",
    "tail": b"\0\x12\1\x0b",
    "globals": b"\1\1\x7f\x23\2\x41\1\x6a\x21\0\x0b",
    "try": b"\0\x06\x40\x10\0\x19\x0b\x0b",
}


def main() -> int:
    """Fill the folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(SEEDS):
        module = side_modules.Side(seed, functions=2 + seed // 8).write()
        (folder / f"side{seed}").write_bytes(b"\0" + module)
    for table_max in (False, True):
        (folder / f"core{int(table_max)}").write_bytes(b"\1" + side_modules.core(table_max))
    for name, body in BODIES.items():
        (folder / name).write_bytes(b"\2" + body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
