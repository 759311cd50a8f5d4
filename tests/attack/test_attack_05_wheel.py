"""Attack 5, in a wheel: crafted side modules that go through the real pipeline and are imported.

Expected: the wheel is refused when it is built (install-error), or the import fails in the program
that asked for it (ImportError, crash, or limit when it runs for ever). The server answers after
each of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from legacy_modules import uleb, vector
from modules import ENDLESS, RETURN_ZERO, TAG, Module, at_base, segment, text
from victim import Victim
from wheels import Entry, build, refused, wheel

FILENAME = f"demo-1.0-{TAG}.whl"
GIB = 1 << 30
TWO = {"PyInit_a": RETURN_ZERO, "__wasm_call_ctors": ENDLESS}
FUNCTION = b"\0\0"  # an import of the first type


def needing(*names: str) -> bytes:
    """A section dylink.0 with needed libraries."""
    names_of = vector([text(name) for name in names])
    return b"\1\4\0\0\0\0\2" + uleb(len(names_of)) + names_of


REFUSED = {
    "empty": b"",
    "no-sections": b"\0asm\1\0\0\0",
    "text": b"not a module at all\n" * 100,
    "component": b"\0asm\x0d\0\1\0" + bytes(100),
    "no-dylink": Module(has_dylink=False).write(),
    "dylink-cut": Module(dylink=b"\1\4\0\0").write(),
    "dylink-overlong": Module(dylink=b"\1\x05\xff\xff\xff\xff\xff").write(),
    "dylink-length": Module(dylink=b"\1\xff\xff\xff\xff\x0f\0\0\0\0").write(),
    "memory-4g": Module(memory=0xFFFFFFFF).write(),
    "memory-2g": Module(memory=2 * GIB).write(),
    "memory-align": Module(memory=16, memory_align=31).write(),
    "memory-align-wraps": Module(memory=16, memory_align=0xFFFFFFFF).write(),
    "table-huge": Module(table=0xFFFFFFFF).write(),
    "table-large": Module(table=1_000_001).write(),
    "table-align": Module(table=1, table_align=32).write(),
    "start-missing": Module(start=7).write(),
    "start-takes": Module(start=0).write(),  # of a type that no start function may have
    "bodies-cut": Module().write()[:-2],
}

# What the builder lets through, or may: it is judged by what it does when it is imported.
IMPORTED = {
    "null": Module(),
    "unknown-function": Module(
        imports=[text("env") + text("evil_" + "x" * 40) + FUNCTION], function_imports=1
    ),
    "unknown-module": Module(
        imports=[text("evil") + text("system") + FUNCTION], function_imports=1
    ),
    "wasi": Module(
        imports=[text("wasi_snapshot_preview1") + text("proc_exec") + FUNCTION],
        function_imports=1,
    ),
    "wrong-type": Module(imports=[text("env") + text("malloc") + FUNCTION], function_imports=1),
    "unknown-data": Module(imports=[text("GOT.mem") + text("evil") + b"\3\x7f\1"]),
    "unknown-place": Module(imports=[text("GOT.func") + text("evil") + b"\3\x7f\1"]),
    "data-below": Module(memory=16, data=[segment(at_base(-1 << 30), b"evil")]),
    "data-above": Module(memory=16, data=[segment(at_base(0x7FFFFFFF), b"evil")]),
    "data-outside": Module(data=[segment(b"\x41\x7f\x0b", b"evil")]),
    "element-above": Module(table=1, elements=[b"\0\x41\xff\xff\xff\xff\7\x0b\1\0"]),
    "needed-itself": Module(dylink=needing("a.so")),
    "needed-outside": Module(dylink=needing("/../../etc/evil.so")),
    "needed-long": Module(dylink=needing("x" * 5000)),
    "needed-many": Module(dylink=needing(*(f"{i}.so" for i in range(3000)))),
    "dylink-empty": Module(dylink=b""),
    "dylink-twice": Module(dylink=b"\1\4\0\0\0\0" * 2),
    "own-memory": Module(imports=[text("evil") + text("memory") + b"\2\0\1"]),
    "own-table": Module(imports=[text("evil") + text("t") + b"\1\x70\0\0"]),
    "memory-1g": Module(memory=GIB),
    "table-many": Module(table=900_000),
    "not-exported": Module(functions={"PyInit_b": RETURN_ZERO}),
    "traps": Module(functions={"PyInit_a": b"\0\x0b"}),
}

# Those that run for ever, each in another place.
ENDLESS_ONES = {
    "start": Module(functions={"PyInit_a": RETURN_ZERO, "s": ENDLESS}, types=[0, 1], start=1),
    "constructors": Module(functions=TWO, types=[0, 1]),
    "relocations": Module(
        functions={"PyInit_a": RETURN_ZERO, "__wasm_apply_data_relocs": ENDLESS}, types=[0, 1]
    ),
    "initialization": Module(functions={"PyInit_a": ENDLESS[:-1] + RETURN_ZERO}),
}


def offer(victim: Victim, contents: dict[str, bytes]) -> None:
    """Put a wheel with side modules on the index, one folder for each."""
    entries = [Entry(f"{name}/a.so".encode(), data) for name, data in contents.items()]
    victim.serve("demo", (FILENAME, wheel(*entries, tag=TAG)))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_when_it_is_built(tmp_path: Path, name: str) -> None:
    data = wheel(Entry(b"demo/a.so", REFUSED[name]), tag=TAG)
    assert refused(build(tmp_path, data, FILENAME), "demo/a.so")


def test_refused_in_a_call(victim: Victim) -> None:
    offer(victim, {"demo": REFUSED["memory-4g"]})
    result = victim.call("import demo.a", ["demo"])
    assert result["status"] == "install-error", result
    assert "demo/a.so" in result["error"]["message"]


def test_one_by_one(victim: Victim) -> None:
    """Each in a folder of its own, and in a cell of its own."""
    folders = {f"m{i}": module.write() for i, module in enumerate(IMPORTED.values())}
    offer(victim, folders)
    came = {}
    for folder, name in zip(folders, IMPORTED, strict=True):
        code = (
            f"try:\n    import {folder}.a\nexcept (ImportError, SystemError) as error:\n"
            "    print(type(error).__name__, error)\nelse:\n    print('imported')\n1 + 1"
        )
        result = victim.call(code, ["demo"])
        came[name] = (result["status"], result["stdout"])
        assert result["status"] in ("success", "crash", "limit"), (name, result)
        assert result["stdout"] != "imported\n", name
    assert came["null"][0] == "success"
    assert came["not-exported"][0] == "success"


def test_endless(victim: Victim) -> None:
    folders = {f"m{i}": module.write() for i, module in enumerate(ENDLESS_ONES.values())}
    offer(victim, folders)
    for folder in folders:
        result = victim.call(f"import {folder}.a", ["demo"])
        assert (result["status"], result["limits"]) == ("limit", ["time"]), (folder, result)
