"""The least of an MCP client over HTTP, so light that hundreds run in one process.

bench/http_peers.py uses it as well. It speaks both eras, reads answers in JSON and as events, and
trusts nothing: what is not an answer to its own request is an error.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
MODERN = "2026-07-28"
LEGACY = "2025-11-25"
LEVEL = "io.modelcontextprotocol/logLevel"
LINE_BYTES_MAX = 8 << 20


class LoadClient:
    """One connection, one request at a time, in a session where the era has them."""

    def __init__(self, url: str, era: str = MODERN, level: str | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path
        self.era = era
        self.level = level
        self.session: str | None = None
        self.numbers = itertools.count(1)

    async def __aenter__(self) -> LoadClient:
        self.reader, self.writer = await asyncio.open_connection(
            self.host, self.port, limit=LINE_BYTES_MAX
        )
        if self.era == LEGACY:
            await self.initialize()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def initialize(self) -> None:
        information = {"name": "load", "version": "1"}
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": information}
        await self.request("initialize", params)
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        status, fields = await self.read_head()
        assert status == 202, status
        async for _ in self.read_body(fields):
            raise AssertionError("an accepted notification has no body")
        if self.level is not None:
            await self.request("logging/setLevel", {"level": self.level})

    def head_of(self, message: Json, body: bytes) -> bytes:
        fields = {
            "Host": f"{self.host}:{self.port}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        if self.session is not None:
            fields["Mcp-Session-Id"] = self.session
        if message["method"] != "initialize":
            fields["MCP-Protocol-Version"] = self.era
        if self.era == MODERN:
            fields["Mcp-Method"] = message["method"]
            if "name" in message.get("params", {}):
                fields["Mcp-Name"] = message["params"]["name"]
        lines = [
            f"POST {self.path} HTTP/1.1",
            *(f"{name}: {text}" for name, text in fields.items()),
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def bytes_of(self, message: Json) -> bytes:
        """A request as it goes over the line."""
        if self.era == MODERN:
            meta: Json = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": {"name": "load", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {},
            }
            if self.level is not None:
                meta[LEVEL] = self.level
            message = {**message, "params": {**message.get("params", {}), "_meta": meta}}
        body = json.dumps(message).encode()
        return self.head_of(message, body) + body

    async def send(self, message: Json) -> None:
        self.writer.write(self.bytes_of(message))
        await self.writer.drain()

    async def read_head(self) -> tuple[int, dict[str, str]]:
        status = int((await self.reader.readline()).split()[1])
        fields: dict[str, str] = {}
        while line := (await self.reader.readline()).strip():
            name, _, text = line.decode().partition(":")
            fields[name.lower()] = text.strip()
        self.session = fields.get("mcp-session-id", self.session)
        return status, fields

    async def read_body(self, fields: dict[str, str]) -> AsyncIterator[bytes]:
        if "content-length" in fields:
            if length := int(fields["content-length"]):
                yield await self.reader.readexactly(length)
        elif fields.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readline(), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)

    async def read_messages(self) -> list[Json]:
        """All that an exchange answers: one JSON message, or those of a stream."""
        status, fields = await self.read_head()
        body = b"".join([piece async for piece in self.read_body(fields)])
        assert status == 200, (status, body[:500])
        if fields["content-type"] == "application/json":
            return [json.loads(body)]
        assert fields["content-type"] == "text/event-stream", fields
        lines = (line for line in body.decode().split("\n") if line.startswith("data:"))
        return [json.loads(line[5:]) for line in lines if line[5:].strip()]

    async def exchange(self, message: Json) -> tuple[Json, list[Json]]:
        """The result, and the notifications before it."""
        await self.send(message)
        return self.judge(message, await self.read_messages())

    @staticmethod
    def judge(message: Json, messages: list[Json]) -> tuple[Json, list[Json]]:
        *others, answer = messages
        assert answer["id"] == message["id"], (message, answer)
        assert "result" in answer, answer
        assert all("id" not in other for other in others)
        return answer["result"], others

    async def request(self, method: str, params: Json) -> Json:
        number = next(self.numbers)
        message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        return (await self.exchange(message))[0]

    def call_message(self, code: str, tool: str = "run_python_code") -> Json:
        """A call, with an id that no other client uses."""
        params = {"name": tool, "arguments": {"python_code": code}}
        number = f"{id(self):x}-{next(self.numbers)}"
        return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}

    async def call(self, code: str) -> tuple[Json, list[Json]]:
        """The tool's result, and what came before."""
        return await self.exchange(self.call_message(code))
