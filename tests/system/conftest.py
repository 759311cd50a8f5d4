"""What the system tests share: the real program, and ways to drive it.

The program is build/vitrine, or the one in VITRINE_BUILD, or the one that VITRINE_BIN names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Program, RawServer

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def vitrine() -> Program:
    build = os.environ.get("VITRINE_BUILD", str(REPOSITORY / "build"))
    path = Path(os.environ.get("VITRINE_BIN", f"{build}/vitrine")).resolve()
    assert path.exists(), f"{path} is missing: run `make build`"
    return Program(path)


@pytest.fixture
def server(vitrine: Program) -> Iterator[RawServer]:
    """`vitrine stdio`, spoken to byte by byte."""
    with RawServer(vitrine) as running:
        yield running


@pytest.fixture(scope="module")
def shared_server(vitrine: Program) -> Iterator[RawServer]:
    """One server for all tests of a module: it is warm, and each call leaves no trace."""
    with RawServer(vitrine) as running:
        yield running
