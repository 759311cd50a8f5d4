"""Attack 43, the cache: files in it that are cut off, forged or something else altogether.

Expected: everything is checked when it is read; what is wrong is removed and fetched again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import fetcher
import pytest
from fetcher import CONFIG_INDEX, CONFIG_OFFLINE, METADATA, OFFLINE, OK, PAGE, WHEEL, World, sha256

NAME = "demo-1.0-py3-none-any.whl"
GOOD = fetcher.make_wheel("demo", "1.0")
EVIL = fetcher.make_wheel("demo", "1.0", padding=2)


def cut_off(path: Path) -> None:
    """As after a crash."""
    os.truncate(path, path.stat().st_size // 2)


def forge(path: Path) -> None:
    """Another wheel in its place."""
    path.write_bytes(EVIL)


def flip(path: Path) -> None:
    """One bit."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    """Nothing."""
    path.write_bytes(b"")


def link(path: Path) -> None:
    """A link to something that only the program may read."""
    path.unlink()
    path.symlink_to("/etc/passwd")


def pipe(path: Path) -> None:
    """A pipe, on which a reader would wait for ever."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("harm", [cut_off, forge, flip, empty, link, pipe])
def test_everything_in_the_cache_is_checked(world: World, harm: Callable[[Path], None]) -> None:
    index = world.server()
    index.page("demo", index.file(NAME, GOOD))
    config = (CONFIG_INDEX, f"{index.address}/simple")

    def ask() -> Path:
        with world.fetcher(config) as program:
            assert len(program.get(PAGE, "demo").page["files"]) == 1
            answer = program.get(METADATA, sha256(GOOD))
            assert (answer.status, b"\nName: demo\n" in answer.body) == (OK, True)
            return Path(program.get(WHEEL, sha256(GOOD)).text)

    ask()
    files = [world.cache / name for name in fetcher.files_under(world.cache)]
    assert len(files) == 3  # the page, METADATA, the wheel
    for path in files:
        harm(path)
    with world.fetcher((CONFIG_OFFLINE, 1)) as program:
        assert program.get(WHEEL, sha256(GOOD)).status == OFFLINE
    index.asked.clear()
    assert ask().read_bytes() == GOOD
    assert sorted(set(index.paths())) == [f"/files/{NAME}", "/simple/demo/"]
    index.asked.clear()
    assert ask().read_bytes() == GOOD
    assert index.asked == []


def test_two_programs_fill_one_cache(world: World) -> None:
    index = world.server()
    wheels = [fetcher.make_wheel("demo", f"1.{n}", padding=300_000) for n in range(10)]
    index.page(
        "demo",
        *[index.file(f"demo-1.{n}-py3-none-any.whl", wheel) for n, wheel in enumerate(wheels)],
    )
    config = (CONFIG_INDEX, f"{index.address}/simple")
    with world.fetcher(config) as first, world.fetcher(config) as second:
        for program in (first, second):
            program.get(PAGE, "demo")
        asked = [
            (program, program.ask(WHEEL, sha256(wheel)), wheel)
            for wheel in wheels
            for program in (first, second)
        ]
        # A third one comes and sweeps what killed programs left: not what these two are writing.
        with world.fetcher(config) as third:
            third.get(PAGE, "demo")
        for program, number, wheel in asked:
            assert Path(program.wait(number).text).read_bytes() == wheel
    assert fetcher.files_under(world.cache / "fetching") == []
