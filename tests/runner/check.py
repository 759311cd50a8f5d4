"""Compares what came of a run with what its case says; for natives and sandboxes alike."""

from cases import ANY, Case


def differences(case: Case, came: object) -> list[str]:
    """List the differences, each as a line; none when all is well."""
    found = []
    for name in ("status", "exit_code", "stdout", "stderr", "value", "note", "error_type"):
        _compare(found, name, getattr(case, name), getattr(came, name))
    for name in ("message", "traceback", "line"):
        _compare(found, name, getattr(case, name), getattr(came, name))
    for part in case.traceback_has:
        if part not in came.traceback:
            found.append(f"traceback lacks {part!r}: {came.traceback[-3000:]!r}")
    for part in case.stderr_has:
        if part not in came.stderr.decode("utf-8", "replace"):
            found.append(f"stderr lacks {part!r}: {came.stderr!r}")
    if "/vitrine/" in came.traceback or "<frozen" in came.traceback:
        found.append(f"a frame of the sandbox shows: {came.traceback!r}")
    return found


def _compare(found: list[str], name: str, expected: object, got: object) -> None:
    if expected is ANY:
        return
    if isinstance(got, bytes | bytearray):
        got = got.decode("utf-8", "surrogateescape")
    if expected != got or type(expected) is not type(got):
        found.append(f"{name}: expected {expected!r:.2000}, got {got!r:.2000}")
