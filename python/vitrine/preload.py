"""Modules that a zygote imports ahead, so that its cells find them imported.

The host puts their names here before the runner prepares itself. What cannot be imported is left to
the program, which then gets the exception where it expects it.
"""

import contextlib
import importlib
import io

names = ""  # with commas between; set by the host


class _Nowhere(io.TextIOBase):
    """Takes what modules print when they are imported."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def load() -> None:
    """Import each of the names; whatever one of them raises, the others are imported."""
    nowhere = _Nowhere()
    for name in filter(None, names.split(",")):
        with (
            contextlib.suppress(BaseException),
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            importlib.import_module(name)
