"""The end of a run: what came of it becomes one result record, and nothing is lost on the way."""

import sys

from vitrine import BUILTINS, repair, streams, wire

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vitrine.execute import Program

_MESSAGE_BYTES_MAX = 64 << 10
_TRACEBACK_BYTES_MAX = 256 << 10
_EXIT_FAILURE = 1
_EXIT_INTERRUPTED = 130
_EXIT_CODE_MASK = 0xFF

_default_excepthook = sys.excepthook
_set_recursion_limit = sys.setrecursionlimit
_recursion_limit = sys.getrecursionlimit()

_written = False


def finish(program: "Program | None", came: list[object]) -> None:
    """Report the outcome, end the program as the interpreter's exit would, write the result.

    ``came`` is the program's value and its exception, one of them None; it is emptied.
    """
    value, error = came
    came.clear()
    if program is not None and program.stays:
        program.pause()
    _set_recursion_limit(_recursion_limit)  # a program's own may be too low to report with
    if isinstance(error, MemoryError):
        repair.free_memory()
    try:
        record = _success(program, value) if error is None else _failure(program, error)
        if program is not None and program.shows_figures:
            _show_figures(error)
    except BaseException as caught:  # an interrupt, or more broken than foreseen
        repair.repair()
        record = _failure(program, caught if error is None else error)
    value = error = None
    if program is None or not program.stays:
        _run_exit_functions()
    streams.flush()  # a stream of the program's own may need its variables for it
    if program is not None:
        program.end()
    streams.flush()
    _write(record)


def tell_need(program: "Program", need: str) -> None:
    """Report that a program was not run, and what it needs."""
    program.codes.clear()
    program.end()
    _write(wire.field(wire.RESULT_STATUS, b"need") + wire.field(wire.RESULT_NEED, need.encode()))


def rewind() -> None:
    """Forget that a result has been written."""
    global _written
    _written = False


def give_up(error: BaseException) -> None:
    """Write a result with next to nothing in it, where reporting itself has failed."""
    repair.repair()
    streams.flush()
    name = type(error).__name__.encode("utf-8", "replace")
    try:
        message = _text(str(error), _MESSAGE_BYTES_MAX)
    except BaseException:  # not even that
        message = b""
    code = _EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else _EXIT_FAILURE
    _write(
        wire.field(wire.RESULT_STATUS, b"run-error")
        + wire.field_u32(wire.RESULT_EXIT_CODE, code)
        + wire.field(wire.RESULT_ERROR_TYPE, name)
        + wire.field(wire.RESULT_ERROR_MESSAGE, message)
        + wire.field(wire.RESULT_ERROR_TRACEBACK, (name + b": " + message).rstrip(b": ") + b"\n")
    )


def _write(record: bytes) -> None:
    """Write the result, once: a second one would be a breach of the protocol."""
    global _written
    if not _written:
        _written = True
        wire.write_control(record)


def _success(program: "Program | None", value: object) -> bytes:
    if program is None or not program.wants_value:
        value = None
    record = wire.field(wire.RESULT_STATUS, b"success") + wire.field_u32(wire.RESULT_EXIT_CODE, 0)
    if value is None:
        return record
    from vitrine import display, values  # few programs have a value

    plain = display.show_value(value)
    text, note = values.encode(value if plain is None else plain, program.result_bytes_max)
    if plain is not None:
        note = note or "repr"
    if text is not None:
        record += wire.field(wire.RESULT_VALUE, text)
    if note:
        record += wire.field(wire.RESULT_VALUE_NOTE, note.encode())
    return record


def _show_figures(error: BaseException | None) -> None:
    """Show the figures of Matplotlib that are still open, unless somebody waits for the end."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None or not (error is None or isinstance(error, (Exception, SystemExit))):
        return
    from vitrine import pictures

    try:
        pictures.show_open(helpers)
    except Exception:  # the program has broken what shows them
        pass


def _failure(program: "Program | None", error: BaseException) -> bytes:
    if isinstance(error, SystemExit):
        return _system_exit(error)
    from vitrine import tracebacks  # an error is an exception

    found = tracebacks.describe(error, program)
    code = _EXIT_INTERRUPTED if isinstance(error, KeyboardInterrupt) else _EXIT_FAILURE
    _call_excepthook(error)
    return (
        wire.field(wire.RESULT_STATUS, b"run-error")
        + wire.field_u32(wire.RESULT_EXIT_CODE, code)
        + wire.field(wire.RESULT_ERROR_TYPE, _text(found.name, _MESSAGE_BYTES_MAX))
        + wire.field(wire.RESULT_ERROR_MESSAGE, _text(found.message, _MESSAGE_BYTES_MAX))
        + wire.field(wire.RESULT_ERROR_TRACEBACK, _text(found.text, _TRACEBACK_BYTES_MAX))
        + wire.field_u32(wire.RESULT_ERROR_LINE, found.line)
    )


def _system_exit(error: SystemExit) -> bytes:
    """``sys.exit``, as the interpreter takes it: no traceback, and the words go to stderr."""
    status = error.code
    message = ""
    if status is None:
        code = 0
    elif isinstance(status, int):
        # The C int of the exit call, then what the operating system keeps of it.
        code = int(status) & _EXIT_CODE_MASK if -(2**31) <= status < 2**31 else _EXIT_CODE_MASK
        message = str(int(status))
    else:
        code = _EXIT_FAILURE
        try:
            message = str(status)
        except Exception:  # a hostile __str__
            message = "<exit status str() failed>"
        streams.complain(message + "\n")
    if code == 0:  # the type is there for a prompt, which ends too
        return _success(None, None) + wire.field(wire.RESULT_ERROR_TYPE, b"SystemExit")
    return (
        wire.field(wire.RESULT_STATUS, b"run-error")
        + wire.field_u32(wire.RESULT_EXIT_CODE, code)
        + wire.field(wire.RESULT_ERROR_TYPE, b"SystemExit")
        + wire.field(wire.RESULT_ERROR_MESSAGE, _text(message, _MESSAGE_BYTES_MAX))
    )


def _call_excepthook(error: BaseException) -> None:
    """Call the program's own ``sys.excepthook``, if it has one. Ours is the result record."""
    hook = getattr(sys, "excepthook", None)
    if hook is _default_excepthook or hook is None:
        return
    try:
        hook(type(error), error, error.__traceback__)
    except SystemExit:
        pass
    except Exception as caught:  # said as the interpreter says it
        from vitrine import tracebacks

        broken = tracebacks.describe(caught).text
        original = tracebacks.describe(error).text
        streams.complain(f"Error in sys.excepthook:\n{broken}\nOriginal exception was:\n{original}")


def _run_exit_functions() -> None:
    """Run what the program registered with atexit; it reports its own errors."""
    if atexit := sys.modules.get("atexit"):
        try:
            atexit._run_exitfuncs()
        except BaseException:  # the run has ended already
            pass


def _text(text: str, bytes_max: int) -> bytes:
    """Encode as stderr would, and leave out the middle of what is too long."""
    if len(text) > bytes_max:
        text = text[:bytes_max] + text[-bytes_max:]
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= bytes_max:
        return data
    half = bytes_max // 2 - 64
    head = data[:half].decode("utf-8", "ignore")
    tail = data[-half:].decode("utf-8", "ignore")
    return f"{head}\n[... middle left out ...]\n{tail}".encode()
