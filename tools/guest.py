#!/usr/bin/env python3
"""Precompile the guest for this machine and link it into a build folder.

    guest.py BUILD_DIR

Makes BUILD_DIR/lib/libwasmtime.so and BUILD_DIR/guest/ point into the cache. The guest's folder
holds `core.cwasm` (CPython as machine code), `stdlib.img` (its standard library as bytecode) and
`vitrine.img` (our runner). It is named by a sum over everything it is made from: the parts, our
sources that make or read it, and what the processor can do. Hence a second clone of the same commit
compiles nothing, and a change of any input makes a new folder.

The sum is over sources and not over the program that was built from them, because two builds of the
same sources need not be the same bytes.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import cache
import parts

REPOSITORY = Path(__file__).resolve().parent.parent
# What decides the bytes of the artifacts: the engine's settings, the exception lowering, the image
# writer and the runner that is stored as bytecode.
MADE_FROM = ("src/base", "src/engine", "src/guest", "src/packages", "python/vitrine")
SOURCE_SUFFIXES = {".c", ".h", ".py"}
STDLIB_GUEST_DIR = "/lib/python3.14"
RUNNER_GUEST_DIR = "/lib/vitrine"


def cpu_features() -> str:
    """What the processor can do, as the kernel says it; machine code is made for exactly that."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    flags = " ".join(sorted(found.group(1).split())) if found else "unknown"
    return f"{platform.machine()} {flags}"


def key_of(places: dict[str, parts.Part]) -> str:
    """The name of the guest's folder: a sum over everything that decides what is in it."""
    inputs = {"cpu": cpu_features(), "guest.py": cache.sha256_of(Path(__file__))}
    for part in places.values():
        inputs |= {f"{part.name}/{name}": digest for name, digest in part.files.items()}
    for folder in MADE_FROM:
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and "__pycache__" not in path.parts:
                inputs[str(path.relative_to(REPOSITORY))] = cache.sha256_of(path)
    return cache.sha256_of_all(inputs)[:16]


def unpack_stdlib(archive: Path, folder: Path) -> None:
    """Unpack the standard library; the archive's own sum was checked when it was fetched."""
    with zipfile.ZipFile(archive) as stored:
        stored.extractall(folder)


def precompile(program: Path, pyodide: Path, work: Path) -> None:
    """Run the steps, saying how long each takes."""
    core = work / "core.cwasm"
    step(program, "CPython to machine code", "core", pyodide / "pyodide.asm.wasm", core)
    with tempfile.TemporaryDirectory(prefix="vitrine-stdlib.") as scratch:
        unpack_stdlib(pyodide / "python_stdlib.zip", Path(scratch))
        layers = (
            ("stdlib.img", "standard library to bytecode", STDLIB_GUEST_DIR, scratch),
            ("vitrine.img", "runner to bytecode", RUNNER_GUEST_DIR, REPOSITORY / "python"),
        )
        for name, what, guest_dir, source in layers:
            options = ("--core", core, "--root", guest_dir, source)
            step(program, what, "image", work / name, *options)


def step(program: Path, what: str, *arguments: str | Path) -> None:
    """One run of vitrine-precompile."""
    cache.say(f"precompiling the guest: {what} ...")
    started = time.monotonic()
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise parts.PartsError(f"{program.name} {arguments[0]} failed ({done.returncode})")
    cache.say(f"  {time.monotonic() - started:.1f} s")


def ensure(build: Path, found: dict[str, parts.Part]) -> Path:
    """The guest's folder in the cache, made if need be."""
    place = cache.root() / "guest" / key_of(found)
    if place.is_dir():
        return place
    program = build / "vitrine-precompile"
    cache.put(place, lambda work: precompile(program, found["pyodide"].place, work))
    return place


def link(target: Path, name: Path) -> None:
    """Make `name` a symbolic link to `target`, replacing what an earlier set-up left."""
    name.parent.mkdir(parents=True, exist_ok=True)
    if name.is_dir() and not name.is_symlink():
        shutil.rmtree(name)
    name.unlink(missing_ok=True)
    name.symlink_to(target)


def main() -> int:
    """Command line; see the top of this file."""
    parser = argparse.ArgumentParser(description="Precompile the guest and link it into a build.")
    parser.add_argument("build", type=Path, help="the build folder, with vitrine-precompile in it")
    build: Path = parser.parse_args().build.absolute()
    try:
        with cache.locked():
            found = {part.name: part for part in parts.read_lock()}
            for part in found.values():
                parts.ensure(part)
            link(found["wasmtime"].place / "lib" / "libwasmtime.so", build / "lib/libwasmtime.so")
            place = ensure(build, found)
            link(place, build / "guest")
    except (parts.PartsError, OSError) as error:
        cache.say(f"error: {error}")
        return 1
    cache.say(f"the guest is ready in {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
