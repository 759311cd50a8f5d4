"""Packages: for each, a program as its own documentation has them, with the right result.

`packages/NAME.py` is run as it is, with nothing said about what it needs, and must print
`packages/NAME.out` (which native CPython prints with the same packages). The first run finds a
cache that lacks the package: it is resolved, fetched from the real index, checked, compiled. The
second run is a new process that finds the cache filled and has no network.

Jinja2 needs MarkupSafe, whose wheel for this platform is on the distribution's CDN alone: where
that cannot be reached, an index of ours serves MarkupSafe's Python files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fetcher
import local_index
import pytest
from driver import Program, RawServer

PROGRAMS = Path(__file__).parent / "packages"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))
COLD_SECONDS_MAX = 600


@dataclass
class Index:
    """What a program is told of an index."""

    options: list[str]
    environment: dict[str, str]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of programs that share a cache which is empty at first."""
    return {"VITRINE_CACHE": str(tmp_path_factory.mktemp("cache")), "VITRINE_MEMORY": "1G"}


@pytest.fixture(scope="module")
def markupsafe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index that has MarkupSafe alone."""
    folder = tmp_path_factory.mktemp("index")
    certificate = fetcher.make_certificate(folder)
    server = fetcher.Server(certificate)
    server.page("markupsafe", server.file(*local_index.pure_wheel_of("markupsafe")))
    trust = local_index.trusting(folder, certificate)
    yield Index(["--index-url", f"{server.address}/simple"], trust)
    server.close()


def test_there_are_programs() -> None:
    assert len(NAMES) >= 24


@pytest.mark.parametrize("name", NAMES)
def test_program(
    vitrine: Program, cache: dict[str, str], name: str, request: pytest.FixtureRequest
) -> None:
    path = PROGRAMS / f"{name}.py"
    expected = path.with_suffix(".out").read_text(encoding="utf-8")
    index = request.getfixturevalue("markupsafe") if name == "jinja2_" else Index([], {})
    environment = {**cache, **index.environment}
    for options in (index.options, [*index.options, "--offline"]):
        done = vitrine("run", *options, path, env=environment, timeout=COLD_SECONDS_MAX)
        assert done.stderr.decode() == ""
        assert done.stdout.decode() == expected
        assert done.returncode == 0


def test_every_environment_has_a_snapshot(cache: dict[str, str]) -> None:
    """Whatever packages do when they are imported, their guest can be saved."""
    places = (Path(cache["VITRINE_CACHE"]) / "environments").iterdir()
    made = [path for path in places if path.is_dir()]
    assert made
    assert [path for path in made if not (path / "snapshot").is_file()] == []


def test_the_result_says_what_was_used(vitrine: Program, cache: dict[str, str]) -> None:
    code = "import msgpack; msgpack.packb(1)"
    done = vitrine("run", "--json", "-c", code, env=cache, timeout=COLD_SECONDS_MAX)
    result = json.loads(done.stdout)
    assert result["status"] == "success"
    [package] = result["dependencies"]
    assert package["name"] == "msgpack"
    assert package["version"][0].isdigit()
    assert len(package["sha256"]) == 64


def test_versions_of_a_block_win(vitrine: Program, cache: dict[str, str]) -> None:
    code = (
        '# /// script\n# dependencies = ["six==1.16.0"]\n# ///\nimport six; print(six.__version__)'
    )
    done = vitrine("run", "-c", code, env=cache, timeout=COLD_SECONDS_MAX)
    assert (done.stdout, done.returncode) == (b"1.16.0\n", 0), done.stderr
    done = vitrine("run", "--offline", "-c", code, env=cache)
    assert (done.stdout, done.returncode) == (b"1.16.0\n", 0), done.stderr


def test_numpy_is_seeded_in_each_cell(vitrine: Program, cache: dict[str, str]) -> None:
    """Also where it was imported ahead, and so is the same in all cells."""
    code = """
import numpy
[numpy.random.random(), int(numpy.random.randint(2**31)), numpy.random.default_rng().random(),
 numpy.random.RandomState().random()]
"""
    with RawServer(vitrine, env=cache) as server:
        server.initialize()
        found = []
        for _ in range(6):
            message = server.call_message(code)
            server.send(message)
            answer = server.receive(COLD_SECONDS_MAX)
            assert answer["id"] == message["id"]
            found.append(answer["result"]["structuredContent"]["return_value"])
    for draws in zip(*found, strict=True):
        assert len(set(draws)) == len(found), draws


def test_a_guess_that_fails_leaves_the_guard_to_the_program(
    vitrine: Program, cache: dict[str, str]
) -> None:
    code = (
        "try:\n    import no_such_project_of_ours_7f3a as x\n"
        "except ImportError as error:\n    print(type(error).__name__, error.name)\n"
    )
    done = vitrine("run", "-c", code, env=cache, timeout=COLD_SECONDS_MAX)
    assert done.stdout == b"ModuleNotFoundError no_such_project_of_ours_7f3a\n", done.stderr
    assert done.returncode == 0


def test_a_guess_that_fails_is_explained(vitrine: Program, cache: dict[str, str]) -> None:
    code = "import no_such_project_of_ours_9c1d"
    first = vitrine("run", "-c", code, env=cache, timeout=COLD_SECONDS_MAX)
    assert b"ModuleNotFoundError: No module named" in first.stderr
    assert b"not installed: no-such-project-of-ours-9c1d: " in first.stderr
    again = vitrine("run", "-c", code, env=cache, timeout=COLD_SECONDS_MAX)
    assert b"ModuleNotFoundError: No module named" in again.stderr
    assert b"To see why, name the package" in again.stderr


def test_what_does_not_exist_is_an_install_error(vitrine: Program, cache: dict[str, str]) -> None:
    done = vitrine(
        "run", "--json", "--deps", "no-such-project-of-ours-7f3a", "-c", "1", env=cache, timeout=120
    )
    result = json.loads(done.stdout)
    assert result["status"] == "install-error"
    assert "no-such-project-of-ours-7f3a" in result["error"]["message"]
    assert done.returncode != 0


def test_offline_says_what_is_missing(vitrine: Program, tmp_path: Path) -> None:
    done = vitrine(
        "run", "--offline", "-c", "import numpy", "--deps", "numpy",
        env={"VITRINE_CACHE": str(tmp_path)}, timeout=120,
    )  # fmt: skip
    assert done.returncode != 0
    assert b"numpy-2.4.3-cp314-cp314-pyemscripten_2026_0_wasm32.whl" in done.stderr
    assert b"without --offline" in done.stderr


def test_a_source_distribution_is_never_built(vitrine: Program, cache: dict[str, str]) -> None:
    done = vitrine("run", "--deps", "docopt==0.6.2", "-c", "1", env=cache, timeout=120)
    assert done.returncode != 0
    assert b"source" in done.stderr
