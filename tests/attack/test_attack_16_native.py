"""Attack 16 by native code: memory past the limits, in the ways that RLIMIT_DATA does not count.

Expected: shared memory, memory that grows down and huge pages cannot be asked for, in a cell and in
a zygote; private memory ends at the limit; so does the room for addresses, which would fill memory
with tables of pages. When memory is short all the same, the kernel ends cells first.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from probe import ProbeZygote, call, lived, try_in_zygote
from target import Target, family

READ, WRITE = 1, 2
SHARED, PRIVATE, VALIDATE, DROPPABLE, ANONYMOUS = 1, 2, 3, 8, 0x20
GROWSDOWN, LOCKED, HUGETLB = 0x100, 0x2000, 0x40000
GIB = 1 << 30
MISSING_MEMORY = -12

STRANGE = [
    call("mmap", 0, 4096, READ | WRITE, kind | ANONYMOUS, -1, 0)
    for kind in (
        SHARED,
        VALIDATE,
        DROPPABLE,
        PRIVATE | GROWSDOWN,
        PRIVATE | HUGETLB,
        PRIVATE | LOCKED,
        SHARED | HUGETLB,
    )
]
OTHERS = [
    call("memfd_create", "'x", 0),
    call("shmget", 0, 4096, 0o1600),
    call("mlock", "@page", 4096),
    call("remap_file_pages", "@page", 4096, 0, 0, 0),
]


@pytest.mark.parametrize("command", STRANGE + OTHERS)
def test_strange_memory_in_a_cell(probe_zygote: ProbeZygote, command: str) -> None:
    assert probe_zygote.run(command).end == "SIGSYS"


def test_strange_memory_in_a_zygote(tmp_path: Path) -> None:
    assert lived(STRANGE + OTHERS, try_in_zygote(tmp_path, STRANGE + OTHERS)) == []


def test_private_memory_ends_at_the_limit(probe_zygote: ProbeZygote) -> None:
    ask = call("mmap", 0, GIB // 2, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0)
    results = probe_zygote.run("\n".join([ask] * 4)).results()
    assert results[0] > 0 and results[-1] == MISSING_MEMORY, results


def test_addresses_end(probe_zygote: ProbeZygote) -> None:
    """What is only read takes no page, but a table of pages for each 2 MiB that is looked at."""
    ask = call("mmap", 0, 16 * GIB, READ, PRIVATE | ANONYMOUS, -1, 0)
    results = probe_zygote.run("\n".join([ask] * 8)).results()
    assert results[0] > 0 and results[-1] == MISSING_MEMORY, results
    assert sum(result > 0 for result in results) < 4


def test_nothing_is_shared(target: Target) -> None:
    """No page that one process of ours can write is another's as well."""
    with family(target) as found:
        assert found["zygote"] and found["cell"]
        for pid in found["zygote"] + found["cell"]:
            maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
            assert [line for line in maps if line.split()[1].endswith("s")] == []


def test_cells_die_first(target: Target) -> None:
    with family(target) as found:
        for pid in found["launcher"] + found["zygote"] + found["cell"]:
            assert Path(f"/proc/{pid}/oom_score_adj").read_text(encoding="ascii") == "1000\n"
        own = Path(f"/proc/{target.pid}/oom_score_adj").read_text(encoding="ascii")
        assert int(own) < 1000
