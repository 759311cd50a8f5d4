"""A cell's rehearsal: one whole run of a small program before the request is there.

A spare cell has time. What the first run costs beside its own work - pages that are copied when
they are first written, caches that are filled - is paid in the rehearsal. The host drives it like
any run and throws its output away; here its traces are removed.
"""

import gc
import sys

from vitrine import BUILTINS, entropy, immortal, report, runner

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FunctionType

_path = list(sys.path)
_argv = list(sys.argv)
_functions: "list[FunctionType]" = []
_looks: list[int] = []


def use_packages() -> None:
    """Use what the zygote has imported ahead, the way that programs begin with it."""
    modules = sys.modules
    if numpy := modules.get("numpy"):
        table = numpy.arange(6.0).reshape(2, 3)
        repr((table @ table.T + 1).mean(axis=0))
        int(numpy.sort(numpy.array([3, 1, 2]))[0])
    if pandas := modules.get("pandas"):
        frame = pandas.DataFrame({"key": ["a", "b", "a"], "value": [1, 2, 3], "other": 0.5})
        frame.groupby("key")["value"].sum().to_dict()
        repr(frame[frame["value"] > 1].sort_values("other").describe())


def rewind(will_fork: bool) -> None:
    """Make the runner ready for its one true run, in this process or in children of it."""
    if will_fork:
        entropy.share()
    runner.rewind()
    report.rewind()
    sys.path[:] = _path
    sys.argv = list(_argv)
    sys.modules["__main__"] = type(sys)("__main__")
    if linecache := sys.modules.get("linecache"):
        linecache.cache.clear()


def look_at_code() -> None:
    """Note what all code looks like, before a rehearsal that is followed by ``gather_code``."""
    gc.unfreeze()  # what is frozen is in no list of objects
    _functions[:] = [thing for thing in gc.get_objects() if type(thing) is type(share)]
    _looks[:] = map(_look, _functions)


def gather_code() -> None:
    """Put the code that the rehearsal has run together, where the heap grows.

    The interpreter counts in the code that it runs, so a cell has to copy every page on which some
    of it lies: a function here and a function there, as their modules were loaded.
    """
    copies = {}
    for function, look in zip(_functions, _looks, strict=True):
        if _look(function) != look:
            code = function.__code__
            if code not in copies:
                copies[code] = _copy(code)
            function.__code__ = copies[code]
    _functions.clear()
    _looks.clear()


def _look(function: "FunctionType") -> int:
    return hash(function.__code__._co_code_adaptive)


def _copy(code: "CodeType") -> "CodeType":
    # Before it runs: the interpreter then settles on not counting references to constants.
    immortal.make_these_immortal(code.co_consts)
    constants = [_copy(part) if isinstance(part, type(code)) else part for part in code.co_consts]
    return code.replace(co_consts=tuple(constants))


def share() -> None:
    """Make what is there cheap to share with children."""
    gc.unfreeze()
    gc.collect()
    immortal.make_immortal()
    gc.collect()  # what that took; free pieces that types keep for themselves go as well
    gc.freeze()
