"""The numbers of wire.py are those of wire.h, and what is no record is refused."""

import re
import socket

import pytest
from records import ROOT, wire

HEADER = (ROOT / "src/wire/wire.h").read_text()
ENUMS = dict(re.findall(r"enum wire_(\w+) \{(.*?)\n\};", HEADER, re.DOTALL))
# Those that the runner has to know; the sockets' own it never sees.
NUMBERS = [
    pair
    for name in ("request_field", "result_field", "fetch_what", "fetch_field", "fetch_status")
    for pair in re.findall(r"WIRE_(\w+) =\s+(\d+)", ENUMS[name])
    if pair[0] not in ("FETCH_ID", "FETCH_WHEEL")  # of the fetch socket, and never for a guest
]


def test_the_header_is_read() -> None:
    assert ("REQUEST_CODE", "1") in NUMBERS
    assert ("RESULT_STATUS", "1") in NUMBERS
    assert ("FETCH_OFFLINE", "4") in NUMBERS


@pytest.mark.parametrize("name, number", NUMBERS)
def test_number(name: str, number: str) -> None:
    assert getattr(wire, name) == int(number)


def test_no_more_than_the_header_has() -> None:
    ours = {name for name in vars(wire) if name.startswith(("REQUEST_", "RESULT_", "FETCH_"))}
    assert ours - {"FETCH_FD"} == {name for name, _ in NUMBERS}


def test_round_trip() -> None:
    record = wire.field(3, b"abc") + wire.field_u32(2, -1) + wire.field(3, b"")
    assert wire.fields(record) == [(3, b"abc"), (2, b"\xff" * 4), (3, b"")]
    assert wire.number(b"\x01\x02\0\0") == 0x201
    assert wire.number(b"\x01" + b"\0" * 7) == 1


def answer(monkeypatch: pytest.MonkeyPatch, *packets: bytes) -> tuple[tuple, bytes]:
    """Ask through a socket that gives these answers; returns what came and what was asked."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for packet in packets:
            theirs.send(packet)
        theirs.send(b"")  # read as the end
        monkeypatch.setattr(wire, "FETCH_FD", ours.fileno())
        return wire.fetch(wire.FETCH_PAGE, ["numpy", "pandas"]), theirs.recv(1000)


def test_a_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    came, asked = answer(monkeypatch, b"\1\0\0\0no ", b"such page")
    assert came == (wire.FETCH_MISSING, b"no such page")
    assert wire.fields(asked) == [
        (wire.FETCH_WHAT, b"\1\0\0\0"),
        (wire.FETCH_NAME, b"numpy"),
        (wire.FETCH_NAME, b"pandas"),
    ]


def test_a_fetch_without_a_status(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(wire.RecordError):
        answer(monkeypatch, b"\0\0")


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
