#!/usr/bin/env python3
"""Check that functions and files stay short enough to be read: 70 lines and 800.

Tests, which are tables of cases more than they are code, may have 100 and 1,000.

A C function starts at a line that begins in the first column and is followed by a brace of its own,
as .clang-format lays it out, and ends at the next brace in the first column. Lines count from the
opening brace to the closing one. Python functions are measured by their syntax tree.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
TEST_FUNCTION_LINES_MAX = 100
TEST_FILE_LINES_MAX = 1000
C_FOLDERS = ("src", "tests", "fuzz", "bench")
PYTHON_FOLDERS = ("tools", "python", "tests", "bench")


def c_functions(lines: list[str]) -> list[tuple[str, int, int]]:
    """Name line, first line and length of each function."""
    found = []
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            found.append((lines[start - 1].strip(), start, number - start + 1))
            start = None
    return found


def python_functions(text: str) -> list[tuple[str, int, int]]:
    """The same for Python."""
    return [
        (node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def sources() -> list[Path]:
    """Every file that is written by hand."""
    found: list[Path] = []
    for folders, suffixes in ((C_FOLDERS, {".c", ".h"}), (PYTHON_FOLDERS, {".py"})):
        for folder in folders:
            found += [path for path in (REPOSITORY / folder).rglob("*") if path.suffix in suffixes]
    return sorted(set(found))


def problems_in(path: Path) -> list[str]:
    """What is too long in one file."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    where = path.relative_to(REPOSITORY)
    is_test = where.parts[0] == "tests"
    file_max = TEST_FILE_LINES_MAX if is_test else FILE_LINES_MAX
    function_max = TEST_FUNCTION_LINES_MAX if is_test else FUNCTION_LINES_MAX
    found = []
    if len(lines) > file_max:
        found.append(f"{where}: {len(lines)} lines, {file_max} at most")
    functions = python_functions(text) if path.suffix == ".py" else c_functions(lines)
    for name, line, length in functions:
        if length > function_max:
            found.append(f"{where}:{line}: {name}: {length} lines, {function_max} at most")
    return found


def main() -> int:
    """Print every problem; the status says whether there was one."""
    files = sources()
    problems = [problem for path in files for problem in problems_in(path)]
    print("\n".join(problems) or f"sizes: {len(files)} files, none too long")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
