"""All programs together take memory and processes: where the system lets Vitrine make control
groups, it does, whatever each program may have on its own.

Expected: launcher, zygote and cells are in our group from the start; memory past the limit ends the
largest program and nobody else, and the server answers; no group is left behind, or only until the
next server starts, when this one was killed. Where no group can be made, the doctor says why.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from driver import Json, Program, RawServer, children_of

FILES = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "processes": ("pids.max", "pids.max"),
    "processor share": ("cpu.shares", "cpu.weight"),
}
STALE_SECONDS = 10
TOTAL = 400 << 20


def found_by_doctor(vitrine: Program, *args: str) -> dict[str, tuple[str, str]]:
    """State and text of each limit."""
    rows = json.loads(vitrine("doctor", "--json", *args).stdout)["findings"]
    return {row["name"]: (row["state"], row["text"]) for row in rows if "Control" in row["group"]}


def groups_of(pid: int) -> set[str]:
    """Names of our groups that a process is in."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {part for line in lines for part in line.split("/") if part.startswith("vitrine-")}


def folders(name: str) -> list[Path]:
    """Where the groups of that name are, in all hierarchies."""
    return [Path(top) for top, _, _ in os.walk("/sys/fs/cgroup") if Path(top).name == name]


@pytest.fixture(scope="module")
def limits(vitrine: Program) -> set[str]:
    """What can be limited on this machine."""
    found = found_by_doctor(vitrine)
    assert set(found) == set(FILES)
    for state, text in found.values():
        assert text and (state == "ok") == Path(text).name.startswith("vitrine-")
    return {name for name, (state, _) in found.items() if state == "ok"}


def test_off_is_off(vitrine: Program) -> None:
    assert found_by_doctor(vitrine, "--cgroup", "off") == {"all": ("info", "none (--cgroup off)")}
    with RawServer(vitrine, "--cgroup", "off") as server:
        server.initialize()
        assert all(not groups_of(pid) for pid in children_of(server.process.pid))


def test_everybody_is_in_the_group(vitrine: Program, limits: set[str]) -> None:
    with RawServer(vitrine, "--total-memory", str(TOTAL)) as server:
        server.initialize()
        assert server.text("6 * 7")
        assert groups_of(server.process.pid) <= groups_of(os.getpid())
        found = {pid: groups_of(pid) for pid in children_of(server.process.pid)}
        living = children_of(server.process.pid)  # one that has just ended is in no group
        names = [name for pid, name in found.items() if pid in living]
        assert len(names) >= 3
        if limits:
            assert all(len(name) == 1 and name == names[0] for name in names), names
            [name] = names[0]
            values = {
                file.name: file.read_text(encoding="ascii").strip()
                for folder in folders(name)
                for file in folder.iterdir()
                if file.name in sum(FILES.values(), ())
            }
            assert len(values) >= len(limits)
            assert values.get("memory.limit_in_bytes", values.get("memory.max")) == str(TOTAL)
            assert int(values["pids.max"]) < 10_000
        else:
            assert all(not name for name in names)
        server.close_input()
        assert server.process.wait(10) == 0
    assert not limits or folders(name) == []


def test_memory_of_all_has_an_end(vitrine: Program, limits: set[str]) -> None:
    """Three programs that each stay within their own limit."""
    hog = "b = bytearray(b'x') * (180 << 20); import time; time.sleep(1); len(b)"
    with RawServer(vitrine, "--total-memory", str(TOTAL)) as server:
        server.initialize()
        assert server.text("6 * 7")
        numbers = [server.call_message(hog) for _ in range(3)]
        for message in numbers:
            server.send(message)
        seen: list[Json] = []
        while len(seen) < len(numbers):
            message = server.receive()
            seen += [message["result"]] if "result" in message else []
        states = [result["structuredContent"]["status"] for result in seen]
        if "memory" in limits:
            assert "crash" in states and "success" in states, states
        else:
            assert states == ["success"] * 3
        assert "42" in server.text("6 * 7")


def test_what_a_killed_server_leaves_the_next_removes(vitrine: Program, limits: set[str]) -> None:
    with RawServer(vitrine) as server:
        server.initialize()
        assert server.text("6 * 7")
        below = children_of(server.process.pid)
        names = set().union(*(groups_of(pid) for pid in below))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    left = [folder for name in names for folder in folders(name)]
    assert bool(left) == bool(limits)
    for folder in left:
        old = time.time() - 2 * STALE_SECONDS
        os.utime(folder, (old, old))
        deadline = time.monotonic() + 5
        while (folder / "cgroup.procs").read_text(encoding="ascii"):
            assert time.monotonic() < deadline, "a process outlived its server"
            time.sleep(0.01)
    with RawServer(vitrine) as server:
        server.initialize()
    assert [folder for folder in left if folder.exists()] == []


def test_two_servers_do_not_touch_each_other(vitrine: Program, limits: set[str]) -> None:
    with RawServer(vitrine) as first, RawServer(vitrine) as second:
        for server in (first, second):
            server.initialize()
            assert server.text("6 * 7")
        names = [
            set().union(*(groups_of(pid) for pid in children_of(server.process.pid)))
            for server in (first, second)
        ]
        assert not limits or len(names[0] | names[1]) == 2
        ender = threading.Thread(target=first.close_input)
        ender.start()
        ender.join()
        assert first.process.wait(10) == 0
        assert "42" in second.text("6 * 7")
        second.close_input()
        assert second.process.wait(10) == 0
