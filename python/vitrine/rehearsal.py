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


def rewind() -> None:
    """Make the runner ready for its one true run."""
    runner.rewind()
    report.rewind()
    sys.path[:] = _path
    sys.argv = list(_argv)
    sys.modules["__main__"] = type(sys)("__main__")
    if linecache := sys.modules.get("linecache"):
        linecache.cache.clear()
