"""What the runner needs after a program that broke everything it could reach.

The program shares our interpreter. When reporting fails, what it may have broken is put back as
it was before it ran, and memory that was set aside is given up; then reporting is tried again.
"""

import builtins
import sys

from vitrine import BUILTINS

__builtins__ = BUILTINS

# Four arenas of the guest's allocator: a report needs one or two.
_RESERVE_BYTES = 1 << 20

_reserve: bytes | None = None
_modules: dict[str, object] = {}
_lists: dict[str, list] = {}


def remember() -> None:
    """Note how things are; at boot, so that it costs a cell nothing."""
    global _reserve
    _reserve = bytes(_RESERVE_BYTES)
    _modules.update(sys.modules)
    for name in ("path", "meta_path", "path_hooks"):
        _lists[name] = list(getattr(sys, name))


def restock() -> None:
    """Set memory aside again, if it was given up and there is some."""
    global _reserve
    if _reserve is None:
        try:
            _reserve = bytes(_RESERVE_BYTES)
        except MemoryError:
            pass


def free_memory() -> None:
    """Give up the reserve."""
    global _reserve
    _reserve = None


def repair() -> None:
    """Put back builtins, modules and the import system."""
    free_memory()
    vars(builtins).update(__builtins__)
    if type(sys.modules) is dict:
        sys.modules.update(_modules)
    else:
        sys.modules = dict(_modules)
    for name, items in _lists.items():
        setattr(sys, name, list(items))
