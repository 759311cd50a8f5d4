"""The platform's functions as the sources have them, and how a program calls them by ctypes."""

from __future__ import annotations

import re
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[2] / "src" / "guest" / "abi"
ROW = re.compile(r'\{"(?P<name>\w+)", "(?P<params>[ijfd]*):(?P<result>[ijfde]?)", \w+\}')
# What ends a guest by design, whatever its arguments are.
ENDING = {"proc_exit", "exit", "_abort_js"}

# For the head of a program: function(name) is the import itself, not what libc makes of it.
# Numbers are of the types that the import declares, so that the engine lets the call through.
REACH = """\
import ctypes
C = ctypes.CDLL(None)
TYPES = {'i': ctypes.c_uint32, 'j': ctypes.c_uint64, 'f': ctypes.c_float, 'd': ctypes.c_double}
def function(name):
    params, result = rows[name]
    found = C[name]
    found.argtypes = [TYPES[letter] for letter in params]
    found.restype = ctypes.c_int32 if result == 'i' else TYPES.get(result)
    return found
C.emscripten_get_heap_size.restype = ctypes.c_uint32
size = C.emscripten_get_heap_size()
"""


def rows() -> dict[str, tuple[str, str]]:
    """Name to the letters of parameters and result."""
    found = {}
    for path in sorted(SOURCES.glob("*.c")):
        for row in ROW.finditer(path.read_text(encoding="utf-8")):
            found[row["name"]] = (row["params"], row["result"])
    assert len(found) > 90, "the sources look different from what this file reads"
    return found
