"""Tracebacks exactly as CPython prints them for a script, without the frames of the sandbox.

The text is made by the same module that the interpreter uses, ``traceback``. What it costs is
bounded beforehand: a program can make chains and stacks of any length. Where the module fails,
because the program broke it or because there is no memory, plainer words take its place.
"""

import sys

from vitrine import BUILTINS, repair

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from vitrine.execute import Program

_HERE = __file__.rpartition("/")[0] + "/"
_CHAIN_MAX = 200  # exceptions that are reported, causes and contexts included
_FRAMES_MAX = 20000
_PLAIN_FRAMES_MAX = 100


class Found:
    """What there is to say about an exception."""

    def __init__(self, name: str, message: str, text: str, line: int) -> None:
        self.name = name
        self.message = message
        self.text = text
        self.line = line


def describe(error: BaseException, program: "Program | None" = None) -> Found:
    """Describe an exception that a program ended with. It loses the frames that are ours."""
    for each in _chain(error):
        _trim(each)
    if isinstance(error, MemoryError):
        _free_frames(error)
    name = type_name(error)
    message = _message(error)
    line = _line(error, program.filename) if program else 0
    for attempt in (_format, _format, _format_plain):
        try:
            return Found(name, message, attempt(error, program), line)
        except Exception:  # on to the plainer one
            repair.repair()
            _free_frames(error)
            if program:
                program.free()
    return Found(name, message, f"{name}\n", line)


def _format(error: BaseException, program: "Program | None") -> str:
    import traceback

    if program:
        program.offer_source()
    report = traceback.TracebackException(
        type(error),
        error,
        error.__traceback__,
        limit=traceback.BUILTIN_EXCEPTION_LIMIT,
        compact=True,
    )
    return "".join(report.format(colorize=_wants_color()))


def _wants_color() -> bool:
    """Whether a traceback is to be in colours: CPython's own variable says so, and nothing else."""
    from os import environ

    return environ.get("PYTHON_COLORS") == "1"


def _format_plain(error: BaseException, program: "Program | None") -> str:
    """Format an exception without any help from the standard library."""
    lines = ["Traceback (most recent call last):\n"]
    frames = []
    tb = error.__traceback__
    while tb is not None:
        frames.append((tb.tb_frame.f_code, tb.tb_lineno))
        tb = tb.tb_next
    source = program.lines() if program else []
    for code, number in frames[-_PLAIN_FRAMES_MAX:]:
        lines.append(f'  File "{code.co_filename}", line {number}, in {code.co_name}\n')
        if program and code.co_filename == program.filename and 0 < number <= len(source):
            lines.append(f"    {source[number - 1].strip()}\n")
    message = _message(error)
    last = f"{type_name(error)}: {message}\n" if message else f"{type_name(error)}\n"
    return "".join([*(lines if frames else []), last])


def type_name(error: BaseException) -> str:
    """Name an exception's class as a traceback does."""
    kind = type(error)
    try:
        name, module = str(kind.__qualname__), str(kind.__module__)
    except Exception:  # a hostile metaclass
        return "Exception"
    return name if module in ("__main__", "builtins") else f"{module}.{name}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the words of the traceback module
        return "<exception str() failed>"


def _chain(error: BaseException) -> "Iterator[BaseException]":
    """Walk an exception, its causes, contexts and groups, and cut what is too much."""
    seen = {id(error)}
    queue = [error]
    for each in queue:
        yield each
        parts = [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            parts += BaseExceptionGroup.exceptions.__get__(each)
        for part in parts:
            if part is None or id(part) in seen:
                continue
            if len(queue) >= _CHAIN_MAX:
                each.__cause__ = each.__context__ = None
                break
            seen.add(id(part))
            queue.append(part)


def _trim(error: BaseException) -> None:
    """Drop our leading frames, and asyncio's among and below them: it called the program for us."""
    asyncio = getattr(sys.modules.get("asyncio"), "__file__", None)
    callers = (_HERE, f"{asyncio.rpartition('/')[0]}/") if type(asyncio) is str else (_HERE,)
    tb = error.__traceback__
    is_ours = False
    while tb is not None and (name := tb.tb_frame.f_code.co_filename).startswith(callers):
        is_ours = is_ours or name.startswith(_HERE)
        tb = tb.tb_next
    if is_ours:
        error.__traceback__ = tb
    tb = error.__traceback__
    frames = []
    while tb is not None:
        frames.append(tb)
        tb = tb.tb_next
    if len(frames) > _FRAMES_MAX:  # the two ends say the most
        frames[_FRAMES_MAX // 2].tb_next = frames[-_FRAMES_MAX // 2]


def _free_frames(error: BaseException) -> None:
    """Let go of what the frames of an exception hold, so that there is memory to report it."""
    for each in _chain(error):
        tb = each.__traceback__
        while tb is not None:
            try:
                tb.tb_frame.clear()
            except RuntimeError:  # one that still runs
                pass
            tb = tb.tb_next


def _line(error: BaseException, filename: str) -> int:
    """Find the innermost line of the program that the exception came through; 0 if none."""
    line = 0
    if isinstance(error, SyntaxError) and error.filename == filename:
        line = error.lineno if isinstance(error.lineno, int) else 0
    tb = error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == filename and tb.tb_lineno is not None:
            line = tb.tb_lineno
        tb = tb.tb_next
    return line
