"""Attack 38, the wheel: RECORD, METADATA, WHEEL or the file's name do not tell the truth.

Expected: refused with the reason, and nothing is written.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from wheels import (
    INFO,
    Entry,
    archive,
    build,
    digest,
    info_entries,
    metadata,
    record_of,
    refused,
    wheel,
    wheel_file,
)

CODE = b"x = 1\n"


def recorded(line: str) -> bytes:
    """A wheel with the file demo/x.py, and this instead of its line in RECORD."""
    every = [Entry(b"demo/x.py", CODE), *info_entries()]
    lines = record_of(every).decode().splitlines(keepends=True)
    record = "".join([line, *lines[1:]]).encode()
    return archive([*every, Entry(f"{INFO}/RECORD".encode(), record)])


SUM = digest(CODE)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "does not name it"),
        (f"demo/x.py,{digest(b'other')},6\n", "not the one in RECORD"),
        (f"demo/x.py,{digest(b'other', 'sha512')},6\n", "not the one in RECORD"),
        (f"demo/x.py,{SUM},7\n", "another size"),
        (f"demo/x.py,{SUM},-6\n", "another size"),
        (f"demo/x.py,{SUM},6x\n", "another size"),
        (f"demo/x.py,{SUM},18446744073709551622\n", "another size"),
        ("demo/x.py,,\n", "no SHA-256 sum"),
        (f"demo/x.py,md5={hashlib.md5(CODE).hexdigest()},6\n", "no SHA-256 sum"),
        (f"demo/x.py,{digest(CODE, 'sha1')},6\n", "no SHA-256 sum"),
        (f"demo/x.py,{SUM}=,6\n", "no SHA-256 sum"),
        (f"demo/x.py,{SUM[:-1]},6\n", "no SHA-256 sum"),
        (f"demo/x.py,sha256={hashlib.sha256(CODE).hexdigest()},6\n", "no SHA-256 sum"),
        (f"demo/x.py,{SUM},6\ndemo/x.py,{SUM},6\n", "twice"),
        (f"demo/x.py,{SUM},6\ndemo/y.py,{SUM},6\n", "not in the wheel"),
        (f"demo/x.py,{SUM},6\n../x.py,{SUM},6\n", "not in the wheel"),
        (f"demo\\x.py,{SUM},6\n", "not in the wheel"),
        (f"demo/x.py,{SUM}\n", "a line of RECORD"),
        (f"demo/x.py,{SUM},6,7\n", "a line of RECORD"),
        (f'"demo/x.py,{SUM},6\n', "a line of RECORD"),
        (f'demo/"x.py,{SUM},6\n', "a line of RECORD"),
    ],
)
def test_record(tmp_path: Path, line: str, reason: str) -> None:
    assert refused(build(tmp_path, recorded(line)), reason)


@pytest.mark.parametrize(
    "line",
    [
        f"demo/x.py,{SUM},6\r\n",
        f"demo/x.py,{SUM},\n",
        f'"demo/x.py","{SUM}","6"\n',
        f"\ndemo/x.py,{digest(CODE, 'sha512')},6\n",
        f"demo/x.py,{digest(CODE, 'sha384')},6\n",
    ],
)
def test_record_that_is_right(tmp_path: Path, line: str) -> None:
    assert build(tmp_path, recorded(line)).status == 0


def with_info(*entries: Entry) -> bytes:
    """A wheel whose dist-info folder has these files and RECORD."""
    every = [Entry(b"demo/x.py", CODE), *entries]
    return archive([*every, Entry(f"{INFO}/RECORD".encode(), record_of(every))])


def info(leaf: str, data: bytes) -> Entry:
    """A file of the dist-info folder."""
    return Entry(f"{INFO}/{leaf}".encode(), data)


META, WHEEL = info("METADATA", metadata()), info("WHEEL", wheel_file())


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([WHEEL], "has no METADATA"),
        ([META], "has no WHEEL"),
        ([WHEEL, info("METADATA", metadata(name="other"))], "another name or version"),
        ([WHEEL, info("METADATA", metadata(version="1.1"))], "another name or version"),
        ([WHEEL, info("METADATA", metadata(version="1.0-é"))], "another name or version"),
        ([WHEEL, info("METADATA", metadata(more="Version: 1.0\n"))], "2 times"),
        ([WHEEL, info("METADATA", metadata(more="NAME: demo\n"))], "2 times"),
        ([WHEEL, info("METADATA", b"")], "0 times"),
        ([WHEEL, info("METADATA", b"\n" + metadata())], "0 times"),
        ([META, info("WHEEL", b"Wheel-Version: 2.0\nTag: py3-none-any\n")], "not understood"),
        ([META, info("WHEEL", b"Wheel-Version: 1.0\n")], "does not have the tag"),
        ([META, info("WHEEL", wheel_file("py2-none-any"))], "does not have the tag"),
        ([META, info("WHEEL", b"")], "0 times"),
    ],
)
def test_metadata(tmp_path: Path, entries: list[Entry], reason: str) -> None:
    assert refused(build(tmp_path, with_info(*entries)), reason)


def test_record_is_missing(tmp_path: Path) -> None:
    assert refused(build(tmp_path, archive([META, WHEEL])), "has no RECORD")
    other = with_info(META, WHEEL, info("RECORD.jws", b"{}"))
    assert build(tmp_path / "signed", other).status == 0


@pytest.mark.parametrize(
    ("filename", "reason"),
    [
        ("demo-1.0.tar.gz", "source distribution"),
        ("demo-1.0.zip", "source distribution"),
        ("demo-1.0-cp314-cp314-manylinux_2_28_x86_64.whl", "native code for manylinux"),
        ("demo-1.0-cp314-cp314-win_amd64.whl", "native code for win_amd64"),
        ("demo-1.0-cp314-abi3-macosx_11_0_arm64.whl", "native code for macosx"),
        ("demo-1.0-py3-none-linux_x86_64.whl", "native code for linux"),
        ("demo-1.0-cp313-cp313-pyodide_2025_0_wasm32.whl", "platform pyodide_2025_0"),
        ("demo-1.0-cp313-cp313-pyemscripten_2026_0_wasm32.whl", "for Python cp313"),
        ("demo-1.0-cp315-abi3-pyemscripten_2026_0_wasm32.whl", "for Python cp315"),
        ("demo-1.0-py2-none-any.whl", "for Python py2"),
        ("demo-1.0-cp314-cp314-any.whl", "for Python cp314"),
        ("other-1.0-py3-none-any.whl", "not named as the wheel"),
        ("demo-2.0-py3-none-any.whl", "not named as the wheel"),
        ("demo-1.0-py3-none.whl", "NAME-VERSION"),
        ("demo-1.0-x-py3-none-any.whl", "NAME-VERSION"),
        ("demo-1.0--none-any.whl", "NAME-VERSION"),
        ("demo 1.0-py3-none-any.whl", "not one that a wheel has"),
        ("demo-1.0-py3-none-any.egg", "no wheel"),
    ],
)
def test_names(tmp_path: Path, filename: str, reason: str) -> None:
    assert refused(build(tmp_path, wheel(), filename), reason)


@pytest.mark.parametrize(
    ("filename", "tag"),
    [
        ("demo-1.0-py3-none-any.whl", "py3-none-any"),
        ("Demo-1.0.0-1build-py2.py3-none-any.whl", "py3-none-any"),
        ("demo-v1-py314-none-any.whl", "py314-none-any"),
        ("demo-1.0-cp314-cp314-pyemscripten_2026_0_wasm32.whl", ""),
        ("demo-1.0-cp38-abi3-pyemscripten_2026_0_wasm32.whl", ""),
        ("demo-1.0-py3-none-pyemscripten_2026_0_wasm32.whl", ""),
    ],
)
def test_names_that_are_right(tmp_path: Path, filename: str, tag: str) -> None:
    tag = tag or "-".join(filename.removesuffix(".whl").split("-")[2:])
    assert build(tmp_path, wheel(tag=tag), filename).status == 0


def test_sum_that_was_promised(tmp_path: Path) -> None:
    data = wheel()
    right = hashlib.sha256(data).hexdigest()
    assert build(tmp_path / "right", data, options=("--sha256", right)).status == 0
    wrong = build(tmp_path / "wrong", data, options=("--sha256", "0" * 64))
    assert refused(wrong, f"has the SHA-256 sum {right}")


def test_side_module_that_is_native(tmp_path: Path) -> None:
    data = wheel(Entry(b"demo/x.so", b"\x7fELF" + bytes(60)))
    assert refused(build(tmp_path, data), "demo/x.so: it is no WebAssembly")
