"""The builder: from wheels to an environment's files, with a side module and without."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "attack"))

from legacy_modules import section, uleb, vector
from wheels import BUILD, Built, Entry, build, image_files, merge, run, wheel

SITE = "/lib/python3.14/site-packages"
TAG = "cp314-cp314-pyemscripten_2026_0_wasm32"
UTF8 = {"flags": 0x800}
NATIVE = f"demo-1.0-{TAG}.whl"


def side_module(answer: int) -> bytes:
    """A side module that exports one function, which answers with a number."""

    def text(value: str) -> bytes:
        return uleb(len(value)) + value.encode()

    # dylink.0, WASM_DYLINK_MEM_INFO: no memory, no table.
    dylink = text("dylink.0") + b"\1" + uleb(4) + b"\0\0\0\0"
    imports = [
        text("env") + text("memory") + b"\2\0\0",
        text("env") + text("__indirect_function_table") + b"\1\x70\0\0",
        text("env") + text("__memory_base") + b"\3\x7f\0",
        text("env") + text("__table_base") + b"\3\x7f\0",
    ]
    body = b"\0\x41" + uleb(answer) + b"\x0b"
    return b"\0asm\1\0\0\0" + b"".join(
        [
            section(0, dylink),
            section(1, vector([b"\x60\0\1\x7f"])),
            section(2, vector(imports)),
            section(3, vector([b"\0"])),
            section(7, vector([text("answer") + b"\0\0"])),
            section(10, vector([uleb(len(body)) + body])),
        ]
    )


def ok(built: Built) -> Built:
    """It, if it was made."""
    assert built.status == 0, built.error
    return built


def test_pure_wheel(tmp_path: Path) -> None:
    long_name = "n" * 250 + ".py"
    data = wheel(
        Entry(b"demo/sub/mod.py", b"def f():\n    return 1\n"),
        Entry(b"demo/broken.py", b"def f(:\n"),
        Entry(b"demo/data.txt", b"text"),
        Entry(b"demo/run.sh", b"#!/bin/sh\n", mode=0o100755),
        Entry(b"demo/tests/test_x.py", b"x = 1\n"),
        Entry(b"demo-1.0.data/purelib/other.py", b"y = 2\n"),
        Entry(b"demo-1.0.data/data/share/man.1", b"manual"),
        Entry(b"demo/" + long_name.encode(), b"x = 1\n"),
        Entry("demo/ä, ö.py".encode(), b"x = 1\n", central=UTF8, local=UTF8),
        more="Requires-Dist: six>=1\nRequires-Dist: rich; extra == 'x'\n",
    )
    built = ok(build(tmp_path, data))
    assert built.files == ["about.json", "modules", "wheel.img"]
    files = image_files(built.folder / "wheel.img")
    made = {name.removeprefix(f"{SITE}/") for name in files}
    bytecode = {name for name in made if name.endswith(".pyc")}
    assert bytecode == {
        "demo/__pycache__/__init__.cpython-314.pyc",
        "demo/sub/__pycache__/mod.cpython-314.pyc",
        "demo/__pycache__/ä, ö.cpython-314.pyc",
        "__pycache__/other.cpython-314.pyc",
    }
    info = {f"demo-1.0.dist-info/{leaf}" for leaf in ("METADATA", "RECORD", "WHEEL")}
    assert made - bytecode == info | {
        *("demo/__init__.py", "demo/sub/mod.py", "demo/broken.py", "demo/data.txt", "demo/run.sh"),
        *("demo/tests/test_x.py", "other.py", f"demo/{long_name}", "demo/ä, ö.py"),
    }
    assert files[f"{SITE}/demo/data.txt"] == b"text"
    compiled = files[f"{SITE}/demo/sub/__pycache__/mod.cpython-314.pyc"]
    assert compiled[4:8] == b"\1\0\0\0"  # an unchecked hash
    assert f"{SITE}/demo/sub/mod.py".encode() in compiled
    about = json.loads((built.folder / "about.json").read_text(encoding="utf-8"))
    assert about | {"top_level": sorted(about["top_level"])} == {
        "name": "demo",
        "version": "1.0",
        "sha256": hashlib.sha256(data).hexdigest(),
        "file": "demo-1.0-py3-none-any.whl",
        "top_level": ["demo", "other"],
        "requires": ["six>=1", "rich; extra == 'x'"],
        "files": len(made - bytecode),
        "modules": 0,
    }


def test_side_modules(tmp_path: Path) -> None:
    first, second = side_module(7), side_module(9)
    data = wheel(
        Entry(b"demo/a.cpython-314-wasm32-emscripten.so", first),
        Entry(b"demo/b.so", second),
        Entry(b"demo.libs/libsame.so.1.2", first),
        tag=TAG,
    )
    built = ok(build(tmp_path, data, NATIVE))
    sums = sorted(hashlib.sha256(wasm).hexdigest() for wasm in (first, second))
    natives = [f"{total}.cwasm" for total in sums]
    assert built.files == sorted([*natives, "about.json", "modules", "wheel.img"])
    lines = "".join(f"{total} {total}.cwasm\n" for total in sums)
    assert (built.folder / "modules").read_text(encoding="ascii") == lines
    files = image_files(built.folder / "wheel.img")
    record = files[f"{SITE}/demo/a.cpython-314-wasm32-emscripten.so"]
    assert record.startswith(b"VITRLNK\0")
    assert hashlib.sha256(first).digest() in record
    assert files[f"{SITE}/demo.libs/libsame.so.1.2"] == record
    assert json.loads((built.folder / "about.json").read_bytes())["modules"] == 3

    merged = ok(merge(tmp_path, built.folder))
    assert merged.files == sorted([*natives, "modules", "packages.img"])
    assert image_files(merged.folder / "packages.img") == files
    for name in natives:
        assert os.path.samefile(built.folder / name, merged.folder / name)


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"\0asm\1\0\0\0", "demo/a.so"),
        (side_module(1)[:-3], "demo/a.so"),
        (side_module(1).replace(b"dylink.0", b"dylink.9"), "demo/a.so"),
        (side_module(1).replace(b"\x60\0\1\x7f", b"\x60\0\1\x7e"), "does not compile"),
    ],
)
def test_side_module_that_is_refused(tmp_path: Path, contents: bytes, reason: str) -> None:
    built = build(tmp_path, wheel(Entry(b"demo/a.so", contents)))
    assert built.status == 1
    assert reason in built.error.splitlines()[-1]
    assert built.files == []


def other(name: str, *entries: Entry) -> tuple[bytes, str]:
    """A wheel of another name, and its file name."""
    return wheel(*entries, info=f"{name}-1.0.dist-info"), f"{name}-1.0-py3-none-any.whl"


def test_merge(tmp_path: Path) -> None:
    same, about = Entry(b"shared/__init__.py", b"# both\n"), tmp_path / "about.json"
    about.write_text('{"packages": []}')
    one = ok(build(tmp_path / "1", *other("one", same, Entry(b"shared/one.py", b"1\n"))))
    two = ok(build(tmp_path / "2", *other("two", same, Entry(b"shared/two.py", b"2\n"))))
    merged = ok(merge(tmp_path, one.folder, two.folder, about=about))
    assert merged.files == ["environment.json", "modules", "packages.img"]
    assert (merged.folder / "environment.json").read_text() == '{"packages": []}'
    everything = image_files(one.folder / "wheel.img") | image_files(two.folder / "wheel.img")
    assert image_files(merged.folder / "packages.img") == everything


# What a package may do when it is imported, and whether its guest can be saved afterwards.
IMPORTED = {
    "x = 1": True,
    "raise ValueError": True,
    "import os; os.makedirs('/tmp/a'); open('/tmp/a/b', 'w').write('c')": True,
    "import ctypes; f = ctypes.CFUNCTYPE(None)(print); ctypes.CDLL('/usr/lib/none.so')": True,
    "print('x' * 10**6); import sys; print('y', file=sys.__stderr__)": True,
    "f = open('/tmp/x', 'w')": False,
    "import os; os.chdir('/tmp')": False,
    "import os; os.remove('/lib/python3.14/this.py')": False,
    "import os; os._exit(0)": False,
    "import ctypes; ctypes.string_at(1 << 31)": False,
    "b'x' * (1 << 40)": True,
}


@pytest.mark.parametrize("code", IMPORTED)
def test_snapshot_of_what_is_imported(tmp_path: Path, code: str) -> None:
    """An environment is made in any case."""
    built = ok(build(tmp_path, wheel(Entry(b"demo/start.py", code.encode()))))
    merged = ok(merge(tmp_path, built.folder, preload="demo.start"))
    snapshot = ["snapshot"] if IMPORTED[code] else []
    assert merged.files == ["modules", "packages.img", *snapshot], merged.error
    assert ("no snapshot of this environment" in merged.error) is not IMPORTED[code]


def test_snapshot_of_a_package_with_side_modules(tmp_path: Path) -> None:
    start = (
        b"import ctypes, os\n"
        b"library = ctypes.CDLL(os.path.dirname(__file__) + '/a.so')\n"
        b"assert library.answer() == 7\n"
        b"x = 1\n"
    )
    data = wheel(Entry(b"demo/a.so", side_module(7)), Entry(b"demo/start.py", start), tag=TAG)
    built = ok(build(tmp_path, data, NATIVE))
    merged = ok(merge(tmp_path, built.folder, preload="demo.start"))
    assert "snapshot" in merged.files, merged.error
    assert b"demo/a.so" in (merged.folder / "snapshot").read_bytes()[:65536]


def test_the_core_s_snapshot_is_made_once(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    guest = BUILD / "guest"
    options = ["--core", guest / "core.cwasm", "--image", guest / "stdlib.img"]
    assert run(tmp_path, "snapshot", snapshot, *options).status == 0
    whole = snapshot.read_bytes()
    for contents in (whole, whole[:-1], b"", whole[:100] + bytes([whole[100] ^ 1]) + whole[101:]):
        snapshot.write_bytes(contents)
        assert run(tmp_path, "snapshot", snapshot, *options).status == 0
        made = snapshot.stat().st_mtime_ns
        assert run(tmp_path, "snapshot", snapshot, *options).status == 0
        assert snapshot.stat().st_mtime_ns == made  # it fits, so it stays
    assert sorted(path.name for path in tmp_path.iterdir()) == ["snapshot"]


@pytest.mark.parametrize("name", ["shared/__init__.py", "shared", "shared/__init__.py/x.py"])
def test_conflict(tmp_path: Path, name: str) -> None:
    """A file with other contents, one where a folder is, one below a file."""
    one = ok(build(tmp_path / "1", *other("one", Entry(b"shared/__init__.py", b"# one\n"))))
    two = ok(build(tmp_path / "2", *other("two", Entry(name.encode(), b"# two\n"))))
    merged = merge(tmp_path, one.folder, two.folder)
    assert merged.status == 1
    assert merged.files == []


def test_usage(tmp_path: Path) -> None:
    built = build(tmp_path, wheel(), options=("--unknown",))
    assert built.status == 2
    assert merge(tmp_path).status == 2
