"""Files of a run: those that it is given, and those that it made."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from driver import Program


def result_of(vitrine: Program, code: str, *args: str) -> dict[str, Any]:
    """What `vitrine run --json` says."""
    return json.loads(vitrine.code(code, "--json", *args).stdout)


def names(result: dict[str, Any]) -> list[str]:
    """What was made."""
    return [file["name"] for file in result.get("files", [])]


def test_given(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"x,y\n1,\xff\n")
    code = "import os\n[open(p, 'rb').read().hex() for p in ('data/b.csv', 'c')] + os.listdir()"
    result = result_of(
        vitrine, code, "--file", f"data/b.csv={tmp_path}/a.csv", "--file", "c=/dev/null"
    )
    assert result["return_value"] == [b"x,y\n1,\xff\n".hex(), "", "data", "c"]
    assert names(result) == []  # they were there before


def test_given_by_its_own_name(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    done = vitrine("run", "--file", "a.txt", "-c", "print(open('a.txt').read())", cwd=tmp_path)
    assert (done.stdout, done.stderr) == (b"hello\n", b"")


def test_given_and_changed(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    code = "open('a', 'a').write('2'); open('b').close()"
    result = result_of(vitrine, code, "--file", f"a={tmp_path}/a", "--file", f"b={tmp_path}/a")
    assert result["files"] == [{"name": "a", "size": 2, "media_type": "text/plain", "text": "12"}]


def test_refused(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    for name in ("../a", "/a", "", "a/", "a/../../b"):
        done = vitrine("run", "--file", f"{name}={tmp_path}/a", "-c", "print(1)")
        assert (done.returncode, done.stdout) == (2, b""), name
    done = vitrine("run", "--file", "a=/nowhere/a", "-c", "print(1)")
    assert done.returncode == 125 and b"/nowhere/a" in done.stderr


def test_given_without_room(vitrine: Program, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(100_000))
    result = result_of(vitrine, "print(1)", "--file", f"a={tmp_path}/a", "--file-bytes", "10K")
    assert (result["status"], result["limits"], result["stdout"]) == ("limit", ["file-bytes"], "")


def test_made(vitrine: Program) -> None:
    code = """
import os, pathlib, shutil
pathlib.Path('out.csv').write_text('a,b\\n')
os.makedirs('x/y')
pathlib.Path('x/y/p.png').write_bytes(b'\\x89PNG\\r\\n\\x1a\\n')
pathlib.Path('large.bin').write_bytes(bytes(100_000))
pathlib.Path('gone').write_text('1'); os.remove('gone')
pathlib.Path('old').write_text('1'); os.rename('old', 'new')
pathlib.Path('.hidden').write_text('1')
os.makedirs('.cache'); pathlib.Path('.cache/a').write_text('1')
pathlib.Path('/tmp/elsewhere').write_text('1')
os.symlink('/tmp/elsewhere', 'link')
os.makedirs('__pycache__'); pathlib.Path('__pycache__/a.pyc').write_text('1')
pathlib.Path('a"\\n\\x1b[2J').write_text('1')
os.chdir('/tmp')
"""
    result = result_of(vitrine, code)
    assert names(result) == ['a"\n\x1b[2J', "large.bin", "new", "out.csv", "x/y/p.png"]
    files = {file["name"]: file for file in result["files"]}
    assert files["out.csv"]["text"] == "a,b\n"
    assert files["large.bin"] == {
        "name": "large.bin",
        "size": 100_000,
        "media_type": "application/octet-stream",
    }
    assert base64.b64decode(files["x/y/p.png"]["blob"]) == b"\x89PNG\r\n\x1a\n"


def test_made_whatever_the_end(vitrine: Program) -> None:
    make = "open('a', 'w').write('1')\n"
    for code, status in (
        ("1/0", "run-error"),
        ("import os; os._exit(3)", "crash"),
        ("while True: pass", "limit"),
        ("import ctypes; ctypes.string_at(2**32 - 1)", "crash"),
    ):
        result = result_of(vitrine, make + code, "--timeout", "1")
        assert (result["status"], names(result)) == (status, ["a"]), code


def test_too_many(vitrine: Program) -> None:
    result = result_of(vitrine, "for i in range(1000): open(f'{i:04}', 'w').close()")
    assert (len(names(result)), result["files_left_out"]) == (256, 1000 - 256)
    assert names(result)[-1] == "0255"
