"""Changes to modules of the standard library, made when the program first imports them.

A cold start cannot afford to import asyncio just to tell it which event loop to use, so a finder
in ``sys.meta_path`` waits for the module and leaves when it has nothing more to wait for. It can
also put a module of ours in the place of one that a package has.
"""

import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import PathFinder

from vitrine import BUILTINS

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    Patch = Callable[[ModuleType], None]


class _Finder:
    """Finds what the ordinary path finder finds, with a patch at the end of its execution."""

    def __init__(self) -> None:
        self.patches: dict[str, Patch] = {}
        self.stand_ins: dict[str, Patch] = {}

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> ModuleSpec | None:
        if name in self.stand_ins:
            return ModuleSpec(name, _StandIn(self.stand_ins[name]), origin="built-in")
        if name not in self.patches:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            self._wrap(spec.loader, name)
        return spec

    def _wrap(self, loader: object, name: str) -> None:
        """Make this one loader call the patch; a loader that takes no attribute is let be."""
        execute = loader.exec_module

        def exec_module(module: "ModuleType") -> None:
            execute(module)
            if module.__name__ == name and name in self.patches:
                self.apply(name, module)

        try:
            loader.exec_module = exec_module
        except AttributeError:
            pass

    def apply(self, name: str, module: "ModuleType") -> None:
        self.patches.pop(name)(module)
        if not self.patches and not self.stand_ins and self in sys.meta_path:
            sys.meta_path.remove(self)


class _StandIn:
    """Loads a module that is ours in the place of a package's own."""

    def __init__(self, fill: "Patch") -> None:
        self._fill = fill

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave it to the import system."""

    def exec_module(self, module: "ModuleType") -> None:
        """Put the module's contents into it."""
        self._fill(module)


_finder = _Finder()


def when_imported(name: str, patch: "Patch") -> None:
    """Call ``patch(module)`` now if the module is there, otherwise as soon as it is imported."""
    if module := sys.modules.get(name):
        patch(module)
        return
    _finder.patches[name] = patch
    _enter()


def stand_in(name: str, fill: "Patch") -> None:
    """Have ``fill(module)`` make the module when it is imported, whatever the packages have."""
    _finder.stand_ins[name] = fill
    _enter()


def _enter() -> None:
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
