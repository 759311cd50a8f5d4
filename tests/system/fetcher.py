"""``vitrine-fetch`` as its tests see it: a client of its frames, and the servers it talks to.

The servers are real ones with TLS on the loopback. Their certificate is made for each run of the
tests, and the program is told of it by ``SSL_CERT_FILE``.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

REPOSITORY = Path(__file__).resolve().parents[2]

CONFIG, ASK, CANCEL, ANSWER, LOG = 64, 65, 66, 80, 81
PAGE, METADATA, WHEEL = 1, 2, 3
OK, MISSING, REFUSED, FAILED, OFFLINE = range(5)
CONFIG_CACHE, CONFIG_LOCK, CONFIG_MIRROR, CONFIG_INDEX = 1, 2, 3, 4
CONFIG_OFFLINE, CONFIG_EXCLUDE_NEWER, CONFIG_CERTIFICATES, CONFIG_PROXY = 5, 6, 7, 8
ID, WHAT, NAME = 1, 2, 3

HEADER = struct.Struct("<IB3x")
NUMBERS = struct.Struct("<II")
FETCH_FD = 3
ANSWER_S = 60.0

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
HTML_TYPE = "application/vnd.pypi.simple.v1+html"


def frame(kind: int, payload: bytes) -> bytes:
    """Make one frame."""
    return HEADER.pack(len(payload), kind) + payload


def put(number: int, value: bytes | str | int) -> bytes:
    """Make one field of a record; a number is a u32."""
    if isinstance(value, int):
        value = struct.pack("<I", value)
    elif isinstance(value, str):
        value = value.encode()
    return struct.pack("<BI", number, len(value)) + value


def sha256(content: bytes) -> str:
    """The sum by which everything is named."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Answer:
    """What came back for one question."""

    status: int
    body: bytes

    @property
    def text(self) -> str:
        """The body as text: a path, or what went wrong."""
        return self.body.decode()

    @property
    def page(self) -> dict:
        """The body as a page."""
        assert self.status == OK, self.text
        return json.loads(self.body)


class Fetcher:
    """The real program, with a cache of its own."""

    def __init__(
        self, config: list[tuple[int, bytes | str | int]], environment: dict[str, str]
    ) -> None:
        build = Path(os.environ.get("VITRINE_BUILD", REPOSITORY / "build")).absolute()
        program = build / "vitrine-fetch"
        assert program.exists(), f"{program} is missing: run `make build`"
        self._socket, theirs = socket.socketpair()
        self._bytes = bytearray()
        self._last_id = 0
        self._answers: dict[int, Answer] = {}
        self.logs: list[tuple[int, int, str]] = []
        self._errors, errors = os.pipe()
        # Not subprocess, which has no way to say which number a descriptor gets.
        self.pid = os.posix_spawn(
            program,
            [str(program)],
            {"PATH": "/usr/bin:/bin", **environment},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), FETCH_FD),
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, errors, 2),
            ],
        )
        os.close(errors)
        theirs.close()
        self.send(CONFIG, b"".join(put(*item) for item in config))

    def __enter__(self) -> Fetcher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """It ends when the socket is closed, whatever is under way, and says nothing."""
        status, words = self.close()
        if kind is None:
            assert (status, words) == (0, ""), (status, words)

    def close(self) -> tuple[int, str]:
        """Hang up; its exit status (as the system gives it) and its last words."""
        self._socket.close()
        _, status = os.waitpid(self.pid, 0)
        with os.fdopen(self._errors, encoding="utf-8") as file:
            return status, file.read()

    def send(self, kind: int, payload: bytes) -> None:
        """Send one frame."""
        self._socket.sendall(frame(kind, payload))

    def ask(self, what: int, *names: str | bytes) -> int:
        """Put a question; its id."""
        self._last_id += 1
        record = put(ID, self._last_id) + put(WHAT, what)
        self.send(ASK, record + b"".join(put(NAME, name) for name in names))
        return self._last_id

    def wait(self, number: int, seconds: float = ANSWER_S) -> Answer:
        """The answer to a question."""
        deadline = time.monotonic() + seconds
        while number not in self._answers:
            self.read(deadline)
        return self._answers.pop(number)

    def get(self, what: int, name: str | bytes, seconds: float = ANSWER_S) -> Answer:
        """Ask and wait."""
        return self.wait(self.ask(what, name), seconds)

    def read(self, deadline: float) -> None:
        """Take what the program says next."""
        left = deadline - time.monotonic()
        assert left > 0, f"no answer in time; it said {self.logs}"
        self._socket.settimeout(left)
        got = self._socket.recv(1 << 20)
        assert got, "the program is gone"
        self._bytes += got
        while len(self._bytes) >= HEADER.size:
            length, kind = HEADER.unpack_from(self._bytes)
            end = HEADER.size + length
            if len(self._bytes) < end:
                return
            payload = bytes(self._bytes[HEADER.size : end])
            del self._bytes[:end]
            first, second = NUMBERS.unpack_from(payload)
            if kind == ANSWER:
                assert first not in self._answers
                self._answers[first] = Answer(second, payload[NUMBERS.size :])
            else:
                assert kind == LOG
                self.logs.append((first, second, payload[NUMBERS.size :].decode()))


@dataclass
class Reply:
    """What a server sends for one path. A body that is no bytes is sent in pieces as it comes."""

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None  # claimed; None: the truth, or none for pieces


class Server:
    """An HTTPS server on the loopback that sends what its table says, and remembers who asked."""

    def __init__(self, certificate: Path, has_ranges: bool = True) -> None:
        self.replies: dict[str, Reply | Callable[[], Reply]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.has_ranges = has_ranges
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # the name is BaseHTTPRequestHandler's
                outer.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                reply = outer.replies.get(self.path, Reply(status=404))
                outer.reply(self, reply if isinstance(reply, Reply) else reply())

            def log_message(self, *arguments: object) -> None:
                """Tests look at ``asked``."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: object) -> None:
                """A client that hangs up in the middle is what many tests are about."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._http.socket = context.wrap_socket(
            self._http.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._http.server_address[1]
        self.address = f"https://localhost:{self.port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()

    def paths(self) -> list[str]:
        """What was asked for."""
        return [path for path, _ in self.asked]

    def reply(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        """Send one reply, or the range of it that was asked for."""
        body, status = reply.body, reply.status
        headers = dict(reply.headers)
        wanted = handler.headers.get("Range")
        if wanted and self.has_ranges and status == 200 and isinstance(body, bytes):
            first, last = wanted.removeprefix("bytes=").split("-")
            start = int(first) if first else max(0, len(body) - int(last))
            end = min(len(body), int(last) + 1) if first else len(body)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(body)}"
            body, status = body[start:end], 206
        if isinstance(body, bytes):
            length = len(body) if reply.length is None else reply.length
            headers.setdefault("Content-Length", str(length))
        elif reply.length is not None:
            headers["Content-Length"] = str(reply.length)
        handler.close_connection = not isinstance(body, bytes) or reply.length is not None
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if handler.close_connection:
            handler.send_header("Connection", "close")
        handler.end_headers()
        for piece in [body] if isinstance(body, bytes) else body:
            handler.wfile.write(piece)

    # --- an index ---

    def page(
        self, project: str, *files: dict, prefix: str = "/simple", **headers: str
    ) -> list[dict]:
        """Serve a page in JSON."""
        body = {"meta": {"api-version": "1.1"}, "name": project, "files": list(files)}
        self.replies[f"{prefix}/{project}/"] = Reply(
            json.dumps(body).encode(), headers={"Content-Type": JSON_TYPE, **headers}
        )
        return list(files)

    def html(self, project: str, body: str, content_type: str = "text/html") -> None:
        """Serve a page in HTML."""
        self.replies[f"/simple/{project}/"] = Reply(
            body.encode(), headers={"Content-Type": content_type}
        )

    def file(self, filename: str, content: bytes, **more: object) -> dict:
        """Serve a file; its entry on a page."""
        self.replies[f"/files/{filename}"] = Reply(content)
        return {
            "filename": filename,
            "url": f"{self.address}/files/{filename}",
            "hashes": {"sha256": sha256(content)},
            **more,
        }


class Proxy:
    """A proxy that knows CONNECT, and leads every name to one port of the loopback."""

    def __init__(self, port: int) -> None:
        self.targets: list[str] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.targets.append(head.split()[1].decode())
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self._port)) as server, client:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    got = ready.recv(65536)
                    if not got:
                        return
                    (server if ready is client else client).sendall(got)


def make_certificate(folder: Path) -> Path:
    """A key and a certificate for the servers, which is its own authority."""
    path = folder / "server.pem"
    names = "subjectAltName=DNS:localhost,DNS:index.test,DNS:other.test,IP:127.0.0.1"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", "/CN=test", "-addext", names]
        + ["-keyout", str(path), "-out", str(folder / "only.pem")],
        check=True,
        capture_output=True,
        timeout=60,
    )
    with path.open("ab") as file:
        file.write((folder / "only.pem").read_bytes())
    return path


def make_wheel(name: str, version: str, tag: str = "py3-none-any", padding: int = 0) -> bytes:
    """A small wheel that is right in every respect."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": b"# " + os.urandom(padding // 2).hex().encode() + b"\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n" + f"Tag: {tag}\n"
        ).encode(),
    }
    record = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(content)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path, content in files.items():
            file.writestr(zipfile.ZipInfo(path, (2026, 1, 1, 0, 0, 0)), content)
    return archive.getvalue()


def make_carrier(
    folder: str, wheels: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """An archive that carries wheels in a folder, among other things."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", method) as file:
        file.writestr("carrier/other.txt", os.urandom(100_000))
        for filename, content in wheels.items():
            file.writestr(f"{folder}/{filename}", content)
    return archive.getvalue()


def files_under(folder: Path) -> list[str]:
    """Every file under a folder, by its path in it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class World:
    """Servers, a cache, and programs that know them."""

    def __init__(self, folder: Path, certificate: Path) -> None:
        self.cache = folder / "cache"
        self.folder = folder
        self.certificate = certificate
        self._closing: list[Callable[[], object]] = []

    def server(self, has_ranges: bool = True) -> Server:
        """Start a server."""
        server = Server(self.certificate, has_ranges)
        self._closing.append(server.close)
        return server

    def proxy(self, port: int) -> Proxy:
        """Start a proxy."""
        proxy = Proxy(port)
        self._closing.append(proxy.close)
        return proxy

    def lock(self, wheels: dict[str, bytes]) -> Path:
        """Write a lock file that names these wheels."""
        packages = {}
        for filename, content in wheels.items():
            name, version = filename.split("-")[:2]
            packages[name] = {
                "name": name,
                "version": version,
                "file_name": filename,
                "sha256": sha256(content),
            }
        path = self.folder / "lock.json"
        path.write_text(json.dumps({"packages": packages}), encoding="utf-8")
        return path

    def fetcher(
        self, *config: tuple[int, bytes | str | int], environment: dict[str, str] | None = None
    ) -> Fetcher:
        """Start the program."""
        trust = {"SSL_CERT_FILE": str(self.certificate)}
        return Fetcher([(CONFIG_CACHE, str(self.cache)), *config], environment or trust)

    def close(self) -> None:
        """Stop the servers."""
        for close in self._closing:
            close()


def worlds(folder: Path, certificate: Path) -> Iterator[World]:
    """One world; the body of a fixture."""
    world = World(folder, certificate)
    yield world
    world.close()
