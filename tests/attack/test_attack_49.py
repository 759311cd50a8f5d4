"""Attack 49: the ends of a server: SIGTERM while programs run, SIGKILL of itself or of its zygote;
and the ends of calls: cancelled, crashed, out of time.

Expected: SIGTERM lets the calls that run end within --drain-time, refuses those that wait and the
new ones, and the server ends with status 0; a second one ends everything at once. Whatever the end,
no process is left, and while a server lives it has neither zombies nor descriptors that it does not
need.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driver import Json, Program, children_of
from target import Target, descriptors, generations, parents_of
from test_attack_22 import FOREVER, wait_running
from victim import is_ours

DRAINING = "no more programs are taken: Vitrine is about to end"
GONE_SECONDS_MAX = 1.0
SPARE_MAX = 2


@pytest.fixture
def ended(tmp_path: Path, vitrine: Program) -> Iterator[Target]:
    """A server that the test ends."""
    with Target(tmp_path, vitrine) as running:
        yield running


def send(target: Target, code: str, count: int = 1) -> list[int]:
    """Start calls; their ids."""
    messages = [target.server.call_message(code) for _ in range(count)]
    for message in messages:
        target.server.send(message)
    return [message["id"] for message in messages]


def receive(target: Target, count: int) -> dict[int, Json]:
    """Answers by id."""
    found = [target.server.receive() for _ in range(count)]
    return {message["id"]: message["result"]["structuredContent"] for message in found}


def seconds_until_ended(pids: set[int]) -> float:
    """Until none of them runs; whoever inherits them may take its time to reap them."""
    start = time.monotonic()
    while any(is_ours(pid) for pid in pids):
        assert time.monotonic() < start + 30, pids
        time.sleep(0.005)
    return time.monotonic() - start


def end(target: Target, seconds_max: float) -> None:
    """The server ends by itself, with everything below it."""
    below = set(target.seen) | children_of(target.pid)
    assert target.server.process.wait(seconds_max) == 0
    assert seconds_until_ended(below) < GONE_SECONDS_MAX


def test_sigterm_drains(tmp_path: Path, vitrine: Program) -> None:
    with Target(tmp_path, vitrine, "--max-cells", "2") as target:
        running = send(target, "import time; time.sleep(1); 'finished'", 2)
        time.sleep(0.3)
        waiting = send(target, "'never'", 3)
        time.sleep(0.2)
        target.server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        late = send(target, "'never'")
        found = receive(target, 6)
        for number in waiting + late:
            assert found[number]["status"] == "refused"
            assert found[number]["error"]["message"] == DRAINING
        for number in running:
            assert found[number]["return_value"] == "finished", found[number]
        end(target, 5)


def test_the_time_to_finish_is_bounded(tmp_path: Path, vitrine: Program) -> None:
    with Target(tmp_path, vitrine, "--drain-time", "500ms") as target:
        [number] = send(target, FOREVER)
        wait_running(target.pid, 1)
        start = time.monotonic()
        target.server.process.send_signal(signal.SIGTERM)
        assert receive(target, 1)[number]["status"] == "cancelled"
        end(target, 5)
        assert 0.4 < time.monotonic() - start < 3


def test_a_second_sigterm_ends_at_once(ended: Target) -> None:
    send(ended, FOREVER, 2)
    wait_running(ended.pid, 2)
    ended.server.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert ended.server.process.poll() is None
    start = time.monotonic()
    ended.server.process.send_signal(signal.SIGTERM)
    end(ended, 5)
    assert time.monotonic() - start < GONE_SECONDS_MAX
    assert ended.server.messages.get(timeout=5) is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_idle_server_ends_at_once(ended: Target, number: signal.Signals) -> None:
    start = time.monotonic()
    ended.server.process.send_signal(number)
    end(ended, 5)
    assert time.monotonic() - start < GONE_SECONDS_MAX


# ---- Nothing is left -----------------------------------------------------------------------------


def zombies_of(server: int) -> set[int]:
    """Dead children of a server, its launchers or its zygotes that nobody has reaped."""
    pids = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    parents = parents_of(pids)
    family = {server}
    for _ in range(4):
        family |= {pid for pid, parent in parents.items() if parent in family}
    found = set()
    for pid in family:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except OSError:
            continue
        if text.rpartition(")")[2].split()[0] == "Z":
            found.add(pid)
    return found


def settle(target: Target, processes: int) -> None:
    """Wait until no zombie, no descriptor and no process is left over."""
    deadline = time.monotonic() + 10
    while (
        zombies_of(target.pid)
        or not target.settled()
        or len(children_of(target.pid)) > processes + SPARE_MAX
    ):
        below = generations(target.pid)
        assert time.monotonic() < deadline, (below, descriptors(target.pid))
        time.sleep(0.02)


def cancel(target: Target, number: int) -> None:
    """Take a call back."""
    note = {"method": "notifications/cancelled", "params": {"requestId": number}}
    target.server.send({"jsonrpc": "2.0", **note})


def cancelled(target: Target) -> None:
    """Calls that run, and calls that wait, are taken back."""
    numbers = send(target, FOREVER, 18)
    wait_running(target.pid, 2)
    for number in numbers:
        cancel(target, number)


def crashed(target: Target) -> None:
    """Programs end themselves."""
    numbers = send(target, "import os; os._exit(7)", 20)
    assert all(answer["status"] == "crash" for answer in receive(target, len(numbers)).values())


def out_of_time(target: Target) -> None:
    """Programs are ended."""
    numbers = send(target, FOREVER, 2)
    assert all(answer["status"] == "limit" for answer in receive(target, len(numbers)).values())


def zygote_killed(target: Target) -> None:
    """The zygote dies under two programs."""
    send(target, FOREVER, 2)
    wait_running(target.pid, 2)
    for pid in generations(target.pid)["zygote"]:
        os.kill(pid, signal.SIGKILL)
    assert all(answer["status"] == "crash" for answer in receive(target, 2).values())


@pytest.mark.parametrize("way", [cancelled, crashed, out_of_time, zygote_killed])
def test_nothing_is_left_of_calls(
    tmp_path: Path, vitrine: Program, way: Callable[[Target], None]
) -> None:
    with Target(tmp_path, vitrine, "--timeout", "4" if way is out_of_time else "60") as target:
        processes = len(children_of(target.pid))
        for _ in range(2):
            way(target)
            target.expect_clean()
            settle(target, processes)
        target.check_unharmed()


@pytest.mark.parametrize("code", [FOREVER, "import time; time.sleep(100)"])
def test_a_killed_server_takes_everything_along(ended: Target, code: str) -> None:
    send(ended, code, 3)
    deadline = time.monotonic() + 10
    while len(generations(ended.pid)["cell"]) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    below = children_of(ended.pid)
    ended.server.process.kill()
    assert ended.server.process.wait(5) == -signal.SIGKILL
    assert seconds_until_ended(below) < GONE_SECONDS_MAX
