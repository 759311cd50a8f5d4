"""Fetching by hash: nothing wrong is kept, damage repairs itself, two at once do no harm."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import cache
import parts
from parts import HashError, Part, PartsError, Source

PAYLOAD = b"what the part is for\n"
WHEEL = "vitrine_example-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is configured to take wheels from, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("VITRINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_wheel(folder: Path, payload: bytes = PAYLOAD) -> str:
    """A wheel with one file; returns its SHA-256."""
    info = "vitrine_example-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("example/data.bin", payload)
        metadata = "Metadata-Version: 2.1\nName: vitrine-example\nVersion: 1.0\n"
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return cache.sha256_of(folder / WHEEL)


def make_part(sha256: str, payload: bytes = PAYLOAD) -> Part:
    """A part carried by that wheel."""
    members = {"data.bin": "example/data.bin"}
    source = Source("pip", "vitrine-example", "1.0", WHEEL, 1000, sha256, members)
    digest = hashlib.sha256(payload).hexdigest()
    return Part("example", "1.0", "an example", {"data.bin": digest}, (source,))


def kept_files() -> list[Path]:
    """Everything in the cache but its lock."""
    return [path for path in cache.root().rglob("*") if path.is_file() and path.name != "lock"]


def test_fetches_and_unpacks(index: Path) -> None:
    """The file is there, and a second call needs no index."""
    part = make_part(make_wheel(index))
    place = parts.ensure(part)
    assert (place / "data.bin").read_bytes() == PAYLOAD
    (index / WHEEL).unlink()
    assert parts.ensure(part) == place


def test_wrong_download_stops_and_keeps_nothing(index: Path) -> None:
    """The registry serves another file: the message has both sums and says what to do."""
    expected = make_wheel(index)
    got = make_wheel(index, b"changed on the way")
    with pytest.raises(HashError) as caught:
        parts.ensure(make_part(expected))
    assert expected in str(caught.value)
    assert got in str(caught.value)
    assert "Nothing was kept" in str(caught.value)
    assert kept_files() == []


def test_wrong_member_stops_and_keeps_no_part(index: Path) -> None:
    """The download is right but a file in it is not the one that parts.lock names."""
    part = make_part(make_wheel(index), b"something else")
    with pytest.raises(HashError, match=r"example/data\.bin"):
        parts.ensure(part)
    assert not part.place.exists()


def test_wrong_hash_is_not_worked_around(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second source is for when the first cannot be reached, not for when it lies."""
    part = make_part(make_wheel(index))
    wrong = dataclasses.replace(part.sources[0], sha256="0" * 64)
    asked: list[str] = []
    real = parts.fetch_with_pip
    monkeypatch.setitem(
        parts.CLIENTS,
        "pip",
        lambda source, folder: (asked.append(source.sha256), real(source, folder)),
    )
    with pytest.raises(HashError):
        parts.ensure(dataclasses.replace(part, sources=(wrong, part.sources[0])))
    assert asked == ["0" * 64]


def test_falls_back_to_the_next_source(index: Path) -> None:
    """A project that the index does not have, then one that it has."""
    part = make_part(make_wheel(index))
    absent = dataclasses.replace(part.sources[0], project="vitrine-absent", sha256="1" * 64)
    place = parts.ensure(dataclasses.replace(part, sources=(absent, part.sources[0])))
    assert (place / "data.bin").read_bytes() == PAYLOAD


def test_nothing_reachable_says_what_to_do(index: Path) -> None:
    """No source works: which part, and what to try."""
    with pytest.raises(PartsError, match=r"example 1\.0 could not be fetched.*\n.*pip"):
        parts.ensure(make_part("2" * 64))
    assert kept_files() == []


@pytest.mark.parametrize("damage", ["truncate", "change", "remove"])
def test_damaged_part_is_made_again(index: Path, damage: str) -> None:
    """From the kept download, without the index."""
    part = make_part(make_wheel(index))
    target = parts.ensure(part) / "data.bin"
    (index / WHEEL).unlink()
    if damage == "remove":
        target.unlink()
    else:
        target.write_bytes(PAYLOAD[:3] if damage == "truncate" else PAYLOAD.upper())
    assert (parts.ensure(part) / "data.bin").read_bytes() == PAYLOAD


def test_damaged_download_is_fetched_again(index: Path) -> None:
    """Both the part and the download are bad."""
    part = make_part(make_wheel(index))
    target = parts.ensure(part) / "data.bin"
    target.write_bytes(b"")
    kept = cache.root() / "downloads" / part.sources[0].sha256 / WHEEL
    kept.write_bytes(b"PK damaged")
    assert (parts.ensure(part) / "data.bin").read_bytes() == PAYLOAD
    assert cache.sha256_of(kept) == part.sources[0].sha256


def test_two_at_once(tmp_path: Path) -> None:
    """Two processes fill the same empty cache entry: one makes it, the other waits and finds it."""
    program = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import cache
place = cache.root() / "entry"
def fill(work):
    time.sleep(0.5)
    (work / "made").write_text("x")
    print("made", flush=True)
with cache.locked():
    if not place.exists():
        cache.put(place, fill)
"""
    tools = str(Path(parts.__file__).parent)
    environment = {**os.environ, "VITRINE_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", program, tools]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    printed = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert sorted(printed) == ["", "", "made\n"]


def test_failed_fill_leaves_nothing(tmp_path: Path) -> None:
    """An entry is whole or absent."""

    def fill(work: Path) -> None:
        (work / "half").write_text("x")
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError):
        cache.put(tmp_path / "entry", fill)
    assert list(tmp_path.iterdir()) == []


def test_lock_file_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file of every part has a sum and a member in each source, on both machines."""
    for machine in ("x86_64", "aarch64"):
        monkeypatch.setattr("platform.machine", lambda machine=machine: machine)
        found = parts.read_lock()
        assert sorted(part.name for part in found) == ["pip", "pyodide", "wasmtime"]
        for part in found:
            assert any(source.client == "pip" for source in part.sources)
            for digest in [*part.files.values(), *(source.sha256 for source in part.sources)]:
                assert len(digest) == 64
                assert int(digest, 16) > 0


def test_no_host_is_named() -> None:
    """Indexes are the user's configuration; nothing pinned here names one."""
    repository = Path(parts.__file__).parent.parent
    files = [repository / "parts.lock", *(repository / "tests").glob("requirements*")]
    files += [repository / "tests/node/package.json", repository / "tests/node/package-lock.json"]
    assert [path.name for path in files if "://" in path.read_text()] == []


def test_a_lock_file_has_one_form() -> None:
    """Carriers that order it otherwise, or have added what is left out, give the same bytes."""
    one = b'{"info": {"python": "3"}, "packages": {"b": {"x": 1, "a": 2}, "a": {}}}'
    other = b'{"packages": {"a": {}, "b": {"a": 2, "x": 1}, "added": {}}, "info": {"python": "3"}}'
    forms = {parts.canonical_lock(io.BytesIO(text), ["added"]) for text in (one, other)}
    assert forms == {b'{"info":{"python":"3"},"packages":{"a":{},"b":{"a":2,"x":1}}}\n'}
