"""One case of the runner's tables: a program, the options of its request, and its outcome."""

from dataclasses import dataclass


class _Any:
    """Stands for an outcome that a case does not care about."""

    def __repr__(self) -> str:
        return "ANY"


ANY = _Any()


@dataclass(frozen=True)
class Case:
    """One program, the options of its request, and its outcome."""

    name: str
    code: str | bytes
    globals: dict | None = None
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    filename: str = "main.py"
    want_value: bool = False
    result_bytes: int | None = None
    # Whether packages are looked for first; what is required beside the code; and the need that
    # the environment was made for.
    finds_needs: bool = False
    dependencies: tuple[str, ...] = ()
    resolved: str = ""
    # True of the runner alone; the guest lacks what the program calls.
    native_only: bool = False
    # True of the guest alone: its system, or a driver that is no Python.
    guest_only: bool = False
    # What the guest's version does and older ones do not.
    python: tuple[int, int] = (3, 13)
    status: object = "success"
    exit_code: object = 0
    stdout: object = ""
    stderr: object = ""
    stderr_has: tuple[str, ...] = ()
    value: object = None
    note: object = ""
    error_type: object = ""
    message: object = ""
    traceback: object = ""
    traceback_has: tuple[str, ...] = ()
    line: object = 0


def value(name: str, code: str, expected: object, note: object = "", **options: object) -> Case:
    """Make a case of a program whose last expression has a value."""
    return Case(name, code, want_value=True, value=expected, note=note, **options)


def error(
    name: str,
    code: str | bytes,
    kind: str,
    message: object,
    traceback: object,
    line: object,
    **options: object,
) -> Case:
    """Make a case of a program that ends with an exception."""
    return Case(
        name,
        code,
        status="run-error",
        exit_code=options.pop("exit_code", 1),
        error_type=kind,
        message=message,
        traceback=traceback,
        line=line,
        **options,
    )


def leaves(name: str, code: str, exit_code: int, message: object, **options: object) -> Case:
    """Make a case of a program that leaves by sys.exit with a status other than 0."""
    return Case(
        name,
        code,
        status="run-error",
        exit_code=exit_code,
        error_type="SystemExit",
        message=message,
        traceback=ANY,  # the runner gives none; a front end may have words for it
        line=ANY,
        **options,
    )
