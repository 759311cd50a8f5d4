"""Attack 27: a secret of the server's is looked for in the memory of its zygotes and cells.

Expected: not there, whether it was in the environment, on the command line, in a file that the
server read, or in another run's request. Looked at from outside, with the kernel's help, and by a
program that reads all of its own memory.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from pathlib import Path

from driver import Program, children_of
from target import Target, generations

CHUNK_BYTES = 1 << 22
OVERLAP_BYTES = 256
# A needle is made of both, so that no source has one.
HEAD = "needle-"
FORM = HEAD + "[0-9a-f]{32}"
# Reads memory from 0 up to its end, which the last line of the result says.
SCAN = """\
import ctypes, re
form = re.compile((b'nee' + b'dle-[0-9a-f]{32}'))
found, at = [], 0
while at < end:
    size = min(1 << 20, end - at)
    chunk = ctypes.string_at(at, size)
    found += form.findall(chunk)
    at += size - (64 if at + size < end else 0)
[b.decode() for b in found], at
"""


def needle() -> str:
    return HEAD + secrets.token_hex(16)


def regions(pid: int) -> list[tuple[int, int]]:
    """What of a process can be read."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        span, mode = line.split()[:2]
        first, last = (int(end, 16) for end in span.split("-"))
        if mode.startswith("r") and "[vvar" not in line and "[vsyscall" not in line:
            found.append((first, last))
    return found


def needles_in(pid: int) -> set[str]:
    """Every needle in a process's memory; asked of the kernel."""
    found: set[str] = set()
    form = re.compile(FORM.encode())
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for first, last in resident(pid):
            at = first
            while at < last:
                memory.seek(at)
                chunk = memory.read(min(CHUNK_BYTES, last - at))
                if not chunk:
                    break
                found |= {match.decode() for match in form.findall(chunk)}
                at += len(chunk) - (OVERLAP_BYTES if at + len(chunk) < last else 0)
    return found


PAGE_BYTES = 4096
PRESENT = 1 << 63 | 1 << 62  # in memory, or swapped out


def resident(pid: int) -> list[tuple[int, int]]:
    """The parts that exist: an engine reserves gigabytes that nobody has touched."""
    found = []
    with Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap:
        for first, last in regions(pid):
            if last - first <= 64 * CHUNK_BYTES:
                found.append((first, last))
                continue
            for start in range(first, last, 128 * CHUNK_BYTES):
                end = min(last, start + 128 * CHUNK_BYTES)
                pagemap.seek(start // PAGE_BYTES * 8)
                entries = memoryview(pagemap.read((end - start) // PAGE_BYTES * 8)).cast("Q")
                pages = [i for i, entry in enumerate(entries) if entry & PRESENT]
                found += joined(start, pages)
    return found


def joined(start: int, pages: list[int]) -> list[tuple[int, int]]:
    """Neighbours as one span."""
    found: list[tuple[int, int]] = []
    for page in pages:
        first = start + page * PAGE_BYTES
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], first + PAGE_BYTES)
        else:
            found.append((first, first + PAGE_BYTES))
    return found


def test_secrets_of_the_server(tmp_path: Path, vitrine: Program) -> None:
    planted = {name: needle() for name in ("environment", "command line", "file", "request")}
    rules = tmp_path / "allowed"
    rules.write_text(f"# {planted['file']}\nnumpy\n", encoding="ascii")
    folder = tmp_path / planted["command line"]
    folder.mkdir()
    options = ("--cache-dir", str(folder), "--allow-packages", str(rules))
    with Target(tmp_path, vitrine, *options, env={"SECRET": planted["environment"]}) as target:
        result = target.call(f"text = '{planted['request']}'; print(len(text))")
        assert result["stdout"] == f"{len(planted['request'])}\n"
        running = threading.Thread(target=target.call, args=("import time; time.sleep(4)",))
        running.start()
        time.sleep(0.5)
        # The method finds what is there.
        seen = needles_in(target.pid)
        assert {planted["environment"], planted["command line"]} <= seen
        below = children_of(target.pid)
        assert len(generations(target.pid)["cell"]) >= 2 and generations(target.pid)["zygote"]
        leaks = {pid: leaked for pid in below if (leaked := needles_in(pid))}
        running.join()
        assert leaks == {}
        target.check_unharmed()


def test_a_request_is_found_where_it_runs(target: Target) -> None:
    """The method sees into a cell, too."""
    planted = needle()
    code = f"text = '{planted}'; import time; time.sleep(3)"
    running = threading.Thread(target=target.call, args=(code,))
    running.start()
    time.sleep(0.5)
    holders = [pid for pid in children_of(target.pid) if planted in needles_in(pid)]
    running.join()
    assert len(holders) == 1
    assert holders[0] not in generations(target.pid)["zygote"]


def test_a_program_that_reads_all_of_its_memory(tmp_path: Path, vitrine: Program) -> None:
    planted = needle()
    other = needle()
    with Target(tmp_path, vitrine, env={"SECRET": planted}) as target:
        target.call(f"text = '{other}'")
        size = target.call("1")["memory_bytes"]
        result = target.call(f"end = {size}\n{SCAN}")
        assert result["status"] == "success", result
        found, read = result["return_value"]
        assert (found, read) == ([], size)
        # It finds its own.
        result = target.call(f"own = '{needle()}'\nend = {size}\n{SCAN}")
        assert result["return_value"][0] != []
        target.check_unharmed()
