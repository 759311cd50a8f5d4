"""Attack 34: out of a granted directory, by native code in the place of the guest.

Expected: it reaches nothing but what is beneath the directory, with each of the two parts of the
jail that hold it alone (Landlock, and a mount that has nothing above it), and changes nothing where
it may only read. What no directory needs ends it with SIGSYS. Where neither part can be had,
nothing is mounted.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from granted import MODES, Trapped, make_trapped
from probe import ProbeZygote, call, hexed, probe_program

GRANTED = 4  # the descriptor


def how(flags: int, mode: int = 0, resolve: int = 0) -> str:
    """A struct open_how."""
    return hexed(struct.pack("<QQQ", flags, mode, resolve))


def opening(path: str, flags: int = os.O_RDONLY, mode: int = 0, at: object = GRANTED) -> str:
    return call("openat2", at, f"'{path}", how(flags, mode), 24)


def reading(path: str) -> str:
    """Open by all that a broken guest may ask for, and read."""
    return "\n".join((opening(path), "keep 1", call("pread64", "r1", "@page", 64, 0)))


OUTSIDE = (
    "../outside/secret",
    "out-file",
    "out-dir/secret",
    "dir/../../outside/secret",
    "up/outside/secret",
    "absolute",
    "/etc/passwd",
    "root/etc/passwd",
    "magic/etc/passwd",
    "/proc/self/environ",
    "../" * 30 + "etc/passwd",
)


def changing(trapped: Trapped) -> list[str]:
    """Calls that would change what is outside."""
    write = os.O_WRONLY
    return [
        *(opening(path, write) for path in OUTSIDE),
        *(opening(path, write | os.O_TRUNC) for path in OUTSIDE),
        *(opening(path, os.O_RDONLY | os.O_TRUNC) for path in OUTSIDE),
        opening("../outside/new", write | os.O_CREAT, 0o644),
        opening("out-dir/new", write | os.O_CREAT, 0o644),
        opening(str(trapped.outside / "new"), write | os.O_CREAT, 0o644, -100),
        opening("../outside", os.O_RDWR | os.O_TMPFILE, 0o644),
        call("mkdirat", GRANTED, "'../outside/new", 0o755),
        call("mkdirat", GRANTED, "'out-dir/new", 0o755),
        call("unlinkat", GRANTED, "'../outside/secret", 0),
        call("unlinkat", GRANTED, "'out-dir/secret", 0),
        call("unlinkat", GRANTED, "'../outside/dir", 0x200),
        call("renameat", GRANTED, "'a.txt", GRANTED, "'../outside/new"),
        call("renameat", GRANTED, "'../outside/secret", GRANTED, "'stolen"),
        call("renameat", GRANTED, "'out-dir/secret", GRANTED, "'out-dir/dir/secret"),
    ]


# What nobody who uses a directory needs, whatever its mode.
FORBIDDEN = [
    call("openat", GRANTED, "'a.txt", 0),
    call("open", "'/etc/passwd", 0),
    call("symlinkat", "'/etc/passwd", GRANTED, "'evil"),
    call("linkat", GRANTED, "'a.txt", GRANTED, "'evil", 0),
    call("mknodat", GRANTED, "'evil", 0o010644, 0),
    call("mkdirat", GRANTED, "'evil", 0o4755),
    call("fchmodat", GRANTED, "'a.txt", 0o777),
    call("fchownat", GRANTED, "'a.txt", 0, 0, 0),
    call("fchown", GRANTED, 0, 0),
    call("fchmod", GRANTED, 0o4755),
    call("utimensat", GRANTED, "'../outside/secret", 0, 0),
    call("renameat2", GRANTED, "'a.txt", GRANTED, "'b", 2),
    call("fchdir", GRANTED),
    call("chroot", "'."),
    call("truncate", "'a.txt", 0),
    call("execveat", GRANTED, "'a.txt", 0, 0, 0),
    call("mmap", 0, 4096, 1, 1, GRANTED, 0),
    call("mmap", 0, 4096, 1, 2, GRANTED, 0),
    call("ioctl", GRANTED, 0x5401, 0),
    call("fcntl", GRANTED, 0, 0),
    call("dup", GRANTED),
    call("sendmsg", 3, "@page", 0),
    call("sendfile", 3, GRANTED, 0, 16),
    call("name_to_handle_at", GRANTED, "'a.txt", "@page", "@page", 0),
    call("open_tree", GRANTED, "'.", 1),
    call("landlock_create_ruleset", 0, 0, 1),
    call("fsetxattr", GRANTED, "'user.x", "@page", 1, 0),
]
CHANGES = [
    call("pwrite64", GRANTED, "@page", 1, 0),
    call("ftruncate", GRANTED, 0),
    call("mkdirat", GRANTED, "'new", 0o755),
    call("unlinkat", GRANTED, "'a.txt", 0),
    call("renameat", GRANTED, "'a.txt", GRANTED, "'new"),
    call("fchmod", GRANTED, 0o755),
    call("fsync", GRANTED),
]


@pytest.fixture
def trapped(tmp_path: Path) -> Trapped:
    return make_trapped(tmp_path / "granted")


def zygote(
    folder: Path, trapped: Trapped, mode: str, confinement: Sequence[str] | None
) -> ProbeZygote:
    confine = str(probe_program().parent / "confine")
    prefix = [] if confinement is None else [confine, *confinement]
    return ProbeZygote(folder, mounts=[(mode, trapped.inside)], prefix=prefix)


CONFINEMENTS = {
    "whole": None,
    "landlock alone": (),  # a container, which may not make namespaces
    "mount alone": ("--no-landlock",),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("confinement", CONFINEMENTS)
def test_native(tmp_path: Path, trapped: Trapped, mode: str, confinement: str) -> None:
    with zygote(tmp_path, trapped, mode, CONFINEMENTS[confinement]) as running:
        assert running.is_ready, running.said()
        # It does what it is for.
        spoken = running.run(reading("a.txt"))
        assert spoken.results()[1] == len("hello"), spoken
        # Nothing outside is read.
        for path, spoken in zip(OUTSIDE, running.run_all(map(reading, OUTSIDE)), strict=True):
            assert spoken.results() == [*spoken.results()[:1], -9], (path, spoken)
        # Nothing outside is changed.
        commands = changing(trapped)
        for command, spoken in zip(commands, running.run_all(commands), strict=True):
            assert spoken.end == "SIGSYS" or spoken.results()[0] < 0, (command, spoken)
        trapped.check_unharmed()
        # What is of no use is not there.
        for command, spoken in zip(FORBIDDEN, running.run_all(FORBIDDEN), strict=True):
            assert spoken.end == "SIGSYS", (command, spoken)
        trapped.check_unharmed()
        if mode == "rw":
            return
        # Nothing inside is changed, either.
        for command, spoken in zip(CHANGES, running.run_all(CHANGES), strict=True):
            assert spoken.end == "SIGSYS", (command, spoken)
        opens = [
            opening("a.txt", flags, mode_)
            for flags, mode_ in (
                (os.O_WRONLY, 0),
                (os.O_RDWR, 0),
                (os.O_RDONLY | os.O_TRUNC, 0),
                (os.O_WRONLY | os.O_APPEND, 0),
            )
        ]
        opens += [
            opening("new", os.O_WRONLY | os.O_CREAT, 0o644),
            opening("new", os.O_RDONLY | os.O_CREAT, 0o644),
            opening(".", os.O_RDWR | os.O_TMPFILE, 0o644),
        ]
        for command, spoken in zip(opens, running.run_all(opens), strict=True):
            assert spoken.results()[0] < 0, (command, spoken)
        assert (trapped.inside / "a.txt").read_text() == "hello"
        assert not (trapped.inside / "new").exists()


def test_native_in_a_cell_without_mounts(tmp_path: Path, trapped: Trapped) -> None:
    """Who is granted nothing has none of the calls."""
    with ProbeZygote(tmp_path) as running:
        commands = [opening("/etc/passwd", at=-100), *CHANGES, call("getdents64", 3, "@page", 64)]
        for command, spoken in zip(commands, running.run_all(commands), strict=True):
            assert spoken.end == "SIGSYS", (command, spoken)


def test_neither_of_the_two(tmp_path: Path, trapped: Trapped) -> None:
    """Where nothing would hold native code in the directory, nothing is mounted."""
    confine = str(probe_program().parent / "confine")
    with ProbeZygote(
        tmp_path,
        mounts=[("ro", trapped.inside)],
        prefix=[confine, confine, "--no-landlock"],
    ) as running:
        assert not running.is_ready
