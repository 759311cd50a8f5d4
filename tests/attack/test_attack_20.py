"""Attack 20: waiting for what never comes.

Expected: input ends at once (EOF); everything else that waits is limit (time), with hardly any CPU
time used, or says at once that it cannot wait.
"""

from __future__ import annotations

from target import Target

OPTIONS = ("--timeout", "1")
CPU_MS_MAX = 900
# Without threads nobody could ever release a lock; the guest's C library looks again and again.
BUSY = ("lock",)

INPUT = {
    "input()": ("input()", "EOFError"),
    "input(), often": ("while True:\n    try: input()\n    except Exception: raise", "EOFError"),
    "read": ("import sys\nassert sys.stdin.read() == ''", None),
    "readline": ("import sys\nassert sys.stdin.readline() == ''", None),
    "os.read": ("import os\nassert os.read(0, 100) == b''", None),
    "tty": ("open('/dev/tty')", "FileNotFoundError"),
    "getpass": ("import getpass\ngetpass.getpass()", "EOFError"),
    "select of input": ("import select\nassert select.select([0], [], [], 3600)[0] == [0]", None),
    "an empty pipe": ("import os\nos.read(os.pipe()[0], 1)", "BlockingIOError"),
    "a debugger": ("breakpoint()", "SystemExit"),
    "help": ("help()", None),
}

WAITS = {
    "sleep": "import time\ntime.sleep(10**8)",
    "sleeps": "import time\nwhile True: time.sleep(0.01)",
    "sleep, caught": "import time\nwhile True:\n try: time.sleep(9)\n except BaseException: pass",
    "select": "import select\nselect.select([], [], [])",
    "select of a pipe": "import os, select\nselect.select([os.pipe()[0]], [], [])",
    "poll": """
import os, select
poll = select.poll()
poll.register(os.pipe()[0], select.POLLIN)
poll.poll()
""",
    "lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "asyncio": "import asyncio\nawait asyncio.Event().wait()",
    "asyncio, sleep": "import asyncio\nawait asyncio.sleep(10**6)",
    "libc": "import ctypes\nctypes.CDLL(None).sleep(3600)",
    "nanosleep": "import ctypes\nC = ctypes.CDLL(None)\nwhile True: C.usleep(500_000)",
}


def test_input(shared: Target) -> None:
    codes = {name: code for name, (code, _) in INPUT.items()}
    for name, result in shared.attack_all(codes).items():
        wanted = INPUT[name][1]
        if wanted is None:
            assert result["status"] == "success", (name, result)
        else:
            assert result["status"] == "run-error", (name, result)
            assert result["error"]["type"] == wanted, (name, result)


def test_waiting(shared: Target) -> None:
    for name, result in shared.attack_all(WAITS).items():
        assert (result["status"], result["limits"]) == ("limit", ["time"]), (name, result)
        assert name in BUSY or result["timings"]["cpu_ms"] < CPU_MS_MAX, (name, result)
