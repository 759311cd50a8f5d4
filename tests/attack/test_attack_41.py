"""Attack 41: metadata that has the resolver work without end.

Expected: a result, or a resolver error that says why, within the time and memory of one resolution;
the server answers others meanwhile.
"""

from __future__ import annotations

import time

import fetcher
import local_index
import pytest
from victim import Victim

SECONDS_MAX = 140.0  # a resolution has 120


def serve_chain(victim: Victim, pairs: list[tuple[str, tuple[str, ...]]], more: str = "") -> None:
    """One version of each project."""
    for name, requires in pairs:
        victim.serve(name, local_index.wheel(name, "1.0", requires=requires, more=more))


def failed(victim: Victim, *requirements: str) -> str:
    """The error of an installation that must fail, in time."""
    began = time.monotonic()
    number = victim.send("print('ran')", list(requirements))
    assert victim.call("1 + 1")["return_value"] == 2  # others are served
    assert time.monotonic() - began < 20
    result = victim.wait(number, SECONDS_MAX)
    assert result["status"] == "install-error", result
    assert result["stdout"] == ""
    assert len(result["error"]["message"]) < 20_000
    assert len(result["install_log"]) < 1_000_000
    return result["error"]["message"]


def test_cycle(victim: Victim) -> None:
    """No error: all three are installed."""
    serve_chain(victim, [("demo", ("beta",)), ("beta", ("gamma",)), ("gamma", ("demo",))])
    result = victim.call("import demo, beta, gamma\ndemo.x", ["demo"])
    assert result["return_value"] == 1
    names = [package["name"] for package in result["dependencies"]]
    assert names == ["beta", "demo", "gamma"]


def test_needs_itself(victim: Victim) -> None:
    serve_chain(victim, [("demo", ("demo[a]", "demo[b]", "demo>=1"))])
    assert victim.call("import demo; demo.x", ["demo"])["return_value"] == 1


def test_needs_itself_in_another_version(victim: Victim) -> None:
    serve_chain(victim, [("demo", ("demo!=1.0",))])
    assert "demo" in failed(victim, "demo")


def test_ten_thousand_dependencies(victim: Victim) -> None:
    names = [f"d{i}" for i in range(10_000)]
    for name in names:
        victim.index.page(name)  # a page without files; the first is enough to fail
    serve_chain(victim, [("demo", tuple(names))])
    assert failed(victim, "demo")


def test_chain_without_end(victim: Victim) -> None:
    """Each project needs the next; all of them are made when they are asked for."""

    class Endless(dict):
        def get(self, path: str, default: object = None) -> object:
            kind, _, rest = path.strip("/").partition("/")
            if kind == "simple":
                name = rest.strip("/")
                number = int(name.removeprefix("d"))
                entry = victim.index.file(
                    *local_index.wheel(name, "1.0", requires=(f"d{number + 1}",))
                )
                victim.index.page(name, entry)
            return super().get(path, default)

    victim.index.replies = Endless()
    message = failed(victim, "d0")
    assert any(words in message for words in ("given up", "more than", "longer than")), message


def test_many_versions_that_all_conflict(victim: Victim) -> None:
    """Backtracking: 60 versions each of three projects, none of which go together."""
    for name, other in (("demo", "beta"), ("beta", "gamma"), ("gamma", "demo")):
        wheels = [
            local_index.wheel(name, f"{i}.0", requires=(f"{other}=={i + 1}.0",)) for i in range(60)
        ]
        victim.serve(name, *wheels)
    assert failed(victim, "demo", "beta", "gamma")


@pytest.mark.parametrize("version", ["1" * 1_000_000, "1." * 500_000 + "1", "1.0+" + "a" * 10**6])
def test_version_of_a_megabyte(victim: Victim, version: str) -> None:
    """In a dependency, on a page, and in a requirement."""
    serve_chain(victim, [("demo", (f"beta=={version}",)), ("beta", ())])
    filename, data = local_index.wheel("long", "1.0")
    entry = victim.index.file(filename, data)
    victim.index.page("long", {**entry, "filename": f"long-{version}-py3-none-any.whl"})
    assert failed(victim, "demo")
    assert failed(victim, "long")
    result = victim.call("print('ran')", [f"demo=={version}"])
    assert result["status"] == "refused"


@pytest.mark.parametrize(
    "marker",
    [
        "(" * 100_000 + "os_name == ''" + ")" * 100_000,
        " and ".join(["os_name == ''"] * 50_000),
        "os_name == '" + "x" * 10**6 + "'",
        "(" * 100_000,
        "os_name == '' or " * 20_000 + "(os_name",
    ],
)
def test_nested_markers(victim: Victim, marker: str) -> None:
    serve_chain(victim, [("demo", (f"beta; {marker}",))])
    number = victim.send("import demo; demo.x", ["demo"])
    result = victim.wait(number, SECONDS_MAX)
    # A marker that is false is one, however long it is; any other is an error.
    assert result["status"] in ("install-error", "success"), result


def test_metadata_that_is_noise(victim: Victim) -> None:
    for more in ("Requires-Python: " + ">=3," * 100_000 + "\n", "\0\1\2: \n", "Requires-Dist: ;\n"):
        serve_chain(victim, [("demo", ())], more=more)
        result = victim.call("import demo; demo.x", ["demo"], seconds=SECONDS_MAX)
        assert result["status"] in ("install-error", "success"), result


def test_page_of_forty_thousand_files(victim: Victim) -> None:
    filename, data = local_index.wheel("demo", "1.0")
    entry = victim.index.file(filename, data)
    entries = [
        {**entry, "filename": f"demo-0.{i}-py3-none-any.whl", "hashes": {"sha256": f"{i:064x}"}}
        for i in range(40_000)
    ]
    victim.index.page("demo", *entries, entry)
    result = victim.call("import demo; demo.x", ["demo"], seconds=SECONDS_MAX)
    assert result["status"] in ("install-error", "success"), result
    assert fetcher.files_under(victim.world.cache / "fetching") == []
