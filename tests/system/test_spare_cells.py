"""Cells that are kept ready ahead of need: as many as the load asks for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from driver import Program, RawServer, children_of

BURST = 8
FLOOR = 2


def cells_of(server: int) -> int:
    """The processes below a server that have no children of their own."""
    parents = {}
    for pid in children_of(server):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        parents[pid] = int(text.rpartition(")")[2].split()[1])
    return sum(pid not in parents.values() for pid in parents)


@pytest.mark.parametrize(("memory", "most"), [("64M", BURST), ("0", FLOOR)])
def test_a_burst_leaves_cells_for_the_next(vitrine: Program, memory: str, most: int) -> None:
    with RawServer(vitrine, "--spare-memory", memory) as server:
        server.initialize()
        server.call("1")
        for _ in range(3):
            messages = [server.call_message("1 + 1") for _ in range(BURST)]
            for message in messages:
                server.send(message)
            for _ in messages:
                server.receive()
            time.sleep(0.3)
        deadline = time.monotonic() + 5
        while (found := cells_of(server.process.pid)) != most:
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        time.sleep(0.5)
        assert cells_of(server.process.pid) == most
