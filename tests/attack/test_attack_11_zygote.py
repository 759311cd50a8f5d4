"""Attack 11, a zygote's powers: no thread of it may have kept any when it reads what others made.

Expected: no capability, no new privileges, and a filter of system calls, in each of its threads.
"""

from __future__ import annotations

from target import Target, family
from test_attack_11 import check_powers


def test_powers(target: Target) -> None:
    with family(target) as found:
        assert found["zygote"]
        for pid in found["zygote"]:
            check_powers(pid)
