"""A program whose last line is an expression compiles without a syntax tree, to the same code."""

import pytest

from vitrine import execute

CLEAR = [
    "1+1",
    "1+1\n\n  \n",
    "\n\nf(1)",
    "x = 1\nx",
    "import os\ndef f():\n    return 1\n\nf()",
    "class A:\n  x = 1\n\n# words\nA().x # more",
    'x = """\nabc\n"""\nx',
    "if x:\n  y = 1\nelse:\n  y = 2\ny",
    "for i in range(3): pass\n[i for i in range(3)]",
    "len('é' + 'ü')",
    "not x",
    "lambda: (yield)",
    "await f()",
    "import asyncio\nawait asyncio.sleep(1)",
    "(y := 5)",
    "print('hello')",
    "# first\n1",
    "1, 2",
    "d = {'a': 1}\nd['a']",
]

UNCLEAR = [
    "",
    "\n",
    "x = 1",
    "x += 1",
    "pass",
    "import os",
    "'a docstring'",
    "('a docstring')",
    "# words\n'a docstring'",
    "x = 1\n'text'",
    "'é' + 'ü'",
    "1;",
    "1 + \\\n 2",
    "f(\n  1)",
    "f(1,\n2)",
    'x = """\n1',
    'x = """\n1\n"""',
    "if x:\n  1",
    "if x: 1",
    "@f\ndef g(): pass",
    "def f():\n  1",
    "1 1",
    "x = (\n1",
    "(\n1)",
    "try:\n  x\nfinally:\n  y",
    "return 1",
    "yield 1",
    "*a, b",
    "from __future__ import annotations\n1",
    "# coding: latin-1\n1",
    "\ufeff1",
    "1\r\n2",
    "x = 1\f\n1",
    "x\0",
    "x = 1\n# words",
]


def shape(code: object) -> tuple:
    """What makes a code object do what it does, and say where it is."""
    constants = [shape(part) if hasattr(part, "co_code") else part for part in code.co_consts]
    places = list(code.co_positions())
    return (code.co_code, constants, code.co_names, code.co_flags, code.co_name, places)


@pytest.mark.parametrize("text", CLEAR)
def test_code_is_that_of_the_tree(text: str) -> None:
    source = text.encode()
    quick = execute.compile_lines(source, "main.py")
    tree = execute.parse(source, "main.py")
    whole = execute.compile_tree(tree, source, "main.py", True)
    assert shape(quick[-1]) == shape(whole[-1])
    assert len(quick) == len(whole) or not eval(whole[0], {})  # nothing is in the first
    assert list(map(shape, quick[:-1])) == list(map(shape, whole[:-1] if quick[:-1] else []))


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_is_not_clear_is_left_to_the_tree(text: str) -> None:
    assert execute.compile_lines(text.encode(), "main.py") == []
