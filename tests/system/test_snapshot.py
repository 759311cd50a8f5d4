"""Snapshots: programs start in guests that booted long ago, and cannot tell."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from driver import Program

COLD_SECONDS_MAX = 600
MARK = b", from a snapshot"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that is empty at first."""
    return tmp_path_factory.mktemp("cache")


def run_with_numpy(vitrine: Program, cache: Path, code: str, *options: str) -> bytes:
    """Run a program that has NumPy, and give its output."""
    done = vitrine(
        "run", *options, "--deps", "numpy", "-c", code,
        env={"VITRINE_CACHE": str(cache)}, timeout=COLD_SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def folder_of_numpy(cache: Path) -> Path:
    """The folder of the one environment."""
    [place] = [path for path in (cache / "environments").iterdir() if path.is_dir()]
    return place


def booted_from(vitrine: Program, cache: Path, *options: str) -> int:
    """How many zygotes of a run that needs NumPy came from a snapshot."""
    done = vitrine(
        "run", "-vv", *options, "--deps", "numpy", "-c", "import numpy",
        env={"VITRINE_CACHE": str(cache)}, timeout=COLD_SECONDS_MAX,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr.count(MARK)


def test_a_plain_program_starts_from_the_snapshot(vitrine: Program) -> None:
    done = vitrine("run", "-vv", "-c", "print(1)")
    assert done.stdout == b"1\n"
    assert MARK in done.stderr


def guest_without(vitrine: Program, place: Path, *names: str) -> str:
    """A copy of the guest's folder, with its times."""
    folder = vitrine.path.parent / "guest"
    shutil.copytree(folder, place, ignore=lambda _path, _names: [*names, "resolver"])
    return str(place)


def test_a_guest_that_was_copied_is_the_same(vitrine: Program, tmp_path: Path) -> None:
    guest = guest_without(vitrine, tmp_path / "guest")
    done = vitrine("run", "-vv", "--guest-dir", guest, "-c", "print(1)")
    assert done.stdout == b"1\n"
    assert MARK in done.stderr


def test_without_a_snapshot_or_with_a_wrong_one(vitrine: Program, tmp_path: Path) -> None:
    guest = guest_without(vitrine, tmp_path / "guest", "snapshot")
    snapshot = tmp_path / "guest" / "snapshot"
    good = (vitrine.path.parent / "guest" / "snapshot").read_bytes()
    for contents in (None, b"", b"noise" * 10000, good[:-4096], good[:8] + b"\xff" + good[9:]):
        if contents is not None:
            snapshot.write_bytes(contents)
        done = vitrine("run", "-vv", "--guest-dir", guest, "-c", "print(1)")
        assert done.stdout == b"1\n"
        assert MARK not in done.stderr
    snapshot.write_bytes(good)
    os.utime(tmp_path / "guest" / "stdlib.img", (1, 1))  # another library
    done = vitrine("run", "-vv", "--guest-dir", guest, "-c", "print(1)")
    assert done.stdout == b"1\n"
    assert MARK not in done.stderr


UNIQUE = """
import json, logging, os, random, secrets, tempfile, time, uuid, numpy
assert abs(logging.makeLogRecord({}).relativeCreated) < 60000 and time.time() > 1.7e9
print(json.dumps([
    random.random(), str(uuid.uuid4()), str(uuid.uuid1()), os.urandom(8).hex(),
    secrets.token_hex(), tempfile.mktemp(), numpy.random.rand(),
    numpy.random.default_rng().random(),
    numpy.random.SeedSequence().entropy,
]))
"""


def test_programs_of_one_snapshot_share_no_randomness(vitrine: Program, cache: Path) -> None:
    runs = [json.loads(run_with_numpy(vitrine, cache, UNIQUE)) for _ in range(3)]
    for column in zip(*runs, strict=True):
        assert len(set(column)) == 3, runs


def test_an_environment_has_one(vitrine: Program, cache: Path) -> None:
    run_with_numpy(vitrine, cache, "import numpy")
    assert (folder_of_numpy(cache) / "snapshot").is_file()
    assert booted_from(vitrine, cache) == 1  # and no other zygote was started
    code = "import sys; print('numpy' in sys.modules, 'numpy.fft._pocketfft_umath' in sys.modules)"
    assert run_with_numpy(vitrine, cache, code) == b"True False\n"


def test_a_library_that_was_not_loaded_before(vitrine: Program, cache: Path) -> None:
    code = "import numpy; print(numpy.fft.fft([1.0, 2.0]).real, numpy.random.rand() < 1)"
    assert run_with_numpy(vitrine, cache, code) == b"[ 3. -1.] True\n"


def test_surroundings_are_those_of_the_run(vitrine: Program, cache: Path) -> None:
    code = (
        "import os, sys, time, numpy\nopen('file', 'w').write('x')\n"
        "print(os.environ['NAME'], time.localtime(0).tm_hour, os.listdir(), sys.argv)"
    )
    options = ("--env", "NAME=value", "--env", "TZ=EST5")
    assert run_with_numpy(vitrine, cache, code, *options) == b"value 19 ['file'] ['-c']\n"


def test_one_that_is_damaged_is_made_anew(vitrine: Program, cache: Path) -> None:
    run_with_numpy(vitrine, cache, "import numpy")
    snapshot = folder_of_numpy(cache) / "snapshot"
    whole = snapshot.stat().st_size
    with snapshot.open("r+b") as file:
        file.truncate(whole // 2)
    assert run_with_numpy(vitrine, cache, "import numpy; print(numpy.arange(3).sum())") == b"3\n"
    assert snapshot.stat().st_size > whole // 2
    assert booted_from(vitrine, cache) == 1


def test_a_guest_with_less_memory_boots_without_it(vitrine: Program, cache: Path) -> None:
    run_with_numpy(vitrine, cache, "import numpy")
    code = "import numpy; print(numpy.arange(3).sum())"
    assert run_with_numpy(vitrine, cache, code, "--memory", "64M") == b"3\n"
