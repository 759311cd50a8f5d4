"""What the table of cases cannot say of the guest: order, interrupts, sudden ends, forks."""

import time

import pytest
from cases import Case, value
from cell import (
    LEFT,
    LIMIT,
    LIMIT_OUTPUT,
    PROTOCOL,
    RETURNED,
    STDERR,
    STDOUT,
    TRAPPED,
    Cell,
    Zygote,
)

BOOTS = ("cold", "warm", "rehearsed", "restored")


def test_both_streams_keep_their_order(zygote: Zygote) -> None:
    code = (
        "import sys\nfor i in range(20):\n  print(i, end=',')\n"
        "  print('e', file=sys.stderr)\nprint('last', end='')"
    )
    came = zygote.run(Case("", code))
    expected = [pair for i in range(20) for pair in ((STDOUT, b"%d," % i), (STDERR, b"e\n"))]
    assert came.output() == [*expected, (STDOUT, b"last")]


def test_a_line_leaves_at_once(zygote: Zygote) -> None:
    cell = zygote.fork()
    cell.send(Case("", "import time\nprint('now')\ntime.sleep(1)\nprint('later')"))
    start = time.monotonic()
    cell.wait_for(b"now\n")
    came = cell.finish()
    assert time.monotonic() - start > 0.9
    assert came.stdout == b"now\nlater\n"


def interrupted(zygote: Zygote, code: str) -> Cell:
    """Start a program that prints a line and goes on for ever, and interrupt it."""
    cell = zygote.fork()
    cell.send(Case("", code))
    cell.wait_for(b"on\n")
    time.sleep(0.1)  # the line is out before the program is past it
    cell.interrupt()
    return cell


@pytest.mark.parametrize(
    "code",
    [
        "print('on')\nwhile True: pass",
        "import time\nprint('on')\ntime.sleep(1000)",
        "import asyncio\nprint('on')\nawait asyncio.sleep(1000)",
        "print('on')\nimport re\nre.match('(a*)*b', 'a' * 50)",
    ],
    ids=["loop", "sleep", "await", "C code"],
)
def test_an_interrupt_ends_the_program(code: str, zygote: Zygote) -> None:
    came = interrupted(zygote, code).finish(20)
    assert (came.reason, came.error_type, came.exit_code) == (RETURNED, "KeyboardInterrupt", 130)
    assert came.traceback.endswith("\nKeyboardInterrupt\n")
    assert "await" in code or came.line == code.count("\n") + 1


def test_an_interrupt_can_be_caught(zygote: Zygote) -> None:
    code = "try:\n  print('on')\n  while True: pass\nexcept KeyboardInterrupt: print('caught')"
    came = interrupted(zygote, code).finish(20)
    assert (came.status, came.stdout) == ("success", b"on\ncaught\n")


# A chain of C calls that CPython does not count: deep enough for every stack.
OVERFLOW = """
print('before', end='')
x = ()
for i in range(5_000_000): x = (x,)
print(' and after')
del x
hash_me = ()
for i in range(5_000_000): hash_me = (hash_me,)
hash(hash_me)
"""


def test_an_overflow_of_the_stack_ends_the_cell_alone(zygote: Zygote) -> None:
    came = zygote.run(Case("", OVERFLOW))
    assert (came.reason, came.results, came.wait_status) == (TRAPPED, [], 0), came
    assert came.detail != ""
    assert came.stdout == b"before and after\n"
    assert zygote.run(Case("", "print(1)")).stdout == b"1\n"


# Guest calls host calls guest: C functions that are called by ctypes and call back.
RECURSION = """
import ctypes, sys
sys.setrecursionlimit(10**6)
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def f(n): return f(n + 1) if n < 100_000 else n
print('before')
f(0)
"""


def test_recursion_through_the_host_ends_the_cell_alone(zygote: Zygote) -> None:
    came = zygote.run(Case("", RECURSION))
    assert (came.reason, came.results, came.wait_status) == (TRAPPED, [], 0), came
    assert "calls through the host in each other" in came.detail
    assert came.stdout == b"before\n"
    assert zygote.run(Case("", "print(1)")).stdout == b"1\n"


@pytest.mark.parametrize("address", [0, 1, 2, 123456, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_call_to_anywhere_is_no_more_than_a_trap(address: int, zygote: Zygote) -> None:
    code = f"import ctypes\nprint('a')\nctypes.CFUNCTYPE(ctypes.c_double)({address})()"
    came = zygote.run(Case("", code))
    assert came.reason in (RETURNED, TRAPPED), came
    assert (came.stdout, came.wait_status) == (b"a\n", 0)


@pytest.mark.parametrize("code", [0, 3, 255])
def test_leaving_at_once(code: int, zygote: Zygote) -> None:
    came = zygote.run(Case("", f"import os\nprint('a')\nprint('lost', end='')\nos._exit({code})"))
    assert (came.reason, came.end_exit_code, came.results) == (LEFT, code, [])
    assert came.stdout == b"a\n"


@pytest.mark.parametrize(
    "code",
    [
        "os.write(1000000, b'junk')",
        "os.write(1000000, b'\\x63\\0\\0\\0\\0')",
        "os.write(1000000, b'\\x01\\x07\\0\\0\\0success')\n"
        "os.write(1000000, b'\\x01\\x07\\0\\0\\0success')",
    ],
    ids=["junk", "unknown", "twice"],
)
def test_the_control_descriptor_is_guarded(code: str, zygote: Zygote) -> None:
    came = zygote.run(Case("", f"import os\nprint('a')\n{code}"))
    assert (came.reason, came.wait_status) == (PROTOCOL, 0), came
    assert len(came.results) <= 1
    assert came.stdout == b"a\n"


def test_the_output_has_a_limit(zygote: Zygote) -> None:
    came = zygote.run(Case("", "while True: print('x' * 60000)"))
    assert (came.reason, came.limits) == (LIMIT, LIMIT_OUTPUT)
    assert len(came.stdout) == 16 << 20


def test_a_waiting_cell_keeps_little_for_itself(zygote_of: object) -> None:
    zygote = zygote_of("rehearsed")
    cells = [zygote.fork() for _ in range(3)]
    kib = zygote.private_kib()
    for cell in cells:
        cell.send(value("", "1 + 1", None))
        assert cell.finish().value == 2
    # Measured: 444. What is scattered over the zygote's heap, or counted in it, was 876.
    assert len(kib) == 3 and max(kib) < 640, kib


UNIQUE = """
import os, random, secrets, tempfile, uuid
[random.random(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8).hex(), secrets.token_hex(),
 tempfile.mktemp(), random.SystemRandom().random(), str(random.Random().random())]
"""


@pytest.mark.parametrize("boot", BOOTS)
def test_cells_of_one_zygote_share_no_randomness(boot: str, zygote_of: object) -> None:
    zygote = zygote_of(boot)
    runs = [zygote.run(value("", UNIQUE, None)).value for _ in range(3)]
    for column in zip(*runs, strict=True):
        assert len(set(column)) == 3, runs


def test_cells_of_one_zygote_share_no_files_and_no_changes(zygote: Zygote) -> None:
    code = (
        "import builtins, os, sys\nseen = [os.listdir('.'), hasattr(builtins, 'mark'), "
        "os.environ.get('MARK')]\nopen('mark', 'w').close()\nbuiltins.mark = 1\n"
        "os.environ['MARK'] = '1'\nseen"
    )
    first, second = (zygote.run(value("", code, None)).value for _ in range(2))
    assert first == second
    assert first[1:] == [False, None]


DEPTH = """
def f(n):
    global deepest
    deepest = n
    f(n + 1)
try: f(1)
except RecursionError: pass
deepest
"""


def test_the_depth_of_recursion_is_the_same_in_all(zygote_of: object) -> None:
    depths = [zygote_of(boot).run(value("", DEPTH, None)).value for boot in BOOTS]
    assert depths == [999] * len(BOOTS)  # the limit is 1000, and the first frame is the program's
