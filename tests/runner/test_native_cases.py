"""The table of cases, under a native Python: cold and warm, by ``run`` and step by step."""

from pathlib import Path

import pytest
from cases import CASES, Case
from native import find_python, python_version, run_case

from check import differences

PYTHON = find_python()
VERSION = python_version(PYTHON)
RUNNABLE = [case for case in CASES if case.python <= VERSION and not case.guest_only]


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.name.replace(" ", "-"))
@pytest.mark.parametrize("boot, drive", [("cold", "run"), ("warm", "steps")])
def test_case(case: Case, boot: str, drive: str, tmp_path: Path) -> None:
    came = run_case(case, PYTHON, tmp_path, boot, drive)
    assert differences(case, came) == []
