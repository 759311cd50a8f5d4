"""Attack 44: clients that take their time: slow heads, slow bodies, connections that say nothing,
readers that never read.

Expected: absolute deadlines, which no byte now and then prolongs: 408 or a close at the deadline.
Others are served meanwhile as if nothing were, the server's memory stays bounded, and nothing is
left of the slow ones.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator

import pytest
from driver import Program
from http_target import GROWTH_BYTES_MAX, MIB, HttpTarget, drip, read_to_end

REQUEST_SECONDS = 2.0
STALL_SECONDS = 2.0
LATE_SECONDS_MAX = 15.0  # on a machine that is busy with other things
SLOW = 100
READERS = 8
OUTPUT_MIB = 8
MUCH = f"print('x' * {OUTPUT_MIB * MIB - 1000})"
HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def target(vitrine: Program) -> Iterator[HttpTarget]:
    options = ("--request-time", str(REQUEST_SECONDS), "--stall-time", str(STALL_SECONDS))
    with HttpTarget(vitrine, *options, "--output-limit", f"{OUTPUT_MIB}M") as running:
        yield running
        running.check_unharmed()


def expect_cut_off(target: HttpTarget, sockets: list[socket.socket], text: bytes) -> None:
    """All of them are refused, in time, and others are served meanwhile."""
    assert target.expect_served() < LATE_SECONDS_MAX
    start = time.monotonic()
    said = drip(sockets, text, REQUEST_SECONDS + LATE_SECONDS_MAX)
    assert time.monotonic() - start > REQUEST_SECONDS / 4
    for answer in said.values():
        assert answer.startswith(b"HTTP/1.1 408 "), answer
        assert b"\r\nConnection: close\r\n" in answer
    assert target.refused("deadline") == len(sockets)


def test_slow_heads(target: HttpTarget) -> None:
    sockets = [target.connect(HEAD + b"X-Slow: ") for _ in range(SLOW)]
    expect_cut_off(target, sockets, b"slow")


def test_slow_bodies(target: HttpTarget) -> None:
    sockets = [target.connect(HEAD + b"Content-Length: 1000000\r\n\r\n{") for _ in range(SLOW)]
    expect_cut_off(target, sockets, b" ")


def test_slow_chunks(target: HttpTarget) -> None:
    sockets = [target.connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n") for _ in range(SLOW)]
    expect_cut_off(target, sockets, b"1\r\n \r\n")


def test_connections_that_say_nothing(target: HttpTarget) -> None:
    sockets = [target.connect() for _ in range(SLOW)]
    assert target.expect_served() < LATE_SECONDS_MAX
    for made in sockets:
        made.settimeout(REQUEST_SECONDS + LATE_SECONDS_MAX)
        assert made.recv(1) == b""
    assert target.refused("deadline") == SLOW


def call(target: HttpTarget, code: str) -> socket.socket:
    """A call, on a connection that will not be read."""
    body = json.dumps(target.client.call_message(code)).encode()
    head = HEAD + f"Mcp-Session-Id: {target.client.session}\r\n".encode()
    head += f"MCP-Protocol-Version: {target.client.version}\r\n".encode()
    head += b"Accept: application/json, text/event-stream\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n".encode()
    return target.connect(head + body)


def test_readers_that_never_read(target: HttpTarget) -> None:
    peak = target.resident_bytes()
    for _ in range(READERS):
        call(target, MUCH)
    deadline = time.monotonic() + STALL_SECONDS + 60
    while target.refused("stall") < READERS:
        assert time.monotonic() < deadline, target.client.metrics()
        assert target.expect_served() < LATE_SECONDS_MAX
        peak = max(peak, target.resident_bytes())
    # Each answer twice, as text and as structured content, and while it is being made once more.
    most = READERS * 4 * OUTPUT_MIB * MIB
    assert peak < target.bytes_before + GROWTH_BYTES_MAX + most


def test_a_reader_of_single_bytes(target: HttpTarget) -> None:
    """Reading a byte now and then is not reading."""
    made = call(target, MUCH)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deadline = time.monotonic() + STALL_SECONDS + 60
    while target.refused("stall") == 0:
        assert time.monotonic() < deadline, target.client.metrics()
        made.recv(1)
        time.sleep(0.1)


def test_more_connections_than_one_client_may_have(vitrine: Program) -> None:
    """The others of that address are turned away at once, without a wait."""
    with HttpTarget(vitrine, "--client-connections", "20") as target:
        sockets = [target.connect() for _ in range(70)]
        deadline = time.monotonic() + LATE_SECONDS_MAX
        readable: list[socket.socket] = []
        while len(readable) < 50 and time.monotonic() < deadline:
            readable = select.select(sockets, [], [], 0.1)[0]
        assert len(readable) >= 50
        for made in readable:
            answer, is_whole = read_to_end(made)
            assert answer.startswith(b"HTTP/1.1 503 ") or not is_whole, answer
            assert b"\r\nRetry-After: " in answer or not is_whole
        target.hang_up()
        target.check_unharmed()
