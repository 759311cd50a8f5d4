"""Standard output and error: kept apart, kept in order, never lost.

Both are UTF-8. Lines leave at once, so that a client sees them while the program runs, and so
that a crash loses nothing that was finished. A partial line of stdout leaves before anything is
written to stderr; stderr holds nothing back. The two therefore arrive in the order in which the
program wrote them.
"""

import sys
from _io import BufferedWriter, FileIO, TextIOWrapper

from vitrine import BUILTINS

__builtins__ = BUILTINS

_BUFFER_BYTES = 1 << 16

_stdout: TextIOWrapper | None = None
_stdout_buffer: BufferedWriter | None = None
_stderr: TextIOWrapper | None = None


class _StderrFile(FileIO):
    """Descriptor 2; whatever stdout still holds goes first."""

    def write(self, data: bytes) -> int:
        try:
            _stdout.flush()
        except (ValueError, OSError):
            pass  # the program closed or detached it: its own business
        return FileIO.write(self, data)


def install() -> None:
    """Put our streams into ``sys``; in the zygote, so that a cell need not."""
    global _stdout, _stdout_buffer, _stderr
    raw = FileIO(1, "wb", closefd=False)
    raw.name = "<stdout>"
    _stdout_buffer = BufferedWriter(raw, _BUFFER_BYTES)
    _stdout = TextIOWrapper(
        _stdout_buffer, "utf-8", "surrogateescape", newline="\n", line_buffering=True
    )
    raw = _StderrFile(2, "wb", closefd=False)
    raw.name = "<stderr>"
    _stderr = TextIOWrapper(raw, "utf-8", "backslashreplace", newline="\n", write_through=True)
    _stdout.mode = _stderr.mode = "w"
    sys.stdout = sys.__stdout__ = _stdout
    sys.stderr = sys.__stderr__ = _stderr


def flush() -> None:
    """Flush whatever the program may have written to; nothing that it did to them matters."""
    streams = [getattr(sys, "stdout", None), getattr(sys, "stderr", None)]
    streams += [_stdout, _stdout_buffer, _stderr]
    for stream in streams:
        try:
            stream.flush()
        except Exception:  # None, closed, detached, hostile: all the same
            pass


def complain(text: str) -> None:
    """Write a line to the program's stderr, or to ours where it has none that works."""
    for stream in (getattr(sys, "stderr", None), _stderr):
        try:
            stream.write(text)
            return
        except Exception:
            continue
