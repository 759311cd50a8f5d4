"""LangChain's adapter, as a program: loads the tool of each server and calls it.

    langchain_adapters.py CONNECTIONS        JSON: name to what MultiServerMCPClient takes

Prints what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from langchain_mcp_adapters.callbacks import Callbacks
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools


async def main() -> dict[str, Any]:
    logs: list[list[Any]] = []

    async def keep(params: Any, context: Any) -> None:
        logs.append([context.server_name, params.level, params.data])

    connections = json.loads(sys.argv[1])
    client = MultiServerMCPClient(connections, callbacks=Callbacks(on_logging_message=keep))
    tools = await client.get_tools()
    value, *_ = await tools[0].ainvoke({"python_code": "sum(range(10))"})
    message = await tools[0].ainvoke(
        {
            "type": "tool_call",
            "id": "call-1",
            "name": "run_python_code",
            "args": {"python_code": "word * 2", "global_variables": {"word": "né"}},
        }
    )
    failed = await tools[0].ainvoke({"python_code": "1 / 0"})
    codes = [f"import time\ntime.sleep(0.2)\n{number}" for number in range(4)]
    many = await asyncio.gather(*(tools[0].ainvoke({"python_code": code}) for code in codes))
    async with client.session(next(iter(connections))) as session:
        # One session for several calls; each call of the tools above makes its own.
        held, *_ = await load_mcp_tools(session)
        again = [(await held.ainvoke({"python_code": code}))[0]["text"] for code in ("1", "2")]
        await session.set_logging_level("info")
        await session.call_tool("run_python_code", {"python_code": "print('seen')"})
    return {
        "tools": [tool.name for tool in tools],
        "schema": tools[0].args_schema,
        "value": value["text"],
        "message": [message.tool_call_id, message.content[0]["text"], message.artifact],
        "failed": json.dumps(failed),
        "many": [result[0]["text"] for result in many],
        "again": again,
        "logs": logs,
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
