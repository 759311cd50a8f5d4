"""fastmcp's server as a peer: a tool that evaluates Python in the server's own process.

Prints its port. No isolation of any kind: it shows what HTTP and MCP alone cost in Python.
"""

from __future__ import annotations

import socket

from fastmcp import FastMCP

server = FastMCP("bench")


@server.tool
def run_python_code(python_code: str) -> str:
    """Run Python."""
    return str(eval(python_code, {}))


if __name__ == "__main__":
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    print(port, flush=True)
    server.run(
        transport="http",
        host="127.0.0.1",
        port=port,
        stateless_http=True,
        json_response=True,
        show_banner=False,
        log_level="error",
    )
