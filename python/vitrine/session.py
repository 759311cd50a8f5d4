"""A session: one program after another in the same interpreter, each in the ``__main__`` of those
before.

What a program has made lives on: variables, imports, open files, and the event loop with the tasks
that were left in it. Each has a name of its own in tracebacks, and its source stays, so that
functions of earlier ones still show their lines. Nothing is torn down between two: what a script
has at its exit - atexit, ``__del__`` of what is left - a session does not have.
"""

import sys

from vitrine import BUILTINS, execute, repair

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

# Sources that are kept; lines of older ones are not shown any more.
_SOURCES_MAX = 1000

_sources: dict[str, bytes] = {}  # of those that ran, by the names that tracebacks show
_names: set[str] = set()
_main: "ModuleType | None" = None
_recursion_limit = 0  # one that a program has set; 0: none has


class Call(execute.Program):
    """A request's program, in the module of those before it."""

    stays = True

    def __init__(self, request: execute.Request) -> None:
        super().__init__(request)
        self.is_first = _main is None
        self.filename = _new_name(request.filename)
        self.loader = execute.Loader(self.filename, self.source)
        self._recursion_limit = 0
        if not self.is_first:
            self.main = _main

    def enter(self, request: execute.Request) -> None:
        """Make a script's surroundings, the first time; later they are as they were left."""
        repair.restock()
        if self.is_first:
            super().enter(request)

    def start(self, request: execute.Request) -> None:
        """Take over: from here on it is the session's program that runs."""
        global _main
        _main = self.main
        if not self.is_first:
            execute.picture_bytes = request.picture_bytes
            execute.set_environment(request.environment)
            self.space.update(execute.parse_globals(request.globals_json))
        self.space["__file__"] = self.filename
        self.space["__loader__"] = self.loader
        sys.modules["__main__"] = self.main
        self._keep_source()
        if "linecache" in sys.modules:
            self.offer_source()
        self._recursion_limit = _recursion_limit or request.recursion_limit
        if self._recursion_limit:
            sys.setrecursionlimit(self._recursion_limit)

    def _keep_source(self) -> None:
        _names.add(self.filename)
        _sources[self.filename] = self.source
        if len(_sources) > _SOURCES_MAX:
            oldest = next(iter(_sources))
            del _sources[oldest]
            if linecache := sys.modules.get("linecache"):
                linecache.cache.pop(oldest, None)

    def find_need(self, request: execute.Request) -> str | None:
        """Tell what is needed, also by packages that earlier programs have imported."""
        from vitrine import imports

        self.imports = (self.imports or set()) | imports.brought_along(self.source)
        return super().find_need(request)

    def pause(self) -> None:
        """Remember what is the program's own, before ours takes its place."""
        global _recursion_limit
        limit = sys.getrecursionlimit()
        if self._recursion_limit and limit != self._recursion_limit:
            _recursion_limit = limit

    def offer_source(self) -> None:
        """Let tracebacks and warnings show lines of all programs so far."""
        cache = sys.modules["linecache"].cache
        super().offer_source()
        for name, source in _sources.items():
            if name not in cache:
                cache[name] = (len(source), None, execute.lines_of(source), name)

    def free(self) -> None:
        """Keep the variables, which are not this program's alone."""

    def end(self) -> None:
        """Let go of what is of this call alone."""
        self.codes.clear()


class Aside(execute.Program):
    """A program of the host's, beside the session's: it has a module of its own, and leaves all
    that is the session's as it was.
    """

    stays = True

    def enter(self, request: execute.Request) -> None:
        """Set the variables that come with it."""
        repair.restock()
        self.space["__builtins__"] = BUILTINS
        self.space.update(execute.parse_globals(request.globals_json))

    def start(self, request: execute.Request) -> None:
        """Nothing is taken over."""

    def pause(self) -> None:
        """Nothing is the program's own."""

    def offer_source(self) -> None:
        """Its lines are nobody's business."""

    def end(self) -> None:
        """Let go of its variables."""
        self.codes.clear()
        self.space.clear()


def _new_name(name: str) -> str:
    """Give a name that no program before has: main.py, then main-2.py."""
    stem, dot, suffix = name.rpartition(".")
    number = len(_names) + 1
    found = name
    while found in _names:
        found = f"{stem}-{number}{dot}{suffix}" if dot else f"{name}-{number}"
        number += 1
    return found
