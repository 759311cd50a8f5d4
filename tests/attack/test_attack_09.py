"""Attack 9: native code makes memory executable: mmap and mprotect with PROT_EXEC, files without a
name, the heap, the stack, its own text made writable.

Expected: in a cell each way to ask ends the process with SIGSYS, and running what was written ends
it with SIGSEGV. A zygote maps machine code that it was given and nothing that it wrote. No mapping
of either is writable and executable at the same time.
"""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

from driver import children_of
from probe import ProbeZygote, call, hexed
from target import Target

READ, WRITE, EXEC = 1, 2, 4
PRIVATE, ANONYMOUS = 0x02, 0x20
RETURN = hexed(b"\xc3")  # x86-64's ret
MAKE = call("mmap", 0, 4096, READ | WRITE, PRIVATE | ANONYMOUS, -1, 0)

FORBIDDEN = [
    call("mmap", 0, 4096, READ | EXEC, PRIVATE | ANONYMOUS, -1, 0),
    call("mmap", 0, 4096, READ | WRITE | EXEC, PRIVATE | ANONYMOUS, -1, 0),
    call("mmap", 0, 4096, EXEC, PRIVATE | ANONYMOUS | 0x01000000, -1, 0),
    call("mprotect", "@page", 4096, READ | EXEC),
    call("mprotect", "@page", 4096, READ | WRITE | EXEC),
    call("mprotect", "@page", 4096, EXEC),
    call("pkey_mprotect", "@page", 4096, READ | EXEC, -1),
    call("memfd_create", "'x", 0),
    call("memfd_create", "'x", 0x10),
    call("memfd_secret", 0),
    call("execveat", 2, "'", 0, 0, 0x1000),
    call("personality", 0x0400000),  # READ_IMPLIES_EXEC
    call("shmat", 0, 0, 0o100000),
    call("remap_file_pages", "@page", 4096, EXEC, 0, 0),
]
IN_A_CELL = [
    *FORBIDDEN,
    call("mmap", 0, 4096, READ, PRIVATE, 3, 0),
    call("mmap", 0, 4096, READ | EXEC, PRIVATE, 0, 0),
]
# Written first, then run.
RUNS = {
    "a page": f"poke @page {RETURN} 1\njump @page",
    "a mapping": f"{MAKE}\nkeep 0\npoke r0 {RETURN} 1\njump r0",
    "a mapping made read-only": f"{MAKE}\nkeep 0\npoke r0 {RETURN} 1\n"
    f"call 10 r0 4096 {READ}\njump r0",
    "the heap": f"{call('brk', 0)}\nkeep 0\ncall 12 0\ncall 9 0 4096 3 34 -1 0\nkeep 1\n"
    f"poke r1 {RETURN} 1\ncall 25 r1 4096 8192 1\njump $",
    "its text": f"{call('mprotect', '@code_page', 4096, READ | WRITE)}\npoke @code {RETURN} 1\n"
    "jump @code",
    "an argument": f"jump {RETURN}",
}


def is_dangerous(line: str) -> bool:
    """A line of /proc/PID/maps that can be written and run."""
    return bool(re.match(r"\S+ .wx", line))


def test_asking_in_a_cell(probe_zygote: ProbeZygote) -> None:
    found = probe_zygote.run_all(IN_A_CELL)
    lived = [c for c, spoken in zip(IN_A_CELL, found, strict=True) if spoken.end != "SIGSYS"]
    assert lived == []


def test_running_what_was_written_in_a_cell(probe_zygote: ProbeZygote) -> None:
    assert probe_zygote.run("jump @code").lines == ["jump: back"]
    for name, script in RUNS.items():
        spoken = probe_zygote.run(f"{script}\nprint ran")
        assert spoken.end == "SIGSEGV", (name, spoken)
        assert "jump: back" not in spoken.lines
        assert all(result >= 0 for result in spoken.results()), (name, spoken)


def test_no_mapping_of_the_real_program(target: Target) -> None:
    """Of a cell that runs Python, of those that wait, and of their zygote."""
    running = threading.Thread(target=target.call, args=("import time; time.sleep(0.5)",))
    running.start()
    time.sleep(0.2)
    looked_at = 0
    for pid in children_of(target.pid):
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
        looked_at += bool(maps)
        assert [line for line in maps if is_dangerous(line)] == []
    running.join()
    assert looked_at >= 2
