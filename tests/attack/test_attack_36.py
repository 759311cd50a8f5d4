"""Attack 36: names in a wheel that lead elsewhere, and entries that are no files.

Expected: the whole wheel is refused with the rule it breaks, and nothing is written.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from wheels import DEVICE, DIRECTORY, FIFO, LINK, REGULAR, Entry, build, refused, wheel

PARTS = 'has a part "." or ".."'
EMPTY = "empty part"
CONTROL = "control character"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"../x.py", PARTS),
        (b"demo/../../x.py", PARTS),
        (b"demo/..", PARTS),
        (b"./x.py", PARTS),
        (b"demo/./x.py", PARTS),
        (b"/abs.py", EMPTY),
        (b"//host/share", EMPTY),
        (b"demo//x.py", EMPTY),
        (b"", EMPTY),
        (b"C:\\x.py", "backslash"),
        (b"C:/x.py", "drive letter"),
        (b"c:x.py", "drive letter"),
        (b"demo\\x.py", "backslash"),
        (b"demo/x\0.py", CONTROL),
        (b"demo/x\n.py", CONTROL),
        (b"demo/\x1b[2J.py", CONTROL),
        (b"demo/\x7f.py", CONTROL),
        (b"d" * 1025, "too long"),
        (b"demo/" + b"d" * 256, "too long"),
    ],
)
def test_names(tmp_path: Path, name: bytes, reason: str) -> None:
    assert refused(build(tmp_path, wheel(Entry(name, b"x = 1\n"))), reason)


@pytest.mark.parametrize(
    ("name", "flags", "reason"),
    [
        (b"demo/\xff.py", 0x800, "not UTF-8"),
        (b"demo/\xc0\xae.py", 0x800, "not UTF-8"),
        (b"demo/\xed\xa0\x80.py", 0x800, "not UTF-8"),
        (b"demo/\xc2\x85.py", 0x800, CONTROL),
        ("demo/ä.py".encode(), 0, "no known encoding"),
        (b"demo/\x84.py", 0, "no known encoding"),
    ],
)
def test_encodings(tmp_path: Path, name: bytes, flags: int, reason: str) -> None:
    entry = Entry(name, b"x", central={"flags": flags}, local={"flags": flags})
    assert refused(build(tmp_path, wheel(entry)), reason)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(b"demo/link", b"/etc/passwd", mode=LINK), "special file"),
        (Entry(b"demo/fifo", mode=FIFO), "special file"),
        (Entry(b"demo/device", mode=DEVICE), "special file"),
        (Entry(b"demo/socket", mode=0o140644), "special file"),
        (Entry(b"demo/root", b"x", mode=REGULAR | 0o4000), "set-user-id"),
        (Entry(b"demo/group", b"x", mode=REGULAR | 0o2000), "set-user-id"),
        (Entry(b"demo/folder", mode=DIRECTORY), "whether it is a directory"),
        (Entry(b"demo/folder", attributes=0x10), "whether it is a directory"),
        (Entry(b"demo/file/", mode=REGULAR), "whether it is a directory"),
        (Entry(b"demo/full/", b"contents", mode=DIRECTORY), "directory with contents"),
    ],
)
def test_kinds(tmp_path: Path, entry: Entry, reason: str) -> None:
    assert refused(build(tmp_path, wheel(entry)), reason)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (("demo/a.py", "demo/a.py"), "twice"),
        (("demo/a.py", "demo/A.PY"), "twice"),
        (("demo/a/", "demo/A"), "twice"),
        (("demo/a/", "demo/a/"), "twice"),
        (("demo/a", "demo/a/b.py"), "files below it"),
        (("demo/a", "demo/a-b", "demo/A/b.py"), "files below it"),
        (("demo/__init__.py/x",), "files below it"),
        (("demo-1.0.data/purelib/demo/__init__.py",), "twice"),
        (("demo-1.0.data/purelib/demo/__init__.py/x",), "files below it"),
        (("demo-1.0.data/purelib/x.py", "demo-1.0.data/platlib/X.py"), "twice"),
        (("demo-1.0.data/elsewhere/x.py",), "no installer knows"),
        (("demo-1.0.data/purelib",), "where a folder belongs"),
        (("other-1.0.data/purelib/x.py",), "not named as the wheel"),
        (("other-1.0.dist-info/METADATA",), "more than one folder"),
    ],
)
def test_collisions(tmp_path: Path, names: tuple[str, ...], reason: str) -> None:
    entries = [
        Entry(name.encode(), mode=DIRECTORY if name.endswith("/") else REGULAR) for name in names
    ]
    assert refused(build(tmp_path, wheel(*entries)), reason)
