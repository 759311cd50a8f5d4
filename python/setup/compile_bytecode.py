"""Writes bytecode beside every module below a folder. Runs in the guest, at set-up.

The bytecode is of the "unchecked hash" kind (PEP 552): it is used without a look at its source,
which is right for images that never change and saves an import the reading of the source.
"""

import os
import sys
from importlib import _bootstrap_external as external
from importlib.util import cache_from_source, source_hash

ROOT = "/lib/python3.14"


def compile_file(path: str) -> bool:
    """Compile one source; False when it is not valid Python, as some of its tests are not."""
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    target = cache_from_source(path)
    if os.path.exists(target):
        return True
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(external._code_to_hash_pyc(code, source_hash(source), checked=False))
    return True


def main() -> None:
    """Compile all, and say how many."""
    done = failed = 0
    for folder, _, names in os.walk(ROOT):
        for name in sorted(names):
            if name.endswith(".py"):
                ok = compile_file(os.path.join(folder, name))
                done, failed = done + ok, failed + (not ok)
    sys.stderr.write(f"bytecode: {done} modules compiled, {failed} are not valid Python\n")


main()
