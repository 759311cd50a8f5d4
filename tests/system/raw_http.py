"""A client of `vitrine http` that sends what a test wants, byte by byte, and reads what comes."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
ANSWER_SECONDS_MAX = 60.0
BOTH = "application/json, text/event-stream"
VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
LEVEL = "io.modelcontextprotocol/logLevel"


@dataclass
class Event:
    """One server-sent event."""

    id: str = ""
    name: str = ""
    retry: str = ""
    data: str = ""

    @property
    def json(self) -> Json:
        return json.loads(self.data)


@dataclass
class Answer:
    """A whole answer."""

    status: int
    fields: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Stream:
    """An answer that comes in pieces."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.answer = connection.getresponse()
        self.status = self.answer.status
        self.fields = {name.lower(): value for name, value in self.answer.getheaders()}
        self.comments = 0

    def events(self) -> Iterator[Event]:
        """Until the server ends the stream."""
        event = Event()
        for raw in self.answer:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
            elif line:
                name, _, value = line.partition(": ")
                setattr(event, {"event": "name"}.get(name, name.rstrip(":")), value)
            elif event != Event():
                yield event
                event = Event()

    def close(self) -> None:
        """Hang up."""
        if self.connection.sock is not None:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.answer.close()
        self.connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass
class RawClient:
    """Requests to one server, each on a connection of its own."""

    root: str
    path: str = "/mcp"
    source: str = "127.0.0.1"
    session: str | None = None
    version: str | None = None  # of the header, which came with 2025-06-18
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.root)
        assert parts.hostname is not None
        return http.client.HTTPConnection(
            parts.hostname,
            parts.port,
            timeout=ANSWER_SECONDS_MAX,
            source_address=(self.source, 0),
        )

    def send(
        self,
        method: str,
        path: str | None = None,
        body: bytes | None = None,
        fields: dict[str, str | None] | None = None,
    ) -> http.client.HTTPConnection:
        """Send a request with the usual fields, other values for them, or (None) without."""
        usual: dict[str, str | None] = {
            "Accept": BOTH,
            "Mcp-Session-Id": self.session,
            "MCP-Protocol-Version": self.version,
        }
        if body is not None:
            usual |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        host = urlsplit(self.root).netloc
        usual = {"Host": host} | usual | (fields or {})
        connection = self.connect()
        connection.putrequest(method, path or self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in usual.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        return connection

    def ask(self, method: str, *args: Any, **options: Any) -> Answer:
        connection = self.send(method, *args, **options)
        answer = connection.getresponse()
        fields = {name.lower(): value for name, value in answer.getheaders()}
        whole = Answer(answer.status, fields, answer.read())
        connection.close()
        return whole

    def stream(self, method: str, *args: Any, **options: Any) -> Stream:
        return Stream(self.send(method, *args, **options))

    def post(self, message: Any, **fields: str | None) -> Answer:
        return self.ask("POST", body=json.dumps(message).encode(), fields=named(fields))

    def post_stream(self, message: Any, **fields: str | None) -> Stream:
        return self.stream("POST", body=json.dumps(message).encode(), fields=named(fields))

    def initialize(self, version: str = "2025-11-25") -> Answer:
        params = {
            "protocolVersion": version,
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        }
        answer = self.post(self.message("initialize", params))
        assert answer.status == 200, answer
        self.session = answer.fields.get("mcp-session-id")
        self.version = version if version >= "2025-06-18" else None
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        return answer

    def message(self, method: str, params: Json | None = None) -> Json:
        whole: Json = {"jsonrpc": "2.0", "id": next(self.numbers), "method": method}
        return whole | ({} if params is None else {"params": params})

    def call_message(self, code: str, number: Any = None) -> Json:
        message = self.message(
            "tools/call", {"name": "run_python_code", "arguments": {"python_code": code}}
        )
        return message if number is None else message | {"id": number}

    def call(self, code: str) -> Json:
        """Run code; the structured result."""
        answer = self.post(self.call_message(code))
        assert answer.status == 200, answer
        if answer.fields["content-type"] == "application/json":
            return answer.json["result"]["structuredContent"]
        last = [line for line in answer.text.splitlines() if line.startswith("data: {")][-1]
        return json.loads(last.removeprefix("data: "))["result"]["structuredContent"]

    def listen_to_logs(self, level: str = "info") -> None:
        assert self.post(self.message("logging/setLevel", {"level": level})).status == 200

    def post_modern(self, message: Json, **meta: Any) -> http.client.HTTPConnection:
        """A message of 2026-07-28, with what its headers have to repeat."""
        params = dict(message.get("params", {}))
        params["_meta"] = {VERSION: "2026-07-28", CAPABILITIES: {}} | meta
        fields: dict[str, str | None] = {
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": message["method"],
            "Mcp-Name": params.get("name"),
            "Mcp-Session-Id": None,
        }
        return self.send(
            "POST", body=json.dumps(message | {"params": params}).encode(), fields=fields
        )

    def metrics(self) -> dict[str, float]:
        answer = self.ask("GET", "/metrics")
        assert answer.status == 200
        lines = (line for line in answer.text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def named(fields: dict[str, str | None]) -> dict[str, str | None]:
    """Names of fields from names of arguments."""
    return {name.replace("_", "-"): value for name, value in fields.items()}
