"""States of guests with packages: in another process, and in an environment that has more."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from driver import Program

COLD_SECONDS_MAX = 600
SECONDS_MAX = 120

LIBRARY = """
import numpy as np
x = np.arange(12.0).reshape(3, 4)
view = x[1:, ::2]
generator = np.random.default_rng(7)
generator.random(3)
log = open("/tmp/log", "w+")
log.write("before")
state = generator.bit_generator.state
"""
GOES_ON = """
assert x.sum() == 66 and np.shares_memory(view, x) and view[1, 1] == 10
view[0, 0] = -1
assert x[1, 0] == -1
twin = np.random.default_rng(); twin.bit_generator.state = state
assert generator.random() == twin.random()
log.write(" after"); log.seek(0)
assert log.read() == "before after"
assert np.allclose(np.linalg.inv(np.eye(3) * 2), np.eye(3) / 2)
assert np.fft.fft([1.0, 2.0]).real.tolist() == [3.0, -1.0]
"""


class States:
    """Guests in processes of their own, that save and go on."""

    def __init__(self, vitrine: Program, cache: Path) -> None:
        self.vitrine = vitrine
        self.cache = cache
        self.build = vitrine.path.parent

    def environment(self, *packages: str) -> Path:
        """The folder of the environment with these packages, made if need be."""
        wanted = "import pathlib; print(1)"
        options = [option for package in packages for option in ("--deps", package)]
        done = self.vitrine("run", *options, "-c", wanted, timeout=COLD_SECONDS_MAX,
                            env={"VITRINE_CACHE": str(self.cache)})  # fmt: skip
        assert done.returncode == 0, done.stderr
        places = (self.cache / "environments").iterdir()
        return max((place for place in places if place.is_dir()), key=os.path.getmtime)

    def guest(self, environment: Path | None, *arguments: str) -> subprocess.CompletedProcess:
        """Run a guest: `-c CODE`, `--restore FILE`, `--save FILE`."""
        place = ["--environment", str(environment)] if environment else []
        guest_dir = str(self.build / "guest")
        return subprocess.run(
            [self.build / "bench" / "bench-state", "--guest-dir", guest_dir, *place, *arguments],
            capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
        )  # fmt: skip

    def session(self, *steps: str) -> subprocess.CompletedProcess:
        """A session of a pool, in a cell in its jail: see bench/session.c."""
        return subprocess.run(
            [self.build / "bench" / "bench-session", self.build / "vitrine-cell",
             self.build / "guest", *steps],
            capture_output=True, text=True, timeout=SECONDS_MAX, check=False,
        )  # fmt: skip

    def session_goes_well(self, *steps: str) -> list[float]:
        """The same, without an error; how many milliseconds each step took."""
        done = self.session(*steps)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def goes_well(self, environment: Path | None, *arguments: str) -> dict:
        """The same, without an error; what it measured."""
        done = self.guest(environment, *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def states(vitrine: Program, tmp_path_factory: pytest.TempPathFactory) -> States:
    return States(vitrine, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def numpy(states: States) -> Path:
    return states.environment("numpy")


@pytest.fixture(scope="module")
def pandas(states: States, numpy: Path) -> Path:
    place = states.environment("numpy", "pandas")
    assert place != numpy
    return place


def test_arrays_and_open_files_go_on(states: States, numpy: Path, tmp_path: Path) -> None:
    saved = str(tmp_path / "saved")
    states.goes_well(numpy, "-c", LIBRARY, "--save", saved)
    states.goes_well(numpy, "--restore", saved, "-c", GOES_ON)


def test_a_state_that_was_restored_is_saved_again(
    states: States, numpy: Path, tmp_path: Path
) -> None:
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    states.goes_well(numpy, "-c", LIBRARY, "--save", first)
    states.goes_well(numpy, "--restore", first, "-c", "import numpy.fft", "--save", second)
    states.goes_well(numpy, "--restore", second, "-c", GOES_ON)


def test_it_moves_to_where_there_is_more(
    states: States, numpy: Path, pandas: Path, tmp_path: Path
) -> None:
    saved, moved = str(tmp_path / "saved"), str(tmp_path / "moved")
    miss = "try:\n    import pandas\nexcept ImportError:\n    pass\nelse:\n    assert 0"
    states.goes_well(numpy, "-c", LIBRARY, "-c", miss, "--save", saved)
    more = "import pandas; frame = pandas.DataFrame(x); assert frame.sum().sum() == 66"
    states.goes_well(pandas, "--restore", saved, "-c", more, "--save", moved)
    later = GOES_ON + "frame[1] += 1; assert frame[1].sum() == 18, frame"
    states.goes_well(pandas, "--restore", moved, "-c", later)


def test_one_without_packages_gets_some(states: States, numpy: Path, tmp_path: Path) -> None:
    saved = str(tmp_path / "saved")
    miss = "y = [1, 2]\ntry:\n    import numpy\nexcept ImportError:\n    pass"
    states.goes_well(None, "-c", miss, "--save", saved)
    states.goes_well(numpy, "--restore", saved, "-c", "import numpy; numpy.array(y)")


def test_it_does_not_go_on_where_there_is_less(
    states: States, numpy: Path, pandas: Path, tmp_path: Path
) -> None:
    saved = str(tmp_path / "saved")
    states.goes_well(pandas, "-c", "import pandas", "--save", saved)
    for place in (numpy, None):
        done = states.guest(place, "--restore", saved, "-c", "print(1)")
        assert done.returncode == 1
        assert "this environment has no such /lib/python3.14/site-packages/" in done.stderr


def test_a_library_whose_file_is_gone(states: States, numpy: Path, tmp_path: Path) -> None:
    """The guest copies an extension module, loads the copy, and removes it."""
    saved = str(tmp_path / "saved")
    code = (
        "import numpy, glob, shutil, sys, importlib.util, os\n"
        "found = glob.glob(os.path.dirname(numpy.__file__) + '/random/_mt19937*.so')[0]\n"
        "shutil.copy(found, '/tmp/copy.so')\n"
        "import ctypes\n"
        "copy = ctypes.CDLL('/tmp/copy.so')\n"
        "os.unlink('/tmp/copy.so')\n"
    )
    again = "assert copy.PyInit__mt19937 is not None; import numpy.random; numpy.random.rand()"
    states.goes_well(numpy, "-c", code, "--save", saved)
    states.goes_well(numpy, "--restore", saved, "-c", again)


def test_a_hundred_megabytes_take_less_than_two_seconds(
    states: States, pandas: Path, tmp_path: Path
) -> None:
    """Random numbers, which nothing packs. The best of three: other tests run as well."""
    saved = str(tmp_path / "saved")
    code = (
        "import numpy, pandas\nx = numpy.random.default_rng(1).random(12_500_000)\n"
        "frame = pandas.DataFrame({'x': x[:1000]})\nexpected = float(x.sum()), frame.x.mean()"
    )
    check = "assert (float(x.sum()), frame.x.mean()) == expected"
    made = [states.goes_well(pandas, "-c", code, "--save", saved) for _ in range(3)]
    back = [states.goes_well(pandas, "--restore", saved, "-c", check) for _ in range(3)]
    assert min(run["save_ms"] for run in made) < 2000
    assert min(run["restore_ms"] for run in back) < 2000


def test_a_session_goes_on_in_another_server(states: States, numpy: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    inside = f"in={numpy}"
    states.session_goes_well(inside, f"run={LIBRARY}", f"save={saved}", "run=assert x.sum() == 66")
    states.session_goes_well(inside, f"restore={saved}", f"run={GOES_ON}", "run=view[0, 0] += 1",
                             f"save={saved}")  # fmt: skip
    states.session_goes_well(inside, f"restore={saved}", "run=assert view[0, 0] == 0")
    assert saved.stat().st_mode & 0o077 == 0


def test_a_session_moves_to_where_there_is_more(
    states: States, numpy: Path, pandas: Path, tmp_path: Path
) -> None:
    saved = f"{tmp_path}/saved"
    check = "run=assert x.sum() == 66; import pandas; assert pandas.DataFrame(x).shape == (3, 4)"
    states.session_goes_well("run=y = [1]", f"save={saved}.base", f"in={numpy}", "new",
                             f"restore={saved}.base", f"run={LIBRARY}", f"save={saved}.numpy",
                             f"in={pandas}", "new", f"restore={saved}.numpy", check,
                             "run=assert y == [1] and view.base is not None")  # fmt: skip


def test_a_session_gets_packages_while_it_goes_on(
    states: States, numpy: Path, pandas: Path
) -> None:
    miss = "run=y = [1]\ntry:\n    import numpy\nexcept ImportError:\n    pass\nelse:\n    assert 0"
    states.session_goes_well(
        miss, f"move={numpy}", f"run={LIBRARY}", f"move={pandas}",
        "run=import pandas; frame = pandas.DataFrame(x); assert y == [1]",
        f"run={GOES_ON}", "run=assert frame.shape == (3, 4)",
    )  # fmt: skip
    done = states.session(f"in={pandas}", "run=import pandas", f"move={numpy}")
    assert done.returncode == 1
    assert "this environment has no such /lib/python3.14/site-packages/" in done.stderr


def test_a_session_that_does_not_fit(
    states: States, numpy: Path, pandas: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    states.session_goes_well(f"in={pandas}", "run=import pandas", f"save={saved}")
    done = states.session(f"in={numpy}", f"restore={saved}")
    assert done.returncode == 1
    assert "this environment has no such /lib/python3.14/site-packages/" in done.stderr
    whole = saved.read_bytes()
    for damaged, reason in (
        (whole[:-1], "checksum"),
        (whole[:-100], "cut off"),
        (whole[:1000000] + bytes([whole[1000000] ^ 1]) + whole[1000001:], "damaged"),
        (b"x" + whole, "this is no saved session"),
    ):
        saved.write_bytes(damaged)
        done = states.session(f"in={pandas}", f"restore={saved}")
        assert done.returncode == 1
        assert reason in done.stderr


def test_a_hundred_megabytes_of_a_session(states: States, pandas: Path, tmp_path: Path) -> None:
    """To the disk, with the checksum, and back. The best of three: other tests run as well."""
    saved = f"{tmp_path}/saved"
    code = (
        "run=import numpy, pandas\nx = numpy.random.default_rng(1).random(12_500_000)\n"
        "expected = float(x.sum())"
    )
    times = [
        states.session_goes_well(
            f"in={pandas}", code, f"save={saved}", "new", f"restore={saved}",
            "run=assert float(x.sum()) == expected",
        )
        for _ in range(3)
    ]  # fmt: skip
    assert min(run[2] for run in times) < 2000
    assert min(run[4] for run in times) < 2000
