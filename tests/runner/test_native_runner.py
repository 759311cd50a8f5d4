"""What the table of cases cannot say: order of output, forks, cold boots, bad requests."""

import json
import subprocess
from pathlib import Path

import pytest
from cases import ANY, Case, value
from native import find_python, run_case, run_record
from records import PACKAGES, decode, wire

PYTHON = find_python()

# Modules whose import alone takes longer than a small program.
HEAVY = (
    "ast asyncio collections contextlib dataclasses enum functools inspect json linecache logging "
    "re tokenize traceback typing"
)


def run_script(script: str, folder: Path) -> str:
    """Run a script of a test's own beside the package."""
    code = f"import sys\nsys.path.insert(0, {str(PACKAGES)!r})\n{script}"
    (folder / "script.py").write_text(code)
    done = subprocess.run(
        [PYTHON, "-I", "script.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cold_boot_imports_nothing_heavy(tmp_path: Path) -> None:
    code = f"import sys\nprint([m for m in {HEAVY.split()!r} if m in sys.modules])"
    came = run_case(Case("", code), PYTHON, tmp_path)
    assert came.stdout == b"[]\n"


def test_a_value_needs_nothing_heavy_either(tmp_path: Path) -> None:
    code = f"import sys\n[m for m in {HEAVY.split()!r} if m in sys.modules]"
    came = run_case(value("", code, []), PYTHON, tmp_path)
    assert came.value == []


def test_both_streams_keep_their_order(tmp_path: Path) -> None:
    script = """
import os
os.dup2(1, 2)
from vitrine import runner
runner.prepare(False)
for i in range(100):
    print(i, end=",")
    sys.stderr.write("e")
    print("o")
os.write(1, b"end")
"""
    expected = "".join(f"{i},eo\n" for i in range(100)) + "end"
    assert run_script(script, tmp_path) == expected


def test_frames_below_the_program_are_none_when_driven_from_c(tmp_path: Path) -> None:
    # step() gives C callables; the only frame below is the driver's, which is Python here.
    code = "import sys\nf = sys._getframe().f_back\nprint(f.f_code.co_name, f.f_back.f_back)"
    came = run_case(Case("", code), PYTHON, tmp_path, "cold", "steps")
    assert came.stdout == b"drive_steps None\n"


def test_forks_of_one_zygote_share_no_randomness(tmp_path: Path) -> None:
    script = '''
import os, random, tempfile, uuid
next(tempfile._get_candidate_names())
uuid._generate_time_safe = None  # a C library's, which the guest has not
uuid.uuid1()
from vitrine import runner, wire
runner.prepare(True)
code = b"""
import random, uuid, tempfile
names = tempfile._get_candidate_names()
print(random.random(), uuid.uuid4(), uuid.uuid1().clock_seq, next(names))
"""
for _ in range(3):
    r, w = os.pipe()
    os.write(w, wire.field(wire.REQUEST_CODE, code))
    os.close(w)
    if os.fork() == 0:
        wire.CONTROL_FD = r
        wire._write = lambda fd, record: None
        runner.run()
        os._exit(0)
    os.wait()
'''
    runs = [line.split() for line in run_script(script, tmp_path).splitlines()]
    assert len(runs) == 3
    for column in zip(*runs, strict=True):
        assert len(set(column)) == 3, runs


def test_files_left_open_are_flushed(tmp_path: Path) -> None:
    code = "f = open('kept', 'w')\nf.write('all of it')\ng = lambda: f"
    run_case(Case("", code), PYTHON, tmp_path)
    assert (tmp_path / "kept").read_text() == "all of it"


def test_files_are_flushed_even_where_something_holds_the_variables(tmp_path: Path) -> None:
    code = "import sys\nf = open('kept', 'w')\nf.write('all of it')\nsys.keep = lambda: f"
    run_case(Case("", code), PYTHON, tmp_path)
    assert (tmp_path / "kept").read_text() == "all of it"


@pytest.mark.parametrize(
    "record, kind",
    [
        (b"\x01", "vitrine.wire.RecordError"),
        (wire.field(wire.REQUEST_GLOBALS, b"[1]"), "TypeError"),
        (wire.field(wire.REQUEST_GLOBALS, b"{"), "json.decoder.JSONDecodeError"),
        (wire.field(wire.REQUEST_WANT_VALUE, b"1"), "vitrine.wire.RecordError"),
    ],
)
def test_bad_requests_end_in_an_outcome(record: bytes, kind: str, tmp_path: Path) -> None:
    result, done = run_record(record, PYTHON, tmp_path)
    came = decode(result)
    assert (came.status, came.exit_code, came.error_type) == ("run-error", 1, kind)
    assert done.stderr == b""


@pytest.mark.parametrize(
    "code",
    [
        "list(range(10**6))",
        "'é' * 10**6",
        "['x' * 300] * 1000",
        "{str(i): [i, {'a': i}] for i in range(10**5)}",
        "[[[[i] * 10] * 10] * 10 for i in range(100)]",
        "import itertools\nitertools.cycle('ab')",
        "class A:\n  def __repr__(s): return '\"' * 10**6\nA()",
    ],
)
@pytest.mark.parametrize("bytes_max", [0, 1, 17, 64, 500, 4096, 100000])
def test_a_value_is_cut_to_valid_json(code: str, bytes_max: int, tmp_path: Path) -> None:
    case = value("", code, ANY, result_bytes=bytes_max)
    came = run_case(case, PYTHON, tmp_path)
    assert came.note == "truncated"
    if came.value_json is not None:
        assert len(came.value_json) <= bytes_max
        json.loads(came.value_json)
        assert len(came.value_json) > bytes_max // 2 - 300
    else:
        assert bytes_max < 64


def test_sys_exit_has_no_traceback(tmp_path: Path) -> None:
    came = run_case(Case("", "import sys; sys.exit(3)"), PYTHON, tmp_path)
    assert wire.RESULT_ERROR_TRACEBACK not in came.fields
    assert wire.RESULT_ERROR_LINE not in came.fields


def test_depth_is_bounded(tmp_path: Path) -> None:
    came = run_case(value("", "a = []\nfor i in range(10**5): a = [a]\na", ANY), PYTHON, tmp_path)
    assert came.value_json == b"[" * 200 + '"…"'.encode() + b"]" * 200


def test_the_traceback_is_capped(tmp_path: Path) -> None:
    came = run_case(Case("", "raise ValueError('é' * 10**6)"), PYTHON, tmp_path)
    assert len(came.traceback.encode()) <= 256 << 10
    assert len(came.message.encode()) <= 64 << 10


BROWSER_PACKAGES = {
    "urllib3/__init__.py": "from .contrib.emscripten import inject_into_urllib3",
    "urllib3/contrib/__init__.py": "",
    "urllib3/contrib/emscripten/__init__.py": "import js",
    "httpx/__init__.py": "",
    "httpx/_exceptions.py": "class ConnectError(Exception):\n def __init__(s, m, request): s.m = m",
    "httpx/_transports/__init__.py": "",
    "httpx/_transports/base.py": "class BaseTransport: pass\nclass AsyncBaseTransport: pass",
    "httpx/_transports/jsfetch.py": "import js",
    "threadpoolctl.py": "class ThreadpoolController:\n  def _find_libraries_pyodide(s): import js",
}


def test_packages_that_expect_a_browser_do_without(tmp_path: Path) -> None:
    for name, text in BROWSER_PACKAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    script = """
from vitrine import hooks, runner
for name in runner._BROWSER_MODULES:
    hooks.stand_in(name, runner._stand_in)
hooks.when_imported("threadpoolctl", runner._patch_threadpoolctl)
sys.path.insert(0, ".")
import threadpoolctl, urllib3
urllib3.inject_into_urllib3()
threadpoolctl.ThreadpoolController()._find_libraries_pyodide()
from httpx import _exceptions
from httpx._transports.jsfetch import *
try:
    JavascriptFetchTransport(verify=True).handle_request(None)
except _exceptions.ConnectError as error:
    print(error.m)
try:
    AsyncJavascriptFetchTransport().handle_async_request(None).send(None)
except _exceptions.ConnectError as error:
    print(error.m)
try:
    import js
except ModuleNotFoundError as error:
    print(error)
"""
    unreachable = "[Errno 101] Network is unreachable\n"
    assert run_script(script, tmp_path) == unreachable * 2 + "No module named 'js'\n"


def test_it_parses_in_the_guests_version(tmp_path: Path) -> None:
    script = """
import ast, pathlib
for path in pathlib.Path(sys.path[0], "vitrine").glob("*.py"):
    ast.parse(path.read_text(), path.name, feature_version=(3, 14))
    print(path.name)
"""
    assert "runner.py" in run_script(script, tmp_path)
