"""Attack 23, continued: what one program learns of the interpreter that others are forked from, and
programs that break out of it over and over.

Expected: after --zygote-forks programs another interpreter, with a hash secret of its own, takes
over, and no call waits or fails meanwhile. After a cell that did what none should be able to do,
too; but however often that happens, interpreters do not boot without end.
"""

from __future__ import annotations

import time
from pathlib import Path

from driver import Json, Program
from probe import call
from target import Target, generations

FORKS = 100
TAKE_OVER_SECONDS_MAX = 10.0
OUT = call("socket", 2, 1, 0)  # ends a cell with SIGSYS


def zygotes(target: Target) -> set[int]:
    """Interpreters that cells are forked from, now."""
    return set(generations(target.pid)["zygote"])


def wait_for_another(target: Target, before: set[int]) -> set[int]:
    """Until one has taken over, and the old one has ended."""
    deadline = time.monotonic() + TAKE_OVER_SECONDS_MAX
    while not (now := zygotes(target)) or now & before:
        assert time.monotonic() < deadline, (now, before)
        time.sleep(0.02)
    return now


class Asker:
    """One client whose answers may come in any order."""

    def __init__(self, target: Target) -> None:
        self.server = target.server
        self.answers: dict[int, Json] = {}

    def send(self, code: str) -> int:
        message = self.server.call_message(code)
        self.server.send(message)
        return message["id"]

    def wait(self, number: int) -> Json:
        while number not in self.answers:
            message = self.server.receive()
            self.answers[message["id"]] = message["result"]["structuredContent"]
        return self.answers[number]


def test_another_interpreter_takes_over(tmp_path: Path, vitrine: Program) -> None:
    with Target(tmp_path, vitrine, "--zygote-forks", str(FORKS)) as target:
        before = zygotes(target)
        asker = Asker(target)
        long_one = asker.send("import time; time.sleep(5); hash('x')")
        deadline = time.monotonic() + 3 * TAKE_OVER_SECONDS_MAX
        hashes: list[int] = []
        while len(set(hashes)) < 2:
            result = asker.wait(asker.send("hash('x')"))
            assert result["status"] == "success", result
            assert result["timings"]["queue_ms"] < 1000
            hashes.append(result["return_value"])
            assert time.monotonic() < deadline
            time.sleep(0.005)
        # The one that began before them has run in a cell of the old one.
        assert asker.wait(long_one)["return_value"] == hashes[0]
        wait_for_another(target, before)
        target.check_unharmed()


def test_a_cell_that_broke_out(broken_out: Target) -> None:
    before = zygotes(broken_out)
    assert broken_out.call(OUT)["status"] == "crash"
    wait_for_another(broken_out, before)
    broken_out.expect_clean()


def test_cells_that_break_out_all_the_time(broken_out: Target) -> None:
    """The second interpreter takes over at once; then there is a pause of ten seconds."""
    seen = zygotes(broken_out)
    deadline = time.monotonic() + 6
    calls = 0
    while time.monotonic() < deadline:
        assert broken_out.call(f"print {calls}\n{OUT}")["stdout"] == f"{calls}\n"
        broken_out.expect_clean()
        seen |= zygotes(broken_out)
        calls += 1
    assert len(seen) == 2, seen
    assert calls > 20
