"""Real programs: what they print in the sandbox is what native CPython prints.

The programs drive the standard library's own scripts. Most print the same under every recent
CPython; the interpreter's own affairs are compared with the guest's version on another host.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from driver import Program, RawServer

PROGRAMS = Path(__file__).parent / "programs"


def native(path: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-X", "utf8", path.name],
        capture_output=True,
        text=True,
        cwd=path.parent,
        encoding="utf-8",
        timeout=60,
        check=False,
        env={"LC_ALL": "C.UTF-8", "COLUMNS": "80", "PYTHON_COLORS": "0"},
    )
    return done.returncode, done.stdout, done.stderr


def sandboxed(vitrine: Program, path: Path) -> tuple[int, str, str]:
    done = vitrine(
        "run", "--env", "COLUMNS=80", path.name, cwd=path.parent, env={"VITRINE_MEMORY": "512M"}
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def same_everywhere(text: str) -> str:
    """Without what differs from machine to machine or between CPython's versions."""
    text = re.sub(r"in \d+\.\d+s", "in SOME s", text)
    text = re.sub(r"(\(__main__\.\w+)\.\w+\)", r"\1)", text)  # 3.11 adds the method's name
    text = re.sub(r"^ +[~^]+\n", "", text, flags=re.MULTILINE)  # carets of tracebacks
    text = re.sub(r'File "(?:/.*/)?(\w+\.py)", line \d+', r'File "\1"', text)
    return re.sub(r"/tmp/\w+", "/tmp/SOME", without_addresses(text))


@pytest.mark.parametrize(
    "name", ["archives", "csv_statistics", "language", "sqlite_database", "unittest_suite"]
)
def test_as_native(vitrine: Program, name: str) -> None:
    path = PROGRAMS / f"{name}.py"
    expected_status, expected_out, expected_err = native(path)
    status, out, err = sandboxed(vitrine, path)
    assert same_everywhere(out) == same_everywhere(expected_out)
    assert same_everywhere(err) == same_everywhere(expected_err)
    assert status == expected_status


# Runs a program under Pyodide on V8: the same CPython, on another host.
PYODIDE_SCRIPT = """
const fs = require('fs');
const { loadPyodide } = require('pyodide');
(async () => {
    const python = await loadPyodide({ stdout: () => {} });
    let out = '';
    python.setStdout({ raw: byte => { out += String.fromCharCode(byte); } });
    const filename = 'interpreter.py';
    const globals = python.toPy({ __name__: '__main__' });
    python.runPython(fs.readFileSync(process.argv[1], 'utf8'), { globals, filename });
    python.runPython('import sys; sys.stdout.flush()');
    process.stdout.write(Buffer.from(out, 'latin1'));
})();
"""


def test_as_pyodide(vitrine: Program) -> None:
    """The interpreter's own affairs: bytecode, syntax trees, the words of error messages."""
    path = PROGRAMS / "interpreter.py"
    done = subprocess.run(
        [os.environ["VITRINE_TEST_NODE"], "-e", PYODIDE_SCRIPT, str(path)],
        capture_output=True,
        env={**os.environ, "NODE_PATH": os.environ["VITRINE_TEST_NODE_MODULES"]},
        timeout=60,
        check=True,
    )
    status, out, err = sandboxed(vitrine, path)
    assert status == 0, err
    assert len(out) > 3000
    assert without_addresses(out) == without_addresses(done.stdout.decode())


def without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)


@pytest.mark.parametrize("name", ["csv_statistics", "sqlite_database"])
def test_the_same_through_a_client(shared_server: RawServer, name: str) -> None:
    path = PROGRAMS / f"{name}.py"
    content = shared_server.call(path.read_text(encoding="utf-8"))["structuredContent"]
    assert content["stdout"] == native(path)[1]
    assert content["status"] == "success"


def test_modules_that_are_programs(vitrine: Program) -> None:
    """`python -m NAME`, by runpy, of modules that print the same everywhere."""
    for module, args in [
        ("calendar", ["2025", "3"]),
        ("this", []),
        ("quopri", ["-h"]),
        ("textwrap", []),
        ("mimetypes", ["x.html"]),
        ("compileall", ["-q", "no-such-folder"]),
    ]:
        code = (
            "import runpy, sys\nsys.argv = sys.argv[1:]\n"
            "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
        )
        expected = subprocess.run(
            [sys.executable, "-c", code, module, *args], capture_output=True, check=False
        )
        done = vitrine("run", "-c", code, "--", module, *args)
        assert done.stdout == expected.stdout, module
        assert done.returncode == expected.returncode, module
