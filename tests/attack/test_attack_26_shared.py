"""Attack 26, continued: what cells of one zygote have in common, as docs/randomness.md says.

Expected: the hash secret and places in the guest's memory, and nothing that the page does not name.
Another server has another secret.
"""

from __future__ import annotations

from pathlib import Path

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


def test_servers_have_secrets_of_their_own(
    tmp_path: Path, target: Target, vitrine: Program
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    with Target(folder, vitrine) as other:
        theirs, ours = of_cells(other)[0], of_cells(target)[0]
        assert [theirs[name] for name in ("text", "date")] != [ours[n] for n in ("text", "date")]
        other.check_unharmed()


def test_the_secret_cannot_be_chosen(vitrine: Program) -> None:
    """By a variable of the program: CPython reads it at its start alone."""
    code = "import os; print(os.environ['PYTHONHASHSEED'], hash('x'))"
    found = []
    for seed in ("1", "1", "2"):
        out = vitrine("run", "--env", f"PYTHONHASHSEED={seed}", "-c", code).stdout.split()
        assert out[0].decode() == seed
        found.append(out[1])
    assert not (found[0] == found[1] != found[2])
