"""Attack 43, whole installations: two at once, one of them killed; a cache that is damaged.

Expected: the one that lives succeeds, what the other left is cleared away. What is damaged is found
when it is read and made again; the program never runs with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import fetcher
import local_index
import pytest
from driver import Program, children_of
from modules import RETURN_ZERO, TAG, Module
from victim import is_ours
from wheels import Entry, wheel

NATIVE = f"demo-1.0-{TAG}.whl"
CODE = b"".join(b"def f%d(a, b=%d):\n    return [a + i * b for i in range(%d)]\n" % (i, i, i)
                for i in range(1500))  # fmt: skip
LARGE = {"demo/__init__.py": b"x = 1\n"} | {f"demo/m{i}.py": CODE for i in range(12)}
RUN = ["run", "--deps", "demo", "-c", "import demo; print(demo.x)"]
# As a program sees it that has the machine code of a side module; importing it ends in NULL.
LIBRARY = (
    "import ctypes, demo; from pathlib import Path\n"
    "print(ctypes.CDLL(str(Path(demo.__file__).with_name('a.so'))).answer(), demo.x)"
)


@pytest.fixture
def environment(world: fetcher.World) -> dict[str, str]:
    """Of a program that knows our index alone."""
    world.index = world.server()  # type: ignore[attr-defined]
    address = world.index.address  # type: ignore[attr-defined]
    return {
        **local_index.alone(world.certificate, address),
        "VITRINE_CACHE": str(world.cache),
    }


def litter(cache: Path) -> list[str]:
    """Temporary files and folders."""
    found = [str(path) for path in cache.rglob("*") if ".tmp-" in path.name]
    return found + fetcher.files_under(cache / "fetching")


@pytest.mark.parametrize("stage", ["resolving", "building", "late"])
def test_one_of_two_is_killed(
    world: fetcher.World, environment: dict[str, str], vitrine: Program, stage: str
) -> None:
    index = world.index  # type: ignore[attr-defined]
    index.page("demo", index.file(*local_index.wheel("demo", "1.0", LARGE)))
    with (
        vitrine.start(*RUN, env=environment) as first,
        vitrine.start(*RUN, env=environment) as second,
    ):
        deadline = time.monotonic() + 60
        while stage != "resolving" and time.monotonic() < deadline:
            if list((world.cache).glob("built/*.tmp-*")):
                break
            time.sleep(0.005)
        time.sleep(0.4 if stage == "late" else 0.02)
        below = children_of(first.pid)
        os.kill(first.pid, signal.SIGKILL)
        out, words = second.communicate(timeout=120)
        assert (out, second.returncode) == (b"1\n", 0), words
        first.wait(10)
    deadline = time.monotonic() + 15
    while left := [pid for pid in below if is_ours(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    again = vitrine(*RUN, env=environment)
    assert (again.stdout, again.returncode) == (b"1\n", 0), again.stderr
    assert litter(world.cache) == []


def test_both_are_killed_and_a_third_comes(
    world: fetcher.World, environment: dict[str, str], vitrine: Program
) -> None:
    index = world.index  # type: ignore[attr-defined]
    index.page("demo", index.file(*local_index.wheel("demo", "1.0", LARGE)))
    for _ in range(2):
        with vitrine.start(*RUN, env=environment) as running:
            deadline = time.monotonic() + 60
            while not list(world.cache.glob("built/*.tmp-*")) and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(0.1)
            os.kill(running.pid, signal.SIGKILL)
            running.wait(10)
    third = vitrine(*RUN, env=environment)
    assert (third.stdout, third.returncode) == (b"1\n", 0), third.stderr
    assert litter(world.cache) == []


def cut_off(path: Path) -> None:
    """As after a crash."""
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    """Nothing in it."""
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """One bit in its middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def noise(path: Path) -> None:
    """Something else, as long."""
    size = path.stat().st_size
    path.unlink()
    path.write_bytes(os.urandom(size))


def gone(path: Path) -> None:
    """Not there."""
    path.unlink()


def link(path: Path) -> None:
    """A link to something else."""
    path.unlink()
    path.symlink_to("/etc/passwd")


def pipe(path: Path) -> None:
    """A pipe, on which a reader would wait for ever."""
    path.unlink()
    os.mkfifo(path)


def folder(path: Path) -> None:
    """A folder."""
    path.unlink()
    path.mkdir()


def run(vitrine: Program, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """A program that loads the library of the wheel."""
    return vitrine("run", "--deps", "demo", "-c", LIBRARY, env=environment, timeout=90)


@pytest.mark.parametrize("harm", [cut_off, empty, flip, noise, gone, link, pipe, folder])
def test_every_file_of_the_cache(
    world: fetcher.World,
    environment: dict[str, str],
    vitrine: Program,
    harm: Callable[[Path], None],
) -> None:
    index = world.index  # type: ignore[attr-defined]
    module = Module(functions={"PyInit_a": RETURN_ZERO, "answer": b"\x41\x07\x0b"})
    entries = [Entry(b"demo/a.so", module.write())]
    index.page("demo", index.file(NATIVE, wheel(*entries, tag=TAG)))
    good = run(vitrine, environment)
    assert (good.stdout, good.returncode) == (b"7 1\n", 0), good.stderr
    whole = world.folder / "whole"
    shutil.copytree(world.cache, whole, symlinks=True)
    names = [n for n in fetcher.files_under(whole) if not n.endswith(".lock")]
    kinds = {name.split("/")[0] for name in names}
    assert {"wheels", "built", "environments", "metadata"} <= kinds
    for name in names:
        shutil.rmtree(world.cache)
        shutil.copytree(whole, world.cache, symlinks=True)
        harm(world.cache / name)
        done = run(vitrine, environment)
        assert (done.stdout, done.returncode) == (b"7 1\n", 0), (name, done.stderr)
        assert litter(world.cache) == []
