"""Attack 12 in a zygote: native code there connects to somebody.

Expected: SIGSYS, or nobody there: a network of its own, in which nothing was ever sent.
"""

from __future__ import annotations

from pathlib import Path

from probe import NUMBERS, lived, try_in_zygote
from target import Target, family
from test_attack_12 import native_calls

# A zygote speaks with the pool: it receives descriptors, and answers on the same socket.
OF_THE_CONTROL_SOCKET = ("recvmsg", "sendto", "sendmsg")


def test_native_code(tmp_path: Path) -> None:
    own = {f"call {NUMBERS[name]}" for name in OF_THE_CONTROL_SOCKET}
    commands = [c for c in native_calls(None) if " ".join(c.split()[:2]) not in own]
    found = try_in_zygote(tmp_path, commands)
    assert lived(commands, found) == []


def test_no_packet_was_sent(target: Target) -> None:
    with family(target) as found:
        for pid in found["cell"] + found["zygote"]:
            lines = Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii").splitlines()[2:]
            counts = {line.split(":")[0].strip(): line.split(":")[1].split() for line in lines}
            assert set(counts) <= {"lo"}
            assert all(set(numbers) == {"0"} for numbers in counts.values())
