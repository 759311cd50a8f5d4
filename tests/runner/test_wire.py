"""The numbers of wire.py are those of wire.h, and what is no record is refused."""

import re

import pytest
from records import ROOT, wire

HEADER = (ROOT / "src/wire/wire.h").read_text()
NUMBERS = re.findall(r"WIRE_((?:REQUEST|RESULT)_\w+) = (\d+)", HEADER)


def test_the_header_is_read() -> None:
    assert ("REQUEST_CODE", "1") in NUMBERS
    assert ("RESULT_STATUS", "1") in NUMBERS


@pytest.mark.parametrize("name, number", NUMBERS)
def test_number(name: str, number: str) -> None:
    assert getattr(wire, name) == int(number)


def test_no_more_than_the_header_has() -> None:
    ours = {name for name in vars(wire) if name.startswith(("REQUEST_", "RESULT_"))}
    assert ours == {name for name, _ in NUMBERS}


def test_round_trip() -> None:
    record = wire.field(3, b"abc") + wire.field_u32(2, -1) + wire.field(3, b"")
    assert wire.fields(record) == [(3, b"abc"), (2, b"\xff" * 4), (3, b"")]
    assert wire.number(b"\x01\x02\0\0") == 0x201
    assert wire.number(b"\x01" + b"\0" * 7) == 1


@pytest.mark.parametrize(
    "record", [b"\x01", b"\x01\0\0\0", b"\x01\x02\0\0\0a", b"\x01\xff\xff\xff\xff"]
)
def test_no_record(record: bytes) -> None:
    with pytest.raises(wire.RecordError):
        wire.fields(record)


@pytest.mark.parametrize("value", [b"", b"\1", b"\1" * 5, b"\1" * 9])
def test_no_number(value: bytes) -> None:
    with pytest.raises(wire.RecordError):
        wire.number(value)
