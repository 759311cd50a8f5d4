"""Attack 45: requests that are too large, malformed, or that two readers would read differently.

Expected: a 4xx (501 and 505 where that says it better) and the connection closed, whatever follows
on it; nothing is run, memory stays where it was, and the next request works.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from driver import Program
from http_target import GROWTH_BYTES_MAX, MIB, HttpTarget, read_to_end, send_all

LINE = b"POST /mcp HTTP/1.1\r\n"
HEAD = LINE + b"Host: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

REQUESTS: dict[str, tuple[bytes, int]] = {
    "a huge field": (HEAD + b"A: " + b"a" * MIB + b"\r\n\r\n", 431),
    "a huge name": (HEAD + b"a" * MIB + b": a\r\n\r\n", 431),
    "10,000 fields": (HEAD + b"A: b\r\n" * 10_000 + b"\r\n", 431),
    "a huge target": (b"GET /" + b"a" * MIB + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "a huge method": (b"G" * MIB, 414),
    "a huge query": (b"GET /mcp?" + b"a" * 10_000 + b" HTTP/1.1\r\n", 414),
    "a folded line": (HEAD + b"A: b\r\n c\r\n\r\n", 400),
    "a folded line with a tab": (HEAD + b"A: b\r\n\tc\r\n\r\n", 400),
    "a folded length": (HEAD + b"Content-Length:\r\n 5\r\n\r\nhello", 400),
    "LF for all": (HEAD.replace(b"\r\n", b"\n") + b"\n", 400),
    "LF for one": (HEAD + b"A: b\nContent-Length: 5\r\n\r\nhello", 400),
    "LF for the end": (HEAD + b"\n", 400),
    "CR for one": (HEAD + b"A: b\rContent-Length: 5\r\n\r\nhello", 400),
    "NUL": (HEAD + b"A: b\0c\r\n\r\n", 400),
    "space before the colon": (HEAD + b"Content-Length : 5\r\n\r\nhello", 400),
    "length and coding": (
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "coding and length": (
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        400,
    ),
    "a coding that hides": (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "another coding": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    "two codings": (HEAD + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", 400),
    "a coding in 1.0": (
        b"POST /mcp HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    "the same length twice": (HEAD + b"Content-Length: 5\r\n" * 2 + b"\r\nhello", 400),
    "two lengths in a list": (HEAD + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "a length with a sign": (HEAD + b"Content-Length: +5\r\n\r\nhello", 400),
    "a negative length": (HEAD + b"Content-Length: -5\r\n\r\nhello", 400),
    "a length past 64 bits": (HEAD + b"Content-Length: 18446744073709551621\r\n\r\nhello", 413),
    "a body of 1 GB": (HEAD + b"Content-Length: 1073741824\r\n\r\n" + b"a" * MIB, 413),
    "a chunk size past 64 bits": (CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk size of 2^64 - 1": (CHUNKED + b"ffffffffffffffff\r\nhello", 400),
    "a negative chunk size": (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk extension": (CHUNKED + b"5;a=b\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk that lies": (CHUNKED + b"4\r\nhello\r\n0\r\n\r\n", 400),
    "a chunk with LF": (CHUNKED + b"5\nhello\n0\n\n", 400),
    "a trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nHost: evil.com\r\n\r\n", 400),
    "no Host": (LINE + b"\r\n", 400),
    "two Hosts": (HEAD + b"Host: evil.com\r\n\r\n", 400),
    "another server's target": (b"GET http://evil.com/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "a tunnel": (b"CONNECT evil.com:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "no method of HTTP": (b"BREW /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n", 501),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /\r\n\r\n", 400),
    "TLS": (bytes.fromhex("16030100f8010000f40303"), 400),
    "noise": (bytes(range(256)) * 16, 400),
}


@pytest.fixture(scope="module")
def target(vitrine: Program) -> Iterator[HttpTarget]:
    """One for all; afterwards it is as it was."""
    with HttpTarget(vitrine) as running:
        yield running
        running.check_unharmed()


@pytest.mark.parametrize("name", REQUESTS)
def test_refused_and_closed(target: HttpTarget, name: str) -> None:
    request, status = REQUESTS[name]
    made = target.connect()
    send_all(made, request + GET)  # which would be answered if the connection went on
    answer, _ = read_to_end(made)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"\r\nDate: ") == 1, answer
    assert b"\r\nConnection: close\r\n" in answer
    target.expect_served()


def test_a_body_without_end(target: HttpTarget) -> None:
    """Chunks, up to the 1 GB that the client would send."""
    made = target.connect(CHUNKED)
    chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
    sent = 0
    before = target.resident_bytes()
    try:
        for _ in range(1024):
            made.sendall(chunk)
            sent += 1
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert sent < 100
    assert target.resident_bytes() < before + GROWTH_BYTES_MAX + 40 * MIB
    assert target.refused("size") > 0
    target.expect_served()


def test_bodies_without_end_together(target: HttpTarget) -> None:
    """Each below its limit; what all may hold is less."""
    body = HEAD + b"Content-Length: 33000000\r\n\r\n" + b" " * 31 * MIB
    before = target.resident_bytes()
    refused = target.refused("memory")
    sockets = [target.connect() for _ in range(24)]
    for made in sockets:
        send_all(made, body)
    assert target.resident_bytes() < before + GROWTH_BYTES_MAX + 540 * MIB
    assert target.refused("memory") > refused
    target.expect_served()
    found = target.client.call(f"len('{'x' * 5 * MIB}')")  # large, but not the largest
    assert found["return_value"] == 5 * MIB


def test_what_hides_behind_a_request_is_not_one(target: HttpTarget) -> None:
    """A second request that one reader would take for a body is never answered."""
    hidden = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    body = json.dumps(target.client.message("ping")).encode()
    for length, text in (
        (b"Content-Length: 0\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + hidden),
        (b"Content-Length: %d\r\nContent-Length: 0" % len(body + hidden), body + hidden),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", b"0\r\n\r\n" + hidden),
    ):
        answer, _ = read_to_end(target.connect(HEAD + length + b"\r\n\r\n" + text))
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert b"vitrine_build_info" not in answer
