"""What the attacks share: the drivers of the system tests, and servers that attack."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import fetcher
from driver import Program, is_sanitized
from glass import Glass
from probe import ProbeZygote
from target import Target, wait_until
from victim import Victim

# What is about the jail itself, or about memory: a build under sanitizers has another jail, whose
# filter would forbid the sanitizers' own calls, and another memory.
OF_THE_JAIL = [
    "test_attack_0[789]*.py",
    "test_attack_1[0123]*.py",
    "test_attack_16_native.py",
    "test_attack_19.py",
    "test_attack_2[237]*.py",
    "test_attack_31.py",
    "test_attack_34_native.py",
    "test_cgroup.py",
    "test_situations.py",
]


collect_ignore_glob = [*OF_THE_JAIL, "test_soak.py"] if is_sanitized() else []


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of the servers."""
    return fetcher.make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def world(tmp_path: Path, certificate: Path) -> Iterator[fetcher.World]:
    """Servers and a cache for vitrine-fetch."""
    yield from fetcher.worlds(tmp_path, certificate)


@pytest.fixture(scope="session")
def vitrine() -> Program:
    """The real program, the one that VITRINE_BUILD has."""
    build = os.environ.get("VITRINE_BUILD", str(Path(__file__).resolve().parents[2] / "build"))
    return Program(Path(build).resolve() / "vitrine")


@pytest.fixture
def victim(world: fetcher.World, vitrine: Program) -> Iterator[Victim]:
    """A server that knows our index alone. After the attack it must be as it was before."""
    with Victim(world, vitrine) as running:
        yield running
        running.check_unharmed()


@pytest.fixture(params=["jailed"] if is_sanitized() else ["jailed", "bare"])
def either_victim(
    request: pytest.FixtureRequest, tmp_path: Path, world: fetcher.World, vitrine: Program
) -> Iterator[Victim]:
    """The same, and once more without the operating system's jail; see glass.py."""
    glass = Glass(tmp_path) if request.param == "bare" else None
    with Victim(world, vitrine, *(glass.options() if glass else ())) as running:
        yield running
        running.check_unharmed()
    if glass:
        wait_until(lambda: not glass.is_writing(), lambda: glass.trace)
        assert glass.strange() == []


@pytest.fixture(scope="module")
def grammar_victim(
    tmp_path_factory: pytest.TempPathFactory, certificate: Path, vitrine: Program
) -> Iterator[Victim]:
    """One server for many attacks that should not get far."""
    for world in fetcher.worlds(tmp_path_factory.mktemp("grammar"), certificate):
        with Victim(world, vitrine) as running:
            yield running
            running.check_unharmed()


@pytest.fixture
def target(tmp_path: Path, vitrine: Program) -> Iterator[Target]:
    """The real server with canaries around it. After the attack it must be as it was before."""
    with Target(tmp_path, vitrine) as running:
        yield running
        running.check_unharmed()


@pytest.fixture(scope="module")
def shared_target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vitrine: Program
) -> Iterator[Target]:
    """One for all tests of a module; its OPTIONS are the server's.

    Without packages: a program that imports what is not there would start a zygote more.
    """
    options = ("--no-install", *getattr(request.module, "OPTIONS", ()))
    with Target(tmp_path_factory.mktemp("target"), vitrine, *options) as running:
        yield running
        running.check_unharmed()


@pytest.fixture
def shared(shared_target: Target) -> Iterator[Target]:
    """A target that others use too. After each attack it must be as it was before."""
    yield shared_target
    shared_target.check_rested()


@pytest.fixture(scope="module", params=["jailed"] if is_sanitized() else ["jailed", "bare"])
def either_target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, vitrine: Program
) -> Iterator[Target]:
    """The same, and once more without the operating system's jail; see glass.py."""
    options = ("--no-install", *getattr(request.module, "OPTIONS", ()))
    folder = tmp_path_factory.mktemp("target")
    with Target(folder, vitrine, *options, bare=request.param == "bare") as running:
        yield running
        running.check_unharmed()


@pytest.fixture
def either(either_target: Target) -> Iterator[Target]:
    """A target with and without a jail. After each attack it must be as it was before."""
    yield either_target
    either_target.check_rested()


@pytest.fixture
def broken_out(tmp_path: Path, vitrine: Program) -> Iterator[Target]:
    """The same where native code runs in the guest's place; see probe/probe.h."""
    with Target(tmp_path, vitrine, probe=True) as running:
        yield running
        running.check_unharmed()


@pytest.fixture(scope="session")
def probe_zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProbeZygote]:
    """Cells of native code, forked without the pool."""
    with ProbeZygote(tmp_path_factory.mktemp("probe")) as running:
        yield running
