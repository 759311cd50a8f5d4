"""Attack 5, in files: libraries that a program writes itself and opens with ctypes or imports.

Expected: OSError or ImportError. Forged link records of modules that are mapped may also end the
cell (crash) or open a library; the server answers after each of them.
"""

from __future__ import annotations

import base64

from modules import RETURN_ZERO, TAG, Module
from test_attack_05_wheel import ENDLESS_ONES, FILENAME, IMPORTED, REFUSED
from victim import Victim
from wheels import Entry, wheel

OPEN = """
import base64, ctypes, importlib.machinery
from importlib.util import module_from_spec, spec_from_file_location
came = []
for n, text in enumerate(files):
    path = f'/tmp/m{n}.so'
    with open(path, 'wb') as file:
        file.write(base64.b64decode(text))
    try:
        ctypes.CDLL(path)
    except OSError as error:
        came.append(type(error).__name__)
    else:
        came.append('opened')
    loader = importlib.machinery.ExtensionFileLoader('a', path)
    try:
        module_from_spec(spec_from_file_location('a', path, loader=loader))
    except (ImportError, SystemError) as error:
        came.append(type(error).__name__)
    else:
        came.append('imported')
sorted(set(came))
"""

# Every word of the header, and of the first entries, set to what it should not be.
FORGE = """
import ctypes, demo
path = demo.__file__.replace('__init__.py', 'a.so')
with open(path, 'rb') as file:
    honest = file.read()
came = []
for at in range(first, min(first + 16, len(honest) - 3), 4):
    word = int.from_bytes(honest[at:at + 4], 'little')
    for value in (0, 1, word + 1, word - 1, 0x7fffffff, 0x80000000, 0xffffffff):
        forged = honest[:at] + (value % 2**32).to_bytes(4, 'little') + honest[at + 4:]
        with open(f'/tmp/{at}-{value}.so', 'wb') as file:
            file.write(forged)
        try:
            library = ctypes.CDLL(f'/tmp/{at}-{value}.so')
            came.append('opened')
            for name in ('PyInit_a', 'answer', 'data', 'PyInit_b'):
                if hasattr(library, name):
                    came.append('found')
        except OSError:
            came.append('refused')
for cut in range(first, min(first + 16, len(honest))):
    with open(f'/tmp/cut-{cut}.so', 'wb') as file:
        file.write(honest[:cut])
    try:
        ctypes.CDLL(f'/tmp/cut-{cut}.so')
        came.append('opened cut')
    except OSError:
        came.append('refused')
sorted(set(came))
"""


def test_modules(either_victim: Victim) -> None:
    every = [module.write() for module in (IMPORTED | ENDLESS_ONES).values()]
    every += [data for data in REFUSED.values() if len(data) < 10_000]
    files = [base64.b64encode(data).decode() for data in every]
    message = either_victim.server.call_message(OPEN, files=files)
    either_victim.server.send(message)
    result = either_victim.wait(message["id"])
    assert result["status"] == "success", result
    assert result["return_value"] == ["ImportError", "OSError"]


def test_forged_records(either_victim: Victim) -> None:
    module = Module(memory=64, table=2, functions={"PyInit_a": RETURN_ZERO, "answer": RETURN_ZERO})
    either_victim.serve("demo", (FILENAME, wheel(Entry(b"demo/a.so", module.write()), tag=TAG)))
    seen = set()
    for first in range(0, 200, 16):
        message = either_victim.server.call_message(FORGE, first=first)
        message["params"]["arguments"]["dependencies"] = ["demo"]
        either_victim.server.send(message)
        result = either_victim.wait(message["id"])
        assert result["status"] in ("success", "crash"), (first, result)
        seen |= set(result["return_value"] or [])
    assert "refused" in seen
    assert "opened cut" not in seen
