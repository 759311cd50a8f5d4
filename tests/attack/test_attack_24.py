"""Attack 24: a program leaves everything behind that it can, for the one that comes after it.

Expected: the next run, in the same server, is as the first one was: builtins, modules, codecs,
paths, hooks, files, environment, and the runner itself.
"""

from __future__ import annotations

import pytest
from target import Target

OPTIONS = ("--timeout", "5", "--memory", "256M")

# Everything that an earlier program could have changed and a later one could see.
FACTS = """
import sys
modules = sorted(sys.modules)
import asyncio, atexit, builtins, codecs, decimal, gc, io, json, locale
import os, signal, threading, time, types, warnings
import vitrine
from vitrine import execute, report, runner, streams, values
spaces = [builtins, sys, os, json, codecs, io, types, runner, execute, report, streams, values]
def kinds(space):
    return sorted((name, type(value).__name__, getattr(value, '__module__', None) or '')
                  for name, value in vars(space).items())
def tree(path):
    return sorted(f'{folder}/{name}' for folder, _, names in os.walk(path) for name in names)
[
    modules,
    [kinds(space) for space in spaces],
    [sys.path, sys.meta_path.__len__(), sys.path_hooks.__len__(), sys.argv, sys.orig_argv],
    [sys.gettrace() is None, sys.getprofile() is None, threading._trace_hook is None],
    [sys.excepthook is sys.__excepthook__, sys.displayhook is sys.__displayhook__,
     sys.unraisablehook is sys.__unraisablehook__, sys.breakpointhook is sys.__breakpointhook__],
    [sys.getrecursionlimit(), sys.get_int_max_str_digits(), sys.getswitchinterval()],
    [os.getcwd(), tree('/tmp'), tree('/home'), os.umask(0o22), sorted(os.environ.items())],
    [type(sys.stdout).__name__, sys.stdout.encoding, sys.stderr.errors, sys.stdin.encoding],
    ['caf\\xe9'.encode(), codecs.lookup('utf-8').name, 'x'.encode('ascii')],
    [json.dumps({'a': [1.5, None]}), json.loads('[1]'), int('12'), repr(1.0), sum([1, 2])],
    [gc.isenabled(), gc.get_threshold(), gc.get_debug(), warnings.filters.__len__()],
    [repr(decimal.getcontext()), time.tzname, locale.setlocale(locale.LC_ALL)],
    [str(signal.getsignal(signal.SIGINT)), atexit._ncallbacks(), len(threading.enumerate())],
    open(json.__file__).read().__len__(), open(os.__file__).read().__len__(),
    os.dup(0),
]
"""

ATTACKS = {
    "builtins": """
import builtins
for name in ('print', 'open', 'len', 'repr', 'isinstance', 'type', 'str', '__import__'):
    if name != 'type': setattr(builtins, name, lambda *a, **k: 'evil')
builtins.evil = 1
""",
    "modules": """
import sys, types, json, os
sys.modules['evil'] = types.ModuleType('evil')
json.loads = lambda *a: 'evil'
for name in list(sys.modules):
    if name.startswith('vitrine'): vars(sys.modules[name]).update(evil=1)
sys.modules.pop('re', None)
""",
    "the runner": """
from vitrine import execute, hooks, report, runner, streams, values, wire
for module in (execute, hooks, report, runner, streams, values, wire):
    for name, value in list(vars(module).items()):
        if callable(value) and not isinstance(value, type):
            setattr(module, name, lambda *a, **k: b'evil')
""",
    "codecs": """
import codecs, encodings
codecs.register(lambda name: codecs.lookup('rot13') if name == 'utf_8' else None)
codecs.register_error('strict', lambda error: ('evil', error.end))
encodings._cache.clear()
encodings.search_function = None
""",
    "paths": """
import os, sys
sys.path[:] = ['/tmp/evil']
sys.meta_path.clear()
sys.path_hooks.clear()
os.makedirs('/tmp/evil')
for name in ('json', 'os', 'sitecustomize', 'usercustomize', 'vitrine'):
    with open(f'/tmp/evil/{name}.py', 'w') as file: file.write('evil = 1')
    with open(f'/home/vitrine/{name}.py', 'w') as file: file.write('evil = 1')
""",
    "hooks": """
import sys, threading
evil = lambda *a, **k: None
sys.settrace(evil)
sys.setprofile(evil)
threading.settrace(evil)
sys.excepthook = sys.displayhook = sys.unraisablehook = sys.breakpointhook = evil
sys.addaudithook(evil)
sys.setrecursionlimit(200)
sys.set_int_max_str_digits(0)
""",
    "surroundings": """
import decimal, gc, locale, os, signal, time, warnings
os.mkdir('/tmp/evil')
os.chdir('/tmp/evil')
os.umask(0o777)
os.environ.clear()
os.environ['TZ'] = 'EVIL-7'
time.tzset()
gc.disable()
gc.set_debug(0)
decimal.getcontext().prec = 1
decimal.DefaultContext.prec = 1
warnings.simplefilter('error')
signal.signal(signal.SIGINT, signal.SIG_IGN)
""",
    "the library": """
import json, os
for module in (json, os):
    try:
        with open(module.__file__, 'w') as file: file.write('evil = 1')
    except OSError: pass
try: os.rename('/lib/python3.14/re', '/lib/python3.14/evil')
except OSError: pass
for root, names, _ in os.walk('/lib/python3.14'):
    try: os.unlink(root + '/__init__.py')
    except OSError: pass
""",
    "descriptors": """
import os, sys
for fd in range(3):
    os.dup2(os.open('/tmp/evil', os.O_CREAT | os.O_RDWR), fd)
kept = [open(f'/tmp/{i}', 'w') for i in range(100)]
sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None
""",
    "interpreter": """
import ctypes
# A number, and a text, that everybody has.
ctypes.c_uint32.from_address(id(7) + 12).value = 8
ctypes.c_uint8.from_address(id('utf-8') + 28).value ^= 1
""",
    "memory": """
import ctypes
C = ctypes.CDLL(None)
C.emscripten_get_heap_size.restype = ctypes.c_uint32
size = C.emscripten_get_heap_size()
kept = []
while True:
    at = C.malloc(1 << 16)
    if at in (0, None): break
    kept.append(at)
    if len(kept) > 500: break
ctypes.memset(1024, 0xAA, 4 << 20)
""",
    "tasks": """
import asyncio, atexit, threading, weakref
async def evil():
    while True: await asyncio.sleep(0)
task = asyncio.ensure_future(evil())
atexit.register(print, 'evil')
await asyncio.sleep(0.01)
""",
}


@pytest.fixture(scope="module")
def pristine(shared_target: Target) -> object:
    """The facts before anything has happened."""
    first = shared_target.attack(FACTS)
    assert first["status"] == "success", first
    return first["return_value"]


@pytest.mark.parametrize("name", ATTACKS)
def test_the_next_run(shared: Target, pristine: object, name: str) -> None:
    result = shared.attack(ATTACKS[name])
    assert result["status"] in ("success", "run-error", "crash", "limit"), result
    for _ in range(3):  # with spare cells that were forked before, meanwhile and after
        result = shared.attack(FACTS)
        assert (result["status"], result["stdout"], result["stderr"]) == ("success", "", "")
        assert result["return_value"] == pristine


def test_the_attacks_are_some(shared: Target, pristine: object) -> None:
    """Within their own run they are seen: what the facts compare is what they change."""
    seen = [
        name
        for name in ("modules", "hooks", "surroundings", "paths", "interpreter")
        if shared.attack(f"{ATTACKS[name]}\n{FACTS}")["return_value"] != pristine
    ]
    assert len(seen) == 5, seen
