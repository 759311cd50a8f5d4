"""Needs in the guest: a program that lacks packages is not run, and says what it lacks."""

import json

import pytest
from cases import Case, value
from cell import RETURNED, Run, Zygote

NUMPY = '{"guesses":["numpy"],"requirements":[]}'
BLOCK = "# /// script\n# dependencies = ['zzz>=2', 'aaa']\n# ///\n"


def run(zygote: Zygote, code: str, **options: object) -> Run:
    came = zygote.run(Case("", code, finds_needs=True, **options))
    assert (came.reason, came.wait_status) == (RETURNED, 0), came
    return came


@pytest.mark.parametrize(
    "code, guesses, requirements",
    [
        ("print(1)\nimport numpy", ["numpy"], []),
        ("def f():\n  try: import PIL.Image\n  except ImportError: pass", ["pillow"], []),
        (BLOCK + "import numpy", [], ["aaa", "zzz>=2"]),
    ],
)
def test_a_need(code: str, guesses: list, requirements: list, zygote: Zygote) -> None:
    came = run(zygote, code)
    assert (came.status, came.stdout, came.stderr) == ("need", b"", b""), came
    assert json.loads(came.need) == {"guesses": guesses, "requirements": requirements}


def test_a_requirement_beside_the_code(zygote: Zygote) -> None:
    came = run(zygote, "print(1)", dependencies=("numpy>=2",))
    assert (came.status, came.stdout) == ("need", b"")
    assert came.need == '{"guesses":[],"requirements":["numpy>=2"]}'


def test_it_runs_where_its_need_was_resolved(zygote: Zygote) -> None:
    code = "try: import numpy\nexcept ModuleNotFoundError as e: print(e)"
    came = run(zygote, code, resolved=NUMPY)
    assert (came.status, came.stdout) == ("success", b"No module named 'numpy'\n")
    need = '{"guesses":[],"requirements":["a"]}'
    assert run(zygote, "print(1)", dependencies=("a",), resolved=need).stdout == b"1\n"
    assert run(zygote, code, resolved=need).status == "need"


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "import json, os\nfrom datetime import date\nprint(1)",
        "import sys; import os.path; print(1)",
        "x = __import__('json')\nprint(1)",
    ],
)
def test_it_runs_where_nothing_is_needed(code: str, zygote: Zygote) -> None:
    assert run(zygote, code).stdout == b"1\n"


def test_nothing_is_looked_for_unless_asked(zygote: Zygote) -> None:
    came = zygote.run(Case("", BLOCK + "import numpy"))
    assert (came.status, came.error_type) == ("run-error", "ModuleNotFoundError")


@pytest.mark.parametrize(
    "code, options, kind, message",
    [
        ("1 +* 2", {}, "SyntaxError", "invalid syntax"),
        ("# /// script\n# x = [\n# ///", {}, "SyntaxError", "invalid script metadata (PEP 723)"),
        ("print(1)", {"dependencies": ("x @ http://a.example",)}, "ValueError", "an address"),
        (
            "# /// script\n# requires-python = '>=3.99'\n# ///",
            {},
            "RuntimeError",
            "requires Python >=3.99",
        ),
    ],
)
def test_an_error(code: str, options: dict, kind: str, message: str, zygote: Zygote) -> None:
    came = run(zygote, code, **options)
    assert (came.status, came.error_type, came.need) == ("run-error", kind, "")
    assert message in came.message
    assert "vitrine" not in came.traceback.replace("vitrine.", "")


@pytest.mark.parametrize("name", ["js", "pyodide_js", "_pyodide_core"])
def test_there_is_no_browser(name: str, zygote: Zygote) -> None:
    came = run(zygote, f"import {name}")
    assert (came.status, came.error_type) == ("run-error", "ModuleNotFoundError")
    came = run(zygote, f"import pyodide.ffi\nimport {name}")
    assert (came.status, came.error_type) == ("run-error", "ModuleNotFoundError")


def test_a_value_is_still_one(zygote: Zygote) -> None:
    case = value("", "import json\nx = __import__('math')\nx.floor(2.5)", 2, finds_needs=True)
    assert zygote.run(case).value == 2
