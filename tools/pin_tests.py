#!/usr/bin/env python3
"""Pin what the tests need anew: the files that tools/test_env.py installs from.

    pin_tests.py            needs `uv` and npm on PATH

Makes tests/requirements*.txt from their .in files and tests/node/package-lock.json from its
package.json, each with a hash for every package and without the name of any registry's host. What
is pinned stays as it is unless its own .in or package.json asks for something else; delete a pin,
or the file, to have it newer. (package.json holds vite back, of which the inspector's page is made:
newer ones name a package that not every mirror of the registry has.)
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent / "tests"
COMPILE = (
    "uv pip compile --quiet --universal --python-version 3.11 --generate-hashes"
    " --no-emit-index-url --no-header --no-annotate"
)
LOCK = (
    "npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts"
    " --no-audit --no-fund"
)


def without_addresses(lock: Path) -> None:
    """Drop where packages ask for money: it is no pin, and it is all that names hosts."""
    content = json.loads(lock.read_text())
    for package in content["packages"].values():
        package.pop("funding", None)
    lock.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def main() -> int:
    """Pin everything."""
    for wanted in sorted(TESTS.glob("requirements*.in")):
        command = [*COMPILE.split(), wanted.name, "-o", wanted.with_suffix(".txt").name]
        subprocess.run(command, cwd=TESTS, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(LOCK.split(), cwd=TESTS / "node", check=True)
    without_addresses(TESTS / "node" / "package-lock.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
