#!/usr/bin/env python3
"""Check that every include points the way docs/ARCHITECTURE.md draws it.

A folder may include its own headers, those of base/, and the ones this table names. The engine's
header is for src/engine/ alone. A folder that is not in the table is an error: give it a row.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"

# Folder: what it may include beside itself and base/. An entry ending in .h is one header, any
# other is a folder with all that is in it.
ALLOWED: dict[str, tuple[str, ...]] = {
    "base": (),
    "wire": (),
    "engine": (),
    "cli": (
        "repl",
        "serve",
        "packages/packages.h",
        "packages/survey.h",
        "pool",
        "result",
        "wire/wire.h",
    ),
    "serve": ("transport", "mcp", "packages/packages.h", "pool", "result"),
    "repl": (),
    "transport": (),
    "mcp": (
        "packages/durable.h",
        "packages/survey.h",
        "transport",
        "packages/packages.h",
        "pool",
        "result",
    ),
    "result": ("pool/outcome.h", "pool/pool.h", "wire/wire.h"),
    "packages": ("pool/pool.h", "pool/outcome.h", "pool/session.h", "pool/durable.h", "wire"),
    "pool": ("wire",),
    "cell": ("wire", "guest/guest.h", "jail"),
    "jail": ("wire/wire.h",),
    "guest": ("engine", "wire", "guest"),
    "guest/abi": ("guest", "engine", "wire"),
    "guest/vfs": (),
    "guest/dylink": ("guest", "engine"),
    "wheel": (),
    "builder": ("guest", "engine", "jail", "wheel"),
    "fetch": ("wire", "wheel", "jail/fetch.h"),
}
ENGINE_HEADERS = re.compile(r"^(wasm|wasi|wasmtime)(_c|/.*)?\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def folder_of(path: Path) -> str:
    """The table's row for a source file: its folder under src/."""
    return path.parent.relative_to(SOURCE).as_posix()


def is_allowed(folder: str, header: str) -> bool:
    """Whether a file of `folder` may include `header`, which is spelled from src/."""
    target = header.rpartition("/")[0]
    if target in (folder, "base"):
        return True
    return any(
        header == rule or (not rule.endswith(".h") and (target + "/").startswith(rule + "/"))
        for rule in ALLOWED[folder]
    )


def problems_in(path: Path) -> list[str]:
    """What is wrong with one file's includes."""
    folder = folder_of(path)
    where = path.relative_to(SOURCE.parent)
    if folder not in ALLOWED:
        return [f"{where}: folder {folder} has no row in tools/check_includes.py"]
    found = []
    for mark, header in INCLUDE.findall(path.read_text(encoding="utf-8")):
        if ENGINE_HEADERS.match(header) and folder != "engine":
            found.append(f"{where}: {header} is for src/engine/ alone")
        elif mark == '"' and "/" not in header and folder != "engine":
            found.append(f"{where}: spell {header} from src/, as in {folder}/{header}")
        elif mark == '"' and "/" in header and not is_allowed(folder, header):
            found.append(f"{where}: {folder}/ must not include {header}")
    return found


def main() -> int:
    """Print every problem; the status says whether there was one."""
    files = sorted(path for path in SOURCE.rglob("*") if path.suffix in {".c", ".h"})
    problems = [problem for path in files for problem in problems_in(path)]
    print("\n".join(problems) or f"includes: {len(files)} files point the right way")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
