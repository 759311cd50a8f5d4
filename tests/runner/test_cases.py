"""The table of cases in the guest: in cells of a cold zygote, of a warm one, and rehearsed ones."""

import pytest
from cases import CASES, Case
from cell import RETURNED, Zygote

from check import differences

IN_GUEST = [case for case in CASES if not case.native_only]


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", IN_GUEST, ids=lambda case: case.name.replace(" ", "-"))
def test_case(case: Case, zygote: Zygote) -> None:
    came = zygote.run(case)
    assert (came.reason, len(came.results), came.wait_status) == (RETURNED, 1, 0), came
    assert differences(case, came) == []
