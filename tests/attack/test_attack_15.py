"""Attack 15: loops in C code, where no bytecode looks for the interrupt.

Expected: limit (time) at the same deadline as any other program; where the numbers do not fit into
the guest's 32 bits, an error at once. (The guest's hashlib has no pbkdf2: it comes with OpenSSL.)
"""

from __future__ import annotations

from target import Target

OPTIONS = ("--timeout", "2", "--max-cells", "8", "--memory", "256M")

ENDLESS = {
    "regex": "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
    "regex, caught": """
import re
while True:
    try: re.match(r'(a|a)*(b|b)*$', 'a' * 5000 + 'c' * 9)
    except BaseException: pass
    try: re.match(r'(a+)+$', 'a' * 40 + 'b')
    except BaseException: pass
""",
    "power": "10 ** 10 ** 8",
    "int": "import sys\nsys.set_int_max_str_digits(0)\nint('9' * 10**7)",
    "str": "import sys\nsys.set_int_max_str_digits(0)\nn = 1 << (1 << 26)\nstr(n)",
    "sum": "sum(range(2**31 - 1))\nsum(range(10**18))",
    "max": "max(range(10**18))",
    "any": "any(iter(int, 1))",
    "count": "import itertools\nsum(itertools.repeat(0))",
    "deque": "import collections, itertools\ncollections.deque(itertools.repeat(1), maxlen=0)",
    "combinations": """
import collections, itertools
collections.deque(itertools.permutations(range(100)), maxlen=0)
""",
    "membership": "class Never:\n    pass\nNever() in iter(object, None)",
    "product": "import math\nmath.prod(range(1, 10**6))",
    "comb": "import math\nmath.comb(10**8, 5 * 10**7)",
    "decimal": """
import decimal
decimal.getcontext().prec = 10**7
while True:
    decimal.Decimal(2).sqrt()
""",
    "find": "a = 'ab' * (1 << 20)\nwhile True: (a + 'c').rfind('ba' * (1 << 19) + 'd')",
    "crc": "import zlib\nx = bytes(1 << 26)\nwhile True: zlib.crc32(x)",
    "hash": "import hashlib\nx = bytes(1 << 26)\nwhile True: hashlib.sha3_512(x)",
    "dict probe": """
class Key:
    def __hash__(self): return 1
    def __eq__(self, other):
        table.clear()
        table[1] = 1
        return False
table = {}
while True:
    for _ in range(3): table[Key()] = 1
    table.get(Key())
""",
    "sort": """
import functools
class Slow:
    def __lt__(self, other): return sum(range(10**7)) < 0
sorted(Slow() for _ in range(10**4))
""",
    "string times": "while True: ('x' * (1 << 26)).replace('x', 'y')",
}

AT_ONCE = {
    "sorted": "sorted(range(10**18))",
    "list": "list(range(10**18))",
    "bytes": "bytes(range(10**18))",
    "str.format": "'{:>{width}}'.format('x', width=10**18)",
    "str.format, often": "('{0}' * 10**6).format('x' * 10**4)",
    "str.join": "','.join(['x' * 10**7] * 1000)",
    "shift": "1 << (1 << 40)",
    "int, long": "int('9' * 10**7)",
    "pbkdf2": "import hashlib\nhashlib.pbkdf2_hmac('sha256', b'x', b'y', 10**9)",
}


def test_loops_in_c(shared: Target) -> None:
    codes = {name: f"print('before')\n{code}" for name, code in ENDLESS.items()}
    for name, result in shared.attack_all(codes).items():
        assert result["status"] == "limit", (name, result)
        assert "time" in result["limits"], (name, result)
        assert set(result["limits"]) <= {"time", "memory"}, (name, result)  # some grow as well
        assert result["stdout"] == "before\n", name


def test_numbers_that_do_not_fit(shared: Target) -> None:
    for name, result in shared.attack_all(AT_ONCE).items():
        assert result["status"] in ("run-error", "limit"), (name, result)
        if result["status"] == "limit":
            assert set(result["limits"]) <= {"memory", "time"}, (name, result)
