"""Attack 19: output without end.

Expected: limit (output), `truncated` in the result, the first bytes of the output kept up to the
limit; the memory of the server is bounded by the limit, however much is written and in whatever
pieces. A terminal gets the same from `vitrine run`.
"""

from __future__ import annotations

import json
import time

from driver import Json, Program
from target import Target, status_of, wait_until

OPTIONS = ("--timeout", "20", "--output-limit", "1M", "--max-cells", "2")
LIMIT_BYTES = 1 << 20
# A server at rest has 8 MiB; an answer is a few copies of the output, escaped.
HIGH_WATER_MIB_MAX = 64
# Calls that a client makes without reading an answer, each of three megabytes.
CALLS = 120
UNREAD_MIB_MAX = 256

PROGRAMS = {
    "ten gigabytes": "line = 'x' * (10 << 20)\nfor _ in range(1000): print(line)",
    "one long line": """
import sys
for _ in range(1024): sys.stdout.write('x' * (1 << 20))
""",
    "one long print": "print('x' * (200 << 20))",
    "tiny writes": "import os\nfor _ in range(10_000_000): os.write(1, b'x')",
    "tiny prints": "for _ in range(10_000_000): print(end='x')",
    "unbuffered": "for _ in range(10_000_000): print(end='x', flush=True)",
    "os.write": "import os\nos.write(1, b'x' * (100 << 20))",
    "os.writev": "import os\nos.writev(1, [b'x' * 2000] * 1000)",
    "errors": "import os\nos.write(2, b'x' * (100 << 20))",
    "both": "import os\nwhile True:\n    os.write(1, b'x' * 999)\n    os.write(2, b'y' * 999)",
    "caught": """
import os
while True:
    try: os.write(1, b'x' * 999)
    except BaseException: pass
""",
    "printed from a handler": """
import sys
def tell(*error):
    while True: print('x' * 1000)
sys.excepthook = tell
1 / 0
""",
    "by its name": "open('/dev/stdout', 'w').write('x' * (2 << 20))",
    "duplicates": "import os\nf = os.dup(1)\nwhile True: os.write(f, b'x' * 4096)",
    "libc": "import ctypes\nC = ctypes.CDLL(None)\nwhile True: C.puts(b'x' * 4000)",
    "not text": "import os\nwhile True: os.write(1, b'\\xff\\x00' * 2048)",
    "to be escaped": "import os\nwhile True: os.write(1, b'\\0\\x1b' * 2048)",
}  # fmt: skip


def high_water_mib(pid: int) -> int:
    """The most memory that a process has had."""
    return int(status_of(pid)["VmHWM"].split()[0]) >> 10


def test_output_without_end(shared: Target) -> None:
    for name, code in PROGRAMS.items():
        result = shared.attack(code)
        assert (result["status"], result["limits"]) == ("limit", ["output"]), (
            name,
            result["error"],
        )
        assert result["truncated"]["stdout"] or result["truncated"]["stderr"]
        parts = [item["text"] for item in result["output"]]
        if name != "not text":  # each wrong byte becomes a character
            assert sum(map(len, parts)) == LIMIT_BYTES, name
        assert "".join(parts[:1])[:1] in "x\N{REPLACEMENT CHARACTER}\0", name
    assert high_water_mib(shared.pid) < HIGH_WATER_MIB_MAX


def test_lines_by_the_hundred_thousand(shared: Target) -> None:
    """The order of both streams is told line by line at first, then stream by stream."""
    code = "import sys\nwhile True: print(1); print(2, file=sys.stderr)"
    message = shared.server.call_message(code)
    shared.server.send(message)
    answer = shared.server.answer_to(message["id"])
    assert answer["result"]["structuredContent"]["limits"] == ["output"]
    assert len(json.dumps(answer)) < 8 * LIMIT_BYTES


def test_a_command_says_the_same(vitrine: Program) -> None:
    done = vitrine.code("print('x' * (100 << 20))", "--output-limit", "1M")
    assert done.stdout == b"x" * LIMIT_BYTES
    assert b"output limit of 1048576 bytes was reached" in done.stderr


def test_a_client_that_reads_nothing(vitrine: Program) -> None:
    """What it does not read is not kept for ever: the server stops reading requests first."""
    with vitrine.start("stdio", "--no-install") as server:
        assert server.stdin is not None and server.stdout is not None
        params = {"protocolVersion": "2025-11-25", "capabilities": {}}
        params["clientInfo"] = {"name": "test", "version": "1"}
        messages: list[Json] = [{"id": 0, "method": "initialize", "params": params}]
        call = {"name": "run_python_code", "arguments": {"python_code": "print('x' * 1_000_000)"}}
        messages += [
            {"id": number, "method": "tools/call", "params": call} for number in range(1, CALLS + 1)
        ]
        for message in messages:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        server.stdin.flush()
        wait_until(lambda: high_water_mib(server.pid) > 32, lambda: high_water_mib(server.pid))
        time.sleep(2)
        assert high_water_mib(server.pid) < UNREAD_MIB_MAX
        found = [json.loads(server.stdout.readline()) for _ in messages]
        assert {message["id"] for message in found} == set(range(CALLS + 1))
        assert high_water_mib(server.pid) < UNREAD_MIB_MAX
        server.stdin.close()
        assert server.wait(10) == 0
