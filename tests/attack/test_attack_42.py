"""Attack 42: a wheel brings modules that would stand before the sandbox's own, and path files.

Expected: they are left out with a warning, the rest of the wheel is installed.
"""

from __future__ import annotations

from pathlib import Path

from wheels import Entry, build, image_files, merge, wheel

SITE = "/lib/python3.14/site-packages"
EVIL = b"raise SystemExit('evil')\n"
LEFT_OUT = [
    b"json.py",
    b"js.py",
    b"os/__init__.py",
    b"encodings/evil.py",
    b"vitrine/runner.py",
    b"sitecustomize.py",
    b"demo-1.0.data/purelib/re.py",
    b"demo.pth",
    b"demo/__pycache__/__init__.cpython-314.pyc",
    b"demo-1.0.data/scripts/demo",
    b"demo-1.0.data/data/etc/demo.conf",
]


def test_shadows(tmp_path: Path) -> None:
    kept = [Entry(b"demo/json.py", EVIL), Entry(b"demo/x.pth", EVIL), Entry(b"jsonx.py", EVIL)]
    built = build(tmp_path, wheel(*kept, *(Entry(name, EVIL) for name in LEFT_OUT)))
    assert built.status == 0, built.error
    for name in ("json", "js", "os", "encodings", "vitrine", "sitecustomize", "re"):
        assert f"module {name} is left out" in built.error
    merged = merge(tmp_path, built.folder)
    assert merged.status == 0, merged.error
    for image in (built.folder / "wheel.img", merged.folder / "packages.img"):
        files = image_files(image)
        names = {name.removeprefix(f"{SITE}/") for name in files}
        assert {"demo/json.py", "demo/x.pth", "jsonx.py", "demo/__init__.py"} <= names
        tops = {name.split("/")[0] for name in names}
        assert tops == {"demo", "demo-1.0.dist-info", "jsonx.py", "__pycache__"}
        assert files[f"{SITE}/demo/__pycache__/__init__.cpython-314.pyc"] != EVIL
