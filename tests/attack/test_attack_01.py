"""Attack 1: the way out that every Pyodide sandbox with a JavaScript host has had.

Expected: ImportError, and no string evaluator behind the glass. `js` and `pyodide_js` cannot be
imported, no object has a constructor to climb, and no function that runs text has an address.
"""

from __future__ import annotations

import pytest
from target import Target

OPTIONS = ("--timeout", "3")

GONE = ("js", "pyodide_js", "_pyodide_core", "js.globalThis", "pyodide_js._api")

IMPORTS = """
import importlib, importlib.util, sys
came = {}
for name in names:
    for way in (__import__, importlib.import_module, lambda n: exec(f'import {n}')):
        try:
            way(name)
        except ImportError:
            continue
        came[name] = repr(way)
    if name in sys.modules:
        came[name] = 'sys.modules'
# Nor does a class of theirs exist that was never imported by name.
for kind in object.__subclasses__():
    if 'JsProxy' in kind.__name__ or kind.__module__ in names:
        came[kind.__name__] = 'a class'
came
"""

# Pyodide's own package is there, without a core: what would reach a browser finds none.
PYODIDE = """
import pyodide.code, pyodide.ffi, pyodide.http
came = []
for way in (
    lambda: pyodide.code.run_js('1'),
    lambda: pyodide.ffi.JsProxy(),
    lambda: pyodide.http.open_url('http://localhost/'),
    lambda: pyodide.ffi.to_js({}).constructor,
    lambda: pyodide.ffi.create_proxy(print).constructor,
):
    try:
        came.append(repr(way()))
    except (ImportError, NameError, TypeError, AttributeError):
        pass
came
"""

# Exports of Pyodide's core that would run text in JavaScript.
EVALUATORS = """
import ctypes
core = ctypes.CDLL(None)
came = {}
for name in names:
    try:
        came[name] = core[name] is not None
    except AttributeError:
        pass
sorted(came)
"""
NAMES = (
    "emscripten_run_script",
    "emscripten_run_script_int",
    "emscripten_run_script_string",
    "emscripten_asm_const_int",
    "emscripten_asm_const_double",
    "emscripten_async_run_script",
    "emscripten_dlopen_js",
    "em_js_eval",
    "run_js",
    "eval",
    "_emval_get_global",
    "_emval_call",
    "JsvFunction_Call",
    "JsvObject_CallMethod",
)


def test_imports(either: Target) -> None:
    result = either.attack(IMPORTS, names=list(GONE))
    assert (result["status"], result["return_value"]) == ("success", {}), result


@pytest.mark.parametrize("name", ["js", "pyodide_js", "_pyodide_core"])
def test_an_import_as_programs_write_it(either: Target, name: str) -> None:
    result = either.attack(f"import {name}\n{name}.eval('1')")
    assert result["status"] == "run-error"
    assert result["error"]["type"] == "ModuleNotFoundError"
    result = either.attack(f"from {name} import fetch")
    assert result["error"]["type"] == "ModuleNotFoundError"


def test_a_constructor_of_a_constructor(either: Target) -> None:
    code = "[o for o in (print, int, open, (lambda: 0), 1.0) if hasattr(o, 'constructor')]"
    assert either.attack(code)["return_value"] == []
    result = either.attack("print.constructor.constructor('return process')()")
    assert result["error"]["type"] == "AttributeError"


def test_pyodide_without_its_core(either: Target) -> None:
    result = either.attack(PYODIDE)
    assert (result["status"], result["return_value"]) == ("success", []), result


def test_no_evaluator_has_an_address(either: Target) -> None:
    """Where a name of the core is left over, calling it names the host that is not there."""
    left = either.attack(EVALUATORS, names=list(NAMES))["return_value"]
    for name in left:
        code = f"import ctypes\nctypes.CDLL(None).{name}(ctypes.c_char_p(b'1'), 0, 0)"
        result = either.attack(code)
        assert result["status"] == "crash", (name, result)
