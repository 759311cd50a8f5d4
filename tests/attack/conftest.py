"""What the attacks share: the drivers of the system tests, and servers that attack."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

import fetcher


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key of the servers."""
    return fetcher.make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def world(tmp_path: Path, certificate: Path) -> Iterator[fetcher.World]:
    """Servers and a cache for vitrine-fetch."""
    yield from fetcher.worlds(tmp_path, certificate)
