"""Random, valid WebAssembly modules that use the legacy exception encoding.

A module has a few functions that throw, catch, rethrow, delegate, branch and call one another, and
a global in which they leave a trace of the way they took: two runs that end with the same result
and the same trace took the same way. Every loop and call burns fuel, so every run ends.

The bytes are written here and not by an assembler, because assemblers normalize what they read.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

I32, I64, EMPTY = 0x7F, 0x7E, 0x40
UNREACHABLE, BLOCK, LOOP, IF, ELSE, TRY, CATCH, THROW, RETHROW = 0, 2, 3, 4, 5, 6, 7, 8, 9
END, BR, BR_IF, BR_TABLE, RETURN, CALL, DELEGATE, CATCH_ALL = 11, 12, 13, 14, 15, 16, 24, 25
DROP, LOCAL_GET, LOCAL_SET, GLOBAL_GET, GLOBAL_SET, I32_CONST, I64_CONST = (
    26,
    32,
    33,
    35,
    36,
    65,
    66,
)
I32_LT_S, I32_ADD, I32_SUB, I32_MUL = 0x48, 0x6A, 0x6B, 0x6C
I32_AND, I32_XOR, I32_SHR_U = 0x71, 0x73, 0x76
I32_WRAP, I64_EXTEND = 0xA7, 0xAC
TRACE, FUEL = 0, 1  # globals
DEPTH_MAX = 6
FUEL_START = 200

Types = tuple[int, ...]
# Function types by index. Tags use the first four, functions FUNCTION_TYPE, blocks all.
SIGNATURES: list[tuple[Types, Types]] = [
    ((), ()),
    ((I32,), ()),
    ((I64,), ()),
    ((I32, I64), ()),
    ((I32,), (I32,)),
    ((), (I32, I64)),
    ((I32, I64), (I32,)),
    ((I64,), (I32, I64)),
    ((), (I32,)),
]
TAG_TYPES = [0, 1, 2, 3, 1]
FUNCTION_TYPE = 4


def uleb(value: int) -> bytes:
    """Unsigned LEB128."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def sleb(value: int) -> bytes:
    """Signed LEB128."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value & 0x7F]))


def section(number: int, contents: bytes) -> bytes:
    """A section with its size."""
    return bytes([number]) + uleb(len(contents)) + contents


def vector(items: list[bytes]) -> bytes:
    """A counted list."""
    return uleb(len(items)) + b"".join(items)


@dataclass
class Label:
    """A block that is open: what a branch to it carries, and whether its exception is at hand."""

    carries: Types
    catching: bool = False


@dataclass
class Function:
    """Writes the body of one random function. Between statements the stack is empty."""

    random: random.Random
    callees: int
    code: bytearray = field(default_factory=bytearray)
    labels: list[Label] = field(default_factory=list)
    budget: int = 60
    dead_code: float = 0.15  # how often code follows that cannot be reached

    def op(self, opcode: int, *immediates: int) -> None:
        """One instruction with unsigned immediates."""
        self.code.append(opcode)
        for value in immediates:
            self.code += uleb(value)

    def const(self, value: int) -> None:
        """i32.const."""
        self.code.append(I32_CONST)
        self.code += sleb(value)

    def trace(self) -> None:
        """Fold the i32 on the stack into the trace."""
        self.op(GLOBAL_GET, TRACE)
        self.const(31)
        self.op(I32_MUL)
        self.op(I32_ADD)
        self.const(self.random.randrange(1000))
        self.op(I32_XOR)
        self.op(GLOBAL_SET, TRACE)

    def consume(self, types: Types) -> None:
        """Take values off the stack, into the trace."""
        for kind in reversed(types):
            if kind == I64:
                self.op(I32_WRAP)
            self.trace()

    def value(self, kind: int) -> None:
        """Push a value."""
        choice = self.random.randrange(3)
        if choice == 0:
            self.const(self.random.randrange(-1000, 1000))
        elif choice == 1:
            self.op(LOCAL_GET, self.random.randrange(2))
        else:
            self.op(GLOBAL_GET, TRACE)
        if kind == I64:
            self.op(I64_EXTEND)

    def values(self, types: Types) -> None:
        """Push several."""
        for kind in types:
            self.value(kind)

    def condition(self) -> None:
        """Push a bit that depends on the argument or on the way so far."""
        self.op(*self.random.choice([(LOCAL_GET, 0), (GLOBAL_GET, TRACE)]))
        self.const(self.random.randrange(8))
        self.op(I32_SHR_U)
        self.const(1)
        self.op(I32_AND)

    def burn(self) -> None:
        """Use fuel; return when there is none left."""
        self.op(GLOBAL_GET, FUEL)
        self.const(1)
        self.op(I32_SUB)
        self.op(GLOBAL_SET, FUEL)
        self.op(GLOBAL_GET, FUEL)
        self.const(0)
        self.op(I32_LT_S)
        self.op(IF, EMPTY)
        self.const(-1)
        self.op(RETURN)
        self.op(END)

    def block_type(self) -> tuple[bytes, Types, Types]:
        """A random block type: its bytes, parameters, results."""
        simple: list[tuple[bytes, Types, Types]] = [
            (bytes([EMPTY]), (), ()),
            (bytes([I32]), (), (I32,)),
            (bytes([I64]), (), (I64,)),
        ]
        if self.random.random() < 0.6:
            return self.random.choice(simple)
        index = self.random.randrange(len(SIGNATURES))
        return sleb(index), *SIGNATURES[index]

    def inner(self, takes: Types, gives: Types, label: Label, throws: bool = False) -> None:
        """The inside of a block: statements between what it takes and what it gives.

        What makes exceptions happen comes last: mostly a throw where it `throws`, a rethrow where
        it is a handler.
        """
        self.labels.append(label)
        self.consume(takes)
        for _ in range(self.random.randrange(4)):
            self.statement()
        if throws and self.random.random() < 0.6:
            self.throw()
        if label.catching and self.random.random() < 0.5:
            self.rethrow()
        self.values(gives)
        self.labels.pop()

    def structure(self) -> None:
        """A block, loop, if, or one of the kinds of try."""
        self.budget -= 1
        kind = self.random.choice([BLOCK, LOOP, IF, TRY, TRY, TRY, DELEGATE, DELEGATE])
        spelled, takes, gives = self.block_type()
        self.values(takes)
        if kind == IF:
            self.condition()
        self.code.append(TRY if kind == DELEGATE else kind)
        self.code += spelled
        if kind == LOOP:
            self.burn()
        label = Label(takes if kind == LOOP else gives)
        self.inner(takes, gives, label, throws=kind in (TRY, DELEGATE))
        if kind == IF:
            self.op(ELSE)
            self.inner(takes, gives, Label(gives))
        if kind == TRY:
            self.handlers(gives)
        if kind == DELEGATE:
            self.op(DELEGATE, self.random.randrange(len(self.labels)))
        else:
            self.op(END)
        self.consume(gives)

    def handlers(self, gives: Types) -> None:
        """None, some or all of a try's handlers."""
        for tag in self.random.sample(range(len(TAG_TYPES)), self.random.randrange(4)):
            self.op(CATCH, tag)
            self.inner(SIGNATURES[TAG_TYPES[tag]][0], gives, Label(gives, catching=True))
        if self.random.random() < 0.4:
            self.op(CATCH_ALL)
            self.inner((), gives, Label(gives, catching=True))

    def guarded(self, emit: Callable[[int], None]) -> None:
        """Emit something that does not come back, mostly under a condition. `emit` is told how
        many labels that puts around it.
        """
        if self.random.random() < self.dead_code:
            emit(0)
            return
        self.condition()
        self.op(IF, EMPTY)
        emit(1)
        self.op(END)

    def throw(self) -> None:
        """Throw, or now and then trap, which no handler may catch."""
        if self.random.random() < 0.05:
            self.guarded(lambda _: self.op(UNREACHABLE))
            return
        tag = self.random.randrange(len(TAG_TYPES))
        carried = SIGNATURES[TAG_TYPES[tag]][0]
        self.guarded(lambda _: (self.values(carried), self.op(THROW, tag))[-1])

    def rethrow(self) -> None:
        """Throw again what some handler around caught."""
        count = len(self.labels)
        depths = [count - 1 - i for i, label in enumerate(self.labels) if label.catching]
        if depths:
            depth = self.random.choice(depths)
            self.guarded(lambda labels: self.op(RETHROW, depth + labels))

    def branch(self) -> None:
        """br, br_if or br_table to any label."""
        depth = self.random.randrange(len(self.labels))
        carries = self.labels[-1 - depth].carries
        kind = self.random.choice([BR, BR_IF, BR_IF, BR_TABLE])
        if kind == BR_IF:
            self.values(carries)
            self.condition()
            self.op(BR_IF, depth)
            self.consume(carries)
        elif kind == BR:
            self.guarded(lambda labels: (self.values(carries), self.op(BR, depth + labels))[-1])
        else:
            self.guarded(lambda labels: self.branch_by_table(carries, labels))

    def branch_by_table(self, carries: Types, labels: int) -> None:
        """br_table to labels that carry the same."""
        count = len(self.labels)
        same = [labels + i for i in range(count) if self.labels[-1 - i].carries == carries]
        targets = self.random.choices(same, k=self.random.randrange(1, 5))
        self.values(carries)
        self.condition()
        self.op(BR_TABLE, len(targets) - 1, *targets)

    def call(self) -> None:
        """Call a function before this one."""
        if self.callees:
            self.burn()
            self.value(I32)
            self.op(CALL, self.random.randrange(self.callees))
            self.consume((I32,))

    def statement(self) -> None:
        """One random statement."""
        if self.budget <= 0:
            return
        self.budget -= 1
        deep = len(self.labels) >= DEPTH_MAX
        choice = self.random.randrange(4 if deep else 10)
        if choice == 0:
            self.throw()
        elif choice == 1:
            self.rethrow()
        elif choice == 2:
            self.branch()
        elif choice == 3:
            self.call()
        else:
            self.structure()

    def body(self) -> bytes:
        """The locals and instructions of the whole function."""
        self.labels.append(Label((I32,)))
        while self.budget > 0:
            self.structure()
        self.op(GLOBAL_GET, TRACE)
        self.labels.pop()
        self.op(END)
        return vector([uleb(1) + bytes([I32])]) + bytes(self.code)


def make(seed: int, functions: int, dead_code: float = 0.15, budget: int = 60) -> bytes:
    """A module whose exports are f0, f1, ..., each from i32 to i32, and the globals trace, fuel."""
    chance = random.Random(seed)
    written = (
        Function(chance, callees=i, dead_code=dead_code, budget=budget) for i in range(functions)
    )
    bodies = [uleb(len(body)) + body for body in (function.body() for function in written)]
    types = [
        b"\x60" + vector([bytes([t]) for t in takes]) + vector([bytes([t]) for t in gives])
        for takes, gives in SIGNATURES
    ]
    exports = [f"f{i}".encode() for i in range(functions)]
    global_bytes = bytes([I32, 1, I32_CONST, 0, END])
    return b"".join(
        [
            b"\0asm\x01\0\0\0",
            section(1, vector(types)),
            section(3, vector([uleb(FUNCTION_TYPE)] * functions)),
            section(13, vector([b"\0" + uleb(tag) for tag in TAG_TYPES])),
            section(6, vector([global_bytes, global_bytes])),
            section(
                7,
                vector(
                    [uleb(len(name)) + name + b"\0" + uleb(i) for i, name in enumerate(exports)]
                    + [b"\x05trace\x03\x00", b"\x04fuel\x03\x01"]
                ),
            ),
            section(10, vector(bodies)),
        ]
    )
