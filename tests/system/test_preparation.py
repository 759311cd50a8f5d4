"""Prepared modules against the originals.

The originals are linked as a dynamic linker does that knows nothing of records: what a module
imports and exports goes through a function of the host. The prepared ones are linked by arithmetic.
Both must come to the same results, and the engine must find every prepared module valid.

The packages with Pyodide are found by VITRINE_TEST_NODE_MODULES, the build by VITRINE_BUILD.
"""

from __future__ import annotations

import os
import random
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import side_modules
import wasmtime

MODULES = 60
ARGUMENTS = [0, 1, 5, 91, -1, 123456789]
MEMORY_BASE, TABLE_BASE = 256, 20
FUNCTION = 0
HEADER = struct.Struct("<8sII32s12I")


def setting(name: str) -> Path:
    """A path that the test environment has to give."""
    value = os.environ.get(name)
    assert value, f"{name} is not set: run the tests by `make test` or under tools/test_env.py"
    return Path(value)


@dataclass
class Record:
    """A link record, read as record.h says it is laid out."""

    path: Path
    memory: int = 0
    table: int = 0
    symbols: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data = self.path.read_bytes()
        magic, version, size, _, *numbers = HEADER.unpack_from(data)
        assert (magic, version, size) == (b"VITRLNK\0", 1, len(data))
        _, self.memory, _, self.table, _, needed, runpaths, weak, count, entries, texts, _ = numbers
        at = entries + 8 * (needed + runpaths + weak)
        for offset, length, kind, value in struct.iter_unpack("<4I", data[at : at + 16 * count]):
            name = data[texts + offset : texts + offset + length].decode()
            self.symbols[name] = (kind, value)
        assert list(self.symbols) == sorted(self.symbols)


def prepare(kind: str, path: Path, *more: str | Path) -> tuple[Path, Record]:
    """Our preparation."""
    module, record = path.with_suffix(".prepared"), path.with_suffix(".record")
    program = setting("VITRINE_BUILD") / "src/guest/dylink/prepare-module"
    done = subprocess.run(
        [program, kind, path, module, record, *more], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return module, Record(record)


@pytest.fixture(scope="module")
def engine() -> wasmtime.Engine:
    """The engine of the product, with the proposals on that the product turns on."""
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.wasm_gc = True
    config.wasm_function_references = True
    config.wasm_tail_call = True
    return wasmtime.Engine(config)


I32 = wasmtime.ValType.i32()


class World:
    """A core, and one side module linked with it."""

    def __init__(self, engine: wasmtime.Engine, core: Path) -> None:
        self.engine = engine
        self.store = wasmtime.Store(engine)
        module = wasmtime.Module(engine, core.read_bytes())
        self.core = wasmtime.Instance(self.store, module, []).exports(self.store)
        self.memory = self.core["memory"]
        self.table = self.core[side_modules.TABLE_NAME]
        self.side: wasmtime.Instance | None = None

    def constant(self, value: int, mutable: bool = False) -> wasmtime.Global:
        """A global."""
        return wasmtime.Global(
            self.store, wasmtime.GlobalType(I32, mutable), wasmtime.Val.i32(value)
        )

    def through_host(self, name: str) -> wasmtime.Func:
        """What a linker gives for a function that the module has itself and is yet to export."""
        signature = wasmtime.FuncType([I32], [I32])
        return wasmtime.Func(self.store, signature, lambda value: self.own(name)(self.store, value))

    def own(self, name: str) -> wasmtime.Func:
        """A function that the side module exports."""
        assert self.side is not None
        return self.side.exports(self.store)[name]

    def load(self, path: Path, functions: dict[str, wasmtime.Func], entries: int) -> None:
        """Instantiate a side module; imports that `functions` lacks go through the host."""
        module = wasmtime.Module(self.engine, path.read_bytes())
        missing = TABLE_BASE + entries - self.table.size(self.store)
        self.table.grow(self.store, max(missing, 0), None)
        given = {
            "memory": self.memory,
            side_modules.TABLE_NAME: self.table,
            "__memory_base": self.constant(MEMORY_BASE),
            "__table_base": self.constant(TABLE_BASE),
            **functions,
        }
        links = [
            self.constant(0, mutable=True)
            if entry.module != "env"
            else given.get(entry.name) or self.through_host(entry.name)
            for entry in module.imports
        ]
        self.side = wasmtime.Instance(self.store, module, links)


def cores(world: World, record: Record) -> dict[str, wasmtime.Func]:
    """The core's functions, by their places."""
    places = {name: value for name, (kind, value) in record.symbols.items() if kind == FUNCTION}
    return {name: world.table.get(world.store, place) for name, place in places.items()}


@pytest.mark.parametrize("table_max", [False, True])
def test_side_modules_run_as_the_originals(
    engine: wasmtime.Engine, tmp_path: Path, table_max: bool
) -> None:
    original_core = tmp_path / "core.wasm"
    original_core.write_bytes(side_modules.core(table_max))
    core, core_record = prepare("core", original_core, "core2")
    assert core_record.symbols["address"] == (1, 64) and "changes" not in core_record.symbols
    bound = 0
    for seed in range(MODULES):
        made = side_modules.Side(seed)
        path = tmp_path / f"{seed}.wasm"
        path.write_bytes(made.write())
        module, record = prepare("side", path, tmp_path / "core.record")

        plain = World(engine, original_core)
        functions = {name: plain.core[name] for name in ("core0", "core1", "core2")}
        plain.load(path, functions, len(made.slots))
        linked = World(engine, core)
        linked.load(module, cores(linked, core_record), record.table)

        imports = {entry.name for entry in wasmtime.Module(engine, module.read_bytes()).imports}
        own = set(made.imports) & set(made.exports) - {"core1"}
        assert not imports & own and {"core0", "core1"} <= imports
        bound += len(own)
        assert record.memory == 64
        places = {name: value for name, (kind, value) in record.symbols.items() if kind == FUNCTION}
        assert places.keys() == made.exports.keys()
        for name, number in made.exports.items():
            if number in made.slots:
                assert places[name] == made.slots.index(number)
            else:
                assert len(made.slots) <= places[name] < record.table
            function = linked.table.get(linked.store, TABLE_BASE + places[name])
            for argument in ARGUMENTS:
                expected = plain.own(name)(plain.store, argument)
                assert function(linked.store, argument) == expected, (seed, name, argument)
        for name, offset in made.data.items():
            assert record.symbols[name] == (1, offset)
        # A function has one place, and a place one function.
        assert len(set(places.values())) == len(set(made.exports.values()))
    assert bound > MODULES


def test_the_core_of_pyodide(engine: wasmtime.Engine, tmp_path: Path) -> None:
    source = setting("VITRINE_TEST_NODE_MODULES") / "pyodide" / "pyodide.asm.wasm"
    path = tmp_path / "core.wasm"
    path.symlink_to(source)
    module, record = prepare("core", path, "Py_InitializeFromConfig", "__stack_pointer")
    before = wasmtime.Module.validate(engine, module.read_bytes())
    assert before is None
    kinds = [kind for kind, _ in record.symbols.values()]
    assert kinds.count(FUNCTION) > 7000 and len(kinds) - kinds.count(FUNCTION) > 1000
    places = {value for kind, value in record.symbols.values() if kind == FUNCTION}
    assert record.symbols["malloc"][0] == FUNCTION and record.symbols["PyExc_KeyError"][0] == 1
    assert 0 not in places and max(places) < record.table


def test_damaged_modules_end_in_a_sentence(tmp_path: Path) -> None:
    """Bytes cut off or changed: the program says what is wrong, or makes a module; no crash."""
    (tmp_path / "core.wasm").write_bytes(side_modules.core(table_max=False))
    prepare("core", tmp_path / "core.wasm", "core2")
    whole = side_modules.Side(1).write()
    chance = random.Random(0)
    program = setting("VITRINE_BUILD") / "src/guest/dylink/prepare-module"
    refused = 0
    for number in range(200):
        damaged = bytearray(whole)
        if number % 2 == 0:
            del damaged[chance.randrange(len(whole)) :]
        for _ in range(3 * (number % 2)):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        path = tmp_path / "damaged.wasm"
        path.write_bytes(damaged)
        command = [
            program,
            "side",
            path,
            tmp_path / "out",
            tmp_path / "r",
            tmp_path / "core.record",
        ]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        if done.returncode == 1:
            refused += 1
            assert done.stderr.count("\n") == 1, done.stderr
    assert refused > 50
