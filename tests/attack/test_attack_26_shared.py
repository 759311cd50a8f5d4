"""Attack 26, continued: what cells of one zygote have in common, as docs/randomness.md says.

Expected: the hash secret and places in the guest's memory, and nothing that the page does not name.
That another zygote has another secret is for test_attack_23_renewal.py.
"""

from __future__ import annotations

from driver import Json, Program
from target import Target

CODE = """
import datetime, json
class Made: pass
{
    'text': hash('text'), 'bytes': hash(b'bytes'), 'date': hash(datetime.date(2020, 1, 1)),
    'order': ''.join({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'}),
    'module': id(json), 'class': id(Made),
}
"""
CELLS = 6


def of_cells(target: Target) -> list[Json]:
    """The same question to several cells."""
    return [target.call(CODE)["return_value"] for _ in range(CELLS)]


def test_cells_of_a_zygote(target: Target) -> None:
    found = of_cells(target)
    for name in ("text", "bytes", "date", "order", "module"):
        assert len({str(answer[name]) for answer in found}) == 1, name


def test_the_secret_cannot_be_chosen(vitrine: Program) -> None:
    """By a variable of the program: CPython reads it at its start alone."""
    code = "import os; print(os.environ['PYTHONHASHSEED'], hash('x'))"
    found = []
    for seed in ("1", "1", "2"):
        out = vitrine("run", "--env", f"PYTHONHASHSEED={seed}", "-c", code).stdout.split()
        assert out[0].decode() == seed
        found.append(out[1])
    assert not (found[0] == found[1] != found[2])
