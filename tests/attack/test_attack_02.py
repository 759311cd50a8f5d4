"""Attack 2: every function of the platform, called by ctypes with random arguments.

Expected: an error or a crash of the guest, and no call of the kernel that the jail would have to
stop. tests/unit/test_abi.c does the same many more times, without a process around it.
"""

from __future__ import annotations

from pathlib import Path

from glass import Glass
from imports import ENDING, REACH, rows
from target import Target

OPTIONS = ("--timeout", "2", "--output-limit", "64K", "--memory", "128M")
ROUNDS = 300
PASSED_MIN = 60

TRY = """
import random
random.seed(seed)
NUMBERS = [0, 1, 2, 3, 7, 255, size - 1, size, size + 1, size - 8, size - 280, 0x7FFFFFFF,
           0x80000000, 0xFFFFFFFF, 0xFFFFFFF0, 0xFFFFFF9C, 1000000, 1000001, 1000002, 4096,
           65535, 65536, 1 << 20, 1 << 28]
def number():
    return random.choice(NUMBERS) if random.random() < 0.9 else random.getrandbits(32)
call = function(name)
for _ in range(rounds):
    call(*(number() | number() << 32 if letter == 'j' else number() for letter in rows[name][0]))
'passed'
"""


# A zygote's calls, two cells, one of which makes calls that are in no table, a second life of a
# number, and what strace says of a call that is interrupted by another.
RECORD = """\
7     openat(0xffffff9c, 0x7f, 0, 0)    = 0x3
8     dup2(0x7, 0x3)                    = 0x3
8     close_range(0x4, 0xffffffff, 0 <unfinished ...>
9     dup2(0x7, 0x3)                    = 0x3
9     close_range(0x4, 0xffffffff, 0)   = 0
8     <... close_range resumed>)        = 0
8     read(0x3, 0x55, 0x10000)          = 0xce
9     openat(0xffffff9c, 0x7f, 0, 0)    = -1 ENOENT
8     mmap(0, 0x1000, 0x7, 0x22, 0xffffffff, 0) = 0x7f
8     exit_group(0)                     = ?
8     prctl(0x1, 0x9, 0x7f, 0x1, 0)     = 0
9     +++ killed by SIGSEGV +++
"""


def test_the_record_of_system_calls(tmp_path: Path) -> None:
    glass = Glass(tmp_path)
    glass.trace.write_text(RECORD, encoding="ascii")
    lines = RECORD.splitlines()
    assert glass.strange() == [lines[7], lines[8], lines[11]]


def test_random_arguments(either: Target) -> None:
    known = rows()
    ends: dict[str, str] = {}
    for name in known:
        if "e" in "".join(known[name]):
            continue  # takes or gives a reference, which no C function can
        result = either.attack(REACH + TRY, rows=known, name=name, seed=1, rounds=ROUNDS)
        ends[name] = result["status"]
        assert result["status"] in ("success", "run-error", "limit", "crash"), (name, result)
        assert name not in ENDING or result["status"] == "crash"
    passed = [name for name, end in ends.items() if end == "success"]
    assert len(passed) >= PASSED_MIN, ends
