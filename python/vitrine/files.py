"""What list_files and read_file ask of a session, beside its program."""

import os
from binascii import b2a_base64
from stat import S_ISREG

from vitrine import BUILTINS

__builtins__ = BUILTINS

_FILES_MAX = 1000  # LIMIT_LISTED_FILES_MAX of the host


def listing() -> dict[str, object]:
    """List the files below the working directory: {"files": [{"name", "size"}], "more"}."""
    found: list[dict[str, object]] = []
    for folder, folders, names in os.walk("."):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except OSError:  # it has gone
                continue
            if not S_ISREG(status.st_mode):
                continue
            if len(found) == _FILES_MAX:
                return {"files": found, "more": True}
            found.append({"name": _shown(path), "size": status.st_size})
    return {"files": found, "more": False}


def _shown(path: str) -> str:
    return path.removeprefix("./").encode("utf-8", "replace").decode()


def read(name: str, offset: int, length: int) -> dict[str, object]:
    """Read a part of a file: {"size", "base64"}. Raises what opening it raises."""
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(offset)
        return {"size": size, "base64": b2a_base64(file.read(length), newline=False).decode()}
