"""Immortal reference counts (PEP 683) for everything that is alive before the zygote forks.

A cell shares its zygote's memory until it writes. Merely using an object writes its reference
count, and so copies the page that it lies on. The count of an immortal object is never written:
with all of the zygote's objects immortal, a cell copies little more than what it makes itself.

Python code cannot set a reference count; the host can. It is told the addresses.
"""

import gc
from array import array

from vitrine import BUILTINS, wire

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# What a code object holds; it is no container in the collector's eyes.
_CODE_PARTS = (
    "co_consts",
    "co_names",
    "co_name",
    "co_qualname",
    "co_filename",
    "co_linetable",
    "co_exceptiontable",
)


def make_immortal() -> int:
    """Make everything that can be reached immortal. Returns how many objects that were."""
    code_type = make_immortal.__code__.__class__
    frontier = gc.get_objects()
    seen = dict(zip(map(id, frontier), frontier, strict=True))
    # A layer at a time, so that the work is done by the collector and by dictionaries: there are
    # hundreds of thousands of objects.
    while frontier:
        parts = gc.get_referents(*frontier)
        for code in frontier:
            if code.__class__ is code_type:
                parts += [getattr(code, name) for name in _CODE_PARTS]
        found = dict(zip(map(id, parts), parts, strict=True))
        for own in (frontier, parts, seen):
            found.pop(id(own), None)
        fresh = [number for number in found if number not in seen]
        frontier = [found[number] for number in fresh]
        seen.update(zip(fresh, frontier, strict=True))
    # All are alive while they are in `seen`, so every address is that of an object.
    _write(seen)
    return len(seen)


def make_these_immortal(things: list[object]) -> None:
    """Make some objects immortal."""
    _write(map(id, things))


def _write(addresses: "Iterable[int]") -> None:
    wire.write_control(array("I", addresses).tobytes())
