"""Attack 43, the build: killed in the middle, or given what an earlier, broken build has left.

Expected: no process is left, nothing that looks finished is left, the next build is right.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from wheels import BUILD, FILENAME, Entry, build, merge, refused, wheel

CODE = b"".join(b"def f%d(a, b=%d):\n    return [a + i * b for i in range(%d)]\n" % (i, i, i)
                for i in range(2000))  # fmt: skip
MANY = wheel(*(Entry(b"demo/m%d.py" % i, CODE) for i in range(60)))


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []
    return [found for child in children for found in (int(child), *descendants(int(child)))]


@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("who", ["builder", "child"])
def test_killed(tmp_path: Path, delay: float, who: str) -> None:
    source = tmp_path / FILENAME
    source.write_bytes(MANY)
    folder = tmp_path / "killed"
    folder.mkdir()
    arguments = ["wheel", source, folder, "--guest", BUILD / "guest"]
    with subprocess.Popen([BUILD / "vitrine-precompile", *arguments], stderr=-3) as running:
        while not descendants(running.pid) and running.poll() is None:
            time.sleep(0.001)
        time.sleep(delay)
        below = descendants(running.pid)
        assert below, "the build is done before it could be killed"
        os.kill(running.pid if who == "builder" else below[0], signal.SIGKILL)
        assert running.wait(timeout=10) != 0
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in below) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    assert not (folder / "about.json").exists()
    assert build(tmp_path / "again", wheel()).status == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "wheel.img").write_bytes(b"x" * 100), "not a file system image"),
        (lambda folder: (folder / "wheel.img").write_bytes(b""), "wheel.img"),
        (lambda folder: (folder / "wheel.img").unlink(), "wheel.img"),
        (lambda folder: (folder / "modules").write_bytes(b"x\n"), "list of modules is damaged"),
        (
            lambda folder: (folder / "modules").write_text(f"{'0' * 64} ../../etc/passwd\n"),
            "list of modules is damaged",
        ),
        (
            lambda folder: (folder / "modules").write_text(f"{'0' * 64} {'1' * 64}.cwasm\n"),
            "list of modules is damaged",
        ),
        (lambda folder: (folder / "modules").unlink(), "modules"),
    ],
)
def test_damaged_wheel_folder(
    tmp_path: Path, change: Callable[[Path], object], reason: str
) -> None:
    built = build(tmp_path, wheel())
    change(built.folder)
    assert refused(merge(tmp_path, built.folder), reason)


def test_damaged_image_anywhere(tmp_path: Path) -> None:
    """Any byte changed: merged or refused, never a crash."""
    built = build(tmp_path, wheel())
    image = built.folder / "wheel.img"
    whole = image.read_bytes()
    for at in range(0, min(len(whole), 600), 7):
        image.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        merged = merge(tmp_path / f"at{at}", built.folder)
        assert merged.status in (0, 1), (at, merged.error)
        assert "signal" not in merged.error


def test_machine_code_is_missing(tmp_path: Path) -> None:
    built = build(tmp_path, wheel())
    total = hashlib.sha256(b"").hexdigest()
    (built.folder / "modules").write_text(f"{total} {total}.cwasm\n", encoding="ascii")
    merged = merge(tmp_path, built.folder)
    assert merged.status == 1
    assert f"{total}.cwasm" in merged.error
