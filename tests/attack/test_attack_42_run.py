"""Attack 42, at run time: a wheel with modules that would stand before the sandbox's own.

Expected: the standard library and the runner win, path files and site modules are not run, and what
the wheel does to its own process ends with its environment.
"""

from __future__ import annotations

import local_index
from victim import Victim

EVIL = b"import builtins\nbuiltins.evil = 'evil'\nevil = 1\n"
SHADOWS = (
    *("json.py", "js.py", "os.py", "re/__init__.py", "encodings/utf_8.py", "builtins.py"),
    *("vitrine/__init__.py", "vitrine/runner.py", "sitecustomize.py", "usercustomize.py"),
    *("pip/__init__.py", "__main__.py", "main.py"),
)
PATH_FILES = ("demo.pth", "demo-nspkg.pth", "distutils-precedence.pth")
PTH = b"import builtins; builtins.evil = 'evil'\n/tmp\n"

LOOK = """\
import importlib, json, sys
import demo
names = ['json', 'os', 're', 'encodings.utf_8', 'vitrine', 'vitrine.runner', 'builtins']
bad = [n for n in names if hasattr(importlib.import_module(n), 'evil')]
found = []
for n in ('sitecustomize', 'usercustomize', 'js'):
    try:
        found += [n] if hasattr(importlib.import_module(n), 'evil') else []
    except ImportError:
        pass
bad, found, '/tmp' in sys.path, json.loads('[1]'), demo.x
"""

# A package that spoils whatever it can reach, when it is imported.
SPOIL = b"""\
import builtins, json, os, sys, time
json.dumps = json.loads = lambda *a, **k: 'evil'
builtins.print = lambda *a, **k: sys.stdout.write('evil')
builtins.evil = 'evil'
sys.path.insert(0, '/tmp')
sys.modules['re'] = sys.modules['vitrine'] = sys.modules[__name__]
os.environ['EVIL'] = '1'
for place in ('/tmp', '/lib/python3.14/site-packages', '/lib/python3.14', '/'):
    for name in ('json.py', 'evil.py', 'sitecustomize.py'):
        try:
            with open(f'{place}/{name}', 'w') as file:
                file.write('evil = 1')
        except OSError:
            pass
try:
    import atexit
    atexit.register(lambda: print('evil'))
except Exception:
    pass
"""


def test_shadows(victim: Victim) -> None:
    code = dict.fromkeys(SHADOWS, EVIL) | dict.fromkeys(PATH_FILES, PTH)
    code["demo/__init__.py"] = b"x = 1\n"
    victim.serve("demo", local_index.wheel("demo", "1.0", code))
    result = victim.call(LOOK, ["demo"])
    assert result["status"] == "success", result
    assert result["return_value"] == [[], [], False, [1], 1]


def test_the_effect_ends_with_the_environment(victim: Victim) -> None:
    victim.serve("demo", local_index.wheel("demo", "1.0", {"demo/__init__.py": SPOIL}))
    victim.serve("other", local_index.wheel("other", "1.0"))
    first = victim.call("import demo\nprint(1)\n1", ["demo"])
    assert first["status"] in ("success", "run-error", "crash"), first
    look = (
        "import builtins, json, os, sys\nfrom importlib.util import find_spec\n"
        "[hasattr(builtins, 'evil'), json.dumps([1]), '/tmp' in sys.path, 'EVIL' in os.environ,"
        " find_spec('evil') is None]"
    )
    clean = [False, "[1]", False, False, True]
    for dependencies in (["demo"], ["other"], []):  # its own, another one, the base
        for _ in range(2):
            assert victim.call(look, dependencies)["return_value"] == clean


def test_two_wheels_with_one_file(victim: Victim) -> None:
    """A wheel that brings another project's files does not get them in unseen."""
    victim.serve("demo", local_index.wheel("demo", "1.0", requires=("other",)))
    code = {"demo/__init__.py": b"x = 'evil'\n", "other/__init__.py": b"x = 1\n"}
    victim.serve("other", local_index.wheel("other", "1.0", code))
    result = victim.call("import demo; demo.x", ["demo"])
    assert result["status"] == "install-error", result
    assert "demo/__init__.py" in result["error"]["message"]
