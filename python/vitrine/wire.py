"""Records: what the host and the runner say to each other over the control descriptor.

The numbers are those of ``src/wire/wire.h``; a test compares the two. A record is a sequence of
fields: u8 field number, u32 length (little-endian), bytes.
"""

from _struct import Struct
from posix import read as _read
from posix import write as _write

from vitrine import BUILTINS

__builtins__ = BUILTINS

# The guest's end of the control descriptor: a file at offset 0 that holds the request, and that
# takes the result in a single write. A test may set it to a descriptor of its own.
CONTROL_FD = 1000000

# Questions to vitrine-fetch, where the program was granted them: one write, then reads to the end.
FETCH_FD = 1000001

# What display() shows: one write, one bundle.
DISPLAY_FD = 1000002

REQUEST_CODE = 1
REQUEST_FILENAME = 2
REQUEST_GLOBALS = 3
REQUEST_ARG = 4
REQUEST_ENV = 5
REQUEST_WANT_VALUE = 6
REQUEST_WALL_MS = 7
REQUEST_MEMORY_BYTES = 8
REQUEST_OUTPUT_BYTES = 9
REQUEST_RESULT_BYTES = 10
REQUEST_FILE_BYTES = 11
REQUEST_FILE_COUNT = 12
REQUEST_NEEDS = 13
REQUEST_DEPENDENCY = 14
REQUEST_RESOLVED = 15
REQUEST_MAY_FETCH = 16
REQUEST_CPU_MS = 17
REQUEST_OPEN_FILES = 18
REQUEST_DISPLAY_COUNT = 19
REQUEST_RECURSION = 20
REQUEST_MADE_BYTES = 21
REQUEST_FILE = 22  # never in what the guest reads
REQUEST_PICTURE_BYTES = 30
REQUEST_SESSION = 32
REQUEST_RESEED = 33

RESULT_STATUS = 1
RESULT_EXIT_CODE = 2
RESULT_VALUE = 3
RESULT_VALUE_NOTE = 4
RESULT_ERROR_TYPE = 5
RESULT_ERROR_MESSAGE = 6
RESULT_ERROR_TRACEBACK = 7
RESULT_ERROR_LINE = 8
RESULT_NEED = 9

FETCH_WHAT = 2
FETCH_NAME = 3

FETCH_PAGE = 1
FETCH_METADATA = 2

FETCH_OK = 0
FETCH_MISSING = 1
FETCH_REFUSED = 2
FETCH_FAILED = 3
FETCH_OFFLINE = 4

_HEADER = Struct("<BI")
_READ_BYTES_FIRST = 1 << 14
_READ_BYTES_MAX = 1 << 22
_STATUS_BYTES = 4


class RecordError(Exception):
    """The bytes are not a record."""


def read_control() -> bytes:
    """Read the request, whole."""
    return _read_all(CONTROL_FD)


def _read_all(descriptor: int) -> bytes:
    parts = []
    size = _READ_BYTES_FIRST
    while part := _read(descriptor, size):
        parts.append(part)
        size = min(size * 4, _READ_BYTES_MAX)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_control(record: bytes) -> None:
    """Write the result: one record, one write, as the host demands."""
    _write(CONTROL_FD, record)


def fetch(what: int, names: list[str]) -> tuple[int, bytes]:
    """Ask for the first of the names; the others are wanted next. Returns a status and the bytes.

    Where the status is not FETCH_OK, the bytes are text that says why.
    """
    question = field_u32(FETCH_WHAT, what)
    for name in names:
        question += field(FETCH_NAME, name.encode())
    _write(FETCH_FD, question)
    answer = _read_all(FETCH_FD)
    if len(answer) < _STATUS_BYTES:
        raise RecordError("the answer to a fetch has no status")
    return int.from_bytes(answer[:_STATUS_BYTES], "little"), answer[_STATUS_BYTES:]


def field(number: int, value: bytes) -> bytes:
    """Encode one field."""
    return number.to_bytes(1) + len(value).to_bytes(4, "little") + value


def field_u32(number: int, value: int) -> bytes:
    """Encode one field that holds a number; a negative one as two's complement."""
    return field(number, (value & 0xFFFFFFFF).to_bytes(4, "little"))


def fields(record: bytes) -> list[tuple[int, bytes]]:
    """Decode a record into its fields, in order."""
    found = []
    at = 0
    size = len(record)
    while at < size:
        if at + _HEADER.size > size:
            raise RecordError("a field reaches past the end of its record")
        kind, value_bytes = _HEADER.unpack_from(record, at)
        at += _HEADER.size
        if value_bytes > size - at:
            raise RecordError("a field reaches past the end of its record")
        found.append((kind, record[at : at + value_bytes]))
        at += value_bytes
    return found


def number(value: bytes) -> int:
    """Decode a u32 or u64 field's value."""
    if len(value) not in (4, 8):
        raise RecordError("a number must be 4 or 8 bytes wide")
    return int.from_bytes(value, "little")
