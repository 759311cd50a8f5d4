"""A cell's rehearsal: one whole run of a small program before the request is there.

A spare cell has time. What the first run costs beside its own work - pages that are copied when
they are first written, caches that are filled - is paid in the rehearsal. The host drives it like
any run and throws its output away; here its traces are removed.
"""

import sys

from vitrine import BUILTINS, report, runner

__builtins__ = BUILTINS

_path = list(sys.path)
_argv = list(sys.argv)


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


def rewind() -> None:
    """Make the runner ready for its one true run."""
    runner.rewind()
    report.rewind()
    sys.path[:] = _path
    sys.argv = list(_argv)
    sys.modules["__main__"] = type(sys)("__main__")
    if linecache := sys.modules.get("linecache"):
        linecache.cache.clear()
