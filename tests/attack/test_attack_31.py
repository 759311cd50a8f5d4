"""Attack 31: junk on every descriptor, and frames that break their rules.

With native code in the guest's place. Expected: a write to a descriptor that is not the cell's
socket or log ends the cell; a frame that is forged, too large, cut, doubled or out of order ends it
too; the result is an error that says so. Whoever else runs gets an own answer.
"""

from __future__ import annotations

import struct

import pytest
from driver import Json
from probe import HEADER, call, frame, hexed
from target import Target

OPTIONS = ("--timeout", "10")
SOCKET, LOG = 3, 2
STDOUT, STDERR, RESULT, END, FETCH, DISPLAY = range(16, 22)
HONEST = "print begin\nsleep 700\nprint end\n"


def field(number: int, value: bytes) -> bytes:
    return struct.pack("<BI", number, len(value)) + value


def u32(number: int) -> bytes:
    return struct.pack("<I", number)


SUCCESS = frame(RESULT, field(1, b"success") + field(2, u32(0)) + field(3, b'"forged"'))
OVER = frame(END, field(1, u32(0)) + field(2, u32(0)))


def send(data: bytes) -> str:
    """A script that writes these bytes to the cell's socket, in pieces that fit its lines."""
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    return "".join(call("write", SOCKET, hexed(piece), len(piece)) + "\n" for piece in pieces)


FRAMES = {
    "junk": bytes(range(256)) * 4,
    "zeroes": bytes(64),
    "no such type": frame(99, b"x"),
    "a frame of the pool's": frame(1, b"x"),
    "a frame of a zygote's": frame(50, u32(1) + u32(0)),
    "ready": frame(48, field(1, b"3.14")),
    "a question nobody granted": frame(FETCH, field(2, u32(1)) + field(3, b"evil")),
    "padding that is not zero": struct.pack("<IBBBB", 1, STDOUT, 1, 0, 0) + b"x",
    "too large": HEADER.pack(0xFFFFFFFF, STDOUT),
    "a little too large": HEADER.pack(65537, STDOUT) + bytes(1000),
    "a result too large": HEADER.pack(0x7FFFFFFF, RESULT),
    "an end too large": HEADER.pack(5000, END),
    "two results": SUCCESS * 2,
    "output after the result": SUCCESS + frame(STDOUT, b"x") + frame(99, b""),
    "a result that is none": frame(RESULT, b"\1\xff\xff\xff\xff") + OVER,
    "a result without a status": frame(RESULT, field(3, b'"forged"')) + OVER,
    "fields that are not known": frame(RESULT, field(200, b"x")) + OVER,
    "an end that is none": SUCCESS + frame(END, b"\xff" * 40),
    "an end of unknown fields": SUCCESS + frame(END, field(99, b"x")),
    "an end of no sense": SUCCESS + frame(END, field(1, u32(77))),
    "no json to show": frame(DISPLAY, b"{") + frame(99, b""),
}
# After these the frame that the probe itself sends comes too late, or makes no sense.
CUT = {
    "cut in the header": SUCCESS[:3],
    "cut in the payload": SUCCESS[:-4],
    "a length that swallows the rest": HEADER.pack(60000, STDOUT),
}


def attack(target: Target, script: str) -> Json:
    """Beside an honest run, whose answer must be its own."""
    server = target.server
    honest, evil = server.call_message(HONEST), server.call_message(script)
    server.send(honest)
    server.send(evil)
    found = {}
    while len(found) < 2:
        answer = server.receive()
        assert answer["id"] in (honest["id"], evil["id"]), answer
        found[answer["id"]] = answer["result"]["structuredContent"]
    own = found[honest["id"]]
    assert (own["status"], own["stdout"]) == ("success", "begin\nend\n"), own
    target.remember()
    return found[evil["id"]]


def test_frames(broken_out: Target) -> None:
    for name, data in FRAMES.items():
        result = attack(broken_out, "print begin\n" + send(data) + "print after\n")
        assert result["status"] == "crash", (name, result)
        assert result["return_value"] is None
        assert result["stdout"].startswith("begin\n"), (name, result)


def test_frames_that_are_cut(broken_out: Target) -> None:
    for name, data in CUT.items():
        result = attack(broken_out, "print begin\n" + send(data))
        assert result["status"] == "crash", (name, result)
        result = attack(broken_out, "print begin\n" + send(data) + call("exit_group", 0))
        assert result["status"] == "crash", (name, result)


def test_a_forged_success(broken_out: Target) -> None:
    """Native code in a cell may say what its own program's result is; it is a result as any other,
    and the end comes with it: nothing that follows is anybody's.
    """
    result = attack(broken_out, send(SUCCESS + OVER) + send(SUCCESS + OVER))
    assert (result["status"], result["return_value"]) in (("success", "forged"), ("crash", None))
    result = attack(broken_out, send(SUCCESS) + call("exit_group", 0))
    assert (result["status"], result["return_value"]) == ("crash", None)


@pytest.mark.parametrize("data", [b"junk\n", SUCCESS + OVER], ids=["junk", "frames"])
def test_descriptors(broken_out: Target, data: bytes) -> None:
    """Each of them in a cell of its own; 0 and 1 are the null device, and not even that."""
    for fd in [*range(8), 63, 255, 256, 1023]:
        result = broken_out.call(call("write", fd, hexed(data), len(data)) + "\nprint after\n")
        if fd == LOG:
            assert (result["status"], result["stdout"].split("\n")[-2]) == ("success", "after")
        elif fd == SOCKET:
            assert result["return_value"] in (None, "forged")
        else:
            assert result["status"] == "crash", (fd, result)
            assert "SIGSYS" in result["error"]["message"], (fd, result)


def test_the_log(broken_out: Target) -> None:
    """What a cell writes there becomes lines that say whose they are, and steer nothing."""
    evil = b"\x1b]0;evil\x07\r\nvitrine: forged\n\xff\xc2\x9b2J\xe2\x80\xae\n" + b"x" * 3000
    script = "".join(
        call("write", LOG, hexed(evil[at : at + 1000]), len(evil[at : at + 1000])) + "\n"
        for at in range(0, len(evil), 1000)
    )
    for _ in range(3):
        assert broken_out.call(script)["status"] == "success"
    for _ in range(20):
        broken_out.call(call("write", LOG, hexed(b"y\n" * 400), 800))
    told = broken_out.server.stderr
    assert told.count(b"\n") < 2000  # however much they write
    for line in told.splitlines():
        assert line.startswith(b"vitrine"), line[:100]
        assert not line.startswith(b"vitrine: forged")
        text = line.decode()  # UTF-8
        assert not any(c in text for c in "\x1b\x07\r\x9b\u202e"), line[:100]
