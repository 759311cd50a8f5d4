"""Attack 13 in a zygote: native code there signals others, and types into terminals.

Expected: SIGKILL and SIGUSR1 for its cells are all that it can send, in a world of processes that
has no others. Nothing is typed.
"""

from __future__ import annotations

import os
from pathlib import Path

from probe import call, lived, try_in_zygote
from target import Target, family
from test_attack_13 import SIGNALS, TERMINAL

# Its own timer, and who would hear of input on its own socket.
HARMLESS = [call("setitimer", 1, "@page", 0), call("fcntl", 3, 8, "@parent")]


def test_signals(tmp_path: Path) -> None:
    tried = [command for command in SIGNALS if command not in HARMLESS]
    assert lived(tried, try_in_zygote(tmp_path, tried)) == []


def test_input(tmp_path: Path) -> None:
    assert lived(TERMINAL, try_in_zygote(tmp_path, TERMINAL)) == []


def test_it_is_alone(target: Target) -> None:
    """A world of processes of its own, in which it is the first."""
    own = os.readlink("/proc/self/ns/pid")
    with family(target) as found:
        assert found["zygote"] and found["cell"]
        worlds = {os.readlink(f"/proc/{pid}/ns/pid") for pid in found["zygote"] + found["cell"]}
        assert len(worlds) == 1 and own not in worlds
        for pid in found["zygote"]:
            line = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").partition("NSpid:")[2]
            assert line.split("\n")[0].split()[-1] == "1"
