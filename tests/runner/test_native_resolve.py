"""The resolver, with pip's own wheel and a fake index, in a native Python."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_index import FAILED, METADATA, MISSING, OFFLINE, REFUSED, sum_of
from native import find_python
from records import PACKAGES, ROOT

HERE = Path(__file__).resolve().parent


class Resolver:
    """An interpreter that resolves one job after another."""

    def __init__(self, pip: Path) -> None:
        command = [find_python(), "-I", str(HERE / "resolving.py"), str(PACKAGES), str(HERE)]
        self._process = subprocess.Popen(
            [*command, str(pip)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, question: dict) -> dict:
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(30) == 0


@pytest.fixture(scope="module")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resolver]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/parts.py"), "path", "pip"],
        capture_output=True,
        text=True,
        check=True,
    )
    (wheel,) = Path(done.stdout.strip()).glob("pip-*.whl")
    folder = tmp_path_factory.mktemp("pip")
    zipfile.ZipFile(wheel).extractall(folder)
    started = Resolver(folder)
    yield started
    started.close()


PROJECTS = {
    "alpha": {
        "1.0": {"requires": ["beta>=1"]},
        "2.0": {"requires": ["beta>=2"], "yanked": "broken"},
    },
    "beta": {"1.5": {}, "2.5": {}, "3.0a1": {}},
    "extras": {"1": {"requires": ["beta; extra == 'b'"], "extras": ["b"]}},
    "marked": {"1": {"requires": ["beta; python_version < '3'", "alpha; os_name == 'posix'"]}},
    "sources": {"1": {"sdist": True}},
    "native": {"1": {"tag": "cp39-cp39-win32"}, "2": {"tag": "cp39-cp39-win32"}},
    "snake": {"1": {"python": ">=99"}},
    "down": FAILED,
    "forbidden": REFUSED,
    "afar": OFFLINE,
    "newer": {"1": {"requires": ["locky>=2"]}},
    "locky": {"1.0": {}, "2.0": {}},
    "older": {"1": {"requires": ["stuck<1"]}},
    "needs-both": {"1": {"requires": ["locky", "beta"]}},
    "replaced": {"1.0": {}, "1.1": {}},
    "x-b": {"1": {"requires": ["beta<2"]}},
    "x-a": {"1": {"requires": ["beta>2"]}},
    "breaks": {"1": {"requires": ["nowhere"]}},
}
LOCKED = {
    "locky": ("1.0", {}),
    "numpy": ("2.4.3", {}),
    "dependent": ("1.0", {"requires": ["stuck"], "depends": ["stuck"]}),
    "stuck": ("5", {}),
    "strict": ("1.0", {"requires": ["stuck<5"], "depends": ["stuck"]}),
    "lost": ("1.0", {"fails": MISSING}),
    "replaced": ("1.0", {"fails": MISSING, "tag": "py2.py3-none-any"}),
    "far": ("1.0", {"fails": OFFLINE}),
    "scikit-learn": ("1.8.0", {"imports": ["sklearn"]}),
}


Plan = Callable[..., dict]


@pytest.fixture
def plan(resolver: Resolver) -> Plan:
    """Resolve requirements and guesses."""

    def resolve(
        requirements: str = "",
        guesses: str = "",
        projects: dict = PROJECTS,
        locked: dict = LOCKED,
        **options: object,
    ) -> dict:
        job = {
            "requirements": requirements.split(),
            "guesses": guesses.split(),
            "constraints": [],
            "allow": None,
            "use_lock": True,
            **options,
        }
        answer = resolver.ask({"projects": projects, "locked": locked, "job": job})
        found = {**answer["plan"], "asked": answer["asked"]}
        found["names"] = [f"{p['name']} {p['version']}" for p in found.get("packages", ())]
        found["gone"] = {d["name"]: d["reason"] for d in found.get("dropped", ())}
        return found

    return resolve


def test_a_plan(plan: Plan) -> None:
    found = plan("alpha")
    assert found["packages"] == [
        {
            "name": name,
            "version": version,
            "sha256": sum_of(f"{name}-{version}-py3-none-any.whl"),
            "filename": f"{name}-{version}-py3-none-any.whl",
            "requested": requested,
        }
        for name, version, requested in (("alpha", "1.0", True), ("beta", "2.5", False))
    ]
    assert found["dropped"] == []
    assert "Collecting alpha" in found["log"]


@pytest.mark.parametrize(
    "requirements, names",
    [
        ("", []),
        ("alpha==2.0", ["alpha 2.0", "beta 2.5"]),  # yanked, but pinned
        ("beta>=3.0a1", ["beta 3.0a1"]),
        ("extras", ["extras 1"]),
        ("extras[b]", ["beta 2.5", "extras 1"]),
        ("marked", ["alpha 1.0", "beta 2.5", "marked 1"]),
        ("numpy", ["numpy 2.4.3"]),
        ("needs-both", ["beta 2.5", "locky 1.0", "needs-both 1"]),
        ("locky>=2", ["locky 2.0"]),
        ("newer", ["locky 2.0", "newer 1"]),
        ("newer locky", ["locky 2.0", "newer 1"]),
        ("replaced", ["replaced 1.1"]),
        ("dependent", ["dependent 1.0", "stuck 5"]),
        # Neither source satisfies it; the distribution has built the two together.
        ("strict", ["strict 1.0", "stuck 5"]),
    ],
)
def test_what_is_chosen(requirements: str, names: list[str], plan: Plan) -> None:
    found = plan(requirements)
    assert found["names"] == names, found


def test_one_source_for_a_name(plan: Plan) -> None:
    """The lock's wheel and the index's of the same version differ: never a mixture."""
    projects = {"locky": {"1.0": {"tag": "py2.py3-none-any"}, "2.0": {}}}
    (package,) = plan("locky", projects=projects)["packages"]
    assert package["filename"] == "locky-1.0-py3-none-any.whl"
    found = plan("locky!=1.0", projects=projects)
    assert found["names"] == ["locky 2.0"]
    assert [sum_of("locky-1.0-py3-none-any.whl")] not in [names for _, names in found["asked"]]


def test_without_the_lock_file(plan: Plan) -> None:
    assert plan("locky", use_lock=False)["names"] == ["locky 2.0"]


def test_constraints(plan: Plan) -> None:
    assert plan("alpha", constraints=["beta<2"])["names"] == ["alpha 1.0", "beta 1.5"]
    assert plan("locky", constraints=["locky==2.0"])["names"] == ["locky 2.0"]


@pytest.mark.parametrize(
    "requirements, error, hint",
    [
        ("numpy==1.0", "numpy==1.0", "the distribution has numpy 2.4.3: drop the version"),
        ("nope", "nope", "there is no project nope"),
        ("num-py", "num-py", "did you mean numpy?"),
        ("sklearn", "sklearn", "`import sklearn` comes with scikit-learn"),
        ("sources", "sources", "only source distributions, which are never built"),
        ("native", "native", "none of the 2 wheels of native runs here"),
        ("snake", "snake", "asks for another Python"),
        ("alpha==7", "alpha==7", "versions of alpha that run here: 1.0"),
        ("alpha beta<1", "beta<1", "versions of beta that run here: 3.0a1, 2.5, 1.5"),
        ("down", "the network is down", "check the network"),
        ("afar", "the network is down", "vitrine warmup"),
        ("forbidden", "could not be had", ""),
        ("lost", "lost", "the distribution's own wheel is not to be had: no source has it"),
        ("older", "stuck<1", "versions of stuck that run here: 5"),
        ("x-a x-b", "x-a 1 depends on beta>2", "versions of beta that run here"),
        ("breaks", "nowhere (from breaks)", "there is no project nowhere"),
    ],
)
def test_an_error(requirements: str, error: str, hint: str, plan: Plan) -> None:
    found = plan(requirements)
    assert "packages" not in found
    assert error in found["error"]
    assert hint in found["hint"]
    assert "index.invalid" not in found["error"]


@pytest.mark.parametrize(
    "guess, reason, temporary",
    [
        ("nope", "there is no project nope", False),
        ("sources", "never built", False),
        ("native", "runs here", False),
        ("down", "the network is down", True),
        ("afar", "the network is down", True),
        ("lost", "no source has it", False),
        ("far", "no source has it", True),
        ("breaks", "nowhere", False),
    ],
)
def test_a_guess_is_dropped(guess: str, reason: str, temporary: bool, plan: Plan) -> None:
    found = plan("alpha", f"numpy {guess}")
    assert found["names"] == ["alpha 1.0", "beta 2.5", "numpy 2.4.3"]
    (dropped,) = found["dropped"]
    assert (dropped["name"], dropped["temporary"]) == (guess, temporary)
    assert reason in dropped["reason"]


def test_guesses_that_exclude_each_other(plan: Plan) -> None:
    found = plan("", "x-a x-b numpy")
    assert found["names"] == ["beta 2.5", "numpy 2.4.3", "x-a 1"]
    assert list(found["gone"]) == ["x-b"]
    assert plan("x-b", "x-a")["names"] == ["beta 1.5", "x-b 1"]


def test_a_failing_requirement_is_an_error_whatever_is_guessed(plan: Plan) -> None:
    assert "nope" in plan("nope", "numpy")["error"]


@pytest.mark.parametrize(
    "allow, names, hint",
    [
        ([{"name": "Alpha"}, {"name": "beta"}], ["alpha 1.0", "beta 2.5"], ""),
        ([{"name": "alpha"}, {"name": "beta", "versions": ["1.5"]}], ["alpha 1.0", "beta 1.5"], ""),
        (
            [
                {"name": "alpha", "sha256": [sum_of("alpha-1.0-py3-none-any.whl")]},
                {"name": "beta", "sha256": [sum_of("beta-1.5-py3-none-any.whl")]},
            ],
            ["alpha 1.0", "beta 1.5"],
            "",
        ),
        ([{"name": "alpha"}], [], "beta is not in the list of allowed packages"),
        ([{"name": "alpha", "versions": ["9"]}], [], "no version of alpha is in the list"),
        ([], [], "alpha is not in the list of allowed packages"),
    ],
)
def test_a_list_of_allowed_packages(allow: list, names: list, hint: str, plan: Plan) -> None:
    found = plan("alpha", allow=allow)
    assert found["names"] == names
    assert hint in found.get("hint", "")


def test_the_lock_file_is_not_above_the_list(plan: Plan) -> None:
    assert plan("locky", allow=[{"name": "locky", "versions": ["2.0"]}])["names"] == ["locky 2.0"]
    found = plan("numpy", allow=[{"name": "numpy", "versions": ["1"]}])
    assert "not to be" not in found["hint"] and "error" in found


@pytest.mark.parametrize("text", ["x@http://a.example/x", "-r/etc/passwd", "../../x", "x;y"])
def test_what_is_no_requirement_is_refused(text: str, plan: Plan) -> None:
    for found in (plan(text), plan("", text), plan(constraints=[text])):
        assert "is refused" in found["error"]
        assert found["asked"] == []


def test_what_is_wanted_is_asked_for_together(plan: Plan) -> None:
    found = plan("dependent numpy alpha extras")
    asked = [names for what, names in found["asked"] if what == METADATA]
    locked = {name: sum_of(f"{name}-{LOCKED[name][0]}-py3-none-any.whl") for name in LOCKED}
    assert set(asked[0]) == {locked[name] for name in ("dependent", "numpy", "stuck")}
    pages = [names for what, names in found["asked"] if what != METADATA]
    assert sorted(pages[0]) == ["alpha", "extras"]
    whole = [(what, names[0]) for what, names in found["asked"]]
    assert len(set(whole)) == len(whole)


def wide(count: int) -> dict:
    """A project that depends on many."""
    names = [f"p{i}" for i in range(count)]
    return {"root": {"1": {"requires": names}}, **{name: {"1": {}} for name in names}}


HOSTILE = {
    "cycle": {"1": {"requires": ["cycle-b"]}},
    "cycle-b": {"1": {"requires": ["cycle"]}},
    "self": {"1": {"requires": ["self>1"]}, "2": {"requires": ["self<2"]}},
    "wide": {"1": {"requires": [f"p{i}" for i in range(10000)]}},
    "long-version": {"1": {"metadata": "Name: long-version\nVersion: " + "1." * 500000 + "1\n\n"}},
    "long-name": {"1" * 1000: {}},
    "nested": {"1": {"requires": ["x; " + "(" * 5000 + "os_name=='a'" + ")" * 5000]}},
    "huge-number": {"1": {"requires": ["cycle>=" + "9" * 5000]}},
    "url": {"1": {"requires": ["evil @ https://evil.example/evil-1-py3-none-any.whl"]}},
    "git": {"1": {"requires": ["evil @ git+https://evil.example/evil"]}},
    "file": {"1": {"requires": ["evil @ file:///etc/passwd"]}},
    "wheel": {"1": {"requires": ["evil @ file:///evil-1-py3-none-any.whl"]}},
    "option": {"1": {"requires": ["-r /etc/passwd"]}},
    "junk": {"1": {"metadata": "\0\x1f junk"}},
    "other-name": {"1": {"metadata": "Name: other\nVersion: 1\n\n"}},
    "other-version": {"1": {"metadata": "Name: other-version\nVersion: 2\n\n"}},
}


@pytest.mark.parametrize("name", [name for name in HOSTILE if not name.startswith("cycle")])
def test_hostile_metadata_is_a_bounded_error(name: str, plan: Plan) -> None:
    found = plan(name, projects=HOSTILE)
    assert found["error"], found
    assert len(json.dumps(found)) < 1 << 20
    found = plan("cycle", name, projects=HOSTILE)
    assert found["names"] == ["cycle 1", "cycle-b 1"]
    assert len(found["dropped"]) == 1
    assert len(json.dumps(found)) < 1 << 20


def test_cycles_end(plan: Plan) -> None:
    assert plan("cycle", projects=HOSTILE)["names"] == ["cycle 1", "cycle-b 1"]


def test_the_number_of_questions_is_limited(plan: Plan) -> None:
    versions = {f"{i}": {"requires": ["beta<0"]} for i in range(2100)}
    found = plan("many", projects={"many": versions, "beta": {"1": {}}})
    assert "more than 2000 pages" in found["error"]
    assert len(found["asked"]) == 2000


def test_the_number_of_projects_is_limited(plan: Plan) -> None:
    found = plan("root", projects=wide(1200))
    assert "more than 768 projects" in found["error"]
    chain = {f"d{i}": {"1": {"requires": [f"d{i + 1}"]}} for i in range(1200)}
    assert "more than 768 projects" in plan("d0", projects=chain)["error"]
    found = plan("root", projects=wide(600))
    assert "601 packages are more than the 512" in found["error"]


def test_the_limits_are_those_of_the_header() -> None:
    header = (ROOT / "src/base/limits.h").read_text()
    for limit, file, name in (
        ("RESOLVE_FETCHES_MAX", "catalog", "FETCHES_MAX"),
        ("PACKAGES_MAX", "catalog", "PACKAGES_MAX"),
    ):
        source = (PACKAGES / f"vitrine/{file}.py").read_text()
        expected = re.search(rf"#define LIMIT_{limit}\s+(\d+)U", header)[1]
        assert re.search(rf"^{name} = (\d+)", source, re.MULTILINE)[1] == expected


def test_pip_s_own_index(resolver: Resolver, tmp_path: Path) -> None:
    def settings(text: str | None, **environment: str) -> dict:
        files = {} if text is None else {f"{tmp_path}/.config/pip/pip.conf": text}
        environment = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path), **environment}
        return resolver.ask({"settings": [files, environment]})

    text = (
        "[global]\nindex-url = https://a.example/simple\ntrusted-host = a.example\n"
        "[install]\nextra-index-url = https://b.example/\n  https://c.example/\n"
    )
    urls = ["https://a.example/simple", "https://b.example/", "https://c.example/"]
    found = settings(text, PIP_PROXY="http://p:1", PIP_CERT="/c.pem")
    assert found == {
        "index_urls": urls,
        "cert": "/c.pem",
        "client_cert": None,
        "proxy": "http://p:1",
        "trusted_hosts": ["a.example"],
    }
    found = settings(text, PIP_INDEX_URL="https://d.example/simple")
    assert found["index_urls"] == ["https://d.example/simple", *urls[1:]]
    assert settings(text, PIP_NO_INDEX="1")["index_urls"] == []
    assert "error" in settings("[global\n")
    assert "maybe" in settings(text, PIP_NO_INDEX="maybe")["error"]
    assert "error" in resolver.ask({"settings": [{"relative": ""}, {}]})
