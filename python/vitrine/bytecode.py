"""Compile sources to bytecode, for the builder of environments.

The builder boots a guest, imports this module, and then asks for one file after the other: it puts
the source where this looks for it, calls `step`, and takes the bytecode from where this has put it.
Sources are compiled and never run, so a hostile one meets the compiler alone.
"""

import gc
import warnings
from importlib import _bootstrap_external as external
from importlib.util import source_hash

PATH_FILE = "/tmp/path"
SOURCE_FILE = "/tmp/source"
BYTECODE_FILE = "/tmp/bytecode"

# What a compiler says of foreign code is of no use to whoever installs it.
warnings.simplefilter("ignore")
# A syntax tree has no cycles worth a search.
gc.disable()


def bytecode_of(source: bytes, path: str) -> bytes:
    """Bytecode of the unchecked-hash kind (PEP 552); empty for what is not Python."""
    try:
        code = compile(source, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    return bytes(external._code_to_hash_pyc(code, source_hash(source), checked=False))


def step() -> None:
    """Compile the one file that lies there."""
    with open(PATH_FILE, encoding="utf-8") as file:
        path = file.read()
    with open(SOURCE_FILE, "rb") as file:
        source = file.read()
    made = bytecode_of(source, path)
    with open(BYTECODE_FILE, "wb") as file:
        file.write(made)
