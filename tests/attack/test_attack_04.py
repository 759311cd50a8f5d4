"""Attack 4: memory that changes between the host's check and its use.

A guest has one thread, so it gets between the two where its own buffers overlap, and where the host
calls it back. Expected: what the host has checked is what it uses; it never touches memory outside,
and a guest that was honest finds the right results.
"""

from __future__ import annotations

from imports import REACH, rows
from target import Target

OPTIONS = ("--timeout", "5", "--memory", "256M")

# A list of buffers whose first one is the list: what is read into it says where the next goes.
READ_OVER_THE_LIST = """
import os
room = ctypes.create_string_buffer(4096)
B = ctypes.addressof(room)
came = []
for evil in (size, size - 4, 0xFFFFFFF0, 0, 0xFFFFFFFF):
    with open('/tmp/f', 'wb') as file:
        file.write(evil.to_bytes(4, 'little') * 4 + b'x' * 2000)
    F = os.open('/tmp/f', os.O_RDWR)
    for words in ((B + 8, 8, B + 1000, 100), (B, 16, B + 1000, 100), (B + 12, 8, B + 1000, 4)):
        ctypes.memmove(B, b''.join(word.to_bytes(4, 'little') for word in words), 16)
        came.append(function('fd_pread')(F, B, 2, 0, B + 2000))
    os.close(F)
sorted(set(came))
"""

# Results that overlap what was asked for.
SAME_BUFFERS = """
import os
os.symlink('/tmp/' + 'target' * 20, '/tmp/link')
room = ctypes.create_string_buffer(b'/tmp/link', 4096)
B = ctypes.addressof(room)
HERE = 0xFFFFFF9C
length = function('__syscall_readlinkat')(HERE, B, B, 4000)
target = room.raw[:length].decode()
room.raw = b'/tmp' + bytes(4092)
status = function('__syscall_stat64')(B, B)
first = function('environ_get')(B, B)
length, target == '/tmp/' + 'target' * 20, status, first
"""

# The host calls back while it holds on to memory, which grows, so that it might move.
GROWTH = """
import ctypes, random
random.seed(3)
kept = []
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
def compare(a, b):
    if random.random() < 0.05 and len(kept) < 150:
        kept.append(bytearray(b'x') * (1 << 20))
    return (a[0] > b[0]) - (a[0] < b[0])
C = ctypes.CDLL(None)
numbers = [random.randrange(10**6) for _ in range(1000)]
array = (ctypes.c_int * 1000)(*numbers)
C.qsort(array, 1000, 4, compare)
list(array) == sorted(numbers), len(kept) > 50, all(part == b'x' * (1 << 20) for part in kept)
"""

# A callback that ends its own existence, and makes others in its place.
CALLBACK_WITHOUT_ITSELF = """
import ctypes, gc
TYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
holder = []
def body(n):
    holder.clear()
    gc.collect()
    others = [TYPE(lambda m: m + 1000) for _ in range(200)]
    return n + others[7](1)
came = []
for _ in range(50):
    holder.append(TYPE(body))
    address = ctypes.cast(holder[0], ctypes.c_void_p).value
    came.append(TYPE(address)(1))
set(came) == {1002}
"""

# A callback that fills the stack below and above itself: descriptions of the call lie there.
CALLBACK_SPOILS_THE_STACK = """
import ctypes, random
random.seed(seed)
C = ctypes.CDLL(None)
C.emscripten_stack_get_current.restype = ctypes.c_uint32
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def spoil(n):
    here = C.emscripten_stack_get_current()
    for _ in range(40):
        at = here + 4 * random.randrange(0, 1000)
        word = random.choice([0, 1, at, 0xFFFFFFFF, 0x80000000, random.getrandbits(32)])
        ctypes.c_uint32.from_address(at).value = word
    return n
spoil(1)
"""


def test_buffers_that_hold_their_own_list(either: Target) -> None:
    result = either.attack(REACH + READ_OVER_THE_LIST, rows=rows())
    assert result["status"] == "success", result
    assert set(result["return_value"]) <= {0, 21}


def test_results_over_arguments(either: Target) -> None:
    result = either.attack(REACH + SAME_BUFFERS, rows=rows())
    assert result["return_value"] == [125, True, 0, 0], result


def test_memory_that_grows_meanwhile(either: Target) -> None:
    assert either.attack(GROWTH)["return_value"] == [True, True, True]


def test_a_callback_without_itself(either: Target) -> None:
    assert either.attack(CALLBACK_WITHOUT_ITSELF)["return_value"] is True


def test_a_callback_spoils_the_stack(either: Target) -> None:
    for seed in range(20):
        result = either.attack(CALLBACK_SPOILS_THE_STACK, seed=seed)
        assert result["status"] in ("success", "run-error", "crash", "limit"), result
