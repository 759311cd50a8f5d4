"""Attack 3: every function of the platform with pointers and lengths at the edges of memory.

Expected: EFAULT (or EINVAL for a count that cannot be), and no host read or write, which would end
the process: what lies around the guest's memory is not mapped.
"""

from __future__ import annotations

import pytest
from imports import ENDING, REACH, rows
from target import Target

OPTIONS = ("--timeout", "3", "--output-limit", "64K", "--memory", "128M")
EFAULT, EINVAL, ENOTTY = 21, 28, 59

SETTING = """
import os
room = ctypes.create_string_buffer(8192)
B = ctypes.addressof(room)
with open('/tmp/f', 'wb') as file:
    file.write(bytes(1000))
F = os.open('/tmp/f', os.O_RDWR)
D = os.open('/tmp', os.O_RDONLY)
text = ctypes.create_string_buffer(b'/tmp/f')
P = ctypes.addressof(text)
HERE = 0xFFFFFF9C
"""

# By name: arguments, of which one leads out of memory, and the error wanted.
OUTSIDE: dict[str, list[tuple[str, int]]] = {
    "fd_write": [
        ("1, size, 1, B", EFAULT),
        ("1, size - 4, 1, B", EFAULT),
        ("1, B, 0xFFFFFFFF, B", EINVAL),
        ("1, B, 0x20000001, B", EINVAL),
    ],
    "fd_read": [("F, size, 1, B", EFAULT), ("F, 0xFFFFFFFC, 1, B", EFAULT)],
    "fd_pread": [("F, size, 1, 0, B", EFAULT)],
    "fd_pwrite": [("F, size, 1, 0, B", EFAULT)],
    "fd_seek": [("F, 0, 0, size - 7", EFAULT)],
    "fd_fdstat_get": [("F, size - 23", EFAULT)],
    "__syscall_fstat64": [("F, size - 95", -EFAULT)],
    "__syscall_stat64": [
        ("P, size - 95", -EFAULT),
        ("size, B", -EFAULT),
        ("size - 16, B", -EFAULT),  # a name without an end
    ],
    "__syscall_lstat64": [("size - 16, B", -EFAULT)],
    "__syscall_newfstatat": [("HERE, size - 16, B, 0", -EFAULT)],
    "__syscall_openat": [("HERE, size - 16, 0, 0", -EFAULT), ("HERE, 0xFFFFFFFF, 0, 0", -EFAULT)],
    "__syscall_getcwd": [
        ("size - 1, 100", -EFAULT),
        ("B, 0xFFFFFFFF", -EFAULT),
        ("0xFFFFFFFF, 100", -EFAULT),
    ],
    "__syscall_readlinkat": [("HERE, P, size, 10", -EFAULT)],
    "__syscall_getdents64": [("D, size - 10, 300", -EFAULT)],
    "__syscall_pipe": [("size - 7", -EFAULT)],
    "__syscall_poll": [("size - 7, 1, 0", -EFAULT), ("B, 0x20000000, 0", -EINVAL)],
    "__syscall_statfs64": [("P, 64, size - 63", -EFAULT)],
    "__syscall_fstatfs64": [("F, 64, size - 63", -EFAULT)],
    "__syscall_utimensat": [("HERE, P, size - 31, 0", -EFAULT)],
    "__syscall_symlinkat": [("size - 16, HERE, P", -EFAULT)],
    "__syscall_renameat": [("HERE, P, HERE, size - 16", -EFAULT)],
    "__syscall_chdir": [("size - 16", -EFAULT)],
    "__syscall_mkdirat": [("HERE, size, 0", -EFAULT)],
    "__syscall_unlinkat": [("HERE, size - 1, 0", -EFAULT)],
    "__syscall_truncate64": [("size - 1, 0", -EFAULT)],
    "__syscall_ioctl": [("0, 0x5413, size", -ENOTTY)],
    "random_get": [
        ("size, 1", EFAULT),
        ("size - 1, 2", EFAULT),
        ("0xFFFFFFFF, 1", EFAULT),
        ("0, 0xFFFFFFFF", EFAULT),
        ("16, size", EFAULT),
    ],
    "clock_time_get": [("0, 0, size - 7", EFAULT)],
    "clock_res_get": [("0, size - 7", EFAULT)],
    "environ_sizes_get": [("size - 3, B", EFAULT), ("B, size - 3", EFAULT)],
    "environ_get": [("size - 8, B", EFAULT), ("B, size - 8", EFAULT)],
    "_mmap_js": [
        ("100, 3, 1, F, 0, size - 3, B", -EFAULT),
        ("100, 3, 1, F, 0, B, size - 3", -EFAULT),
    ],
    "_msync_js": [("size - 10, 100, 3, 1, F, 0", -EFAULT)],
    "_munmap_js": [("size - 10, 100, 3, 1, F, 0", -EFAULT)],
}

TRY = """
ctypes.memset(size - 16, 0x61, 16)
call = function(name)
[call(*eval(f'({arguments},)')) for arguments in every]
"""

# Two of the arguments take every edge, the others are sound.
EDGES = """
import itertools, random
random.seed(7)
call = function(name)
letters = rows[name][0]
edges = [0, 1, B, B + 4, size - 1, size, size - 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
wide = [edge | high << 32 for edge in (0, size, 0xFFFFFFFF) for high in (0, 0x7FFFFFFF, 0xFFFFFFFF)]
sound = [0, 1, F, B, P, 16, 64]
made = 0
for pair in itertools.combinations(range(len(letters)), min(2, len(letters))):
    for values in itertools.product(*(wide if letters[at] == 'j' else edges for at in pair)):
        arguments = [random.choice(sound) for _ in letters]
        for at, value in zip(pair, values):
            arguments[at] = value
        call(*arguments)
        made += 1
'made', made
"""


def test_pointers_out_of_memory(either: Target) -> None:
    known = rows()
    for name, cases in OUTSIDE.items():
        every = [arguments for arguments, _ in cases]
        result = either.attack(REACH + SETTING + TRY, rows=known, name=name, every=every)
        assert result["return_value"] == [wanted for _, wanted in cases], (name, result)


# These have no error to give: they leave memory alone, or give what means failure.
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("_gmtime_js", [0, 0xFFFFFFFF]),
        ("_localtime_js", [0, 0xFFFFFFF0]),
        ("_timegm_js", [0xFFFFFFF0]),
        ("_mktime_js", [0xFFFFFFF0]),
        ("_tzset_js", [0xFFFFFFF0] * 4),
        ("_emscripten_get_progname", [0xFFFFFFF0, 100]),
    ],
)
def test_functions_without_an_error(either: Target, name: str, arguments: list[int]) -> None:
    code = f"{REACH}\nfunction(name)(*arguments) in (None, 0, 2**64 - 1)"
    result = either.attack(code, rows=rows(), name=name, arguments=arguments)
    assert result["return_value"] is True, result


def test_every_edge(either: Target) -> None:
    known = rows()
    ends: dict[str, str] = {}
    for name in known:
        if "e" not in "".join(known[name]) and name not in ENDING:
            result = either.attack(REACH + SETTING + EDGES, rows=known, name=name)
            ends[name] = result["status"]
    assert set(ends.values()) <= {"success", "run-error", "limit", "crash"}
    assert sum(end == "success" for end in ends.values()) >= 60, ends
