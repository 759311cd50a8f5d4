"""Attack 33: sources without sense or end, and tracebacks that might tell of the host.

Expected: a source is run, or is a run-error of its own, or is refused for its size; every path in a
traceback is a path of the guest's.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from driver import Program
from target import Target

OPTIONS = ("--timeout", "10", "--memory", "256M")

SOURCES = {
    # name: source, error's type (None: it runs), what it prints
    "NUL": ("print(1)\0\nprint(2)", "SyntaxError", ""),
    "NUL in a text": ("x = '\0'", "SyntaxError", ""),
    "mark": ("\ufeffprint(1)", None, "1\n"),
    "two marks": ("\ufeff\ufeffprint(1)", "SyntaxError", ""),
    "mark and another cookie": ("\ufeff# coding: latin-1\nprint(1)", "SyntaxError", ""),
    "utf-7": ("# coding: utf-7\nprint('+AGE-')\n+AAoACgBwAHIAaQBuAHQAKAAyACk-", None, "a\n2\n"),
    "utf-16": ("# coding: utf-16\nprint(1)", "SyntaxError", ""),
    "rot13": ("# coding: rot13\ncevag(1)", "SyntaxError", ""),
    "hex": ("# coding: hex\n7072696e74283129", "SyntaxError", ""),
    "no codec": ("# coding: evil\nprint(1)", "SyntaxError", ""),
    "escapes": ("# coding: unicode_escape\nprint(1)\\u000aprint(2)", None, "1\n2\n"),
    "indents": ("".join(" " * i + "if 1:\n" for i in range(101)) + " " * 101 + "1",
                "IndentationError", ""),
    "one deep indent": ("if 1:\n" + " " * 100_000 + "print(1)", None, "1\n"),
    "100,000 indents": ("".join(" " * min(i, 60) + "if 1:\n" for i in range(100_000)),
                        "IndentationError", ""),
    "tabs": ("if 1:\n\tpass\n        pass", "TabError", ""),
    "parentheses": ("(" * 100_000, "SyntaxError", ""),
    "brackets": ("[" * 100_000 + "]" * 100_000, "SyntaxError", ""),
    "an endless text": ("'''" + "x" * (4 << 20), "SyntaxError", ""),
    "lines": ("\n" * (2 << 20) + "print(1)", None, "1\n"),
    "carriage returns": ("print(1)\rprint(2)\r\nprint(3)", None, "1\n2\n3\n"),
    "direction": ("\u202e\u2066x = 1", "SyntaxError", ""),
    "end of file": ("print(1)\x1aprint(2)", "SyntaxError", ""),
    "f-strings": ("f'{" + "f'{" * 300, "SyntaxError", ""),
    "lambdas": ("lambda:" * 100_000 + "1", "MemoryError", ""),
    "a long number": ("9" * 100_000, "SyntaxError", ""),
}  # fmt: skip

# Parsers that need much stack or time end their cell.
ENDING = {
    "sums": "x = " + "1+" * 200_000 + "1",
    "attributes": "x = a" + ".a" * 200_000,
    "else": "if 1: pass\n" + "elif 1: pass\n" * 50_000,
    "decorators": "@a\n" * 20_000 + "def f(): pass",
    "names": "\n".join(f"x{i} = 1" for i in range(20_000)),
}

TRACEBACKS = {
    "own": "1 / 0",
    "library": "import json\njson.loads('{')",
    "deep in it": "import argparse\nargparse.ArgumentParser().add_argument(5, nargs=-1)",
    "asyncio": "import asyncio\nasync def f(): await asyncio.wait_for(1 / 0, 1)\nawait f()",
    "import": "import evil",
    "import of a file": "open('evil.py', 'w').write('1/0')\nimport evil",
    "compile": "compile('1 +', '/etc/passwd', 'exec')",
    "exec": "exec('1/0')",
    "ctypes": "import ctypes\nctypes.CDLL('/etc/passwd')",
    "dlopen": "import ctypes\nctypes.CDLL('evil.so').evil",
    "open": "open('/etc/shadow')",
    "group": "raise ExceptionGroup('x', [ValueError(1), OSError(2)])",
    "display": "class A:\n    def _repr_html_(self): raise ValueError\ndisplay(A())\n1 / 0",
    "hooks": "import vitrine.values\nvitrine.values.encode(object, 'x')",
    "runner": "from vitrine import runner\nrunner.step([])\n1 / 0",
    "asyncio, debug": "import asyncio\nasyncio.run(5, debug=True)",
    "atexit": "import atexit\natexit.register(lambda: 1 / 0)",
    "del": "class A:\n    def __del__(self): 1 / 0\nA()",
    "warning": "import warnings\nwarnings.warn('x')",
    "the interpreter": "import sys\nraise RuntimeError(sys.version, sys.prefix, sys.path)",
}
PATH = re.compile(r"(?<![\w.:/])/[\w.+-]+(?:/[\w.+-]+)*")
GUEST_PATHS = ("/lib", "/home/vitrine", "/tmp", "/etc/passwd", "/etc/shadow", "/")


def test_sources(shared: Target) -> None:
    for name, (source, kind, printed) in SOURCES.items():
        result = shared.attack(source)
        if kind is None:
            assert result["status"] == "success", (name, result)
        else:
            assert result["status"] in ("run-error", "limit"), (name, result)
            assert result["error"]["type"] == kind, (name, result["error"])
            assert len(result["error"]["traceback"]) < 300_000
        assert result["stdout"] == printed, name


def test_sources_that_need_too_much(shared: Target) -> None:
    for name, source in ENDING.items():
        result = shared.attack(source)
        assert result["status"] in ("success", "run-error", "limit", "crash"), (name, result)


def test_sources_that_are_too_large(shared: Target, vitrine: Program, tmp_path: Path) -> None:
    server = shared.server
    result = server.call("#" + "x" * (9 << 20))["structuredContent"]
    assert (result["status"], result["exit_code"]) == ("refused", 125)
    message = server.call_message("#" + "x" * (50 << 20))
    server.send(message)
    answer = server.receive()
    assert answer["error"]["code"] == -32600, answer
    shared.expect_clean()
    path = tmp_path / "large.py"
    path.write_bytes(b"#" + b"x" * (50 << 20))
    for done in (vitrine("run", path), vitrine("run", "-", stdin=path.read_bytes())):
        assert (done.returncode, done.stdout) == (125, b"")
        assert b"has more than 8388608 bytes" in done.stderr


def host_words() -> list[str]:
    """What a path of this machine could have in it."""
    here = Path(__file__).resolve()
    words = [str(here.parents[2]), str(Path.home()), "/src/guest", "/build/", ".cwasm", "/proc/"]
    return [word for word in words if word != "/"]


@pytest.mark.parametrize("name", TRACEBACKS)
def test_paths_in_tracebacks(shared: Target, name: str) -> None:
    result = shared.attack(TRACEBACKS[name])
    told = result["stderr"] + str(result["error"])
    for path in PATH.findall(told):
        assert path.startswith(GUEST_PATHS[:5]) or path == "/", (path, told)
    for word in host_words():
        assert word not in told, (word, told)
    files = re.findall(r'File "([^"]*)"', told)
    known = ("/lib/python3.14/", "/home/vitrine/", "main.py", "<", "/etc/passwd")
    assert all(file.startswith(known) for file in files), files
    assert "vitrine/runner.py" not in told or name in ("runner", "hooks")


def test_a_command_names_the_script_as_it_was_named(vitrine: Program, tmp_path: Path) -> None:
    """The name that a person typed is theirs; nothing else of their machine is told."""
    (tmp_path / "mine.py").write_text("import json\njson.loads('{')")
    done = vitrine("run", "mine.py", cwd=tmp_path)
    files = re.findall(r'File "([^"]*)"', done.stderr.decode())
    assert files[0].endswith("mine.py") and str(tmp_path) not in files[0]
    assert all(file.startswith("/lib/python3.14/json/") for file in files[1:])
