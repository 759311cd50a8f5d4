#!/usr/bin/env python3
"""Make the seeds for fuzzing the exception lowering.

    make_seeds.py FOLDER

Writes small random modules, each after the zero byte that announces a whole module, and the bodies
of their functions, each after a one.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests" / "system"))
import legacy_modules

SEEDS = 60


def main() -> int:
    """Fill the folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(SEEDS):
        budget = 1 + seed // 4
        module = legacy_modules.make(seed, functions=1, budget=budget)
        (folder / f"module{seed}").write_bytes(b"\0" + module)
        function = legacy_modules.Function(random.Random(seed), callees=0, budget=budget)
        (folder / f"body{seed}").write_bytes(b"\1" + function.body())
    return 0


if __name__ == "__main__":
    sys.exit(main())
