"""Runs programs under the runner in a native Python, without the sandbox.

The control descriptor is one end of a socket pair: the request down, end of file, the result up.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from cases import Case

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "python"
WALL_S = 60

sys.path.insert(0, str(PACKAGES))

from vitrine import wire  # noqa: E402

DRIVER = Path(__file__).resolve().parent / "drive.py"


def find_python() -> str:
    """Find a Python that is new enough for the runner."""
    pyenv = Path.home() / ".pyenv/versions/3.13.0/bin/python"
    for name in (
        os.environ.get("VITRINE_TEST_PYTHON", ""),
        "python3.14",
        "python3.13",
        str(pyenv),
        sys.executable,
    ):
        path = shutil.which(name) if name else None
        if path and python_version(path) >= (3, 13):
            return path
    raise FileNotFoundError("no Python 3.13 or newer: set VITRINE_TEST_PYTHON")


def python_version(path: str) -> tuple[int, int]:
    """Ask a Python for its version; (0, 0) when it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else (0, 0)


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
    record += wire.field(wire.REQUEST_WALL_MS, (60000).to_bytes(8, "little"))
    if case.result_bytes is not None:
        value = case.result_bytes.to_bytes(8, "little")
        record += wire.field(wire.REQUEST_RESULT_BYTES, value)
    return record


def decode(record: bytes) -> Came:
    """Decode a result record."""
    came = Came()
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
    assert len(set(came.fields)) == len(came.fields), "one result, each field once"
    return came


def run_record(
    record: bytes, python: str, folder: Path, boot: str = "cold", drive: str = "run"
) -> tuple[bytes, subprocess.CompletedProcess]:
    """Give one request to a fresh interpreter; returns its result record and what it printed."""
    ours, theirs = socket.socketpair()
    command = [python, "-I", str(DRIVER), str(PACKAGES), str(theirs.fileno()), boot, drive]

    parts: list[bytes] = []

    def talk() -> None:
        ours.sendall(record)
        ours.shutdown(socket.SHUT_WR)
        while part := ours.recv(1 << 20):
            parts.append(part)

    with ours:
        talker = threading.Thread(target=talk, daemon=True)
        talker.start()
        with theirs:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=[theirs.fileno()],
                timeout=WALL_S,
                cwd=folder,
                check=False,
            )
        talker.join(WALL_S)
    return b"".join(parts), done


def run_case(case: Case, python: str, folder: Path, boot: str = "cold", drive: str = "run") -> Came:
    """Run one case."""
    result, done = run_record(request(case), python, folder, boot, drive)
    assert done.returncode == 0, done.stderr.decode()
    came = decode(result)
    came.stdout, came.stderr = done.stdout, done.stderr
    return came
