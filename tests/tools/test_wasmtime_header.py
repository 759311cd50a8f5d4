"""The generated C declarations: complete, compilable, and of the right size and values."""

from __future__ import annotations

import ast
import ctypes
import subprocess
from pathlib import Path

import pytest

import parts
import wasmtime_header
from wasmtime_header import Api, HeaderError

WARNINGS = ["-std=c17", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wstrict-prototypes"]


@pytest.fixture(scope="module")
def part() -> parts.Part:
    """The engine's part, fetched when it is not in the cache."""
    found = next(part for part in parts.read_lock() if part.name == "wasmtime")
    parts.ensure(found)
    return found


def compile_and_run(part: parts.Part, tmp_path: Path, compiler: str, body: str) -> str:
    """Compile a program against the header and the library, run it, return what it printed."""
    source = tmp_path / "program.c"
    source.write_text(f'#include <stdio.h>\n#include "wasmtime_c.h"\n{body}')
    program = tmp_path / "program"
    library = part.place / "lib"
    subprocess.run(
        [compiler, *WARNINGS, source, "-o", program, f"-I{part.place / 'include'}"]
        + [f"-L{library}", "-lwasmtime", f"-Wl,-rpath,{library}"],
        check=True,
    )
    return subprocess.run([program], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_compiles_links_and_runs(part: parts.Part, tmp_path: Path, compiler: str) -> None:
    """A call with several arguments shows that the size of a value is right."""
    body = r"""
    static wasm_trap_t *add(void *env, wasmtime_caller_t *caller, wasmtime_val_t *args,
                            size_t args_count, wasmtime_val_t *results, size_t results_count)
    {
        (void)caller;
        *(size_t *)env = args_count * 10 + results_count;
        results[0].kind = WASMTIME_I64;
        results[0].of.i64 = args[0].of.i64 - args[1].of.i64 * args[2].of.i64;
        return NULL;
    }
    int main(void)
    {
        static const char text[] =
            "(module (import \"m\" \"f\" (func (param i64 i64 i64) (result i64)))"
            " (export \"g\" (func 0)) (memory (export \"memory\") 3))";
        wasm_engine_t *engine = wasm_engine_new();
        wasmtime_store_t *store = wasmtime_store_new(engine, NULL, NULL);
        wasmtime_context_t *context = wasmtime_store_context(store);
        wasm_byte_vec_t wasm;
        wasmtime_module_t *module = NULL;
        if (wasmtime_wat2wasm(text, sizeof text - 1, &wasm) != NULL ||
            wasmtime_module_new(engine, wasm.data, wasm.size, &module) != NULL) {
            return 1;
        }
        wasm_valtype_t *params[3] = {wasm_valtype_new(WASM_I64), wasm_valtype_new(WASM_I64),
                                     wasm_valtype_new(WASM_I64)};
        wasm_valtype_t *result[1] = {wasm_valtype_new(WASM_I64)};
        wasm_valtype_vec_t params_vec, result_vec;
        wasm_valtype_vec_new(&params_vec, 3, params);
        wasm_valtype_vec_new(&result_vec, 1, result);
        size_t seen = 0;
        wasmtime_extern_t import = {.kind = WASMTIME_EXTERN_FUNC};
        wasmtime_func_new(context, wasm_functype_new(&params_vec, &result_vec), add, &seen, NULL,
                          &import.of.func);
        wasmtime_instance_t instance;
        wasm_trap_t *trap = NULL;
        wasmtime_extern_t g, memory;
        if (wasmtime_instance_new(context, module, &import, 1, &instance, &trap) != NULL ||
            !wasmtime_instance_export_get(context, &instance, "g", 1, &g) ||
            !wasmtime_instance_export_get(context, &instance, "memory", 6, &memory)) {
            return 2;
        }
        wasmtime_val_t args[3] = {{.kind = WASMTIME_I64, .of = {.i64 = 1000}},
                                  {.kind = WASMTIME_I64, .of = {.i64 = 20}},
                                  {.kind = WASMTIME_I64, .of = {.i64 = 3}}};
        wasmtime_val_t out;
        if (wasmtime_func_call(context, &g.of.func, args, 3, &out, 1, &trap) != NULL) {
            return 3;
        }
        printf("%d %d %lld %zu %d %zu\n", g.kind, out.kind, (long long)out.of.i64, seen,
               memory.kind, wasmtime_memory_data_size(context, &memory.of.memory));
        return 0;
    }
    """
    printed = compile_and_run(part, tmp_path, compiler, body)
    assert printed.split() == ["0", "1", "940", "31", "3", "196608"]


def test_every_function_of_the_wheel_is_declared(part: parts.Part) -> None:
    """None lost: the names are taken from the wheel's text by other means than the generator's."""
    wheel = (part.place / "python" / "_bindings.py").read_text()
    header = (part.place / "include" / "wasmtime_c.h").read_text()
    names = [line.split(" = dll.")[1] for line in wheel.splitlines() if " = dll." in line]
    wanted = [name for name in names if not name.startswith("wasmtime_component_")]
    assert len(wanted) > 500
    assert [name for name in wanted if f"{name}(" not in header] == []


def test_library_exports_what_is_declared(part: parts.Part) -> None:
    """Declarations and library belong together."""
    library = ctypes.CDLL(str(part.place / "lib" / "libwasmtime.so"))
    api = Api()
    api.read((part.place / "python" / "_bindings.py").read_text(), "_bindings.py")
    assert [name for name in api.functions if not hasattr(library, name)] == []


def test_constants_have_the_values_of_the_wheel(part: parts.Part, tmp_path: Path) -> None:
    """Every constant and every enumerator with a written value, as the C compiler sees it."""
    wanted: dict[str, int] = {}
    for node in ast.walk(ast.parse((part.place / "python" / "_ffi.py").read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            name = ast.unparse(node.targets[0])
            if ast.unparse(node.value.func) == "c_uint8" and "COMPONENT" not in name:
                wanted[name] = ast.literal_eval(node.value.args[0])
    for node in ast.walk(ast.parse((part.place / "python" / "_bindings.py").read_text())):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            name = ast.unparse(node.targets[0])
            if name.isupper() and isinstance(node.value.value, int):
                wanted[name] = node.value.value
    assert {"WASMTIME_I32", "WASMTIME_EXTERN_TAG", "WASMTIME_TRAP_CODE_INTERRUPT"} <= set(wanted)
    prints = "".join(f'printf("%d\\n", (int){name});' for name in wanted)
    printed = compile_and_run(part, tmp_path, "gcc", f"int main(void) {{ {prints} return 0; }}")
    assert dict(zip(wanted, map(int, printed.split()), strict=True)) == wanted


def test_enumerations_without_values_count_from_zero(part: parts.Part) -> None:
    """The wheel writes auto(), which counts from 1 in Python; the C headers count from 0.

    The wheel itself settles it: _ffi.py gives the numbers of some of the same names.
    """
    api = Api()
    for name in ("_ffi.py", "_bindings.py"):
        api.read((part.place / "python" / name).read_text(), name)
    assert dict(api.enums["wasm_mutability_enum"]) == {"WASM_CONST": 0, "WASM_VAR": 1}
    assert api.constants["WASM_VAR"] == 1
    assert dict(api.enums["wasm_valkind_enum"])["WASM_FUNCREF"] == 129
    assert api.constants["WASM_FUNCREF"] == 129


def read(text: str) -> str:
    """The header made from a text in the wheel's style."""
    api = Api()
    api.read(text, "text")
    return api.render("a test")


def test_layout_follows_the_abi() -> None:
    """Padding between members and at the end; arrays; a union takes its largest member."""
    text = """
class wasm_inner(ctypes.Structure):
    _fields_ = [("a", ctypes.c_uint64), ("b", ctypes.c_uint32)]
class wasm_outer(ctypes.Structure):
    _fields_ = [("inner", wasm_inner), ("c", ctypes.c_uint8), ("d", ctypes.c_uint8 * 5)]
class wasm_either(ctypes.Union):
    _fields_ = [("outer", wasm_outer), ("p", ctypes.POINTER(wasm_outer)), ("e", ctypes.c_bool)]
"""
    header = read(text)
    assert "sizeof(struct wasm_inner) == 16" in header
    assert "sizeof(struct wasm_outer) == 24" in header
    assert "sizeof(union wasm_either) == 24" in header
    assert "uint8_t d[5];" in header


def test_pointers_to_functions() -> None:
    """A parameter that is a callback, and one that is a pointer to a pointer."""
    text = """
class wasm_thing_t(ctypes.Structure):
    pass
_wasm_thing_use = dll.wasm_thing_use
_wasm_thing_use.restype = ctypes.POINTER(wasm_thing_t)
_wasm_thing_use.argtypes = [ctypes.POINTER(ctypes.POINTER(wasm_thing_t)), \
ctypes.CFUNCTYPE(None, ctypes.c_void_p), ctypes.POINTER(ctypes.c_char)]
def wasm_thing_use(out: Any, default: Any, name: Any) -> Any:
    pass
"""
    wanted = "wasm_thing_t *wasm_thing_use(wasm_thing_t **out, void (*default_)(void *), "
    assert wanted + "const char *name);" in read(text)


@pytest.mark.parametrize(
    "text",
    [
        'class wasm_t(ctypes.Structure):\n    _fields_ = [("a", ctypes.c_what)]',
        'class wasm_t(ctypes.Structure):\n    _fields_ = [("a", c_int), ("a", c_int)]',
        "class wasm_t(ctypes.Structure):\n    _fields_ = make()",
        "class wasm_enum(Enum):\n    A = compute()",
        "_wasm_f = dll.wasm_f\n_wasm_f.restype = None",
        "wasm_cb_t = ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p)",
        "WASM_I32 = c_uint8(0)\nclass wasm_e(Enum):\n    WASM_I32 = 1",
    ],
)
def test_what_is_not_understood_is_an_error(text: str) -> None:
    """A wheel of another version must not give a header that is silently wrong."""
    with pytest.raises(HeaderError):
        read(text)


def test_command_line_reports_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without the files: a sentence and status 1, no traceback."""
    monkeypatch.setattr("sys.argv", ["wasmtime_header", str(tmp_path), str(tmp_path / "out.h")])
    assert wasmtime_header.main() == 1
    assert "_ffi.py" in capsys.readouterr().err
