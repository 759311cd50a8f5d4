"""Requests and results of the runner as its tests see them, whoever runs it."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cases import Case

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "python"

sys.path.insert(0, str(PACKAGES))

from vitrine import wire  # noqa: E402

# Every limit is sent, as the pool does. The million lines of one case need the output's.
LIMITS = {
    wire.REQUEST_WALL_MS: 60_000,
    wire.REQUEST_MEMORY_BYTES: 512 << 20,
    wire.REQUEST_OUTPUT_BYTES: 16 << 20,
    wire.REQUEST_RESULT_BYTES: 1 << 20,
    wire.REQUEST_FILE_BYTES: 256 << 20,
    wire.REQUEST_FILE_COUNT: 20_000,
    wire.REQUEST_CPU_MS: 60_000,
    wire.REQUEST_OPEN_FILES: 256,
    wire.REQUEST_DISPLAY_COUNT: 100,
    wire.REQUEST_RECURSION: 1000,
}


@dataclass
class Came:
    """What came of a run."""

    status: str = ""
    exit_code: int | None = None
    value: object = None
    value_json: bytes | None = None
    note: str = ""
    error_type: str = ""
    message: str = ""
    traceback: str = ""
    line: int = 0
    need: str = ""
    stdout: bytes = b""
    stderr: bytes = b""
    fields: list[int] = field(default_factory=list)


def request(case: Case) -> bytes:
    """Make the request record of a case."""
    code = case.code.encode() if isinstance(case.code, str) else case.code
    record = wire.field(wire.REQUEST_CODE, code)
    record += wire.field(wire.REQUEST_FILENAME, case.filename.encode())
    if case.globals is not None:
        record += wire.field(wire.REQUEST_GLOBALS, json.dumps(case.globals).encode())
    for item in case.arguments:
        record += wire.field(wire.REQUEST_ARG, item.encode())
    for item in case.environment:
        record += wire.field(wire.REQUEST_ENV, item.encode())
    record += wire.field_u32(wire.REQUEST_WANT_VALUE, int(case.want_value))
    record += wire.field_u32(wire.REQUEST_NEEDS, int(case.finds_needs))
    for item in case.dependencies:
        record += wire.field(wire.REQUEST_DEPENDENCY, item.encode())
    if case.resolved:
        record += wire.field(wire.REQUEST_RESOLVED, case.resolved.encode())
    limits = dict(LIMITS)
    if case.result_bytes is not None:
        limits[wire.REQUEST_RESULT_BYTES] = case.result_bytes
    for number, limit in limits.items():
        record += wire.field(number, limit.to_bytes(8, "little"))
    return record


def decode(record: bytes, came: Came | None = None) -> Came:
    """Decode a result record, into what is known of the run already."""
    came = came or Came()
    for number, value in wire.fields(record):
        came.fields.append(number)
        if number == wire.RESULT_STATUS:
            came.status = value.decode()
        elif number == wire.RESULT_EXIT_CODE:
            came.exit_code = wire.number(value)
        elif number == wire.RESULT_VALUE:
            came.value_json = value
            came.value = json.loads(value)
        elif number == wire.RESULT_VALUE_NOTE:
            came.note = value.decode()
        elif number == wire.RESULT_ERROR_TYPE:
            came.error_type = value.decode()
        elif number == wire.RESULT_ERROR_MESSAGE:
            came.message = value.decode()
        elif number == wire.RESULT_ERROR_TRACEBACK:
            came.traceback = value.decode()
        elif number == wire.RESULT_ERROR_LINE:
            came.line = wire.number(value)
        elif number == wire.RESULT_NEED:
            came.need = value.decode()
    assert len(set(came.fields)) == len(came.fields), "one result, each field once"
    return came
