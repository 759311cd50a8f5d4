"""Runs programs under the runner in a native Python, without the sandbox.

The control descriptor is one end of a socket pair: the request down, end of file, the result up.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from cases import Case
from records import PACKAGES, Came, decode, request

WALL_S = 60
DRIVER = Path(__file__).resolve().parent / "drive.py"


def find_python() -> str | None:
    """Find a Python that is new enough for the runner, if this machine has one."""
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
    return None


def python_version(path: str) -> tuple[int, int]:
    """Ask a Python for its version; (0, 0) when it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else (0, 0)


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
