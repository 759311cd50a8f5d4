"""--mount: a directory of the host does for a program what it does for `python`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from driver import Program, RawServer

SCRIPT = """
import json, os, sys
import helper
from pkg import inner
with open("data.json") as file:
    data = json.load(file)
print(helper.x, inner.y, data, sys.argv[1:], os.path.basename(__file__))
print(sorted(os.listdir()), os.path.exists("pkg/inner.py"), os.path.getsize("data.json"))
print(sorted(sum((files for _, _, files in os.walk(".")), [])))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "pro ject"
    (folder / "pkg").mkdir(parents=True)
    (folder / "script.py").write_text(SCRIPT)
    (folder / "helper.py").write_text("x = 42\n")
    (folder / "pkg" / "__init__.py").touch()
    (folder / "pkg" / "inner.py").write_text("y = 'inner'\n")
    (folder / "pkg" / "near.py").write_text("import inner, sys\nprint(inner.y, sys.path[0])\n")
    (folder / "data.json").write_text('{"a": 1}')
    return folder


def test_as_python_does(vitrine: Program, project: Path) -> None:
    """The same lines as the Python that runs this test."""
    native = subprocess.run(
        [sys.executable, "-B", "script.py", "one", "-x"],
        cwd=project,
        capture_output=True,
        check=True,
    )
    ours = vitrine("run", "--mount", ".", "script.py", "one", "-x", cwd=project)
    assert (ours.returncode, ours.stderr) == (0, b"")
    assert ours.stdout == native.stdout
    # From elsewhere, and in the other modes.
    for mount in (str(project), f"{project}:rw", f"{project}:/work", f"{project}/:/work/:overlay"):
        again = vitrine("run", "--mount", mount, project / "script.py", "one", "-x")
        assert (again.stdout, again.stderr) == (native.stdout, b""), mount


def test_a_script_imports_from_beside_itself(vitrine: Program, project: Path) -> None:
    done = vitrine("run", "--mount", ".", "pkg/near.py", cwd=project)
    assert (done.stdout, done.stderr) == (b"inner /work/pkg\n", b"")
    (project / "bad.py").write_text("1 / 0\n")
    done = vitrine("run", "--mount", ".", "bad.py", cwd=project)
    assert (
        b'File "/work/bad.py", line 1' in done.stderr and str(project).encode() not in done.stderr
    )


def test_modes(vitrine: Program, project: Path) -> None:
    code = (
        "open('new', 'w').write('1'); import os; os.remove('data.json'); print(os.listdir('pkg'))"
    )
    done = vitrine("run", "--mount", str(project), "-c", code)
    assert done.returncode == 1 and b"Read-only file system" in done.stderr
    done = vitrine("run", "--mount", f"{project}:overlay", "-c", code)
    assert done.returncode == 0, done
    assert not (project / "new").exists() and (project / "data.json").exists()
    done = vitrine("run", "--mount", f"{project}:rw", "-c", code)
    assert done.returncode == 0, done
    assert (project / "new").read_text() == "1" and not (project / "data.json").exists()


def test_what_an_overlay_made_is_told(vitrine: Program, project: Path) -> None:
    code = "open('new.csv', 'w').write('a\\n'); open('pkg/inner.py', 'a').write('# more\\n')"
    done = vitrine("run", "--json", "--mount", f"{project}:overlay", "-c", code)
    files = {file["name"]: file.get("text") for file in json.loads(done.stdout)["files"]}
    assert files == {"new.csv": "a\n", "pkg/inner.py": "y = 'inner'\n# more\n"}
    done = vitrine("run", "--json", "--mount", f"{project}:rw", "-c", "open('n', 'w').write('a')")
    assert "files" not in json.loads(done.stdout)


def test_several(vitrine: Program, project: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    code = """
import os, shutil
shutil.copy('/data/in/data.json', '/out/copy.json')
print(os.getcwd(), os.listdir('/data'), os.path.exists('/work'))
"""
    done = vitrine(
        *("run", "--mount", f"{project}:/data/in", "--mount", f"{tmp_path}/out:/out:rw", "-c", code)
    )
    assert (done.stdout, done.stderr) == (b"/home/vitrine ['in'] False\n", b"")
    assert (tmp_path / "out" / "copy.json").read_text() == '{"a": 1}'


def test_limits(vitrine: Program, project: Path) -> None:
    code = "open('large', 'wb').write(bytes(1 << 20))"
    for mode in ("rw", "overlay"):
        args = ("--json", "--file-bytes", "100K", "--mount", f"{project}:{mode}")
        result = json.loads(vitrine("run", *args, "-c", code).stdout)
        assert (result["status"], result["limits"]) == ("limit", ["file-bytes"]), mode
    assert (project / "large").stat().st_size <= 100 << 10
    code = "for i in range(100): open(f'f{i}', 'w').close()"
    args = ("--json", "--file-count", "10", "--mount", f"{project}:rw")
    result = json.loads(vitrine("run", *args, "-c", code).stdout)
    assert (result["status"], result["limits"]) == ("limit", ["file-count"])
    assert len(list(project.glob("f*"))) == 10


def test_names_that_are_no_text(vitrine: Program, project: Path) -> None:
    (project / "pkg" / "x").touch()
    raw = bytes(project) + b"/caf\xe9"
    Path(raw.decode(errors="surrogateescape")).write_text("latin")
    code = "import os\n[n] = [n for n in os.listdir(b'.') if b'caf' in n]\nprint(n, open(n).read())"
    done = vitrine("run", "--mount", str(project), "-c", code)
    assert done.stdout == b"b'caf\\xe9' latin\n", done


@pytest.mark.parametrize(
    "mounts, said",
    [
        (["/nowhere/at/all"], b"/nowhere/at/all"),
        (["{}/data.json"], b"data.json"),
        (["{}", "{}:rw"], b"two directories"),
        (["{}:/lib"], b"/lib"),
        (["{}:/tmp"], b"/tmp"),
        (["{}:/dev/null/x"], b"/dev/null/x"),
        (["{}:/a/../b"], b"/a/../b"),
        (["{}:/"], b"nothing can be mounted"),
        ([f"{{}}:/m{i}" for i in range(9)], b"at most 8"),
    ],
)
def test_mistakes(vitrine: Program, project: Path, mounts: list[str], said: bytes) -> None:
    options = [word for mount in mounts for word in ("--mount", mount.format(project))]
    done = vitrine("run", *options, "-c", "print(1)")
    assert done.returncode in (2, 125) and done.stdout == b""
    assert said in done.stderr, done.stderr


def test_a_server_with_a_directory(vitrine: Program, project: Path) -> None:
    with RawServer(vitrine, "--mount", f"{project}:overlay") as server:
        server.initialize()
        [tool] = server.request("tools/list")["result"]["tools"]
        assert "/work is a directory of the user's" in tool["description"]
        assert tool["annotations"]["readOnlyHint"] is True
        write = "open('n', 'w').write('1'); import helper; helper.x"
        assert server.call(write)["structuredContent"]["return_value"] == 42
        again = server.call("import os; os.path.exists('n')")["structuredContent"]
        assert again["return_value"] is False


def test_http_has_no_directories(vitrine: Program, project: Path) -> None:
    done = vitrine("http", "--mount", str(project))
    assert done.returncode == 2 and b"--mount" in done.stderr
