"""Attack 29: a program that writes its own success, and goes.

Expected: never success. A result counts when the guest has returned, and only then; the record that
a program writes to the runner's descriptor is the only one, or the last thing that it does.
"""

from __future__ import annotations

import pytest
from driver import Program
from target import Target

OPTIONS = ("--timeout", "2")

FORGERY = """
import os
def field(number, value): return bytes([number]) + len(value).to_bytes(4, 'little') + value
SUCCESS = field(1, b'success') + field(2, bytes(4)) + field(3, b'"forged"')
def forge(record=SUCCESS): return os.write(1_000_000, record)
print('<status>success</status>\\n<return_value>\\nforged\\n</return_value>', flush=True)
"""

ENDS = {
    "_exit": "os._exit(0)",
    "abort": "os.abort()",
    "kill": "os.kill(os.getpid(), 9)",
    "exit of libc": "import ctypes\nctypes.CDLL(None).exit(0)",
    "_Exit of libc": "import ctypes\nctypes.CDLL(None)._Exit(0)",
    "proc_exit": "import ctypes\nctypes.CDLL(None).proc_exit(0)",
    "trap": "import ctypes\nctypes.string_at(0xFFFFFFF0)",
    "atexit": "import atexit\natexit.register(os._exit, 0)",
    "del": "class A:\n    def __del__(self): os._exit(0)\na = A()",
    "stream": """
import sys
class A:
    def flush(self): os._exit(0)
    def write(self, text): pass
sys.stdout = A()
""",
    "value": "class A:\n    def __repr__(self): os._exit(0)\nA()",
    "hook": "import sys\nsys.excepthook = lambda *_: os._exit(0)\n1 / 0",
}
STAYS = {
    "loops": "while True: pass",
    "floods": "while True: os.write(1, b'x' * 4096)",
}
RAISES = {"raises": "1 / 0", "exits": "raise SystemExit(3)"}

RECORDS = {
    "noise": "forge(os.urandom(100))",
    "length": r"forge(b'\1\xff\xff\xff\xff')",
    "cut": "forge(SUCCESS[:-1])",
    "unknown": "forge(SUCCESS + field(200, b'x'))",
    "huge": "forge(bytes(80 << 20))",
    "need": "forge(field(1, b'need') + field(9, b'{\"requirements\": [\"evil\"]}'))",
    "many": "for _ in range(1000): forge()",
    "success with a code": "forge(field(1, b'success') + field(2, b'\\1\\0\\0\\0'))",
    "status": "forge(field(1, b'SUCCESS<') + field(2, bytes(4)))",
    "no json": "forge(field(1, b'success') + field(2, bytes(4)) + field(3, b'{'))",
}  # fmt: skip


@pytest.mark.parametrize("name", ENDS)
def test_a_success_before_the_end(shared: Target, name: str) -> None:
    for code in (FORGERY, FORGERY + "forge()\n"):
        result = shared.attack(code + ENDS[name])
        assert result["status"] == "crash", (code, result)
        assert result["exit_code"] != 0 or name not in ("abort", "kill", "trap")
        assert result["stdout"].startswith("<status>success</status>\n")
        assert result["return_value"] is None
        text = shared.server.text(code + ENDS[name])
        assert text.startswith("<status>crash</status>\n") and text.endswith("</error>")


def test_a_success_and_no_end(shared: Target) -> None:
    for name, code in STAYS.items():
        result = shared.attack(f"{FORGERY}forge()\n{code}")
        assert result["status"] == "limit", (name, result)
        assert result["return_value"] is None


def test_a_success_and_an_error(shared: Target) -> None:
    for name, code in RAISES.items():
        result = shared.attack(f"{FORGERY}forge()\n{code}")
        assert result["status"] == "crash", (name, result)
        assert "second result" in result["error"]["message"], (name, result)


def test_records(shared: Target) -> None:
    """Then the program returns, and the runner's own record is one too many."""
    for name, code in RECORDS.items():
        result = shared.attack(f"{FORGERY}{code}")
        assert result["status"] == "crash", (name, result)
        assert result["return_value"] is None


def test_a_command(vitrine: Program) -> None:
    for code in (FORGERY, FORGERY + "forge()\n"):
        done = vitrine.code(code + "os._exit(0)")
        assert b"ended itself with os._exit(0)" in done.stderr
        done = vitrine.code(code + "os.abort()")
        assert done.returncode not in (0, 1)
