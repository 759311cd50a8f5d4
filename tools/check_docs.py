#!/usr/bin/env python3
"""Check that the documents say what the code does.

    check_docs.py BUILD_DIR        check
    check_docs.py --write-limits   make docs/limits.md from src/base/limits.h again
    check_docs.py BUILD_DIR --write-seccomp
                                   make docs/seccomp.md from the tables of src/jail again
    check_docs.py BUILD_DIR --write-results
                                   make docs/results.md from the schema and the program again

- docs/limits.md is what src/base/limits.h makes it, docs/seccomp.md what src/jail makes it,
  docs/results.md what src/result and the program make it;
- links between documents lead somewhere;
- every `make` target and every option of `vitrine` that a document shows exists;
- docs/ARCHITECTURE.md has a row for every folder of src/;
- docs/THREAT_MODEL.md has a row for every part of the jail, with what each level asks for, as
  src/pool/jail.c decides it.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path

from results_page import results_page

REPOSITORY = Path(__file__).resolve().parent.parent
DEFINE = re.compile(
    r"^#define (?P<name>LIMIT_\w+) +(?P<value>.*?)(?: */\* (?P<why>.*?) \*/)?$", re.MULTILINE
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
UNITS = {"KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}
LIMITS_HEAD = """\
# Limits

Every cap of the product, made from `src/base/limits.h` by `tools/check_docs.py --write-limits`. A
cap that an option sets has its default and its ceiling here."""

SECCOMP_HEAD = """\
# System calls

What the filters of system calls let through, printed from the tables of `src/jail` by
`tools/check_docs.py BUILD_DIR --write-seccomp`. A row holds for the calls whose arguments, counted
from 0, are as its last column says; "answered" means that the kernel does nothing and the caller
gets that error. A call that no row answers ends the process, and so does every call by another
numbering (i386, x32). `tests/attack/test_attack_07.py` tries every number against these tables.
"""


def evaluate(text: str, known: dict[str, int]) -> int:
    """The value of a constant expression of limits.h: numbers, other limits and + - * / <<."""
    text = re.sub(r"\b(\d+)(?:ULL|UL|U|LL|L)\b", r"\1", text)
    text = re.sub(r"\b[A-Z]\w*\b", lambda name: str({**UNITS, **known}[name.group()]), text)
    if not re.fullmatch(r"[\d\s()+\-*/<]+", text):
        raise ValueError(f"not a constant expression: {text}")
    return int(eval(text, {"__builtins__": {}}))


def spelled(name: str, value: int) -> str:
    """A value as people read it: with a unit where it is a number of bytes or milliseconds."""
    if "_MS" in name:
        return f"{value:,} ms"
    if "BYTES" in name:
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value >= size and value % size == 0:
                return f"{value // size:,} {unit}"
    return f"{value:,}"


def limits_page(header: str) -> str:
    """docs/limits.md: a table for each group of limits.h, with the header's own words."""
    lines = [LIMITS_HEAD]
    values: dict[str, int] = {}
    # A group starts with a comment in the first column; a definition may have one behind it.
    pattern = r"^/\* (?P<group>(?:[^*]|\*(?!/))*) ?\*/$|" + DEFINE.pattern
    for found in re.finditer(pattern, header, re.MULTILINE):
        if found["group"] is not None:
            title = " ".join(found["group"].replace("\n *", " ").split()).rstrip(".")
            lines += ["", f"## {title}", "", "| limit | value | |", "|---|---|---|"]
            continue
        name = found["name"]
        values[name] = evaluate(found["value"], values)
        why = found["why"] or ""
        lines.append(f"| `{name}` | {spelled(name, values[name])} | {why} |")
    return "\n".join(lines) + "\n"


def seccomp_page(build: Path) -> str:
    """docs/seccomp.md: the tables as the code has them."""
    command = [build / "src" / "jail" / "jail-tables"]
    return SECCOMP_HEAD + subprocess.run(command, capture_output=True, text=True, check=True).stdout


def dead_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead nowhere."""
    targets = [link.split("#")[0] for link in LINK.findall(text) if "://" not in link]
    return [target for target in targets if target and not (page.parent / target).exists()]


def unknown_commands(text: str, make_targets: set[str], options: set[str]) -> list[str]:
    """`make` targets and `vitrine` options in a page's examples that do not exist."""
    found = []
    for line in "\n".join(FENCED.findall(text)).splitlines():
        command = line.split(" #")[0]
        for target in re.findall(r"(?:^|[;&] *)make ([a-z]+)", command):
            if target not in make_targets:
                found.append(f"make {target}")
        program = re.match(r"(?:\$ )?(?:\S*/)?vitrine (.*)", command)
        if program is not None:
            ours = program.group(1).split(" -- ")[0]
            found += [name for name in re.findall(r"(?<!\S)--[a-z-]+", ours) if name not in options]
    return found


def help_options(build: Path) -> set[str]:
    """The long options that `vitrine help COMMAND` shows, over all commands."""

    def help_text(*command: str) -> str:
        return subprocess.run(
            [build / "vitrine", "help", *command],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    overview = help_text()
    commands = re.findall(r"^  ([a-z]+) ", overview, re.MULTILINE)
    text = "".join(map(help_text, commands)) + overview
    return {"--help", "--version", *re.findall(r"--[a-z][a-z-]*", text)}


def pages() -> list[Path]:
    """Every document."""
    return sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])


def missing_folders(architecture: str) -> list[str]:
    """Folders of src/ that the map does not show."""
    source = REPOSITORY / "src"
    folders = sorted(path.parent.relative_to(source) for path in source.rglob("*.c"))
    return [
        f"docs/ARCHITECTURE.md does not mention src/{folder}/"
        for folder in dict.fromkeys(folders)
        if f"{folder}/" not in architecture
    ]


def jail_parts(source: Path) -> list[tuple[str, bool, bool]]:
    """Each part of the jail in order: its name, whether `full` and whether `seccomp` needs it."""
    code = (source / "pool/jail.c").read_text(encoding="utf-8")
    wire = (source / "wire/wire.h").read_text(encoding="utf-8")
    bits = re.findall(r"^    (WIRE_JAIL_\w+) = 1 << \d+,", wire, re.MULTILINE)
    table = code.split("parts_table[")[1].split("};")[0]
    names = re.findall(r'^    \{"([^"]+)",', table, re.MULTILINE)

    def members(macro: str) -> set[str]:
        text = re.split(rf"#define {macro}\b", code)[1].split("\n\n")[0].split("#define")[0]
        return set(re.findall(r"WIRE_JAIL_\w+", text))

    seccomp = members("SECCOMP_PARTS")
    full = seccomp | members("FULL_PARTS") | members("FILE_PARTS")
    return [(name, bit in full, bit in seccomp) for name, bit in zip(names, bits, strict=True)]


def jail_rows(page: str) -> list[tuple[str, bool, bool]]:
    """The same as docs/THREAT_MODEL.md has it."""
    table = page.split("| part | full | seccomp |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:4]] for row in table]
    return [(name, full.startswith("yes"), seccomp == "yes") for name, full, seccomp in cells]


def main() -> int:
    """Print every problem; the status says whether there was one."""
    limits = REPOSITORY / "docs" / "limits.md"
    page = limits_page((REPOSITORY / "src/base/limits.h").read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--write-limits"]:
        limits.write_text(page, encoding="utf-8")
        return 0
    seccomp = REPOSITORY / "docs" / "seccomp.md"
    if sys.argv[2:] == ["--write-seccomp"]:
        seccomp.write_text(seccomp_page(Path(sys.argv[1])), encoding="utf-8")
        return 0
    results = REPOSITORY / "docs" / "results.md"
    if sys.argv[2:] == ["--write-results"]:
        results.write_text(results_page(Path(sys.argv[1])), encoding="utf-8")
        return 0
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    problems = []
    if seccomp.read_text(encoding="utf-8") != seccomp_page(Path(sys.argv[1])):
        problems.append("docs/seccomp.md is not what src/jail makes it: --write-seccomp")
    if results.read_text(encoding="utf-8") != results_page(Path(sys.argv[1])):
        problems.append("docs/results.md is not what src/result makes it: --write-results")
    if limits.read_text(encoding="utf-8") != page:
        problems.append("docs/limits.md is not what src/base/limits.h makes it: --write-limits")
    threats = (REPOSITORY / "docs" / "THREAT_MODEL.md").read_text(encoding="utf-8")
    for wanted, row in itertools.zip_longest(jail_parts(REPOSITORY / "src"), jail_rows(threats)):
        if wanted != row:
            problems.append(f"docs/THREAT_MODEL.md: a row says {row}, src/pool/jail.c {wanted}")
    problems += missing_folders((REPOSITORY / "docs/ARCHITECTURE.md").read_text(encoding="utf-8"))
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    make_targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    options = help_options(Path(sys.argv[1]))
    for page in pages():
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(REPOSITORY)
        problems += [f"{name}: the link {link} leads nowhere" for link in dead_links(page, text)]
        for command in unknown_commands(text, make_targets, options):
            problems.append(f"{name}: there is no {command}")
    print("\n".join(problems) or f"documents: {len(pages())} say what the code does")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
