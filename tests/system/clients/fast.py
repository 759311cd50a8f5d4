"""fastmcp's client. See tour.py."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from fastmcp import Client
from fastmcp.client.transports import SSETransport, StdioTransport, StreamableHttpTransport
from mcp import MCPError


class Adapter:
    """What the tour asks of a client."""

    errors = (MCPError,)

    def __init__(self, client: Client[Any], logs: list[tuple[float, str, Any]]) -> None:
        self.client = client
        self.logs = logs
        self.version = client.protocol_version
        self.server_name = client.server_info.name if client.server_info else None

    async def list_tools(self) -> list[str]:
        return [tool.name for tool in await self.client.list_tools()]

    async def set_level(self, level: Any) -> None:
        if str(self.version) < "2026":  # later, each request carries the level
            await self.client.set_logging_level(level)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], on_progress: Callable[[float], None] | None
    ) -> dict[str, Any]:
        async def keep(progress: float, _total: float | None, _message: str | None) -> None:
            if on_progress is not None:
                on_progress(progress)

        result = await self.client.call_tool(
            name, arguments, progress_handler=keep, raise_on_error=False
        )
        return {
            "text": result.content[0].text,
            "structured": result.structured_content,
            "is_error": result.is_error,
        }

    async def call(
        self,
        code: str,
        variables: dict[str, Any] | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> dict[str, Any]:
        arguments = {"python_code": code, "global_variables": variables or {}}
        return await self.call_tool("run_python_code", arguments, on_progress)

    async def cancelled(self, code: str) -> None:
        with anyio.move_on_after(1):
            await self.call(code)
            raise AssertionError("the call was not cancelled")


@asynccontextmanager
async def connect(target: dict[str, Any]) -> AsyncIterator[Adapter]:
    """A connected client."""
    logs: list[tuple[float, str, Any]] = []

    async def keep(message: Any) -> None:
        logs.append((time.monotonic(), message.level, message.data))

    transport: Any
    if target["transport"] == "stdio":
        transport = StdioTransport(
            target["command"], target["args"], env=target["env"], keep_alive=False
        )
    elif target["transport"] == "sse":
        transport = SSETransport(target["url"])
    else:
        transport = StreamableHttpTransport(target["url"])
    mode = target.get("mode", "auto")
    async with Client(transport, mode=mode, log_handler=keep) as client:
        yield Adapter(client, logs)
