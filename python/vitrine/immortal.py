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
    from types import CodeType

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


def _inside(code: "CodeType") -> list[object]:
    return [getattr(code, name) for name in _CODE_PARTS]


def make_immortal() -> int:
    """Make everything that can be reached immortal. Returns how many objects that were."""
    code_type = make_immortal.__code__.__class__
    found = gc.get_objects()
    seen = set(map(id, found))
    skipped = {id(found), id(seen)}
    at = 0
    while at < len(found):
        item = found[at]
        at += 1
        if item is found or item is seen:
            continue
        parts = _inside(item) if item.__class__ is code_type else gc.get_referents(item)
        for part in parts:
            if id(part) not in seen:
                seen.add(id(part))
                found.append(part)
    # All are alive while they are in `found`, so every address is that of an object.
    addresses = array("I", [id(item) for item in found if id(item) not in skipped])
    wire.write_control(addresses.tobytes())
    return len(addresses)
