"""Attack 12: the network: connect to 127.0.0.1, ::1, 169.254.169.254, a unix socket; names.

Expected: an OSError for Python, SIGSYS for native code. Nobody who listens hears a thing, and in
the network of the cell no packet was ever sent.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from probe import ProbeZygote, call, hexed
from target import Target

PYTHON = """\
import socket
found = []
def attempt(label, action):
    try:
        answer = action()
    except OSError as error:
        return
    found.append((label, repr(answer)))
def stream(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(2)
        made.connect(address)
        made.sendall(b'x')
        return 'connected'
def datagram(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as made:
        return made.sendto(b'x', address)
for host, port in places:
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    attempt(('stream', host), lambda: stream(family, (host, port)))
    attempt(('datagram', host), lambda: datagram(family, (host, port)))
    attempt(('create_connection', host), lambda: socket.create_connection((host, port), 2))
    attempt(('listen', host), lambda: socket.create_server((host, 0)))
for name in unix:
    attempt(('unix', name), lambda: stream(getattr(socket, 'AF_UNIX', 1), name))
    attempt(('unix datagram', name), lambda: datagram(getattr(socket, 'AF_UNIX', 1), name))
attempt('socketpair', socket.socketpair)
found
"""
NAMES = """\
import socket
found = []
for name in ('localhost', 'example.com', 'metadata.google.internal', '8.8.8.8.in-addr.arpa'):
    for look in (socket.gethostbyname, socket.gethostbyname_ex,
                 lambda n: socket.getaddrinfo(n, 80), lambda n: socket.create_connection((n, 80))):
        try:
            found.append((name, repr(look(name))))
        except OSError:
            pass
found
"""
LIBRARIES = """\
import asyncio, http.client, urllib.request
found = []
async def connect():
    await asyncio.open_connection('127.0.0.1', port)
def fetch():
    return urllib.request.urlopen(f'http://127.0.0.1:{port}/', timeout=2)
def ask():
    http.client.HTTPConnection('169.254.169.254', 80, timeout=2).request('GET', '/latest')
for action in (lambda: asyncio.run(connect()), fetch, ask):
    try:
        found.append(repr(action()))
    except (OSError, NotImplementedError):
        pass
found
"""
METADATA = "169.254.169.254"
DNS_PORT = 53


def sockaddr(host: str, port: int) -> bytes:
    """As connect takes it."""
    address = ipaddress.ip_address(host)
    if address.version == 4:
        return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + address.packed
    head = struct.pack("<H", socket.AF_INET6) + struct.pack(">HI", port, 0)
    return head + address.packed + bytes(4)


def native(family: int, kind: int, address: bytes) -> list[str]:
    """Calls of one connection, or of one datagram."""
    return [
        call("socket", family, kind, 0),
        call("connect", 3, hexed(address), len(address)),
        call("sendto", 3, "'x", 1, 0, hexed(address), len(address)),
        call("sendto", 3, "'x", 1, 0, 0, 0),
        call("sendmsg", 3, "@page", 0),
        call("sendmmsg", 3, "@page", 1, 0),
        call("bind", 3, hexed(address), len(address)),
        call("listen", 3, 1),
        call("accept4", 3, 0, 0, 0),
        call("getsockopt", 3, 1, 17, "@page", "@page"),
        call("setsockopt", 3, 1, 2, "@page", 4),
        call("getpeername", 3, "@page", "@page"),
        call("shutdown", 3, 2),
        call("recvfrom", 3, "@page", 1, 0, 0, 0),
        call("recvmsg", 3, "@page", 0),
    ]


def native_calls(target: Target | None) -> list[str]:
    """All of them, of each address."""
    ports = target.listeners.ports if target is not None else {"127.0.0.1": 9, "::1": 9}
    found = []
    for host, port in {**ports, METADATA: 80, "8.8.8.8": DNS_PORT}.items():
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
            found += native(family, kind, sockaddr(host, port))
    name = target.listeners.abstract if target is not None else "x"
    unix = struct.pack("<H", socket.AF_UNIX) + b"\0" + name.encode()
    found += native(socket.AF_UNIX, socket.SOCK_STREAM, unix)
    found += [call("socket", family, 3, 0) for family in (16, 17, 38, 40)]  # netlink to vsock
    return list(dict.fromkeys(found))


def test_python_connects_to_nobody(target: Target) -> None:
    places = [*target.listeners.ports.items(), (METADATA, 80), ("8.8.8.8", DNS_PORT)]
    assert len(target.listeners.ports) >= 1
    unix = [str(target.listeners.path), f"\0{target.listeners.abstract}"]
    result = target.call(f"places = {places!r}\nunix = {unix!r}\n{PYTHON}")
    assert (result["status"], result["return_value"]) == ("success", []), result
    assert target.listeners.heard() == []


def test_python_resolves_no_name(target: Target) -> None:
    result = target.call(NAMES)
    assert result["status"] == "success", result
    for name, answer in result["return_value"]:
        # Resolved within the guest, without asking: addresses that lead nowhere.
        assert "Socket" not in answer and "socket" not in answer, (name, answer)


def test_libraries_connect_to_nobody(target: Target) -> None:
    port = target.listeners.ports["127.0.0.1"]
    result = target.call(f"port = {port}\n{LIBRARIES}")
    assert (result["status"], result["return_value"]) == ("success", []), result


def test_native_code_in_a_cell(broken_out: Target, probe_zygote: ProbeZygote) -> None:
    commands = native_calls(broken_out)
    found = probe_zygote.run_all(commands)
    lived = [c for c, spoken in zip(commands, found, strict=True) if spoken.end != "SIGSYS"]
    assert lived == []
    assert broken_out.listeners.heard() == []
