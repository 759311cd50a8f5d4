"""Attack 28: what is known to crash CPython itself.

Expected: crash (or an error, where this version withstands), with what was printed before; the
process of the cell ends as its guest did.
"""

from __future__ import annotations

import pytest
from target import Target

OPTIONS = ("--timeout", "3", "--memory", "256M")

# Bytecode and marshalled data without sense, from many seeds.
NOISE = """
import random, types
random.seed(seed)
def f(a=1, *b, c=2, **d):
    try:
        for x in range(a): yield x, b, c, d
    except ValueError: pass
sane = f.__code__
for _ in range(200):
    code = bytearray(sane.co_code)
    for _ in range(random.randrange(1, 8)):
        code[random.randrange(len(code))] = random.randrange(256)
    f.__code__ = sane.replace(co_code=bytes(code), co_stacksize=random.choice([0, 1, 5, 100]))
    try: list(f(3))
    except Exception: pass
"""
ONLY_NOISE = """
import random
random.seed(seed)
def f(): return 1
for _ in range(100):
    f.__code__ = f.__code__.replace(co_code=random.randbytes(2 * random.randrange(1, 40)))
    try: f()
    except BaseException: pass
"""
MARSHAL = """
import marshal, random
random.seed(seed)
for _ in range(3000):
    try: marshal.loads(random.randbytes(random.randrange(200)))
    except Exception: pass
sane = marshal.dumps(compile('def f(a, *b): return [x for x in a if b]\\nf([1], 2)', 'x', 'exec'))
for _ in range(500):
    bad = bytearray(sane)
    for _ in range(3): bad[random.randrange(len(bad))] = random.randrange(256)
    try: exec(marshal.loads(bytes(bad)))
    except Exception: pass
"""

CRASHERS = {
    "constants that are not there": """
def f(): return 1000, 2000
f.__code__ = f.__code__.replace(co_code=bytes([83, 250]) * 50, co_consts=())
f()
""",
    "a stack of nothing": """
def f(): return (1, 2, 3, [4, 5])
f.__code__ = f.__code__.replace(co_stacksize=0)
for _ in range(1000): f()
""",
    "names that are not there": """
def f(): return evil.evil
f.__code__ = f.__code__.replace(co_names=())
f()
""",
    "an address": "import ctypes\nctypes.string_at(0xFFFFFFF0)",
    "a null pointer": "import ctypes\nctypes.memset(0, 0, 1 << 20)\nprint('after')",
    "all of memory": "import ctypes\nctypes.memset(16, 255, 4 << 20)\nprint('after')",
    "the count of None": """
import ctypes
ctypes.c_int32.from_address(id(None)).value = 0
x = [None] * 100
del x
""",
    "an object twice": """
import ctypes
x = [[] for _ in range(100)]
for y in x: ctypes.pythonapi.Py_DecRef(ctypes.py_object(y))
for y in x: ctypes.pythonapi.Py_DecRef(ctypes.py_object(y))
del x, y
z = [[] for _ in range(1000)]
""",
    "the type of a type": """
import ctypes
ctypes.c_uint32.from_address(id(type) + 4).value = 7
class A: pass
""",
    "a fatal error": "import ctypes\nctypes.pythonapi.Py_FatalError(b'evil')",
    "no thread state": "import ctypes\nctypes.pythonapi.PyEval_SaveThread()\nprint('after')",
    "the end of the interpreter": "import ctypes\nctypes.pythonapi.Py_FinalizeEx()\nprint('after')",
    "an interpreter in it": "import ctypes\nctypes.pythonapi.Py_NewInterpreter()\nprint('after')",
    "faulthandler": "import faulthandler\nfaulthandler._sigsegv()",
    "faulthandler, stack": "import faulthandler\nfaulthandler._stack_overflow()",
    "abort": "import os\nos.abort()",
    "kill": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "a signal": "import signal\nsignal.raise_signal(signal.SIGSEGV)",
    "a trace that moves on": """
import sys
def trace(frame, event, argument):
    try: frame.f_lineno = 1000
    except ValueError: pass
    frame.f_trace_opcodes = True
    return trace
def f():
    for i in range(3):
        with open('/dev/null'): pass
sys.settrace(trace)
f()
""",
    "a frame that is cleared": """
import sys
def f(): return sys._getframe()
frame = f()
frame.clear()
frame.f_locals['x'] = frame
del frame
""",
    "a generator in itself": """
def f(): yield from it
it = f()
next(it)
""",
    "a comparison that empties": """
class A:
    def __eq__(self, other):
        it.clear()
        return False
it = [A() for _ in range(100)]
it.remove(0)
it.index(1)
""",
    "a sort that empties": """
class A:
    def __lt__(self, other):
        it.clear()
        return True
it = [A() for _ in range(100)]
it.sort()
""",
    "a buffer that moves": """
x = bytearray(b'x' * 1000)
class A:
    def __index__(self):
        x.clear()
        return 65
x[:] = [A() for _ in range(100)]
x[500] = A()
""",
    "a method order": """
class A: pass
class B(A): pass
class M(type):
    def mro(cls):
        if hasattr(cls, 'x'): cls.__bases__ = (A,)
        return type.mro(cls)
class C(B, metaclass=M): x = 1
C.__bases__ = (A,)
""",
    "modules that are gone": """
import sys, gc
class A:
    def __del__(self):
        sys.modules.clear()
        gc.collect()
it = A()
sys.modules.clear()
del it
""",
    "no builtins": "import builtins\nbuiltins.__dict__.clear()\nevil",
    "a struct": "import _struct\n_struct.unpack_from('1000000000s', b'')",
    "an element": """
import xml.etree.ElementTree as tree
class A:
    def __eq__(self, other): e.clear(); return False
e = tree.Element('a')
e.extend([tree.Element('b') for _ in range(10)])
e.remove(e[5])
e.__setstate__({'tag': 1, '_children': [1, 2], 'attrib': 3})
""",
    "an iterator of itself": """
import itertools
class A:
    def __iter__(self): return self
    def __next__(self): return next(it)
it = itertools.chain.from_iterable(A())
next(it)
""",
    "callbacks that raise": """
import ctypes
@ctypes.CFUNCTYPE(ctypes.py_object)
def evil(): raise SystemExit
try: evil()
except BaseException: pass
ctypes.PYFUNCTYPE(ctypes.py_object)(ctypes.cast(evil, ctypes.c_void_p).value)()
""",
}


def check(target: Target, name: str, code: str, **variables: int) -> str:
    result = target.attack("print('before', flush=True)\n" + code, **variables)
    assert result["status"] in ("success", "run-error", "crash", "limit"), (name, result)
    assert result["stdout"].startswith("before\n"), (name, result)
    return result["status"]


def test_crashers(shared: Target) -> None:
    ends = {name: check(shared, name, code) for name, code in CRASHERS.items()}
    crashed = [name for name, end in ends.items() if end == "crash"]
    assert len(crashed) > 8, ends
    for name in ("an address", "a fatal error", "abort", "kill", "a signal", "faulthandler"):
        assert ends[name] == "crash", ends


@pytest.mark.parametrize("code", [NOISE, ONLY_NOISE, MARSHAL], ids=["mutants", "noise", "marshal"])
def test_noise(shared: Target, code: str) -> None:
    ends = {check(shared, str(seed), code, seed=seed) for seed in range(6)}
    assert "crash" in ends or code == MARSHAL
