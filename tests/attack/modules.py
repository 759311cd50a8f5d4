"""Side modules as an attacker writes them: each section can be set, right or wrong."""

from __future__ import annotations

from dataclasses import dataclass, field

from legacy_modules import section, sleb, uleb, vector

TAG = "cp314-cp314-pyemscripten_2026_0_wasm32"
I32_CONST, END, GLOBAL_GET, BR, LOOP, I32_ADD = 0x41, 0x0B, 0x23, 0x0C, 0x03, 0x6A
ENDLESS = bytes([LOOP, 0x40, BR, 0, END, END])
RETURN_ZERO = bytes([I32_CONST, 0, END])
EMPTY = bytes([END])


def text(value: str) -> bytes:
    """A name."""
    return uleb(len(value.encode())) + value.encode()


def at_base(offset: int = 0) -> bytes:
    """An address in the module's own memory."""
    return bytes([GLOBAL_GET, 0, I32_CONST]) + sleb(offset) + bytes([I32_ADD, END])


@dataclass
class Module:
    """One that exports an initialization function which returns NULL, unless told otherwise."""

    memory: int = 0  # what dylink.0 asks for
    memory_align: int = 0
    table: int = 0
    table_align: int = 0
    dylink: bytes | None = None  # the whole contents of the section
    imports: list[bytes] = field(default_factory=list)  # functions come first in their index space
    function_imports: int = 0
    functions: dict[str, bytes] = field(default_factory=lambda: {"PyInit_a": RETURN_ZERO})
    types: list[int] | None = None  # 0: () -> i32; 1: () -> (); of each function
    start: int | None = None
    elements: list[bytes] = field(default_factory=list)
    data: list[bytes] = field(default_factory=list)
    has_dylink: bool = True

    def write(self) -> bytes:
        """The module."""
        sizes = (self.memory, self.memory_align, self.table, self.table_align)
        needs = b"".join(uleb(size) for size in sizes)
        info = b"\1" + uleb(len(needs)) + needs if self.dylink is None else self.dylink
        before = [
            text("env") + text("memory") + b"\2\0\0",
            text("env") + text("__indirect_function_table") + b"\1\x70\0\0",
            text("env") + text("__memory_base") + b"\3\x7f\0",
            text("env") + text("__table_base") + b"\3\x7f\0",
        ]
        types = self.types or [0] * len(self.functions)
        exports = [
            text(name) + b"\0" + uleb(self.function_imports + i)
            for i, name in enumerate(self.functions)
        ]
        bodies = [b"\0" + body for body in self.functions.values()]
        sections = [
            section(0, text("dylink.0") + info) if self.has_dylink else b"",
            section(1, vector([b"\x60\0\1\x7f", b"\x60\0\0"])),
            section(2, vector(before + self.imports)),
            section(3, vector([uleb(kind) for kind in types])),
            section(7, vector(exports)),
            section(8, uleb(self.start)) if self.start is not None else b"",
            section(9, vector(self.elements)) if self.elements else b"",
            section(10, vector([uleb(len(body)) + body for body in bodies])),
            section(11, vector(self.data)) if self.data else b"",
        ]
        return b"\0asm\1\0\0\0" + b"".join(sections)


def segment(offset: bytes, contents: bytes) -> bytes:
    """An active data segment."""
    return b"\0" + offset + uleb(len(contents)) + contents
