"""Attack 23: a zygote that is killed, and crashes without end.

Expected: a run that was under way ends as a crash, another zygote takes over, and the next run
succeeds. Whoever kills one after the other meets a growing pause, never a busy loop. A thousand
crashes of cells leave nothing behind: no descriptor, no process, no memory.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from driver import Json, Program
from probe import call
from target import Target, descriptors, generations
from test_attack_22 import rss_kib
from victim import is_ours

CRASHES = 1000
RECOVERY_SECONDS_MAX = 5.0
# Ways to die: no memory there, no such call, and asking for it.
WAYS = ("jump @page", call("socket", 2, 1, 0), "peek 0 1", call("exit_group", 0))
# A stack that has no end is a trap of the engine, an abort an exit without a result.
PYTHON_WAYS = (
    "import os; os.abort()",
    "import os; os._exit(0)",
    "import json; json.loads('[' * 10**6)",
)


def zygotes_of(target: Target) -> list[int]:
    """The zygotes of a server that has a spare cell."""
    deadline = time.monotonic() + 10
    while not (found := generations(target.pid)["zygote"]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def kill_zygotes(target: Target) -> set[int]:
    """Kill them, and wait until their cells are gone as well: those may still answer a while."""
    killed = set(zygotes_of(target))
    dying = killed | set(generations(target.pid)["cell"])
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while any(is_ours(pid) for pid in dying):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return killed


def seconds_until_clean(target: Target) -> float:
    """From now until a run succeeds; one that meets the dying processes is called a crash."""
    start = time.monotonic()
    while target.call("6 * 7")["status"] == "crash":
        assert time.monotonic() < start + 30
    target.expect_clean()
    return time.monotonic() - start


def test_a_killed_zygote(target: Target) -> None:
    answers: list[Json] = []
    code = "import time; print('begun', flush=True); time.sleep(30)"
    running = threading.Thread(target=lambda: answers.append(target.call(code)))
    running.start()
    time.sleep(0.5)
    kill_zygotes(target)
    running.join(10)
    assert [answer["status"] for answer in answers] == ["crash"]
    assert seconds_until_clean(target) < RECOVERY_SECONDS_MAX
    target.open_before = max(target.open_before, len(descriptors(target.pid)))


def test_one_zygote_killed_after_the_other(target: Target) -> None:
    """The pause grows, and no start is lost in between."""
    pauses = []
    killed: set[int] = set()
    for _ in range(5):
        killed |= kill_zygotes(target)
        pauses.append(seconds_until_clean(target))
    assert pauses[-1] < 4 * RECOVERY_SECONDS_MAX
    assert pauses[-1] > pauses[0]
    assert not killed & set(zygotes_of(target))


def test_a_thousand_crashes(broken_out: Target) -> None:
    for i in range(20):
        broken_out.call(WAYS[i % len(WAYS)])
    opened, memory = len(descriptors(broken_out.pid)), rss_kib(broken_out.pid)
    for i in range(CRASHES):
        result = broken_out.call(f"print {i}\n{WAYS[i % len(WAYS)]}")
        assert (result["status"], result["stdout"]) == ("crash", f"{i}\n"), result
    broken_out.expect_clean()
    assert len(descriptors(broken_out.pid)) <= opened + 2
    assert rss_kib(broken_out.pid) <= memory + 4096
    assert len(generations(broken_out.pid)["zygote"]) <= 2


def test_crashes_of_python(target: Target) -> None:
    for i in range(60):
        result = target.call(f"print({i})\n{PYTHON_WAYS[i % len(PYTHON_WAYS)]}")
        assert result["status"] in ("crash", "run-error"), result
        assert result["stdout"] == f"{i}\n"
        if i % 10 == 0:
            target.expect_clean()


def test_a_cell_program_that_always_ends(tmp_path: Path, vitrine: Program) -> None:
    """When no zygote ever lives, the server says so instead of starting one for ever."""
    from probe import guest_folder, probe_program

    guest = guest_folder(tmp_path / "guest", call("exit_group", 9) + "\n")
    start = time.monotonic()
    done = vitrine(
        "run", "--cell", probe_program(), "--guest-dir", guest, "-c", "print 1", timeout=60
    )
    assert done.returncode not in (0, None)
    assert b"sandbox process" in done.stderr, done.stderr
    assert time.monotonic() - start < 30
