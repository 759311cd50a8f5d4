"""A short soak; `make soak` is the long one."""

from __future__ import annotations

from driver import build_folder
from soak import soak_pool, soak_servers

CALLS = 1000


def test_four_clients_of_one_pool() -> None:
    found = soak_pool(build_folder(), CALLS)
    assert found.problems == []
    assert found.figures["good"] > CALLS * 0.8 and found.figures["kills"] > 0


def test_four_servers() -> None:
    found = soak_servers(build_folder(), CALLS)
    assert found.problems == []
    assert found.figures["success"] > CALLS * 0.8 and found.figures["kills"] > 0
