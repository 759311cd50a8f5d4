"""Attack 6: indirect calls with bad indexes and signatures, and recursion through the host.

Expected: a trap, which ends the cell (crash), or a limit. The stack of the host stays intact: its
process ends as its guest did, never by a signal.
"""

from __future__ import annotations

import pytest
from target import Target

OPTIONS = ("--timeout", "5", "--memory", "256M")
NOWHERE = (0, 1_000_000, 4 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

INDEX = "import ctypes\nctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(index)(1)"

# Functions of the interpreter's own, by their places, with whatever arguments.
PLACES = """
import ctypes, random
random.seed(seed)
TYPES = [ctypes.c_int, ctypes.c_double, ctypes.c_float, ctypes.c_longlong, ctypes.c_void_p]
for _ in range(10):
    kinds = [random.choice(TYPES) for _ in range(random.randrange(1, 8))]
    call = ctypes.CFUNCTYPE(*kinds)(random.randrange(1, 12000))
    call(*(random.choice([0, 1, 16, 2**31 - 1]) for _ in kinds[1:]))
"""

SIGNATURES = """
import ctypes
place = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
call = ctypes.CFUNCTYPE(*(getattr(ctypes, name) for name in names))(place)
call(*(1 for _ in names[1:]))
"""

# Each takes `deep` levels, if it is let.
RECURSIONS = {
    "callbacks": """
import ctypes, sys
sys.setrecursionlimit(10**9)
TYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
@TYPE
def f(n):
    return f(n + 1) if n < 100_000 else 0
print('before', flush=True)
f(0)
""",
    "callbacks of two kinds": """
import ctypes, sys
sys.setrecursionlimit(10**9)
@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_longlong)
def f(x, n):
    return g(n + 1)
@ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_longlong)
def g(n):
    return f(1.5, n) if n < 100_000 else 0.0
print('before', flush=True)
g(0)
""",
    "sorting in sorting": """
import ctypes, sys
sys.setrecursionlimit(10**9)
C = ctypes.CDLL(None)
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
def compare(a, b):
    C.qsort((ctypes.c_int * 2)(2, 1), 2, 4, compare)
    return 0
print('before', flush=True)
compare(0, 0)
""",
    "much stack on each level": """
import ctypes, sys
sys.setrecursionlimit(10**9)
def nest(n):
    return list(map(nest, [n - 1])) if n else f(0)
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
def f(n):
    nest(50)
    return 0
print('before', flush=True)
f(0)
""",
    "system calls at the verge": """
import os, sys
sys.setrecursionlimit(10**9)
def nest(n):
    os.stat('/tmp')
    os.listdir('/')
    return list(map(nest, [n + 1]))
print('before', flush=True)
nest(0)
""",
}


@pytest.mark.parametrize("index", NOWHERE)
def test_places_that_are_not_there(either: Target, index: int) -> None:
    result = either.attack(INDEX, index=index)
    assert result["status"] in ("crash", "run-error"), result
    assert index == 0 or result["status"] == "crash"


def test_any_place_with_any_signature(either: Target) -> None:
    ends = set()
    for seed in range(25):
        ends.add(either.attack(PLACES, seed=seed)["status"])
    assert "crash" in ends


@pytest.mark.parametrize(
    "names",
    [
        ["c_double", "c_double"],
        ["c_longlong", "c_longlong", "c_longlong"],
        ["c_int"],
        ["c_int", *["c_int"] * 30],
        [*["c_float"] * 9],
    ],
    ids=len,
)
def test_wrong_signatures(either: Target, names: list[str]) -> None:
    assert either.attack(SIGNATURES, names=names)["status"] in ("success", "crash", "run-error")


@pytest.mark.parametrize("case", RECURSIONS)
def test_recursion_through_the_host(either: Target, case: str) -> None:
    result = either.attack(RECURSIONS[case])
    # A callback's RecursionError goes to stderr and no further.
    is_refused = "RecursionError: Stack overflow" in result["stderr"]
    assert is_refused or result["status"] in ("crash", "limit", "run-error"), result
    assert result["stdout"] == "before\n"
