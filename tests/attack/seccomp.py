"""docs/seccomp.md as tests read it: what the filters of system calls are said to do."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from probe import NUMBERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "seccomp.md"
ROW = re.compile(r"^\| `(?P<call>\w+)` \| (?P<answer>[\w ]+) \| (?P<when>.*) \|$")
CHECK = re.compile(r"arg(?P<arg>\d)(?: & (?P<mask>\w+))? = (?P<value>\w+)")
ALL_BITS = (1 << 64) - 1
Arguments = tuple[int, ...]
ZEROES: Arguments = (0, 0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Check:
    """An argument under a mask is a value."""

    arg: int
    mask: int
    value: int

    def holds(self, arguments: Arguments) -> bool:
        return arguments[self.arg] & self.mask == self.value

    def broken(self) -> Iterator[int]:
        """Values that the check must not let pass: each bit of the mask is wrong once."""
        for bit in range(64):
            if self.mask >> bit & 1 and (self.mask != ALL_BITS or bit in (0, 1, 5, 31, 32, 63)):
                yield self.value ^ (1 << bit)


@dataclass(frozen=True)
class Rule:
    """One row."""

    number: int
    answer: str
    checks: tuple[Check, ...]

    def arguments(self) -> Arguments:
        """The least that the row holds for."""
        found = list(ZEROES)
        for check in self.checks:
            found[check.arg] = check.value
        return tuple(found)


def tables() -> dict[str, list[Rule]]:
    """The tables of the page by their titles."""
    found: dict[str, list[Rule]] = {}
    rules: list[Rule] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            rules = found.setdefault(line[3:], [])
        elif row := ROW.match(line):
            checks = tuple(
                Check(int(arg), int(mask, 0) if mask else ALL_BITS, int(value, 0))
                for arg, mask, value in CHECK.findall(row["when"])
            )
            assert bool(row["when"]) == bool(checks), line
            rules.append(Rule(NUMBERS[row["call"]], row["answer"], checks))
    return found


def expected(rules: list[Rule], number: int, arguments: Arguments) -> str:
    """What the table says of a call: "killed", "allowed" or "answered NAME"."""
    for rule in rules:
        if rule.number == number and all(check.holds(arguments) for check in rule.checks):
            return rule.answer
    return "killed"


def answered(answer: str) -> int:
    """What a call returns that is answered."""
    name = answer.removeprefix("answered ")
    return -int(name) if name.isdigit() else -getattr(errno, name)


def attempts(rules: list[Rule], numbers: range) -> list[tuple[int, Arguments]]:
    """Every number with nothing but zeroes; every row; every row with one check broken."""
    found = {(number, ZEROES): None for number in numbers}
    for rule in rules:
        arguments = rule.arguments()
        found[rule.number, arguments] = None
        for check in rule.checks:
            for value in check.broken():
                broken = (*arguments[: check.arg], value, *arguments[check.arg + 1 :])
                found[rule.number, broken] = None
    return list(found)
