"""Attack 17: bombs of a few bytes, and ways to become many.

Expected: bombs end in limit (memory, files or time) or are refused by their parser; processes and
threads cannot be started (OSError, RuntimeError); a million tasks are a matter of time or memory.
"""

from __future__ import annotations

from target import Target

OPTIONS = ("--timeout", "3", "--max-cells", "4", "--memory", "128M", "--file-bytes", "64M")

BOMBS = {
    "zlib": """
import zlib
packer = zlib.compressobj(9)
bomb = b''.join(packer.compress(bytes(1 << 22)) for _ in range(64)) + packer.flush()
assert len(bomb) < 1 << 20
zlib.decompress(bomb)
""",
    "zlib, in steps": """
import zlib
bomb = zlib.compress(bytes(1 << 25), 9)
kept = [zlib.decompress(bomb) for _ in range(100)]
""",
    "bz2": """
import bz2
bomb = bz2.compress(bytes(1 << 24))
kept = [bz2.decompress(bomb) for _ in range(100)]
""",
    "lzma": """
import lzma
bomb = lzma.compress(bytes(1 << 24), preset=0)
kept = [lzma.decompress(bomb) for _ in range(100)]
""",
    "zip in files": """
import io, zipfile
file = io.BytesIO()
with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as archive:
    for i in range(8): archive.writestr(f'{i}', bytes(1 << 24))
for i in range(100): zipfile.ZipFile(file).extractall(f'/tmp/{i}')
""",
    "json": "import json\njson.loads('[' + '[],' * 10**7 + '[]]')",
    "json, numbers": "import json\njson.loads('1' * 10**7)",
    "pickle": r"""
import pickle
pickle.loads(b'\x80\x04]\x94(' + b'h\0' * 10**7 + b'e.')
kept = [pickle.loads(b'\x80\x04](' + b']' * 10**6 + b'e.') for _ in range(100)]
""",
    "pickle, length": r"""
import pickle
pickle.loads(b'\x80\x05\x96' + (2**31 - 100).to_bytes(8, 'little') + b'x.')
raise ValueError
""",
    "entities": """
import xml.etree.ElementTree as tree
lines = [f'<!ENTITY a{i} "' + f'&a{i - 1};' * 10 + '">' for i in range(1, 12)]
tree.fromstring('<!DOCTYPE l [<!ENTITY a0 "ha">' + ''.join(lines) + ']><l>&a11;</l>')
""",
    "csv": "import csv\nlist(csv.reader(['\"' + 'x' * 10**7]))",
    "tasks": """
import asyncio
async def wait(): await asyncio.sleep(3600)
await asyncio.gather(*(wait() for _ in range(10**6)))
""",
    "tasks that make tasks": """
import asyncio
async def breed():
    await asyncio.gather(breed(), breed())
await breed()
""",
}
BOMB_ERRORS = ("xml.etree.ElementTree.ParseError", "ValueError", "_csv.Error", "EOFError",
               "_pickle.UnpicklingError", "OverflowError")  # fmt: skip

STARTS = {
    "fork": "import os\nos.fork()",
    "forkpty": "import os\nos.forkpty()",
    "exec": "import os\nos.execv('/bin/sh', ['sh'])",
    "spawn": "import os\nos.posix_spawn('/bin/sh', ['sh'], {})",
    "spawnv": "import os\nos.spawnv(os.P_WAIT, '/bin/sh', ['sh'])",
    "popen": "import os\nos.popen('id').read()",
    "subprocess": "import subprocess\nsubprocess.run(['id'])",
    "multiprocessing": "import multiprocessing as m\nm.Process(target=print).start()",
    "thread": "import threading\nthreading.Thread(target=print).start()",
    "_thread": "import _thread\n_thread.start_new_thread(print, ())",
    "pool": "from concurrent.futures import ThreadPoolExecutor as P\nP().submit(print).result()",
    "processes": """
from concurrent.futures import ProcessPoolExecutor
ProcessPoolExecutor().submit(print).result()
""",
    "interpreter": "from concurrent import interpreters\ninterpreters.create()",
    "libc": "import ctypes\nif ctypes.CDLL(None).fork() < 0: raise OSError",
    "pthread": """
import ctypes
C = ctypes.CDLL(None)
@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
def start(argument): print('a thread')
if C.pthread_create(ctypes.create_string_buffer(64), None, start, None): raise RuntimeError
""",
}  # fmt: skip
START_ERRORS = ("OSError", "RuntimeError", "AttributeError", "ModuleNotFoundError", "ImportError",
                "NotImplementedError", "NameError")  # fmt: skip


def test_bombs(shared: Target) -> None:
    for name, result in shared.attack_all(BOMBS).items():
        assert result["status"] in ("limit", "run-error"), (name, result)
        if result["status"] == "limit":
            assert set(result["limits"]) & {"memory", "time", "file-bytes"}, (name, result)
        else:
            assert result["error"]["type"] in BOMB_ERRORS, (name, result)


def test_becoming_many(shared: Target) -> None:
    for name, result in shared.attack_all(STARTS).items():
        assert result["status"] == "run-error", (name, result)
        assert result["error"]["type"] in START_ERRORS, (name, result)
        assert result["stdout"] == "", name


def test_a_shell(shared: Target) -> None:
    result = shared.attack("import os\nos.system('id; echo here')")
    assert (result["status"], result["return_value"], result["stdout"]) == ("success", -1, "")
