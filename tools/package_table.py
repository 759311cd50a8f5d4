#!/usr/bin/env python3
"""Import every package of the distribution's lock file, and write the table of docs/packages.md.

    package_table.py BUILD_DIR [--jobs N] [--only NAME...]

Each package is asked for by its name, in a run of its own, and every module that the lock file says
it has is imported. A row says which version was installed, whether its wheel is the lock file's or
the package index's, and that the import passed or why it did not. What no source here can deliver
has the reason too. Wheels are fetched and built on the way, so the first run takes long; a second
one is quick. With --only, the other rows stay as they are.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
TABLE = REPOSITORY / "docs" / "packages.md"
RUN_SECONDS_MAX = 900
REASON_CHARS_MAX = 160
HEAD = """\
# Packages that work

Made by `tools/package_table.py` on {system}; not written by hand. Every package of the
distribution's lock file was asked for by name and imported in a fresh cell. "lock" is the
distribution's own wheel, "index" a wheel of the package index. Packages that are not in the lock
file are installed from there when they have a pure-Python wheel or one for this platform.

{passed} of {total} pass. Of the others, {absent} could not be delivered by any source of this
machine, and {failed} were installed and failed to import.

| package | version | from | result |
|---|---|---|---|
"""


def modules_of(entry: dict[str, Any]) -> list[str]:
    """The modules to import; the lock file also names some that no import statement can."""
    names = entry.get("imports", [])
    return [name for name in names if all(part.isidentifier() for part in name.split("."))]


def run(vitrine: Path, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Ask for one package and import its modules; the program's result, or what went wrong."""
    lines = "".join(f"import {module}\n" for module in modules_of(entry))
    command = [vitrine, "run", "--json", "--memory", "2G", "--timeout", "120", "--deps", name]
    try:
        done = subprocess.run(
            [*command, "-c", lines + "print('imported')"],
            capture_output=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
        return json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return {"status": "timeout", "error": {"message": f"not done in {RUN_SECONDS_MAX} s"}}
    except ValueError:
        return {"status": "no result", "error": {"message": done.stderr.decode()[-200:]}}


def normalized(name: str) -> str:
    """A project's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def reason_of(result: dict[str, Any]) -> str:
    """One line of why it did not pass."""
    error = result.get("error") or {}
    text = error.get("message") or result["status"]
    if error.get("type"):
        text = f"{error['type']}: {text}"
    text = " ".join(text.split()).replace("|", "\\|")
    if len(text) > REASON_CHARS_MAX:
        text = text[: REASON_CHARS_MAX - 3] + "..."
    return text


def row_of(name: str, entry: dict[str, Any], result: dict[str, Any]) -> str:
    """The table's row."""
    found = [one for one in result.get("dependencies") or [] if normalized(one["name"]) == name]
    version = found[0]["version"] if found else entry["version"]
    origin = "" if not found else "lock" if found[0]["sha256"] == entry["sha256"] else "index"
    outcome = "pass" if result["status"] == "success" else reason_of(result)
    return f"| {name} | {version} | {origin} | {outcome} |"


def write_table(rows: dict[str, str]) -> None:
    """Write the page, with how many rows are of which kind."""
    passed = sum(row.endswith("| pass |") for row in rows.values())
    absent = sum(row.split(" | ")[2].strip(" |") == "" for row in rows.values())
    text = HEAD.format(
        system="x86-64 Linux",
        total=len(rows),
        passed=passed,
        absent=absent,
        failed=len(rows) - passed - absent,
    )
    lines = [rows[name] for name in sorted(rows)]
    TABLE.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")


def rows_of_table() -> dict[str, str]:
    """The rows that the page has, by package."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| package ")]
    return {row.split(" | ")[0].removeprefix("| "): row for row in rows}


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Write docs/packages.md by importing everything.")
    parser.add_argument("build", type=Path, help="the build folder")
    parser.add_argument("--jobs", type=int, default=2, help="packages at the same time (2)")
    parser.add_argument("--only", nargs="*", default=[], help="renew the rows of these alone")
    options = parser.parse_args()
    lock = json.loads((options.build / "guest" / "pyodide-lock.json").read_text())["packages"]
    wanted = {
        name: entry
        for name, entry in sorted(lock.items())
        if entry["file_name"].endswith(".whl") and (not options.only or name in options.only)
    }
    rows = rows_of_table() if options.only else {}
    with ThreadPoolExecutor(options.jobs) as pool:

        def one(item: tuple[str, dict[str, Any]]) -> tuple[str, str]:
            row = row_of(*item, run(options.build / "vitrine", *item))
            print(row, file=sys.stderr, flush=True)
            return item[0], row

        rows.update(pool.map(one, wanted.items()))
    write_table(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
