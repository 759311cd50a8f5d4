"""Attack 46: JSON that is none, or that two readers would read in two ways.

A million levels, doubled keys, numbers that no double holds, ill-formed UTF-8, odd ids. Expected:
-32700 or -32600, at once, with the id exactly as it was written where there is one; and the next
request is served. The same over stdio and over HTTP.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from driver import Program
from http_server import HttpServer

SECONDS_MAX = 5.0
PING = b'{"jsonrpc":"2.0","id":%s,"method":"ping"}'


def ping(more: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":' + more + b"}}"


PARSE_ERRORS = {
    "a million lists": b"[" * 1_000_000,
    "a million objects": b'{"a":' * 1_000_000,
    "a million levels in params": ping(b"[" * 1_000_000 + b"]" * 1_000_000),
    "one level too many": ping(b"[" * 511 + b"]" * 511),
    "id twice": b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    "method twice": b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
    "id twice, once escaped": b'{"jsonrpc":"2.0","id":1,"\\u0069d":2,"method":"ping"}',
    "a key twice, far inside": ping(b'[{"a":{"b":1,"b":2}}]'),
    "1e999": ping(b"1e999"),
    "-1e999": ping(b"-1e999"),
    "1e999 as id": PING % b"1e999",
    "a number without end": ping(b"9" * 5000),
    "NaN": ping(b"NaN"),
    "Infinity": ping(b"-Infinity"),
    "a leading zero": ping(b"01"),
    "a plus": ping(b"+1"),
    "no digits behind the point": ping(b"1."),
    "no digits before the point": ping(b".5"),
    "hexadecimal": ping(b"0x10"),
    "a comma too many": ping(b"[1,]"),
    "a comment": ping(b"1/**/"),
    "single quotes": b"{'jsonrpc':'2.0','id':1,'method':'ping'}",
    "no UTF-8 at all": ping(b'"\xff"'),
    "an overlong slash": ping(b'"\xc0\xaf"'),
    "a surrogate": ping(b'"\xed\xa0\x80"'),
    "half a character": ping(b'"\xe2\x82"'),
    "beyond Unicode": ping(b'"\xf4\x90\x80\x80"'),
    "ill-formed in a key": b'{"jsonrpc":"2.0","id":1,"method":"ping","\xff":1}',
    "half a pair, escaped": ping(b'"\\ud800"'),
    "half a pair as id": PING % b'"\\udc00"',
    "a control character": ping(b'"\x01"'),
    "NUL": ping(b"\x00"),
    "a byte order mark": b"\xef\xbb\xbf" + PING % b"1",
    "UTF-16": (PING % b"1").decode().encode("utf-16-le").replace(b"\n", b""),
    "two values": PING % b"1" + b" 1",
    "half a message": b'{"jsonrpc":"2.0","id":1',
}

# What is JSON but no request. The id is there where it is one.
INVALID_REQUESTS = {
    "null": (b"null", b"null"),
    "a number": (b"1", b"null"),
    "a string": (b'"ping"', b"null"),
    "an empty object": (b"{}", b"null"),
    "an id of null": (PING % b"null", b"null"),
    "an id with a fraction": (PING % b"1.5", b"null"),
    "an id with an exponent": (PING % b"1e3", b"null"),
    "an id that is true": (PING % b"true", b"null"),
    "an id that is a list": (PING % b"[1]", b"null"),
    "an id that is an object": (PING % b'{"a":1}', b"null"),
    "an id without end": (PING % (b'"' + b"x" * 2000 + b'"'), b"null"),
    "no version": (b'{"id":"a\\u0062c","method":"ping"}', b'"a\\u0062c"'),
    "another version": (b'{"jsonrpc":"1.0","id":-0,"method":"ping"}', b"-0"),
    "a version that is a number": (b'{"jsonrpc":2.0,"id":7,"method":"ping"}', b"7"),
    "no method": (b'{"jsonrpc":"2.0","id":18446744073709551616}', b"18446744073709551616"),
    "a method that is none": (b'{"jsonrpc":"2.0","id":"","method":[]}', b'""'),
}

# Ids that are odd and allowed.
IDS = [
    b"0",
    b"-0",
    b"-7",
    b"9007199254740993",
    b"9223372036854775808",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"1" * 300,
    b'""',
    b'"1"',
    b'"\\u0041\\n\\"\\/\\\\"',
    b'"\\ud83d\\ude00"',
    "\U0001f600\u00e9".join('""').encode(),
]


class Stdio:
    """Sends lines, and gives the lines that come back."""

    def __init__(self, program: Program) -> None:
        self.process = program.start("stdio")

    def ask(self, message: bytes) -> bytes:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(message + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Http:
    """Sends each message as a request of its own."""

    def __init__(self, program: Program) -> None:
        self.server = HttpServer(program, "--stateless")
        self.status = 0

    def ask(self, message: bytes) -> bytes:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        connection = http.client.HTTPConnection(urlsplit(self.server.root).netloc, timeout=30)
        connection.request("POST", self.server.path, message, headers)
        answer = connection.getresponse()
        self.status = answer.status
        body = answer.read()
        connection.close()
        return body

    def close(self) -> None:
        self.server.__exit__(None, None, None)


@pytest.fixture(scope="module", params=[Stdio, Http], ids=["stdio", "http"])
def wire(request: pytest.FixtureRequest, vitrine: Program) -> Iterator[Stdio | Http]:
    opened = request.param(vitrine)
    assert b'"result"' in opened.ask(PING % b'"first"')
    yield opened
    opened.close()


def id_of(answer: bytes) -> bytes:
    """The id as it is written: our answers have it behind the version."""
    found = re.match(rb'\{"jsonrpc":"2\.0","id":(.*?),"(?:error|result)":', answer, re.DOTALL)
    assert found is not None, answer
    return found[1]


def check(wire: Stdio | Http, message: bytes, code: int, expected_id: bytes) -> None:
    started = time.monotonic()
    answer = wire.ask(message)
    assert time.monotonic() - started < SECONDS_MAX
    assert json.loads(answer)["error"]["code"] == code
    assert id_of(answer) == expected_id
    assert not isinstance(wire, Http) or wire.status == 400
    assert b'"result"' in wire.ask(PING % b'"next"')


@pytest.mark.parametrize("message", PARSE_ERRORS.values(), ids=PARSE_ERRORS.keys())
def test_what_is_no_json(wire: Stdio | Http, message: bytes) -> None:
    check(wire, message, -32700, b"null")


@pytest.mark.parametrize(
    ("message", "expected_id"), INVALID_REQUESTS.values(), ids=INVALID_REQUESTS.keys()
)
def test_what_is_no_request(wire: Stdio | Http, message: bytes, expected_id: bytes) -> None:
    check(wire, message, -32600, expected_id)


@pytest.mark.parametrize("odd", IDS, ids=range(len(IDS)))
def test_odd_ids_come_back_as_they_were(wire: Stdio | Http, odd: bytes) -> None:
    answer = wire.ask(PING % odd)
    assert b'"result"' in answer
    assert id_of(answer) == odd
    refused = wire.ask(b'{"jsonrpc":"2.0","id":%s,"method":"no/such"}' % odd)
    assert json.loads(refused)["error"]["code"] == -32601
    assert id_of(refused) == odd


def test_deep_but_allowed(wire: Stdio | Http) -> None:
    assert b'"result"' in wire.ask(ping(b"[" * 500 + b"]" * 500))


def test_a_million_keys(wire: Stdio | Http) -> None:
    """So many that comparing each with each would take minutes."""
    keys = b",".join(b'"%d":0' % number for number in range(900_000))
    started = time.monotonic()
    assert b'"result"' in wire.ask(ping(b"{" + keys + b"}"))
    assert time.monotonic() - started < SECONDS_MAX
    assert b"-32700" in wire.ask(ping(b"{" + keys + b',"17":1}'))
