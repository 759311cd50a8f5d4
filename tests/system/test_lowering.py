"""Exception lowering against two oracles.

V8 runs the legacy encoding as it is; Binaryen's own translation must come to the same on the same
engine.

The node to use and the packages with Binaryen and Pyodide are found by VITRINE_TEST_NODE and
VITRINE_TEST_NODE_MODULES, the build by VITRINE_BUILD.
"""

from __future__ import annotations

import json
import os
import random
import resource
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import legacy_modules
import pytest
import wasmtime

MODULES = 24
BINARYEN_MODULES = 4
FUNCTIONS = 12
ARGUMENTS = [0, 1, 2, 5, 91, -1, 12345]

# Calls every function of every module as `Engine.outcomes` does below.
NODE_SCRIPT = """
const fs = require('fs');
const [fuel, names, args] = JSON.parse(process.argv[1]);
const outcomes = names.map(name => {
    const module = new WebAssembly.Module(fs.readFileSync(name));
    const {trace, fuel: tank, ...functions} = new WebAssembly.Instance(module).exports;
    const found = [];
    for (let i = 0; `f${i}` in functions; i++) {
        for (const arg of args) {
            trace.value = 0;
            tank.value = fuel;
            let outcome;
            try {
                outcome = functions[`f${i}`](arg);
            } catch (error) {
                outcome = error instanceof WebAssembly.RuntimeError ? 'trap' : 'exception';
            }
            found.push([i, arg, outcome, trace.value]);
        }
    }
    return found;
});
console.log(JSON.stringify(outcomes));
"""

Outcome = list[int | str]


def setting(name: str) -> Path:
    """A path that the test environment has to give."""
    value = os.environ.get(name)
    assert value, f"{name} is not set: run the tests by `make test` or under tools/test_env.py"
    return Path(value)


@dataclass
class Engine:
    """The engine of the product, with the proposals on that the product turns on."""

    engine: wasmtime.Engine

    def compile(self, path: Path) -> wasmtime.Module:
        return wasmtime.Module(self.engine, path.read_bytes())

    def outcomes(self, path: Path) -> list[Outcome]:
        """Every function called with every argument: result, trap or exception, and the trace."""
        store = wasmtime.Store(self.engine)
        exports = wasmtime.Instance(store, self.compile(path), []).exports(store)
        trace, fuel = exports["trace"], exports["fuel"]
        found: list[Outcome] = []
        for i in range(FUNCTIONS):
            for argument in ARGUMENTS:
                trace.set_value(store, 0)
                fuel.set_value(store, legacy_modules.FUEL_START)
                try:
                    outcome = exports[f"f{i}"](store, argument)
                except wasmtime.Trap as trap:
                    outcome = "exception" if "thrown Wasm exception" in str(trap) else "trap"
                found.append([i, argument, outcome, trace.value(store)])
        return found


@pytest.fixture(scope="module")
def engine() -> Engine:
    config = wasmtime.Config()
    config.wasm_exceptions = True
    config.wasm_gc = True
    config.wasm_function_references = True
    return Engine(wasmtime.Engine(config))


@pytest.fixture(scope="module")
def core() -> Path:
    """The WebAssembly of Pyodide's core."""
    path = setting("VITRINE_TEST_NODE_MODULES") / "pyodide" / "pyodide.asm.wasm"
    assert path.exists(), f"no Pyodide core at {path}"
    return path


def run(*command: object) -> str:
    """Run a program that must succeed; its output."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def lower(module: Path, out: Path) -> Path:
    """Our translation."""
    run(setting("VITRINE_BUILD") / "src/guest/dylink/lower-exceptions", module, out)
    return out


def wasm_opt(module: Path, *options: object) -> str:
    """Run Binaryen's optimizer with every feature on that the engine has too; its output."""
    program = setting("VITRINE_TEST_NODE_MODULES") / "binaryen" / "bin" / "wasm-opt"
    assert program.exists(), f"no Binaryen at {program}"
    features = ["-all", "--disable-compact-imports"]
    return run(setting("VITRINE_TEST_NODE"), program, module, *features, *options)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The random modules, in the legacy encoding."""
    folder = tmp_path_factory.mktemp("legacy")
    paths = [folder / f"{seed}.wasm" for seed in range(MODULES)]
    for seed, path in enumerate(paths):
        path.write_bytes(legacy_modules.make(seed, FUNCTIONS))
    return paths


def test_random_modules_run_as_v8_runs_the_originals(
    engine: Engine, modules: list[Path], tmp_path: Path
) -> None:
    settings = [legacy_modules.FUEL_START, [str(path) for path in modules], ARGUMENTS]
    command = [setting("VITRINE_TEST_NODE"), "-e", NODE_SCRIPT, json.dumps(settings)]
    expected = json.loads(run(*command))
    kinds: Counter[str] = Counter()
    for path, outcomes in zip(modules, expected, strict=True):
        assert engine.outcomes(lower(path, tmp_path / path.name)) == outcomes, path.name
        kinds.update(o[2] if isinstance(o[2], str) else "result" for o in outcomes)
    assert all(kinds[kind] >= 20 for kind in ("result", "exception", "trap")), kinds


def test_random_modules_run_as_binaryen_translates_them(engine: Engine, tmp_path: Path) -> None:
    for seed in range(100, 100 + BINARYEN_MODULES):
        path = tmp_path / f"{seed}.wasm"
        # Binaryen 132 refuses some modules with code that cannot be reached.
        path.write_bytes(legacy_modules.make(seed, FUNCTIONS, dead_code=0))
        ours = engine.outcomes(lower(path, tmp_path / "ours.wasm"))
        wasm_opt(path, "--translate-to-exnref", "-o", tmp_path / "theirs.wasm")
        assert ours == engine.outcomes(tmp_path / "theirs.wasm"), path.name


def sections(module: Path) -> list[tuple[int, bytes]]:
    """The sections of a module: number and contents."""
    data, at, found = module.read_bytes(), 8, []
    while at < len(data):
        number, size, shift, at = data[at], 0, 0, at + 1
        more = True
        while more:
            size |= (data[at] & 0x7F) << shift
            more, shift, at = data[at] >= 0x80, shift + 7, at + 1
        found.append((number, data[at : at + size]))
        at += size
    return found


def metrics(text: str) -> list[dict[str, int]]:
    """The tables of Binaryen's --metrics: how many functions, and instructions of each kind."""
    tables: list[dict[str, int]] = []
    for line in text.splitlines():
        if line.startswith("total"):
            tables.append({})
        elif line.count(":") == 1 and tables:
            name, rest = line.split(":")
            tables[-1][name.strip()] = int(rest.split()[0])
    return tables


def test_core_becomes_what_binaryen_makes_of_it(engine: Engine, core: Path, tmp_path: Path) -> None:
    ours = lower(core, tmp_path / "ours.wasm")
    theirs = tmp_path / "theirs.wasm"
    before, other = metrics(
        wasm_opt(core, "--metrics", "--translate-to-exnref", "--metrics", "-o", theirs)
    )
    (mine,) = metrics(wasm_opt(ours, "--metrics"))
    assert before["Try"] > 1000 and "Try" not in mine and "Rethrow" not in mine
    # One try_table for each try, one throw_ref for each rethrow and each place that exceptions
    # are delegated to.
    assert mine["TryTable"] == before["Try"]
    for kind in ("TryTable", "ThrowRef", "Throw", "[funcs]", "[imports]", "[exports]", "Call"):
        assert mine[kind] == other[kind], kind
    for path in (ours, theirs):
        wasmtime.Module.validate(engine.engine, path.read_bytes())
    type_and_code = (1, 10)
    kept = [section for section in sections(core) if section[0] not in type_and_code]
    assert kept == [section for section in sections(ours) if section[0] not in type_and_code]


def test_lowering_twice_changes_nothing(core: Path, modules: list[Path], tmp_path: Path) -> None:
    for path in [core, *modules]:
        once = lower(path, tmp_path / "once.wasm")
        twice = lower(once, tmp_path / "twice.wasm")
        assert once.read_bytes() == twice.read_bytes(), path.name
        assert once.read_bytes() != path.read_bytes(), path.name


def test_core_is_lowered_in_no_time(core: Path, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    lower(core, tmp_path / "core.wasm")
    # It takes a tenth of a second of the processor; the rest is for builds with sanitizers.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1


def test_damaged_modules_end_in_a_sentence(modules: list[Path], tmp_path: Path) -> None:
    """Bytes cut off or changed: the program says where, or makes a module; it never crashes."""
    whole = modules[0].read_bytes()
    chance = random.Random(0)
    program = setting("VITRINE_BUILD") / "src/guest/dylink/lower-exceptions"
    refused = 0
    for number in range(200):
        damaged = bytearray(whole)
        if number % 2 == 0:
            del damaged[chance.randrange(len(whole)) :]
        for _ in range(3 * (number % 2)):
            damaged[chance.randrange(len(whole))] = chance.randrange(256)
        path = tmp_path / "damaged.wasm"
        path.write_bytes(damaged)
        command = [program, path, tmp_path / "out.wasm"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stderr
        if done.returncode == 1:
            refused += 1
            assert ", byte " in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert refused > 50
