"""The official Python SDK, first line, of which most clients in the field are made. See tour.py."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp import ClientSession, McpError, StdioServerParameters, types
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client


class Adapter:
    """What the tour asks of a client."""

    errors = (McpError,)

    def __init__(
        self,
        session: ClientSession,
        hello: types.InitializeResult,
        logs: list[tuple[float, str, Any]],
    ) -> None:
        self.session = session
        self.logs = logs
        self.starting = asyncio.Lock()
        self.version = str(hello.protocolVersion)
        self.server_name = hello.serverInfo.name

    async def list_tools(self) -> list[str]:
        return [tool.name for tool in (await self.session.list_tools()).tools]

    async def set_level(self, level: Any) -> None:
        await self.session.set_logging_level(level)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], on_progress: Callable[[float], None] | None
    ) -> dict[str, Any]:
        async def keep(progress: float, _total: float | None, _message: str | None) -> None:
            if on_progress is not None:
                on_progress(progress)

        result = await self.session.call_tool(name, arguments, progress_callback=keep)
        return {
            "text": result.content[0].text,
            "structured": result.structuredContent,
            "is_error": result.isError,
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
        """This SDK tells the server nothing when a call is given up; its user has to."""
        async with self.starting:
            number = self.session._request_id
            task = asyncio.create_task(self.call(code))
            while self.session._request_id == number:
                await asyncio.sleep(0)
        await asyncio.sleep(1)
        assert not task.done(), "the call was not running"
        params = types.CancelledNotificationParams(requestId=number, reason="no need")
        await self.session.send_notification(
            types.ClientNotification(
                types.CancelledNotification(method="notifications/cancelled", params=params)
            )
        )
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def streams_to(target: dict[str, Any]) -> AsyncIterator[Any]:
    """The transport's two streams."""
    if target["transport"] == "stdio":
        parameters = StdioServerParameters(
            command=target["command"], args=target["args"], env=target["env"]
        )
        async with stdio_client(parameters) as streams:
            yield streams
    elif target["transport"] == "sse":
        async with sse_client(target["url"]) as streams:
            yield streams
    else:
        async with streamable_http_client(target["url"]) as (reader, writer, _):
            yield reader, writer


@asynccontextmanager
async def connect(target: dict[str, Any]) -> AsyncIterator[Adapter]:
    """A connected client."""
    logs: list[tuple[float, str, Any]] = []

    async def keep(params: Any) -> None:
        logs.append((time.monotonic(), params.level, params.data))

    async with (
        streams_to(target) as (reader, writer),
        ClientSession(reader, writer, logging_callback=keep) as session,
    ):
        yield Adapter(session, await session.initialize(), logs)
