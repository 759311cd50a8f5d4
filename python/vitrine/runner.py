"""Entry points of the host: ``prepare`` at boot, then ``run`` in the cell.

A run is a generator of steps. Each step that it yields is a callable without arguments which
executes code of the program; the driver calls it and hands back what came of it. ``run`` is such
a driver. A host that drives the steps itself, calling each from C, spares the program the sight
of our frames below its own: ``sys._getframe().f_back`` is None and the recursion limit counts
from the program's first frame, both as in ``python main.py``.
"""

import sys
from _functools import partial

from vitrine import BUILTINS as __builtins__  # noqa: N811
from vitrine import entropy, execute, hooks, repair, report, streams, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    Step = Callable[[], object]
    Came = tuple[object, BaseException | None]

# What most programs import, or what reporting their errors needs. In a zygote it costs once.
_WARM = (
    "argparse ast asyncio base64 bisect calendar collections.abc contextlib copy csv dataclasses "
    "datetime decimal enum fractions functools glob hashlib heapq inspect io itertools json "
    "linecache logging math operator os pathlib pprint random re secrets shutil statistics string "
    "struct tempfile textwrap time timeit traceback typing unittest urllib.parse uuid warnings "
    "zipfile zoneinfo"
)

_set_trace = sys.settrace
_set_profile = sys.setprofile

_session: "Generator[Step, Came, None] | None" = None


def prepare(warm: bool) -> None:
    """Get ready to run one program; ``warm`` imports ahead what a zygote's cells will need."""
    streams.install()
    hooks.when_imported("asyncio.unix_events", _patch_asyncio)
    if warm:
        _warm_up()
    repair.remember()
    if warm:
        _freeze()


def _patch_asyncio(unix_events: "ModuleType") -> None:
    from vitrine import loop  # noqa: PLC0415 - it imports asyncio

    loop.install(unix_events)


def _warm_up() -> None:
    for name in _WARM.split():
        try:
            __import__(name)
        except ImportError:  # left out of this build, as some modules are in the guest
            continue
    from vitrine import loop, tracebacks, values  # noqa: PLC0415, F401

    # Reporting once fills the caches that the modules keep: regular expressions, for a start.
    try:
        compile("1 +* 2", "<warm>", "exec")
    except SyntaxError as error:
        tracebacks.describe(error)
    try:
        [].pop(0) + 1
    except IndexError as error:
        tracebacks.describe(error)
    values.encode([1, "2", {"3": 4.0}], 1000)


def _freeze() -> None:
    """Keep the collector off what is there, so that cells do not copy the pages it lies on."""
    import gc  # noqa: PLC0415

    gc.collect()
    gc.freeze()


def run() -> None:
    """Read one request, run it, write its result."""
    call = step()
    while call is not None:
        value = error = None
        try:
            value = call()
        except BaseException as caught:  # noqa: BLE001 - whatever it was, it is the outcome
            error = caught
        call = step(value, error)


def step(value: object = None, error: "BaseException | None" = None) -> "Step | None":
    """Go on to the next piece of the program: first without arguments, then with what it gave.

    Returns what to call next, or None when the result has been written. Never raises.
    """
    global _session
    try:
        # A tracer of the program's would see our frames too, and might raise.
        _set_trace(None)
        _set_profile(None)
        if _session is None:
            _session = _steps()
            return next(_session)
        return _session.send((value, error))
    except StopIteration:
        return None
    except BaseException as caught:  # noqa: BLE001 - an interrupt, or no memory to report with
        report.give_up(error or caught)
        return None


def _steps() -> "Generator[Step, Came, None]":
    entropy.reseed()
    program = value = error = None
    codes = []
    try:
        request = execute.Request(wire.read_control())
        program = execute.Program(request)
        program.enter(request)
        program.compile()
        codes = program.codes
    except BaseException as caught:  # noqa: BLE001 - a program that does not compile is an outcome
        error = caught
    if any([execute.is_coroutine(code) for code in codes]):
        import asyncio  # noqa: F401, PLC0415 - first, so that its end brings in our loop

        from vitrine import loop  # noqa: PLC0415

        value, error = yield partial(loop.run_program, codes, program.space)
    else:
        for code in codes:
            value, error = yield partial(eval, code, program.space)
            if error is not None:
                break
    report.finish(program, value if program and program.wants_value else None, error)
