"""Attack 14: programs that do not want to end, wherever Python lets them stay.

Expected: limit (time), in each place, and what was printed before is kept.
"""

from __future__ import annotations

import pytest
from target import Target

OPTIONS = ("--timeout", "2", "--max-cells", "8")
FOREVER = "while True: pass"

PROGRAMS = {
    "plain": FOREVER,
    "except": """
while True:
    try:
        while True: pass
    except BaseException:
        continue
""",
    "finally": """
def f():
    try:
        while True: pass
    finally:
        f()
f()
""",
    "with": """
class Sticky:
    def __enter__(self): pass
    def __exit__(self, *error):
        while True:
            try:
                while True: pass
            except BaseException: pass
with Sticky():
    while True: pass
""",
    "atexit": """
import atexit
@atexit.register
def stay():
    while True: pass
""",
    "del": """
class Sticky:
    def __del__(self):
        while True: pass
it = Sticky()
del it
""",
    "del at the end": """
class Sticky:
    def __del__(self):
        while True: pass
it = Sticky()
""",
    "finalize": """
import weakref
class Thing: pass
it = Thing()
def stay():
    while True: pass
weakref.finalize(it, stay)
""",
    "ignored signal": """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True: pass
""",
    "handled signal": """
import signal
signal.signal(signal.SIGINT, lambda *_: None)
getattr(signal, 'alarm', int)(1)
while True: pass
""",
    "handler that stays": """
import signal
def stay(*_):
    while True: pass
signal.signal(signal.SIGINT, stay)
while True: pass
""",
    "excepthook": """
import sys
def stay(*_):
    while True: pass
sys.excepthook = stay
1 / 0
""",
    "unraisablehook": """
import sys
def stay(*_):
    while True: pass
sys.unraisablehook = stay
class Bad:
    def __del__(self): raise ValueError
Bad()
""",
    "trace": """
import sys
def stay(*_):
    while True:
        try:
            while True: pass
        except BaseException: pass
sys.settrace(stay)
def f(): pass
f()
""",
    "value": """
class Sticky:
    def __repr__(self):
        while True: pass
Sticky()
""",
    "message": """
class Sticky(Exception):
    def __str__(self):
        while True: pass
raise Sticky
""",
    "exit status": """
class Sticky:
    def __str__(self):
        while True: pass
raise SystemExit(Sticky())
""",
    "stream": """
import sys
class Sticky:
    def write(self, text): pass
    def flush(self):
        while True: pass
sys.stdout = Sticky()
""",
    "event loop": """
import asyncio
while True:
    try:
        await asyncio.sleep(0)
    except BaseException:
        pass
""",
    "task": """
import asyncio
async def stay():
    while True:
        try:
            await asyncio.sleep(3600)
        except BaseException:
            pass
await asyncio.gather(stay(), stay())
""",
    "generator": """
def stay():
    while True:
        try:
            yield 1
        except BaseException:
            pass
it = stay()
next(it)
while True: it.throw(KeyboardInterrupt)
""",
    "hash": """
class Sticky:
    def __hash__(self):
        while True: pass
{Sticky(): 1}
""",
    "import": """
with open('/home/vitrine/sticky.py', 'w') as file:
    file.write('while True: pass')
import sticky
""",
    "metaclass": """
class Meta(type):
    def __instancecheck__(cls, it):
        while True: pass
class Sticky(metaclass=Meta): pass
isinstance(1, Sticky)
""",
    "sleep": "import time\nwhile True:\n try: time.sleep(3600)\n except BaseException: pass",
}


def test_programs_that_stay(shared: Target) -> None:
    codes = {name: f"print('before')\n{code}" for name, code in PROGRAMS.items()}
    for name, result in shared.attack_all(codes).items():
        assert (result["status"], result["limits"]) == ("limit", ["time"]), (name, result)
        assert result["stdout"] == "before\n", name


@pytest.mark.parametrize("name", ["plain", "except"])
def test_one_alone(shared: Target, name: str) -> None:
    """With a machine to itself: half a second for the interrupt, then it is gone."""
    result = shared.attack(PROGRAMS[name])
    assert (result["status"], result["exit_code"]) == ("limit", 124)
    assert result["timings"]["wall_ms"] >= 2000
