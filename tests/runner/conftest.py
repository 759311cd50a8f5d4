"""What the tests of the runner share: a zygote for each kind of boot.

The tests named ``test_native_*`` run the runner in a Python of this machine, without the guest:
quick while one works on it, and more than the guest's tests need. A machine whose Pythons are all
too old for the runner does not collect them; the same table runs in the guest anyway.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from cell import Zygote
from native import find_python

NATIVE_PYTHON = find_python()

collect_ignore_glob = [] if NATIVE_PYTHON else ["test_native_*.py"]


def pytest_report_header() -> str:
    if NATIVE_PYTHON:
        return f"runner: in the guest and, natively, in {NATIVE_PYTHON}"
    return "runner: in the guest alone; no native Python 3.13 or newer (see VITRINE_TEST_PYTHON)"


@pytest.fixture(scope="session")
def zygote_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Zygote]]:
    """Give the zygote of a kind of boot, started when first asked for."""
    started: dict[str, Zygote] = {}
    with ExitStack() as stack:

        def find(boot: str) -> Zygote:
            if boot not in started:
                log = tmp_path_factory.mktemp("zygote") / f"{boot}.log"
                started[boot] = stack.enter_context(Zygote(boot, log))
            return started[boot]

        yield find


@pytest.fixture(params=["cold", "warm", "rehearsed", "restored"])
def zygote(request: pytest.FixtureRequest, zygote_of: Callable[[str], Zygote]) -> Zygote:
    """Each kind in turn."""
    return zygote_of(request.param)
