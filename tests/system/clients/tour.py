"""A tour through a server with one client library, as a program.

    tour.py LIBRARY TARGET

LIBRARY is a module beside this file (mcp2, fast, mcp1), whose `connect(target)` gives a client.
TARGET is JSON: {"transport": "stdio", "command", "args", "env"} or {"transport": "http" | "sse",
"url"}, with "mode" ("legacy", "2026-07-28" or "auto") where the library knows eras. What the client
saw is printed as JSON, one member for each step; a step that raised holds {"failure": its text}.
tour.mjs does the same in JavaScript, and test_client_tours.py judges both.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

# What must come back as it went: beyond the BMP, right to left, combining, and what JSON, lines and
# event streams could trip over.
TEXT = "naïve 日本語 🦔 שלום e\u0301 \u2028\u2029\x85 \u0000 \x1f \\ \" ' </output> \r\n\ttab"
# Lines 0.4 s apart, on both streams: those of the call's begin must be there long before its end.
TALK = """
import sys, time
for number in range(6):
    print('line', number, file=sys.stderr if number == 3 else sys.stdout, flush=True)
    time.sleep(0.4)
'done'
"""
SIDE_BY_SIDE = """
import time
begin = time.time()
time.sleep(1.5)
[me, begin, time.time()]
"""
CALLS = 6  # as many as the server runs at once (test_client_tours.py starts it so)


async def server(client: Any) -> Any:
    """Whom we talk to, and what there is to call."""
    tools = await client.list_tools()
    return {"version": client.version, "name": client.server_name, "tools": tools}


async def value(client: Any) -> Any:
    """A value, as text and as structured content."""
    return await client.call("{'answer': 6 * 7}")


async def error(client: Any) -> Any:
    """A failing program is a result that says so."""
    return await client.call("1 / 0")


async def unknown_tool(client: Any) -> Any:
    """An unknown tool is an error of the protocol, and the conversation goes on."""
    try:
        return await client.call_tool("no_such_tool", {}, None)
    except client.errors as problem:
        return {"raised": str(problem)}


async def unicode(client: Any) -> Any:
    """Text comes back as it went."""
    result = await client.call("print(text)\ntext", {"text": TEXT})
    result["sent"] = TEXT
    return result


async def large(client: Any) -> Any:
    """A result of 400 kB, twice in the answer: a client takes events of at most 1 MiB."""
    return await client.call("'é' * 200_000")


async def talk(client: Any) -> Any:
    """Log messages and progress, while the code runs."""
    await client.set_level("debug")
    client.logs.clear()
    progress: list[tuple[float, float]] = []
    begin = time.monotonic()
    result = await client.call(TALK, on_progress=lambda n: progress.append((time.monotonic(), n)))
    end = time.monotonic()
    return {
        "result": result,
        "seconds": end - begin,
        "logs": [[when - begin, level, data] for when, level, data in client.logs],
        "progress": [[when - begin, number] for when, number in progress],
    }


async def parallel(client: Any) -> Any:
    """Calls that run at the same time, each with an answer of its own."""
    calls = [client.call(SIDE_BY_SIDE, {"me": number}) for number in range(CALLS)]
    return [result["structured"]["return_value"] for result in await asyncio.gather(*calls)]


async def cancel(client: Any) -> Any:
    """Calls given up by the client end: as many others run at once, for which there was no room."""
    await asyncio.gather(*(client.cancelled("import time\ntime.sleep(1000)") for _ in range(CALLS)))
    return await parallel(client)


Step = Callable[[Any], Awaitable[Any]]
STEPS: list[Step] = [server, value, error, unknown_tool, unicode, large, talk, parallel, cancel]


async def tour(library: str, target: dict[str, Any]) -> dict[str, Any]:
    """Walk all steps with one connection."""
    report: dict[str, Any] = {}
    async with importlib.import_module(library).connect(target) as client:
        for step in STEPS:
            if step.__name__ in target.get("without", []):
                continue
            try:
                report[step.__name__] = await asyncio.wait_for(step(client), 30)
            except Exception:
                report[step.__name__] = {"failure": traceback.format_exc()}
    return report


if __name__ == "__main__":
    print(json.dumps(asyncio.run(tour(sys.argv[1], json.loads(sys.argv[2])))))
