"""Entry points of the host: ``prepare`` at boot, then ``run`` in the cell.

A run is a generator of steps. Each step that it yields is a callable without arguments which
executes code of the program; the driver calls it and hands back what came of it. ``run`` is such
a driver. A host that drives the steps itself, calling each from C, spares the program the sight
of our frames below its own: ``sys._getframe().f_back`` is None and the recursion limit counts
from the program's first frame, both as in ``python main.py``.
"""

import builtins
import gc
import sys
from _functools import partial

from vitrine import BUILTINS, entropy, execute, hooks, repair, report, streams, wire, zone

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    Step = Callable[[], object]
    Came = list[object]

# What most programs import, or what reporting their errors needs. In a zygote it costs once.
_WARM = (
    "argparse ast asyncio base64 bisect calendar collections.abc contextlib copy csv dataclasses "
    "datetime decimal enum fractions functools glob hashlib heapq inspect io itertools json "
    "linecache logging math operator os pathlib pprint random re secrets shutil statistics string "
    "struct tempfile textwrap time timeit traceback typing unittest urllib.parse uuid warnings "
    "zipfile zoneinfo"
)

# Modules of packages that would import a browser's; see browserless.py.
_BROWSER_MODULES = (
    "urllib3.contrib.emscripten",
    "pip._vendor.urllib3.contrib.emscripten",
    "httpx._transports.jsfetch",
)

# Modules of packages that would look for a screen, or for a notebook; see pictures.py.
_PICTURE_MODULES = (
    "IPython.core.display_functions",
    "matplotlib",
    "matplotlib.backend_bases",
    "matplotlib.pyplot",
    "PIL.ImageShow",
)

_set_trace = sys.settrace
_set_profile = sys.setprofile
_set_recursion_limit = sys.setrecursionlimit

_steps_left: "Generator[Step, Came, None] | None" = None


def prepare(warm: bool) -> None:
    """Get ready to run one program; ``warm`` imports ahead what a zygote's cells will need."""
    streams.install()
    builtins.display = display
    if sys.platform == "emscripten":
        zone.install()
        for name in _BROWSER_MODULES:
            hooks.stand_in(name, _stand_in)
        hooks.when_imported("threadpoolctl", _patch_threadpoolctl)
    hooks.when_imported("asyncio.unix_events", _patch_asyncio)
    for name in _PICTURE_MODULES:
        hooks.when_imported(name, _patch_pictures)
    if warm:
        _warm_up()
        gc.collect()
    repair.remember()
    gc.freeze()  # the collector then leaves alone what is there, and the pages it lies on


def display(*values: object, format: str = "", **_options: object) -> None:
    """Show values in their richest forms: tables, formulas, pictures; as text at least.

    ``format="svg"`` draws figures as SVG. Other options that notebooks know are passed over.
    """
    from vitrine import display as module  # few programs call it

    module.show(values, format)


def _show_value(value: object) -> None:
    """What Python's prompt does with a value; and a picture, if it is one."""
    sys.displayhook(value)
    from vitrine import display as module

    module.show_value(value)


def _patch_asyncio(unix_events: "ModuleType") -> None:
    from vitrine import loop  # it imports asyncio

    loop.install(unix_events)


def _stand_in(module: "ModuleType") -> None:
    from vitrine import browserless  # few programs have packages for networks

    browserless.fill(module)


def _patch_pictures(module: "ModuleType") -> None:
    from vitrine import pictures  # few programs make any

    pictures.patch(module)


def _patch_threadpoolctl(module: "ModuleType") -> None:
    from vitrine import browserless

    browserless.patch_threadpoolctl(module)


def _warm_up() -> None:
    execute.add_site_builtins()
    for name in _WARM.split():
        try:
            __import__(name)
        except ImportError:  # left out of this build, as some modules are in the guest
            continue
    from vitrine import (  # noqa: F401
        display,
        imports,
        loop,
        preload,
        rehearsal,
        session,
        tracebacks,
        values,
    )

    imports.prepare()
    preload.load()

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


def run() -> None:
    """Read one request, run it, write its result."""
    call = step()
    while call is not None:
        try:
            came = [call(), None]
        except BaseException as error:  # whatever it was, it is the outcome
            came = [None, error]
        call = None  # it holds the program's variables, whose end step() may have to bring about
        try:
            call = step(came)
        except BaseException:  # a tracer of the program's raised: it is gone now
            call = step(came)


def step(came: "Came | None" = None) -> "Step | None":
    """Go on to the next piece of the program: first without arguments, then with what it gave.

    ``came`` is a list of the value and the exception, one of them None. It is emptied: at its end
    nothing of the program may be kept alive by whoever called it, the last step included. Returns
    what to call next, or None when the result has been written. Raises nothing itself, but a
    tracer that the program left behind may: it is gone then, and the same call succeeds.
    """
    global _steps_left
    try:
        # A tracer of the program's would see our frames too, and might raise.
        _set_trace(None)
        _set_profile(None)
        if _steps_left is None:
            report.rewind()
            _steps_left = _steps()
            return next(_steps_left)
        return _steps_left.send(came)
    except StopIteration:
        _steps_left = None
        return None
    except BaseException as error:  # an interrupt, or no memory to report with
        _steps_left = None
        report.give_up(error)
        return None


def rewind() -> None:
    """Forget the run that has ended, so that another can begin."""
    global _steps_left
    _steps_left = None


def _steps() -> "Generator[Step, Came, None]":
    entropy.reseed_once()
    program = None
    codes = []
    need = None
    came = [None, None]
    try:
        request = execute.Request(wire.read_control())
        if request.session:
            from vitrine import session  # most programs are alone

            if request.is_of_copy:
                entropy.share()
                entropy.reseed_once()
            program = session.Call(request) if request.session == 1 else session.Aside(request)
        else:
            program = execute.Program(request)
        if request.want_value:
            from vitrine import values  # noqa: F401 - before the program can touch what it needs
        program.enter(request)
        program.compile()
        if request.finds_needs:
            need = program.find_need(request)
        if need is None and program.stays:
            program.start(request)
        codes = program.codes
    except BaseException as error:  # a program that does not compile is an outcome too
        came[1] = error
    if need is not None:
        report.tell_need(program, need)
        return
    if codes and request.recursion_limit and not program.stays:
        _set_recursion_limit(request.recursion_limit)  # last: compiling and reporting have ours
    if any(execute.is_coroutine(code) for code in codes):
        import asyncio  # noqa: F401 - first, so that its end brings in our loop

        from vitrine import loop

        run = loop.run_call if program.stays else loop.run_program
        came = yield partial(run, codes, program.space)
    else:
        for code in codes:
            came = yield partial(eval, code, program.space)
            if came[1] is not None:
                break
    if program is not None and program.shows_value and program.wants_value and came[1] is None:
        came = yield partial(_show_value, came.pop(0))
    report.finish(program, came)
