"""`vitrine http` under attack over its sockets, and what has to be as it was before."""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from types import TracebackType
from urllib.parse import urlsplit

from driver import Program, is_sanitized
from http_server import HttpServer
from raw_http import RawClient
from target import descriptors, status_of, wait_until

SPARE_MAX = 4  # descriptors of a spare cell
MIB = 1 << 20
# What allocators and the pages of a busy server may keep; sanitizers keep much for themselves.
GROWTH_BYTES_MAX = (2048 if is_sanitized() else 64) * MIB


class HttpTarget:
    """A server, a client that behaves, and sockets that do not."""

    def __init__(self, program: Program, *args: str) -> None:
        self.server = HttpServer(program, "--no-install", "--spare-memory", "0", *args)
        self.client = RawClient(self.server.root)
        self.client.initialize()
        self.expect_served()
        self.open_before = len(descriptors(self.pid))
        self.bytes_before = self.resident_bytes()
        self.sockets: list[socket.socket] = []

    @property
    def pid(self) -> int:
        return self.server.process.pid

    def __enter__(self) -> HttpTarget:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()
        self.server.__exit__(kind, error, trace)

    def connect(self, first: bytes = b"") -> socket.socket:
        """A connection of the attacker's, which has sent something."""
        parts = urlsplit(self.server.root)
        assert parts.hostname is not None
        made = socket.create_connection((parts.hostname, parts.port), timeout=30)
        self.sockets.append(made)
        made.sendall(first)
        return made

    def hang_up(self) -> None:
        for made in self.sockets:
            made.close()
        self.sockets.clear()

    def expect_served(self) -> float:
        """A call of somebody else's works; how many seconds it took."""
        start = time.monotonic()
        found = self.client.call("6 * 7")
        assert (found["status"], found["return_value"]) == ("success", 42), found
        return time.monotonic() - start

    def resident_bytes(self) -> int:
        return int(status_of(self.pid)["VmRSS"].split()[0]) * 1024

    def refused(self, reason: str) -> int:
        return int(self.client.metrics()[f'vitrine_http_refused_total{{reason="{reason}"}}'])

    def check_unharmed(self) -> None:
        """Nothing is left of the attack, and the server ends as it should."""
        self.hang_up()
        self.expect_served()
        wait_until(self.has_rested, lambda: (descriptors(self.pid), self.client.metrics()))
        assert self.resident_bytes() < self.bytes_before + GROWTH_BYTES_MAX
        assert self.server.stop() == 0

    def has_rested(self) -> bool:
        figures = self.client.metrics()
        return (
            figures["vitrine_http_connections"] == 1  # the one that asks
            and figures["vitrine_http_held_bytes"] == 0
            and len(descriptors(self.pid)) <= self.open_before + SPARE_MAX
        )


def send_all(made: socket.socket, text: bytes) -> None:
    """Or as much as the server takes before it closes."""
    with suppress(BrokenPipeError, ConnectionResetError):
        made.sendall(text)


def read_to_end(made: socket.socket, seconds: float = 30) -> tuple[bytes, bool]:
    """What comes until the server closes, and whether it did without a reset."""
    made.settimeout(seconds)
    found = b""
    try:
        while some := made.recv(65536):
            found += some
    except ConnectionResetError:
        return found, False
    return found, True


def drip(sockets: list[socket.socket], text: bytes, seconds_max: float) -> dict[int, bytes]:
    """Send each of them a byte every tenth of a second, until the server has closed all; what
    each has said.
    """
    open_sockets = {made.fileno(): made for made in sockets}
    said = dict.fromkeys(open_sockets, b"")
    deadline = time.monotonic() + seconds_max
    at = 0
    while open_sockets:
        assert time.monotonic() < deadline, f"{len(open_sockets)} are still open"
        for number in select.select(list(open_sockets), [], [], 0.1)[0]:
            try:
                some = open_sockets[number].recv(65536)
            except ConnectionResetError:
                some = b""
            said[number] += some
            if not some:
                del open_sockets[number]
        for made in open_sockets.values():
            with suppress(BrokenPipeError, ConnectionResetError):
                made.send(text[at : at + 1])
        at = (at + 1) % len(text)
    return said
