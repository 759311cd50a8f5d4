"""A directory to be granted, with traps in it, and what lies beside it that nothing may reach."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

MODES = ("ro", "rw", "overlay")


@dataclass(frozen=True)
class Trapped:
    """`inside` is what is granted."""

    inside: Path
    outside: Path
    secret: str

    def mount(self, mode: str) -> str:
        """The option's value."""
        return f"{self.inside}:{mode}"

    def check_unharmed(self) -> None:
        """What is outside is as it was, and what is inside leads nowhere else."""
        assert sorted(os.listdir(self.outside)) == ["dir", "secret"]
        assert (self.outside / "secret").read_text(encoding="ascii") == self.secret
        assert (self.outside / "secret").stat().st_mode & 0o7777 == 0o644
        assert os.listdir(self.outside / "dir") == []
        assert sorted(os.listdir(self.outside.parent)) == ["inside", "outside"]
        assert os.readlink(self.inside / "out-file") == "../outside/secret"


def make_trapped(folder: Path) -> Trapped:
    """Both of them, in a folder of their own."""
    inside, outside = folder / "inside", folder / "outside"
    inside.mkdir(parents=True)
    (outside / "dir").mkdir(parents=True)
    secret = f"canary-{secrets.token_hex(16)}"
    (outside / "secret").write_text(secret, encoding="ascii")
    (outside / "secret").chmod(0o644)
    (inside / "a.txt").write_text("hello", encoding="ascii")
    (inside / "dir").mkdir()
    (inside / "dir" / "b.txt").write_text("deep", encoding="ascii")
    for name, target in {
        "link": "a.txt",
        "out-file": "../outside/secret",
        "out-dir": "../outside",
        "up": "..",
        "dir/up-up": "../..",
        "absolute": str(outside / "secret"),
        "absolute-dir": str(outside),
        "passwd": "/etc/passwd",
        "root": "/",
        "magic": "/proc/self/root",
        "loop": "loop",
        "twice": "out-dir/secret",
    }.items():
        (inside / name).symlink_to(target)
    os.mkfifo(inside / "fifo")
    os.link(outside / "secret", inside / "hard")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(inside)  # a socket's address is short
        listener.bind("socket")
        os.chdir(here)
    return Trapped(inside, outside, secret)
