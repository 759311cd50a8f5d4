"""The cache folder that every clone on a machine shares: where it is, and how entries get into it.

An entry is made in a temporary folder beside its final place and renamed, so it is either whole or
absent. One lock file makes sure that two set-ups at once do the work once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 20


def root() -> Path:
    """`VITRINE_CACHE`, else `XDG_CACHE_HOME`/vitrine, else ~/.cache/vitrine."""
    named = os.environ.get("VITRINE_CACHE")
    if named:
        return Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "vitrine"


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """Hold the cache's lock; says so when another set-up has to be waited for."""
    root().mkdir(parents=True, exist_ok=True)
    with (root() / "lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another set-up that is using the cache")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sha256_of_all(items: dict[str, str]) -> str:
    """One sum over named values, whatever order they come in."""
    digest = hashlib.sha256()
    for name in sorted(items):
        digest.update(f"{len(name)}:{name}={len(items[name])}:{items[name]};".encode())
    return digest.hexdigest()


def put(place: Path, fill: Callable[[Path], None]) -> None:
    """Make the folder `place` by calling `fill` on a temporary one; replaces what is there."""
    place.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        fill(work)
        work.chmod(0o755)
        if place.exists():
            shutil.rmtree(place)
        work.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def say(text: str) -> None:
    """One line of progress, on standard error so that results can be piped."""
    print(f"vitrine: {text}", file=sys.stderr, flush=True)
