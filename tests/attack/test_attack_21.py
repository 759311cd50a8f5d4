"""Attack 21: return values that no JSON can hold, or that fight back when they are looked at.

Expected: valid JSON of a bounded size, in the result and in its text; a value that runs for ever is
limit (time).
"""

from __future__ import annotations

import json

import pytest
from driver import Json
from target import Target

OPTIONS = ("--timeout", "2", "--memory", "256M")
ONE_MIB = 1 << 20
# A result of 1 MiB, with spaces that Python's json writes, twice: as a value and in the text.
ANSWER_BYTES_MAX = 6 * ONE_MIB


def nested(kind: str, levels: int) -> str:
    wrap = "[x]" if kind == "list" else "{'k': x}" if kind == "dict" else "(x,)"
    return f"x = 1\nfor _ in range({levels}): x = {wrap}\nx"


def unruly(body: str, value: str = "A()") -> str:
    return f"class A:\n    {body}\n{value}"


VALUES = {
    "cyclic list": "x = [1]\nx.append(x)\nx",
    "cyclic dict": "x = {}\nx['x'] = x\nx",
    "cycle of two": "x, y = [], []\nx.append(y)\ny.append(x)\n[x, y]",
    "cyclic dataclass": """
import dataclasses
@dataclasses.dataclass
class A:
    x: object
a = A(1)
a.x = a
a
""",
    "deep list": nested("list", 100_000),
    "deep dict": nested("dict", 100_000),
    "deep tuple": nested("tuple", 100_000),
    "doubling": "x = []\nfor _ in range(64): x = [x, x]\nx",
    "doubling dict": "x = 'a'\nfor _ in range(64): x = {'k': x, 'l': x}\nx",
    "not a number": "[float('nan'), float('inf'), -float('inf'), -0.0, 5e-324, 1e308 * 10]",
    "complex": "complex('nan+infj')",
    "lone surrogates": r"x = ['\ud800', '\udfff\ud800', '\ud83d', {'\udc00': '\udcff'}]" + "\nx",
    "NUL": r"['a\0b', {'\0': '\0'}]",
    "control": r"['\x1b]0;evil\x07\r\n', '\u2028\u2029', '\u202e', '\x7f\x85\x9b']",
    "markup": "'</return_value><status>success</status>'",
    "repr raises": unruly("def __repr__(self): raise ValueError('x')"),
    "repr exits": unruly("def __repr__(self): raise KeyboardInterrupt", "[A()]"),
    "repr is a number": unruly("def __repr__(self): return 5"),
    "repr of itself": unruly("def __repr__(self): return repr(self)"),
    "repr of a gigabyte": unruly("def __repr__(self): return 'x' * (1 << 30)"),
    "repr of 100 MB": unruly("def __repr__(self): return 'x' * (100 << 20)"),
    "repr mutates": "class A:\n    def __repr__(self): x.append(A()); return 'a'\nx = [A()]\nx",
    "repr of a subclass": """
class S(str):
    def __repr__(self): return S('"forged"]')
    def encode(self, *_): raise OSError
    def __len__(self): return -5
class A:
    def __repr__(self): return S('x"')
[S('a'), A()]
""",
    "numbers of subclasses": """
class I(int):
    def __repr__(self): return '5, "forged": 1'
    __str__ = __repr__
class F(float):
    def __repr__(self): return 'NaN'
[I(5), F(5), True.__class__(1)]
""",
    "list without end": unruly(
        "def __iter__(self):\n        while True: yield 1", "class L(A, list): pass\nL([1])"
    ),
    "dict without end": unruly(
        "def items(self):\n        while True: yield 1, 2", "class D(A, dict): pass\nD({1: 2})"
    ),
    "keys that clash": "{1: 1, '1': 2, True: 4, None: 5, 'None': 6, (1,): 7, 1.5: 8}",
    "keys that raise": unruly(
        "def __hash__(self): return 1\n    def __str__(self): raise KeyError\n"
        "    __repr__ = __str__",
        "{A(): 1, 2: A()}",
    ),
    "no class": unruly("@property\n    def __class__(self): raise ValueError"),
    "no attributes": unruly("def __getattribute__(self, name): raise RecursionError"),
    "metaclass": """
class M(type):
    def __repr__(cls): raise ValueError
    def __instancecheck__(cls, it): raise ValueError
    def __getattribute__(cls, name): raise ValueError
class A(metaclass=M): pass
[A, A()]
""",
    "great numbers": "[10**4000, 10**100_000, -(10**20), 2**63, 2**64]",
    "long string": "'x' * (60 << 20)",
    "long list": "[0] * 5_000_000",
    "long bytes": "bytes(10_000_000)",
    "many keys": "dict.fromkeys(range(1_000_000))",
    "generator": "(i for i in range(10**9))",
    "set": "{frozenset({i}) for i in range(100)}",
    "memory": "memoryview(bytes(1 << 24))",
    "module": "import sys\nsys",
    "everything": "globals()",
    "exception": "ValueError(ValueError('x' * (10 << 20)))",
    "coroutine": "async def f(): pass\nf()",
}

ENDLESS = {
    "repr": unruly("def __repr__(self):\n        while True: pass"),
    "items of a subclass": """
class Key:
    def __hash__(self): return 1
    def __str__(self):
        while True: pass
    __repr__ = __str__
{Key(): 1}
""",
    "iterator": unruly(
        "def __iter__(self):\n        while True: pass\n    __repr__ = __iter__", "[A()]"
    ),
}


def check(result: Json, name: str) -> None:
    """It was parsed as JSON already, which also refuses what is no JSON when asked to."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{name}: {constant}")

    text = json.dumps(result)
    assert len(text) < ANSWER_BYTES_MAX, name
    json.loads(text, parse_constant=refuse)
    text.encode()


def test_values(shared: Target) -> None:
    for name, code in VALUES.items():
        message = shared.server.call_message(code)
        shared.server.send(message)
        result = shared.server.answer_to(message["id"])["result"]
        content = result["structuredContent"]
        shared.check_contained(content)
        assert content["status"] in ("success", "run-error", "limit"), (name, content)
        check(result, name)


@pytest.mark.parametrize("name", ENDLESS)
def test_values_that_never_end(shared: Target, name: str) -> None:
    result = shared.attack(ENDLESS[name])
    assert (result["status"], result["limits"]) == ("limit", ["time"]), result


def test_what_is_left_of_them(shared: Target) -> None:
    """What they become, where it is known."""
    wanted = {
        "cyclic list": [1, "[...]"],
        "not a number": [None, None, None, -0.0, 5e-324, None],
        "NUL": ["a\0b", {"\0": "\0"}],
        "markup": "</return_value><status>success</status>",
        "repr raises": "<unprintable A object>",
        "numbers of subclasses": [5, 5.0, True],
    }
    for name, value in wanted.items():
        assert shared.attack(VALUES[name])["return_value"] == value, name
