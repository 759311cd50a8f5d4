"""Attack 37: archives that two readers read in two ways, and bombs.

Expected: the whole wheel is refused with the rule it breaks; a bomb is stopped at its cap, in
little time and memory; nothing is written.
"""

from __future__ import annotations

import time
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from wheels import INFO, Entry, archive, build, info_entries, record_of, refused, wheel

DATA = b"x = 1\n" * 10
DIFFERS = "local header differs"
NOTHING = "belong to nothing"
ZIP64 = b"\1\0\x10\0" + bytes(16)
END = b"PK\5\6" + bytes(18)


@pytest.mark.parametrize(
    ("local", "reason"),
    [
        ({"name": b"demo/y.py"}, DIFFERS),
        ({"name": b"demo/x.pyc"}, DIFFERS),
        ({"method": 0}, DIFFERS),
        ({"crc": 1}, DIFFERS),
        ({"size": 5}, DIFFERS),
        ({"packed_size": 5}, DIFFERS),
        ({"flags": 0x800}, DIFFERS),
        ({"crc": 0, "size": 0, "packed_size": 0}, DIFFERS),
        ({"extra": ZIP64}, "zip64"),
        ({"extra": b"\1\0\x10\0" + pack("<QQ", len(DATA), 2**32 + len(DATA))}, "zip64"),
        ({"extra": b"\1\0\x08\0" + pack("<Q", len(DATA))}, "zip64"),
        ({"extra": b"\x75\x70\6\0\1abcde"}, "second name"),
        ({"extra": b"\1"}, "extra field is cut off"),
        ({"extra": b"UT\xff\0\1"}, "extra field is cut off"),
    ],
)
def test_local_headers(tmp_path: Path, local: dict[str, Any], reason: str) -> None:
    assert refused(build(tmp_path, wheel(Entry(b"demo/x.py", DATA, local=local))), reason)


def test_sizes_said_twice_alike_are_taken(tmp_path: Path) -> None:
    """Writers that stream do so; readers cannot differ on them."""
    extra = b"\1\0\x10\0" + pack("<QQ", len(DATA), len(DATA))
    built = build(tmp_path, wheel(Entry(b"demo/x.py", DATA, method=0, local={"extra": extra})))
    assert built.status == 0, built.error


@pytest.mark.parametrize(
    ("central", "reason"),
    [
        ({"at": 0}, "overlaps another entry"),
        ({"at": 7}, ""),
        ({"at": 0xFFFFFFFF}, ""),
        ({"packed_size": 0xFFFFFFFF}, "zip64"),
        ({"size": 0xFFFFFFFF}, "zip64"),
        ({"extra": ZIP64}, "zip64"),
        ({"packed_size": 10**6}, "cut off or overlaps"),
        ({"method": 12}, "neither stored nor deflate"),
        ({"method": 14}, "neither stored nor deflate"),
        ({"flags": 1}, "encrypted"),
        ({"flags": 0x2000}, "not understood"),
        ({"flags": 0x20}, "not understood"),
        ({"name": b"demo/y.py"}, DIFFERS),
        ({"size": 300 * 2**20}, "more than"),
        ({"size": 2**20 + 10**5}, "times its size"),
    ],
)
def test_directory(tmp_path: Path, central: dict[str, Any], reason: str) -> None:
    assert refused(build(tmp_path, wheel(Entry(b"demo/x.py", DATA, central=central))), reason)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ({"after": b"x"}, "bytes after its end record"),
        ({"after": END}, "does not end where"),
        ({"after": END + b"x"}, "bytes after its end record"),
        ({"comment": b"x"}, "bytes after its end record"),
        ({"comment": END}, "does not end where"),
        ({"before": b"x"}, "does not end where"),
        ({"before": END}, "does not end where"),
        ({"before": b"PK\6\6" + pack("<Q", 44) + bytes(44) + b"PK\6\7" + bytes(16)}, "does not"),
        ({"count": 1, "total": 1}, "more than its entries"),
        ({"count": 9, "total": 9}, "directory of the archive is damaged"),
        ({"count": 3}, "in several parts"),
        ({"disk": 1}, "in several parts"),
        ({"count": 0xFFFF, "total": 0xFFFF}, "more than"),
        ({"at": 0xFFFFFFFF}, "does not end where"),
        ({"size": 0xFFFFFFFF}, "does not end where"),
        ({"at": 0, "size": 0, "count": 0, "total": 0}, "does not end where"),
    ],
)
def test_end_record(tmp_path: Path, end: dict[str, Any], reason: str) -> None:
    assert refused(build(tmp_path, wheel(change=lambda fields: fields.update(end))), reason)


@pytest.mark.parametrize("side", ["before", "after"])
def test_bytes_between(tmp_path: Path, side: str) -> None:
    entry = Entry(b"demo/x.py", DATA)
    setattr(entry, side, b"PK\3\4hidden")
    assert refused(build(tmp_path, wheel(entry)), NOTHING)


def test_bytes_before_the_first(tmp_path: Path) -> None:
    entries = [Entry(b"demo/x.py", DATA, before=b"#!/bin/sh\n"), *info_entries()]
    entries.append(Entry(f"{INFO}/RECORD".encode(), record_of(entries)))
    assert refused(build(tmp_path, archive(entries)), NOTHING)


def descriptor(data: bytes, signature: bytes, lie: int = 0) -> Entry:
    """An entry whose sizes follow its data."""
    entry = Entry(b"demo/x.py", data, central={"flags": 8})
    entry.local = {"flags": 8, "crc": 0, "size": 0, "packed_size": 0}
    fields = entry.fields()
    sizes = (fields["crc"], fields["packed_size"], len(data) + lie)
    entry.after = signature + pack("<III", *sizes)
    return entry


@pytest.mark.parametrize("signature", [b"PK\7\x08", b""])
def test_descriptor(tmp_path: Path, signature: bytes) -> None:
    assert build(tmp_path / "honest", wheel(descriptor(DATA, signature))).status == 0
    lie = build(tmp_path / "lie", wheel(descriptor(DATA, signature, lie=1)))
    assert refused(lie, "data descriptor differs")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(b"demo/x", bytes(10 * 2**20)), "times its size"),
        (Entry(b"demo/x", bytes(2**20), central={"size": 9}, local={"size": 9}), "damaged"),
        (Entry(b"demo/x", DATA, central={"size": 61}, local={"size": 61}), "damaged"),
        (Entry(b"demo/x", b"", central={"size": 7}, local={"size": 7}), "damaged"),
        (Entry(b"demo/x", DATA, central={"crc": 7}, local={"crc": 7}), "CRC"),
    ],
)
def test_bombs_and_lies(tmp_path: Path, entry: Entry, reason: str) -> None:
    # RECORD says what the headers say, so that it is the inflating that finds the lie.
    size = entry.central.get("size", len(entry.data))
    every = [entry, *info_entries()]
    record = record_of(every).replace(b",%d\n" % len(entry.data), b",%d\n" % size, 1)
    data = archive([*every, Entry(f"{INFO}/RECORD".encode(), record)])
    started = time.monotonic()
    assert refused(build(tmp_path, data), reason)
    assert time.monotonic() - started < 20


def test_bomb_of_many(tmp_path: Path) -> None:
    """Each file is small enough, together they are not; nothing is unpacked to find out."""
    big = {"size": 250 * 2**20, "packed_size": 2 * 2**20, "packed": bytes(2 * 2**20)}
    entries = [Entry(b"demo/%d" % i, central=big, local=big) for i in range(9)]
    assert refused(build(tmp_path, wheel(*entries)), "it unpacks to")


def test_too_many_entries(tmp_path: Path) -> None:
    entries = [Entry(b"demo/%d" % i, method=0) for i in range(50_000)]
    assert refused(build(tmp_path, wheel(*entries)), "entries are more than")


def test_large_metadata(tmp_path: Path) -> None:
    more = "".join(f"Keyword: {i * 7919 % 65537:x}\n" for i in range(400_000))
    assert refused(build(tmp_path, wheel(more=more)), "METADATA has")


@pytest.mark.parametrize("cut", [1, 10, 22, 23, 100, 400])
def test_cut_off(tmp_path: Path, cut: int) -> None:
    assert refused(build(tmp_path, wheel()[:-cut]), "")


def test_empty_and_noise(tmp_path: Path) -> None:
    assert refused(build(tmp_path / "empty", b""), "no zip archive")
    assert refused(build(tmp_path / "noise", bytes(range(256)) * 40), "no zip archive")
