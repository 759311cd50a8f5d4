"""Attack 16: memory without end, and recursion without end, in Python and in C.

Expected: MemoryError, RecursionError or another error at once, limit, or crash; what was printed
before is kept. Nobody is ever killed by the system for want of memory. tests/system/test_limits.py
has each limit's name and sentence.
"""

from __future__ import annotations

from pathlib import Path

from driver import Json, Program
from target import Target, status_of

OPTIONS = ("--timeout", "5", "--max-cells", "4", "--memory", "64M")
DEEP = "x = []\nfor _ in range(10**6): x = [x]\n"
SERVER_MIB_MAX = 64

# For each limit of memory; the second number is larger than any.
MEMORY = {
    "one string": "x = 'x' * 2**31",
    "one string, less": "x = 'x' * (2**31 - 100)",
    "doubling": "x = [0]\nwhile True: x += x",
    "many pieces": "x = []\nwhile True: x.append(bytearray(1 << 20))",
    "caught for ever": """
x = []
for _ in range(10**5):
    try: x.append(bytearray(1 << 20))
    except MemoryError: pass
raise MemoryError
""",
    "small objects": "x = []\nwhile True: x.append([1])",
    "dictionary": "x = {}\nwhile True: x[len(x)] = 0",
    "memory.grow": """
import ctypes
C = ctypes.CDLL(None)
while C.malloc(1 << 16): pass
raise MemoryError
""",
    "sbrk": """
import ctypes
C = ctypes.CDLL(None)
while C.sbrk(1 << 16) != -1: pass
raise MemoryError
""",
    "resize": """
import ctypes
C = ctypes.CDLL(None)
while C.emscripten_resize_heap(C.emscripten_get_heap_size() + 65536): pass
raise MemoryError
""",
    "format": "'%1000000000d' % 1",
    "shift": "1 << (1 << 33)",
    "array": "import array\narray.array('d', bytes(8)) * 2**30",
}

RECURSION = {
    "function": "def f(): f()\nf()",
    "function, limit lifted": "import sys\nsys.setrecursionlimit(2**31 - 1)\ndef f(): f()\nf()",
    "generators": "def f(n):\n    yield from f(n + 1)\nlist(f(0))",
    "repr": DEEP + "repr(x)",
    "return value": DEEP + "x",
    "json.loads": "import json\njson.loads('[' * 300000)",
    "json.dumps": DEEP + "import json\njson.dumps(x)",
    "pickle.dumps": DEEP + "import pickle\npickle.dumps(x)",
    "pickle.loads": r"""
import pickle
repr(pickle.loads(b'\x80\x04' + b'(' * 10**6 + b't' * 10**6 + b'.'))
""",
    "marshal": r"import marshal" + "\n" + r"marshal.loads(b'[\1\0\0\0' * 10**6)",
    "parser, parentheses": "eval('(' * 10**5 + ')' * 10**5)",
    "parser, minus": "eval('-' * 10**6 + '1')",
    "parser, sums": "eval('1+' * 10**6 + '1')",
    "parser, attributes": "import ast\nast.parse('a' + '.a' * 10**6)",
    "comparison": DEEP + "y = []\nfor _ in range(10**6): y = [y]\nx == y",
    "hash": "x = ()\nfor _ in range(10**6): x = (x,)\nhash(x)",
    "deallocation": "x = None\nfor _ in range(3 * 10**6): x = (x,)\ndel x",
    "iterators": "x = iter([1])\nfor _ in range(10**6): x = filter(None, x)\nlist(x)",
    "deep copy": "import copy\nx = []\nfor _ in range(10**5): x = [x]\ncopy.deepcopy(x)",
    "mapping": "def f(n): return list(map(f, [n]))\nimport sys\nsys.setrecursionlimit(10**9)\nf(0)",
    "isinstance": "x = int\nfor _ in range(10**6): x = (x, str)\nisinstance(None, x)",
    "attributes": "class A:\n    def __getattr__(self, name): return getattr(self, name)\nA().x",
    "regular expression": "import re\nre.compile('(' * 10**5 + ')' * 10**5)",
}


def check(name: str, result: Json) -> None:
    """It came to nothing, in a way that is allowed."""
    assert result["stdout"] == "before\n", (name, result)
    # Some are no trouble at all for CPython, which has made these deep structures flat.
    assert result["status"] in ("success", "run-error", "limit", "crash"), (name, result)
    if result["status"] == "run-error":
        kinds = ("MemoryError", "RecursionError", "OverflowError", "SyntaxError", "ValueError")
        assert result["error"]["type"] in kinds, (name, result)


def server_mib(target: Target) -> int:
    """The most memory that the server itself has had."""
    return int(status_of(target.pid)["VmHWM"].split()[0]) >> 10


def with_words(codes: dict[str, str]) -> dict[str, str]:
    return {name: f"print('before', flush=True)\n{code}" for name, code in codes.items()}


def test_memory(shared: Target) -> None:
    for name, result in shared.attack_all(with_words(MEMORY)).items():
        check(name, result)
        assert result["status"] != "success", name
    assert server_mib(shared) < SERVER_MIB_MAX


def test_recursion(shared: Target) -> None:
    for name, result in shared.attack_all(with_words(RECURSION)).items():
        check(name, result)
    assert server_mib(shared) < SERVER_MIB_MAX


def test_with_more_room(tmp_path: Path, vitrine: Program) -> None:
    options = ("--timeout", "5", "--max-cells", "2", "--memory", "256M", "--no-install")
    codes = {name: MEMORY[name] for name in ("doubling", "many pieces", "sbrk")}
    codes |= {name: RECURSION[name] for name in ("return value", "json.loads", "parser, sums")}
    with Target(tmp_path, vitrine, *options) as target:
        for name, result in target.attack_all(with_words(codes)).items():
            check(name, result)
        target.check_unharmed()
