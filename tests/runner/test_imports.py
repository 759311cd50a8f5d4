"""From a program to its need: which imports are found, whose they are, what is here."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from records import ROOT

from vitrine import execute, imports

LOCK = {
    "pillow": ["PIL"],
    "pyyaml": ["_yaml", "yaml"],
    "protobuf": ["google"],
    "Jinja2": ["jinja2"],
    "rpds-py": ["rpds"],
}


@pytest.fixture(autouse=True)
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of packages, a lock file, and a program's own folder; return the first."""
    site, own = tmp_path / "site-packages", tmp_path / "own"
    (site / "here").mkdir(parents=True)
    (site / "here/__init__.py").touch()
    (site / "google/protobuf").mkdir(parents=True)
    (site / "google/protobuf/__init__.py").touch()
    own.mkdir()
    (own / "mine.py").touch()
    packages = {
        name: {"name": name, "imports": modules, "package_type": "package"}
        for name, modules in LOCK.items()
    }
    packages["libx"] = {"name": "libx", "imports": ["libx"], "package_type": "shared_library"}
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"packages": packages}))
    monkeypatch.setattr(imports, "LOCK_FILE", str(lock))
    monkeypatch.setattr(imports, "SITE_PACKAGES", str(site))
    monkeypatch.setattr(imports, "_by_import", None)
    # Without what happens to be installed beside pytest.
    standard = [folder for folder in sys.path if not folder.endswith("-packages")]
    monkeypatch.setattr(sys, "path", [str(own), *standard, str(site)])
    for name in "google jinja2 numpy pandas pydantic pygments rich rpds yaml".split():
        monkeypatch.delitem(sys.modules, name, raising=False)
    return site


def find(code: str) -> set[str]:
    return imports.find_imports(ast.parse(code), code.encode())


def need(code: str, given: tuple[str, ...] = (), resolved: str = "") -> dict | None:
    text = imports.find_need(code.encode(), "main.py", find(code), list(given), resolved)
    if text is None:
        return None
    found = json.loads(text)
    assert text == json.dumps(found, sort_keys=True, separators=(",", ":"))
    assert found["guesses"] == sorted(set(found["guesses"]))
    return found


@pytest.mark.parametrize(
    "code, expected",
    [
        ("import a, b.c as d", {"a", "b.c"}),
        ("from a.b import c, d as e", {"a.b.c", "a.b.d"}),
        ("from a import *", {"a.*"}),
        ("from . import a\nfrom .a import b", set()),
        ("def f():\n  import a\n  class C:\n    import b", {"a", "b"}),
        ("async def f():\n  async with x:\n    import a", {"a"}),
        ("try: import a\nexcept: import b\nelse: import c\nfinally: import d", set("abcd")),
        ("if x: import a\nelif y: import b\nelse: import c", set("abc")),
        ("for x in y: import a\nelse: import b\nwhile x: import c", set("abc")),
        ("match x:\n  case 1:\n    import a", {"a"}),
        ("with x: import a", {"a"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING: import a", {"typing.TYPE_CHECKING"}),
        ("if t.TYPE_CHECKING: import a\nelse: import b", {"b"}),
        ("__import__('a')", {"a"}),
        ("x = [importlib.import_module('a.b') for y in z]", {"a.b"}),
        ("import_module('a', 'p')", {"a"}),
        ("import_module('.a', 'p')", set()),
        ("import_module(a)\n__import__()\n__import__(1)", set()),
        ("def f(x=__import__('a')): return lambda: __import__('b')", {"a", "b"}),
        ("'import a'", set()),
    ],
)
def test_imports_are_found(code: str, expected: set[str]) -> None:
    assert find(code) == expected


@pytest.mark.parametrize(
    "source",
    [
        "",
        "print('hello')",
        "import os",
        "import os, sys as s,json",
        "import os.path",
        "from os import path",
        "  from collections.abc import (\n    Iterable,\n)",
        "import re  # for important things",
        "def f():\n    import os\n",
        "from __future__ import annotations",
    ],
)
def test_standard_imports_need_no_closer_look(source: str) -> None:
    assert execute.has_standard_imports(source.encode())


@pytest.mark.parametrize(
    "source",
    [
        "import numpy",
        "import os, numpy",
        "import os; import numpy",
        "import os;import numpy",
        "if x: import numpy",
        "import os\rimport numpy",
        "from os \\\n  import x",
        "from \\\nnumpy import os",
        "from numpy \\\nimport os",
        "import \\\n numpy",
        "import\tnumpy",
        "from .os import x",
        "from . import os",
        "__import__('numpy')",
        "x = import_module('numpy')",
        "import os#x",
        "import os,",
        "import os.path, numpy.random",
        "'''\nimport numpy\n'''",
        "important = 1",
        "import n\xfcmpy",
        "import",
    ],
)
def test_whatever_else_does(source: str) -> None:
    assert not execute.has_standard_imports(source.encode("latin-1"))


@pytest.mark.parametrize(
    "source, names",
    [
        ("x = 1", set()),
        ("import numpy", {"numpy"}),
        ("import numpy as np, a.b.c as d,e", {"numpy", "a.b.c", "e"}),
        ("if x:\n  from a.b import c as d, e", {"a.b.c", "a.b.e"}),
        ("from a import *  # all", {"a.*"}),
        ("'''\nimport words\n'''\nimport a", {"words", "a"}),
        ("from . import a", None),
        ("from a import (\n  b)", None),
        ("from a import b; import c", None),
        ("__import__('a')", None),
        ("import a\rimport b", None),
        ("import \\\n a", None),
        ("x = 'import'", None),
    ],
)
def test_names_of_imports_by_their_lines(source: str, names: set[str] | None) -> None:
    found = execute.names_in_lines(source.encode())
    assert found == names
    if names and "words" not in names:
        assert names == imports.find_imports(ast.parse(source), source.encode())


@pytest.mark.parametrize("source", ["import", "import ,", "from a import ", "import a,"])
def test_lines_that_import_nothing_are_no_trouble(source: str) -> None:
    program = execute.Program(execute.Request(b""))
    program.source = source.encode()
    program.looks_for_imports = True
    with pytest.raises(SyntaxError):
        program.compile()


@pytest.mark.parametrize(
    "code, guesses",
    [
        ("import numpy", ["numpy"]),
        ("import numpy, sys, os.path, json", ["numpy"]),
        ("import PIL.Image, cv2, sklearn.svm, yaml, bs4", None),
        ("import docx, pptx, dotenv, dateutil", None),
        ("import Crypto, OpenSSL, serial, jose, jwt, magic, slugify", None),
        ("import jinja2, rpds", ["jinja2", "rpds-py"]),
        ("import some_thing", ["some-thing"]),
        ("from google.cloud import storage", ["google-cloud-storage"]),
        ("import google.cloud.storage.blob", ["google-cloud-storage"]),
        ("from google.protobuf import json_format\nimport missing", ["missing", "protobuf"]),
        ("import google.genai", ["google-genai"]),
        ("import google\nimport missing", ["missing", "protobuf"]),
        ("from azure.storage.blob import BlobServiceClient", ["azure-storage-blob"]),
        ("import azure.identity", ["azure-identity"]),
        ("import _yaml", ["pyyaml"]),
        ("import pandas", ["pandas", "tzdata"]),
        ("import pandas\npandas.read_excel('a')", ["openpyxl", "pandas", "tzdata"]),
        ("from pydantic import BaseModel", ["pydantic"]),
        ("from pydantic import EmailStr", ["email-validator", "pydantic"]),
        ("import rich", ["pygments", "rich"]),
        ("import here, missing", ["here", "missing"]),
    ],
)
def test_guesses(code: str, guesses: list[str] | None) -> None:
    found = need(code)
    assert found["requirements"] == []
    if guesses is None:
        names = [name.partition(".")[0] for name in find(code)]
        assert found["guesses"] == sorted(imports._PROJECTS[name] for name in names)
    else:
        assert found["guesses"] == guesses


@pytest.mark.parametrize(
    "code",
    [
        "import os, json, __future__, __main__",
        "import mine",
        "import here",
        "import google.protobuf",
        "from google.protobuf import message",
        "import js\nfrom pyodide.ffi import to_js\nimport pyodide_js, _pyodide_core",
        "import micropip, vitrine, sitecustomize",
        "import imp, distutils, cgi",
        "import tkinter",
    ],
)
def test_nothing_is_needed(code: str) -> None:
    assert need(code) is None


def test_private_names_are_not_guessed() -> None:
    assert need("import _whatever") is None


def test_the_need_is_the_same_in_its_environment(guest: Path) -> None:
    code = "import numpy, here, nowhere"
    text = json.dumps(need(code), separators=(",", ":"))
    (guest / "numpy").mkdir()
    (guest / "numpy/__init__.py").touch()
    sys.path_importer_cache.clear()
    assert need(code)["guesses"] == ["here", "nowhere", "numpy"]
    assert need(code, resolved=text) is None
    assert need("import numpy, here") is None


BLOCK = "# /// script\n# dependencies = ['Rich>=1', 'numpy']\n# ///\nimport pandas"
EMPTY_BLOCK = "# /// script\n# dependencies = []\n# ///\nimport pandas"
OTHER_BLOCK = "# /// script\n# requires-python = '>=3.8'\n# ///\nimport pandas"


def test_a_block_wins_over_imports() -> None:
    assert need(BLOCK) == {"guesses": [], "requirements": ["numpy", "rich>=1"]}
    assert need(BLOCK, ("a",)) == {"guesses": [], "requirements": ["a", "numpy", "rich>=1"]}
    assert need(EMPTY_BLOCK) is None
    assert need(OTHER_BLOCK)["guesses"] == ["pandas", "tzdata"]


def test_requirements_beside_the_code_join_the_guesses() -> None:
    assert need("import missing", ("b>1", "a")) == {
        "guesses": ["missing"],
        "requirements": ["a", "b>1"],
    }
    assert need("print(1)", ("a",)) == {"guesses": [], "requirements": ["a"]}
    resolved = '{"guesses":[],"requirements":["a"]}'
    assert need("print(1)", ("a",), resolved) is None
    assert need("print(1)", ("a", "b"), resolved) is not None


def test_a_project_required_by_name_is_not_guessed() -> None:
    assert need("import numpy", ("numpy<2",))["guesses"] == []
    assert need("import cv2", ("opencv-python-headless",))["guesses"] == []


def test_python_must_fit() -> None:
    with pytest.raises(RuntimeError, match=r"requires Python >=4 \(PEP 723\)"):
        need("# /// script\n# requires-python = '>=4'\n# ///\n")


def test_bad_requirements_are_errors() -> None:
    with pytest.raises(ValueError, match="an address"):
        need("print(1)", ("x @ http://a.example",))


def test_there_are_not_too_many() -> None:
    code = "import " + ",".join(f"m{i}" for i in range(1000))
    assert len(need(code)["guesses"]) == 256


def test_without_a_lock_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "LOCK_FILE", "/nowhere")
    assert need("import PIL")["guesses"] == ["pillow"]


def test_the_limit_is_that_of_the_header() -> None:
    header = (ROOT / "src/base/limits.h").read_text()
    found = re.search(r"LIMIT_REQUIREMENTS_MAX\s+(\d+)U", header)
    assert int(found[1]) == imports._COUNT_MAX
