"""Attack 7: native code tries every system call number, of x86-64, i386 and x32.

Expected: exactly what docs/seccomp.md says, which is printed from the filters' own tables. What no
row of it answers ends the process with SIGSYS.
"""

from __future__ import annotations

import errno

import seccomp
from probe import NUMBERS, ProbeZygote, Spoken, numbers_of
from seccomp import Arguments

X32 = 0x40000000
HIGHEST = 1024
# uretprobe and uprobe: the kernel itself lets them pass every filter, since 6.14. Outside of a
# probe they end the process or do nothing but fail.
BEYOND_FILTERS = (335, 336)
STRANGE = (-1, -2, 1 << 31, (1 << 31) - 1, X32 + HIGHEST)
KILLED = "SIGSYS"


def outcome(spoken: Spoken) -> str:
    """Of one call: killed by the filter, or what became of it."""
    if spoken.end == KILLED:
        return "killed"
    return str(spoken.results()[0]) if spoken.results() else spoken.end


def is_as_said(answer: str, spoken: Spoken) -> bool:
    """Whether a call ended as a row says."""
    if answer == "killed":
        return spoken.end == KILLED
    if answer == "allowed":
        return spoken.end != KILLED
    return spoken.results() == [seccomp.answered(answer)]


def line(number: int, arguments: Arguments) -> str:
    """The call in the probe's language."""
    return " ".join(["call", str(number), *map(str, arguments)])


def check_table(table: str, tried: list[tuple[int, Arguments]], found: list[Spoken]) -> None:
    """Compare what was found with what the page says."""
    rules = seccomp.tables()[table]
    names = {number: name for name, number in NUMBERS.items()}
    wrong = [
        f"{names.get(number, number)}{arguments}: {answer} it should be, was {outcome(spoken)}"
        for (number, arguments), spoken in zip(tried, found, strict=True)
        if not is_as_said(answer := seccomp.expected(rules, number, arguments), spoken)
    ]
    assert wrong == []
    allowed = {rule.number for rule in rules if rule.answer == "allowed"}
    tried_and_lived = {
        number
        for (number, _), spoken in zip(tried, found, strict=True)
        if spoken.end != KILLED and number not in BEYOND_FILTERS
    }
    assert allowed <= tried_and_lived  # none of the rows is dead


def numbers_to_try(table: str) -> list[tuple[int, Arguments]]:
    """All there is to try against a table."""
    tried = seccomp.attempts(seccomp.tables()[table], range(HIGHEST))
    tried = [(number, arguments) for number, arguments in tried if number not in BEYOND_FILTERS]
    return tried + [(number, seccomp.ZEROES) for number in STRANGE]


def test_every_number_in_a_cell(probe_zygote: ProbeZygote) -> None:
    tried = numbers_to_try("A cell")
    assert len(tried) > HIGHEST
    check_table("A cell", tried, probe_zygote.run_all(line(*attempt) for attempt in tried))


def test_every_i386_number_in_a_cell(probe_zygote: ProbeZygote) -> None:
    """SIGSEGV is the answer of kernels that have no such calls at all."""
    assert max(numbers_of("unistd_32.h").values()) < 512
    found = probe_zygote.run_all(f"int80 {number}" for number in range(512))
    assert {spoken.end for spoken in found} <= {KILLED, "SIGSEGV"}


def test_every_x32_number_in_a_cell(probe_zygote: ProbeZygote) -> None:
    assert max(numbers_of("unistd_x32.h").values()) < HIGHEST
    found = probe_zygote.run_all(line(X32 + number, seccomp.ZEROES) for number in range(HIGHEST))
    assert {spoken.end for spoken in found} == {KILLED}


def test_what_no_filter_sees_does_nothing(probe_zygote: ProbeZygote) -> None:
    for number in BEYOND_FILTERS:
        spoken = probe_zygote.run(line(number, seccomp.ZEROES))
        assert spoken.end in (KILLED, "SIGILL", "SIGSEGV") or spoken.results() in (
            [-errno.ENOSYS],
            [-errno.ENXIO],
            [-errno.EPERM],
        ), spoken
