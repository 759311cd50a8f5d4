#!/usr/bin/env python3
"""Every check that reads the sources instead of running them.

    check.py BUILD_DIR [REPORT]

All checks run, whatever the earlier ones said. REPORT gets a JUnit file with one case for each.
Formatting and linting are by clang-format, clang-tidy, cppcheck and ruff; our own scripts check
where includes point, how long functions are, and that the documents say what the code does. The
tree is also compiled with the other compiler.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
C_FOLDERS = ("src", "tests", "fuzz", "bench")


def c_files(*suffixes: str) -> list[str]:
    """Every C file of ours, relative to the repository."""
    found = [
        path
        for folder in C_FOLDERS
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in suffixes
    ]
    return sorted(str(path.relative_to(REPOSITORY)) for path in found)


def compiled_files(build: Path) -> list[str]:
    """The product's sources that the build folder compiles, for tools that need its flags."""
    text = (build / "compile_commands.json").read_text(encoding="utf-8")
    return [name for name in c_files(".c") if name.startswith("src/") and f"/{name}" in text]


def checks(build: Path) -> list[tuple[str, list[str]]]:
    """Name and command of each check, the quick ones first."""
    tools = REPOSITORY / "tools"
    clang_build = [str(tools / "build.sh"), str(build.parent / "build-clang"), "-Dtests=true"]
    tidy = f'printf "%s\\n" "$@" | xargs -P "$(nproc)" -n 2 clang-tidy --quiet -p {build}'
    cppcheck = ["cppcheck", "--quiet", "--std=c11", "--enable=warning,portability,performance"]
    cppcheck += ["--inline-suppr", "--error-exitcode=1", "-Isrc", "-D_GNU_SOURCE", "-D__linux__"]
    # These two do not follow `result < 0 ? result : use(&filled_in)`; the compilers do.
    cppcheck += ["--suppress=uninitvar", "--suppress=ctuuninitvar", "src"]
    return [
        ("clang-format", ["clang-format", "--dry-run", "-Werror", *c_files(".c", ".h")]),
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("includes", [sys.executable, str(tools / "check_includes.py")]),
        ("sizes", [sys.executable, str(tools / "check_sizes.py")]),
        ("documents", [sys.executable, str(tools / "check_docs.py"), str(build)]),
        ("cppcheck", cppcheck),
        ("clang", ["env", "CC=clang", *clang_build]),
        ("clang-tidy", ["bash", "-c", tidy, "clang-tidy", *compiled_files(build)]),
    ]


def run_check(name: str, command: list[str], root: ElementTree.Element) -> bool:
    """Run one check; show its output only when it fails."""
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    seconds = time.monotonic() - started
    is_right = done.returncode == 0
    print(f"{name}: {'right' if is_right else 'WRONG'} ({seconds:.1f} s)", flush=True)
    case = ElementTree.SubElement(root, "testcase", name=name, time=f"{seconds:.3f}")
    if not is_right:
        print(done.stdout, flush=True)
        ElementTree.SubElement(case, "failure", message=f"status {done.returncode}")
    return is_right


def main() -> int:
    """Command line; see the top of this file."""
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    root = ElementTree.Element("testsuite", name="check")
    build = Path(sys.argv[1]).absolute()
    results = [run_check(name, command, root) for name, command in checks(build)]
    if len(sys.argv) == 3:
        ElementTree.ElementTree(root).write(sys.argv[2])
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
