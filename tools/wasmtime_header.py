#!/usr/bin/env python3
"""Generate `wasmtime_c.h` from the Python declarations that a wasmtime wheel carries.

The wheel's `_bindings.py` is itself generated from the official C headers, so every structure,
union, callback type and function of the C API is in it, for exactly the library beside it. Reading
it back into C keeps library and declarations together without copying a header into the tree.

The two files are parsed with `ast` and never imported: set-up runs nothing that came in the wheel.

What the wheel cannot say is decided here, and nowhere else:
- a Python callback cannot return a pointer, so the wheel says `c_size_t`; CALLBACK_RESULTS has the
  C types, and a callback of that kind which is not in the table is an error;
- `const` is lost; it is put back only on byte and character inputs, where callers need it;
- the component model (`wasmtime_component_*`) is left out: Vitrine runs core modules only.
"""

from __future__ import annotations

import argparse
import ast
import sys
from dataclasses import dataclass, field
from pathlib import Path

SCALARS: dict[str, tuple[str, int]] = {
    "c_bool": ("bool", 1),
    "c_char": ("char", 1),
    "c_ubyte": ("uint8_t", 1),
    "c_uint8": ("uint8_t", 1),
    "c_int8": ("int8_t", 1),
    "c_uint16": ("uint16_t", 2),
    "c_int16": ("int16_t", 2),
    "c_uint32": ("uint32_t", 4),
    "c_int32": ("int32_t", 4),
    "c_int": ("int", 4),
    "c_float": ("float", 4),
    "c_uint64": ("uint64_t", 8),
    "c_int64": ("int64_t", 8),
    "c_double": ("double", 8),
    "c_size_t": ("size_t", 8),
    "c_ssize_t": ("ptrdiff_t", 8),
}
POINTER_BYTES = 8

# Callback types whose result is a pointer in C and `c_size_t` in the wheel.
CALLBACK_RESULTS: dict[str, str] = {
    "wasm_func_callback_t": "wasm_trap_t *",
    "wasm_func_callback_with_env_t": "wasm_trap_t *",
    "wasmtime_func_callback_t": "wasm_trap_t *",
    "wasmtime_func_unchecked_callback_t": "wasm_trap_t *",
    "wasmtime_memory_get_callback_t": "uint8_t *",
    "wasmtime_memory_grow_callback_t": "struct wasmtime_error *",
    "wasmtime_new_memory_callback_t": "struct wasmtime_error *",
    "wasmtime_stack_memory_get_callback_t": "uint8_t *",
    "wasmtime_new_stack_memory_callback_t": "struct wasmtime_error *",
}
# The same for callbacks that have no name: by the function that takes them.
ANONYMOUS_CALLBACK_RESULTS: dict[str, str] = {
    "wasmtime_store_epoch_deadline_callback": "struct wasmtime_error *",
}

BYTE_TYPES = {"c_char", "c_ubyte", "c_uint8", "wasm_byte_t"}
OUTPUT_NAMES = {"out", "ret"}
LEFT_OUT = ("wasmtime_component_",)

C_KEYWORDS = set(
    "auto break case char const continue default do double else enum extern float for goto if"
    " inline int long register restrict return short signed sizeof static struct switch typedef"
    " union unsigned void volatile while".split()
)


class HeaderError(Exception):
    """The wheel says something this tool does not understand; guessing would be worse."""


@dataclass(frozen=True)
class Layout:
    """Size and alignment in bytes, as the C ABI of every 64-bit Unix has them."""

    size: int
    align: int


@dataclass
class Record:
    """A structure or union; `fields` is None while it is opaque."""

    name: str
    kind: str
    fields: list[tuple[str, ast.expr]] | None = None

    @property
    def spelled(self) -> str:
        """How C code names it: a typedef when the name is one, else with its tag."""
        return self.name if self.name.endswith("_t") else f"{self.kind} {self.name}"


@dataclass
class Function:
    """One exported function: its ctypes signature and the names of its parameters."""

    name: str
    result: ast.expr | None = None
    params: list[ast.expr] | None = None
    names: list[str] = field(default_factory=list)


def last_name(node: ast.expr) -> str | None:
    """`c_size_t` for both `ctypes.c_size_t` and `c_size_t`; None for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def call_of(node: ast.expr, name: str) -> list[ast.expr] | None:
    """The arguments when `node` is a call of `name`, else None."""
    if isinstance(node, ast.Call) and last_name(node.func) == name:
        return node.args
    return None


def field_name(name: str) -> str:
    """The C name of a field: the wheel adds `_` where Python, not always C, has a keyword."""
    bare = name.rstrip("_") if not name.startswith("_") else name
    return name if bare in C_KEYWORDS else bare


def left_out(name: str) -> bool:
    """Whether a name belongs to a part of the API that is not wanted."""
    return name.startswith(LEFT_OUT)


class Api:
    """Everything read from the wheel, and the C text made from it."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.aliases: dict[str, ast.expr] = {}
        self.callbacks: dict[str, list[ast.expr]] = {}
        self.functions: dict[str, Function] = {}
        self.enums: dict[str, list[tuple[str, int]]] = {}
        self.constants: dict[str, int] = {}
        self.order: list[tuple[str, str]] = []

    # Reading.

    def read(self, text: str, source: str) -> None:
        """Take in one file of the wheel."""
        for node in ast.parse(text, source).body:
            if isinstance(node, ast.ClassDef):
                self.read_class(node)
            elif isinstance(node, ast.Assign) and len(node.targets) == 1:
                self.read_assign(node.targets[0], node.value)
            elif isinstance(node, ast.FunctionDef) and node.name in self.functions:
                self.functions[node.name].names = [arg.arg for arg in node.args.args]

    def read_class(self, node: ast.ClassDef) -> None:
        """A class is a structure, a union or an enumeration."""
        if left_out(node.name):
            return
        bases = {last_name(base) for base in node.bases}
        if "Enum" in bases:
            self.enums[node.name] = self.enumerators(node)
            self.order.append(("enum", node.name))
        elif bases & {"Structure", "Union"}:
            kind = "struct" if "Structure" in bases else "union"
            record = Record(node.name, kind, self.fields_of(node))
            self.records[node.name] = record
            self.order.append(("record", node.name))

    @staticmethod
    def enumerators(node: ast.ClassDef) -> list[tuple[str, int]]:
        """Names and values; `auto()` counts on as C does, from 0, not as Python does, from 1."""
        found: list[tuple[str, int]] = []
        following = 0
        for item in node.body:
            if not isinstance(item, ast.Assign) or not isinstance(item.targets[0], ast.Name):
                continue
            if isinstance(item.value, ast.Constant) and isinstance(item.value.value, int):
                following = item.value.value
            elif call_of(item.value, "auto") is None:
                raise HeaderError(f"enumeration {node.name}: {ast.unparse(item)}")
            found.append((item.targets[0].id, following))
            following += 1
        return found

    @staticmethod
    def fields_of(node: ast.ClassDef) -> list[tuple[str, ast.expr]] | None:
        """The `_fields_` list, or None for an opaque structure."""
        for item in node.body:
            if not isinstance(item, ast.Assign) or last_name(item.targets[0]) != "_fields_":
                continue
            if not isinstance(item.value, ast.List):
                raise HeaderError(f"{node.name}: its fields are not a list")
            found: list[tuple[str, ast.expr]] = []
            for pair in item.value.elts:
                if not isinstance(pair, ast.Tuple) or len(pair.elts) != 2:
                    raise HeaderError(f"{node.name}: {ast.unparse(pair)} is not a field")
                name = pair.elts[0]
                if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
                    raise HeaderError(f"{node.name}: a field's name is not a string")
                if name.value in (known for known, _ in found):
                    raise HeaderError(f"{node.name}: field {name.value} is there twice")
                found.append((name.value, pair.elts[1]))
            return found
        return None

    def read_assign(self, target: ast.expr, value: ast.expr) -> None:
        """An assignment is a function's signature, a constant, a callback type or another name."""
        if isinstance(target, ast.Attribute):
            self.read_signature(target, value)
            return
        if not isinstance(target, ast.Name) or left_out(target.id.lstrip("_")):
            return
        name = target.id
        if isinstance(value, ast.Attribute) and last_name(value.value) == "dll":
            self.functions[value.attr] = Function(value.attr)
            self.order.append(("function", value.attr))
        elif name.startswith(("WASM_", "WASMTIME_")):
            self.read_constant(name, value)
        elif (args := call_of(value, "CFUNCTYPE")) is not None:
            self.callbacks[name] = args
            self.order.append(("callback", name))
        elif name.startswith(("wasm", "wasi")):
            self.aliases[name] = value
            self.order.append(("alias", name))

    def read_signature(self, target: ast.Attribute, value: ast.expr) -> None:
        """`_name.restype = ...` and `_name.argtypes = [...]`."""
        name = (last_name(target.value) or "").removeprefix("_")
        function = self.functions.get(name)
        if function is None:
            return
        if target.attr == "restype":
            function.result = value
        elif target.attr == "argtypes" and isinstance(value, ast.List):
            function.params = value.elts

    def read_constant(self, name: str, value: ast.expr) -> None:
        """`WASM_I32 = c_uint8(0)`; other upper-case values belong to the Python package."""
        args = call_of(value, "c_uint8")
        if args is None or left_out(name.lower()):
            return
        if len(args) != 1 or not isinstance(args[0], ast.Constant):
            raise HeaderError(f"constant {name}: {ast.unparse(value)}")
        self.constants[name] = int(args[0].value)

    # Types.

    def declare(self, node: ast.expr | None, name: str, callback_result: str | None = None) -> str:
        """The C declaration of `name` with the type that `node` describes."""
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return f"void {name}".rstrip()
        pointee = call_of(node, "POINTER")
        if pointee is not None:
            return self.declare(pointee[0], f"*{name}")
        signature = call_of(node, "CFUNCTYPE")
        if signature is not None:
            return self.declare_callback(signature, name, callback_result)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return f"{self.declare(node.left, name)}[{ast.unparse(node.right)}]"
        if last_name(node) == "c_void_p":
            return f"void *{name}"
        return f"{self.type_name(node)} {name}".rstrip()

    def declare_callback(self, signature: list[ast.expr], name: str, result: str | None) -> str:
        """A pointer to a function, with its result replaced where the wheel cannot say it."""
        params = ", ".join(self.declare(param, "") for param in signature[1:]) or "void"
        returns_size = last_name(signature[0]) == "c_size_t"
        if returns_size != (result is not None):
            raise HeaderError(f"callback {name}: its result is {ast.unparse(signature[0])}")
        if result is not None:
            return f"{result}(*{name})({params})"
        return self.declare(signature[0], f"(*{name})({params})")

    def type_name(self, node: ast.expr) -> str:
        """The name of a type that is not built from others."""
        name = last_name(node)
        if name is None:
            raise HeaderError(f"unknown type {ast.unparse(node)}")
        if name in SCALARS:
            return SCALARS[name][0]
        if name in self.records:
            return self.records[name].spelled
        if name in self.aliases or name in self.callbacks:
            return name
        raise HeaderError(f"unknown type {name}")

    def layout(self, node: ast.expr) -> Layout:
        """Size and alignment by the rules of the C ABI: an independent check on the compiler."""
        if call_of(node, "POINTER") is not None or call_of(node, "CFUNCTYPE") is not None:
            return Layout(POINTER_BYTES, POINTER_BYTES)
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):
            item = self.layout(node.left)
            return Layout(item.size * int(node.right.value), item.align)
        name = last_name(node)
        if name == "c_void_p" or name in self.callbacks:
            return Layout(POINTER_BYTES, POINTER_BYTES)
        if name in SCALARS:
            return Layout(SCALARS[name][1], SCALARS[name][1])
        if name in self.aliases:
            return self.layout(self.aliases[name])
        if name in self.records:
            return self.record_layout(self.records[name])
        raise HeaderError(f"no size for {ast.unparse(node)}")

    def record_layout(self, record: Record) -> Layout:
        """A structure's members one after another, a union's on top of one another."""
        if record.fields is None:
            raise HeaderError(f"{record.name} is opaque and has no size")
        end, align = 0, 1
        for _, node in record.fields:
            member = self.layout(node)
            align = max(align, member.align)
            if record.kind == "union":
                end = max(end, member.size)
            else:
                end = round_up(end, member.align) + member.size
        return Layout(round_up(end, align), align)

    # Writing.

    def render(self, origin: str) -> str:
        """The whole header."""
        parts = [HEAD.format(origin=origin)]
        parts += [self.render_forward(record) for record in self.records.values()]
        parts.append("")
        parts += self.render_constants()
        parts += [self.render_item(kind, name) for kind, name in self.order]
        parts.append(TAIL)
        return "\n".join(part for part in parts if part is not None)

    @staticmethod
    def render_forward(record: Record) -> str:
        """Every structure is announced first, so that order never matters to a pointer."""
        if record.name.endswith("_t"):
            return f"typedef {record.kind} {record.name} {record.name};"
        return f"{record.kind} {record.name};"

    def render_constants(self) -> list[str]:
        """Constants that no enumeration of the wheel repeats."""
        enumerated = {name: value for items in self.enums.values() for name, value in items}
        lines: list[str] = ["enum wasmtime_c_constant {"]
        for name, value in self.constants.items():
            if name not in enumerated:
                lines.append(f"    {name} = {value},")
            elif enumerated[name] != value:
                raise HeaderError(f"{name} is {value} in _ffi.py, {enumerated[name]} in an enum")
        return [*lines, "};", ""]

    def render_item(self, kind: str, name: str) -> str | None:
        """One declaration, of the kind that the wheel's order says comes next."""
        if kind == "enum":
            items = "".join(f"    {key} = {value},\n" for key, value in self.enums[name])
            return f"enum {name} {{\n{items}}};\n"
        if kind == "record":
            return self.render_record(self.records[name])
        if kind == "alias":
            return f"typedef {self.declare(self.aliases[name], name)};\n"
        if kind == "callback":
            result = CALLBACK_RESULTS.get(name)
            return f"typedef {self.declare_callback(self.callbacks[name], name, result)};\n"
        return self.render_function(self.functions[name])

    def render_record(self, record: Record) -> str | None:
        """A definition with a check of its size, or nothing for an opaque structure."""
        if record.fields is None:
            return None
        members = "".join(
            f"    {self.declare(node, field_name(name))};\n" for name, node in record.fields
        )
        size = self.record_layout(record).size
        return (
            f"{record.kind} {record.name} {{\n{members}}};\n"
            f'_Static_assert(sizeof({record.kind} {record.name}) == {size}, "{record.name}");\n'
        )

    def render_function(self, function: Function) -> str:
        """One prototype."""
        if function.params is None:
            raise HeaderError(f"function {function.name} has no argtypes")
        names = function.names or [f"arg{index}" for index in range(len(function.params))]
        if len(names) != len(function.params):
            raise HeaderError(f"function {function.name}: names and types differ in number")
        result = ANONYMOUS_CALLBACK_RESULTS.get(function.name)
        params = [
            self.declare_param(node, name, result)
            for node, name in zip(function.params, names, strict=True)
        ]
        inside = f"{function.name}({', '.join(params) or 'void'})"
        return f"{self.declare(function.result, inside)};\n"

    def declare_param(self, node: ast.expr, name: str, callback_result: str | None) -> str:
        """A parameter; bytes and text that go in are `const`, as they are in the real headers."""
        spelled = f"{name}_" if name in C_KEYWORDS else name
        pointee = call_of(node, "POINTER")
        is_bytes = pointee is not None and last_name(pointee[0]) in BYTE_TYPES
        text = self.declare(node, spelled, self.result_for(node, callback_result))
        return f"const {text}" if is_bytes and name not in OUTPUT_NAMES else text

    @staticmethod
    def result_for(node: ast.expr, callback_result: str | None) -> str | None:
        """Only the callback with a `c_size_t` result is meant, not a finalizer beside it."""
        signature = call_of(node, "CFUNCTYPE")
        if signature is None or last_name(signature[0]) != "c_size_t":
            return None
        return callback_result


def round_up(value: int, align: int) -> int:
    """The next multiple of `align`."""
    return (value + align - 1) // align * align


HEAD = """\
/* Generated by tools/wasmtime_header.py from {origin}. Do not edit: make it again. */
#ifndef WASMTIME_C_H
#define WASMTIME_C_H

#define WASMTIME_C_ORIGIN "{origin}" /* what the declarations and the library are */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "the engine's library exists for 64-bit machines only");
"""
TAIL = "#endif\n"


def generate(package: Path, origin: str) -> str:
    """The header's text for the unpacked wheel's folder `wasmtime/`."""
    api = Api()
    for name in ("_ffi.py", "_bindings.py"):
        api.read((package / name).read_text(encoding="utf-8"), name)
    return api.render(origin)


def main() -> int:
    """Command line: PACKAGE_DIR OUT [--origin TEXT]."""
    parser = argparse.ArgumentParser(description="Make wasmtime_c.h from a wasmtime wheel's files.")
    parser.add_argument("package", type=Path, help="the wheel's folder wasmtime/, unpacked")
    parser.add_argument("out", type=Path, help="the header to write")
    parser.add_argument("--origin", default="the wasmtime wheel", help="what to name as the source")
    options = parser.parse_args()
    try:
        text = generate(options.package, options.origin)
    except (HeaderError, OSError, SyntaxError) as error:
        print(f"wasmtime_header: {error}", file=sys.stderr)
        return 1
    options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
