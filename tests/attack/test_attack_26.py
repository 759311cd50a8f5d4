"""Attack 26: a program that wants to know what chance gives another one.

Expected: random numbers, tokens, UUIDs and names of temporary files differ between all cells of a
zygote, whether a cell was forked ahead and has rehearsed or not. The hash secret is the exception:
CPython draws it once, so that cells of one zygote share it, and `hash()` of a text is no secret.
"""

from __future__ import annotations

import json

from driver import Program
from target import Target

OPTIONS = ("--timeout", "10")
RUNS = 30

DRAWS = """
import os, random, secrets, string, tempfile, uuid
{
    'random': random.random(),
    'bits': random.getrandbits(64),
    'shuffle': random.sample(range(10**6), 5),
    'Random': random.Random().random(),
    'SystemRandom': random.SystemRandom().random(),
    'urandom': os.urandom(16).hex(),
    'getrandom': os.getrandom(16).hex() if hasattr(os, 'getrandom') else os.urandom(16).hex(),
    'token': secrets.token_hex(16),
    'uuid4': str(uuid.uuid4()),
    'uuid1': str(uuid.uuid1()),
    'node': uuid.getnode(),
    'name': tempfile.mktemp(),
    'file': tempfile.NamedTemporaryFile().name,
    'salt': open('/dev/urandom', 'rb').read(16).hex(),
}
"""


def check_distinct(found: list[dict[str, object]]) -> None:
    """Nothing came twice."""
    for name in found[0]:
        values = [str(draws[name]) for draws in found]
        assert len(set(values)) == len(values), (name, values)


def test_one_after_the_other(shared: Target) -> None:
    check_distinct([shared.attack(DRAWS)["return_value"] for _ in range(RUNS)])


def test_all_at_once(shared: Target) -> None:
    results = shared.attack_all({str(number): DRAWS for number in range(RUNS)})
    check_distinct([result["return_value"] for result in results.values()])


def test_a_session_of_draws(shared: Target) -> None:
    """Nor is one cell's stream a shifted copy of another's."""
    code = "import random\n[random.getrandbits(64) for _ in range(1000)]"
    results = shared.attack_all({str(number): code for number in range(4)})
    draws = [number for result in results.values() for number in result["return_value"]]
    assert len(set(map(str, draws))) == len(draws) == 4000


def test_commands(vitrine: Program) -> None:
    """Each of them starts an interpreter of its own."""
    lines = DRAWS.strip().splitlines()
    code = f"{lines[0]}\nimport json\nprint(json.dumps({''.join(lines[1:])}))"
    check_distinct([json.loads(vitrine.code(code).stdout) for _ in range(3)])
