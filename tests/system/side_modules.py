"""Random, valid side modules as a linker for dynamic linking writes them, and a core for them.

A side module imports memory, table and bases, functions of the core, and functions that it exports
itself; it calls these directly, as tail calls, by reference and through the table. Functions only
call functions before them, so every run ends.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from legacy_modules import (
    END,
    GLOBAL_GET,
    I32,
    I32_ADD,
    I32_CONST,
    I32_MUL,
    section,
    sleb,
    uleb,
    vector,
)

CALL, CALL_INDIRECT, RETURN_CALL, LOCAL_GET, I32_XOR = 0x10, 0x11, 0x12, 0x20, 0x73
REF_FUNC, CALL_REF, I32_LOAD = 0xD2, 0x14, 0x28
FUNCREF, FUNCTION, TABLE, MEMORY, GLOBAL = 0x70, 0, 1, 2, 3
TABLE_NAME = "__indirect_function_table"
HEADER = b"\0asm\x01\0\0\0"
# Two types that are the same, and another.
TYPES = section(1, vector([b"\x60\1\x7f\1\x7f", b"\x60\1\x7f\1\x7f", b"\x60\0\0"]))


def text(value: str) -> bytes:
    """A name."""
    return uleb(len(value)) + value.encode()


def const(value: int) -> bytes:
    """i32.const."""
    return bytes([I32_CONST]) + sleb(value)


def core(table_max: bool) -> bytes:
    """A core with a memory, a table, and functions of one argument, two of them in the table."""
    limits = b"\1\4\x40" if table_max else b"\0\4"
    bodies = [
        b"\0" + bytes([LOCAL_GET, 0]) + const(factor) + bytes([I32_MUL, END])
        for factor in (3, 5, 7)
    ]
    exports = [text(f"core{i}") + bytes([FUNCTION]) + uleb(i) for i in range(3)]
    exports += [text("memory") + bytes([MEMORY, 0]), text(TABLE_NAME) + bytes([TABLE, 0])]
    exports += [text("address") + bytes([GLOBAL, 0]), text("changes") + bytes([GLOBAL, 1])]
    return b"".join(
        [
            HEADER,
            TYPES,
            section(3, vector([uleb(0)] * 3)),
            section(4, vector([bytes([FUNCREF]) + limits])),
            section(5, vector([b"\0\1"])),
            section(
                6, vector([b"\x7f\0" + const(64) + bytes([END]), b"\x7f\1" + const(1) + b"\x0b"])
            ),
            section(7, vector(exports)),
            section(9, vector([b"\0" + const(1) + bytes([END]) + vector([uleb(1), uleb(0)])])),
            section(10, vector([uleb(len(body)) + body for body in bodies])),
        ]
    )


@dataclass
class Side:
    """Writes one module and tells what it is made of."""

    seed: int
    functions: int = 8
    imports: list[str] = field(default_factory=list)  # of functions
    exports: dict[str, int] = field(default_factory=dict)  # own functions, by number
    data: dict[str, int] = field(default_factory=dict)  # exported offsets
    slots: list[int] = field(default_factory=list)  # own functions in the table
    has_table_base: bool = True

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        own = list(range(self.functions))
        for i in self.random.sample(own, self.functions - 2):
            self.exports[f"own{i}"] = i
            if self.random.random() < 0.2:
                self.exports[f"alias{i}"] = i
        self.exports["core1"] = self.functions - 1  # the core's function wins
        self.imports = ["core0", "core1"] + [
            name for name in self.exports if name != "core1" and self.random.random() < 0.6
        ]
        self.random.shuffle(self.imports)
        self.has_table_base = self.random.random() < 0.8
        if self.has_table_base:
            self.slots = self.random.sample(own, self.random.randrange(self.functions))
        self.data = {f"data{i}": 4 * self.random.randrange(1, 64) for i in range(3)}

    def index(self, own: int) -> int:
        """The index of an own function: mostly that of an import that stands for it, if any."""
        names = [name for name in self.imports if self.exports.get(name) == own]
        names = [name for name in names if name != "core1"]
        if names and self.random.random() < 0.8:
            return self.imports.index(self.random.choice(names))
        return len(self.imports) + own

    def globals_before(self) -> int:
        """How many globals are imported."""
        return 3 if self.has_table_base else 2

    def call(self, caller: int) -> bytes:
        """From one value on the stack to another, by some function before the caller."""
        kinds = ["core"]
        if caller > 0:
            kinds += ["direct", "direct", "reference"]
        reachable = [slot for slot, own in enumerate(self.slots) if own < caller]
        if reachable:
            kinds.append("table")
        kind = self.random.choice(kinds)
        if kind == "core":
            return bytes([CALL]) + uleb(self.imports.index(self.random.choice(["core0", "core1"])))
        if kind == "table":
            place = bytes([GLOBAL_GET, 1]) + const(self.random.choice(reachable))
            return place + bytes([I32_ADD, CALL_INDIRECT, 0, 0])
        index = uleb(self.index(self.random.randrange(caller)))
        if kind == "direct":
            return bytes([CALL]) + index
        return bytes([REF_FUNC]) + index + bytes([CALL_REF, 0])

    def body(self, own: int) -> bytes:
        """Some calls, constants and data, folded into one number."""
        code = bytearray([0, LOCAL_GET, 0])
        for _ in range(self.random.randrange(3)):
            code += const(self.random.randrange(-500, 500)) + bytes([I32_XOR])
            code += self.call(own)
        code += bytes([GLOBAL_GET, self.globals_before()]) + bytes([I32_ADD])
        code += bytes([GLOBAL_GET, 0, I32_LOAD, 2, *uleb(self.random.randrange(60)), I32_XOR])
        if own > 0 and self.random.random() < 0.3:
            code += bytes([RETURN_CALL]) + uleb(self.index(self.random.randrange(own)))
        return bytes(code + bytes([END]))

    def import_section(self) -> bytes:
        """Memory, table and bases, then functions; a global that the linker sets is the last."""
        entries = [
            text("env") + text("memory") + bytes([MEMORY, 0, 1]),
            text("env") + text(TABLE_NAME) + bytes([TABLE, FUNCREF, 0, 0]),
            text("env") + text("__memory_base") + bytes([GLOBAL, I32, 0]),
        ]
        if self.has_table_base:
            entries.append(text("env") + text("__table_base") + bytes([GLOBAL, I32, 0]))
        for name in self.imports:
            kind = self.random.randrange(2)  # of the two types that are the same
            entries.append(text("env") + text(name) + bytes([FUNCTION, kind]))
        entries.append(text("GOT.mem") + text("data0") + bytes([GLOBAL, I32, 1]))
        return section(2, vector(entries))

    def elements(self) -> bytes:
        """What the table has, and that every function may be referred to."""
        every = vector([uleb(i) for i in range(len(self.imports) + self.functions)])
        segments = [b"\3\0" + every]
        if self.has_table_base:
            items = vector([uleb(self.index(own)) for own in self.slots])
            segments.insert(self.random.randrange(2), b"\0" + bytes([GLOBAL_GET, 1, END]) + items)
        return section(9, vector(segments))

    def write(self) -> bytes:
        """The module."""
        before = self.globals_before()
        values = [7, *self.data.values()]
        globals_ = [b"\x7f\0" + const(value) + bytes([END]) for value in values]
        referred = bytes([REF_FUNC, *uleb(self.index(0)), END])
        globals_.append(bytes([FUNCREF, 0]) + referred)
        exports = [
            text(name) + bytes([FUNCTION]) + uleb(len(self.imports) + own)
            for name, own in self.exports.items()
        ]
        exports += [
            text(name) + bytes([GLOBAL]) + uleb(before + 1 + i) for i, name in enumerate(self.data)
        ]
        bodies = [self.body(own) for own in range(self.functions)]
        needs = bytes([*uleb(64), 2, len(self.slots), 0])
        info = b"\1" + uleb(len(needs)) + needs
        data = b"\0" + bytes([GLOBAL_GET, 0, END]) + uleb(64) + bytes(range(64))
        return b"".join(
            [
                HEADER,
                section(0, text("dylink.0") + info),
                TYPES,
                self.import_section(),
                section(3, vector([uleb(self.random.randrange(2)) for _ in bodies])),
                section(6, vector(globals_)),
                section(7, vector(exports)),
                self.elements(),
                section(10, vector([uleb(len(body)) + body for body in bodies])),
                section(11, vector([data])),
                section(0, text("name") + b"\0\0"),
            ]
        )
