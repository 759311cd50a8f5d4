#!/usr/bin/env python3
"""Precompile the guest for this machine and link it into a build folder.

    guest.py BUILD_DIR

Makes BUILD_DIR/lib/libwasmtime.so and BUILD_DIR/guest/ point into the cache. The guest's folder
holds `core.cwasm` (CPython as machine code), `core.symbols` (what side modules may link with),
`stdlib.img` (its standard library and our runner, as bytecode beside the sources), `resolver/` (an
environment with pip in it), `pyodide-lock.json` (the distribution's packages), `distribution`
(where they can be had, a line each), `key` (what built wheels are valid for), `id` (the name of the
folder) and `snapshot` (a guest of these files, booted). Each is named by a
sum over everything it is made from: the parts, our sources that make or read it, and what the
processor can do. Hence a second clone of the same commit compiles nothing, and a change of any
input makes a new one.

The sums are over sources and not over the program that was built from them, because two builds of
the same sources need not be the same bytes.
"""

from __future__ import annotations

import argparse
import os
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
SOURCE_SUFFIXES = {".c", ".h", ".py"}
# What decides the machine code: the engine's settings and the preparation for linking. The image is
# made by a guest that runs on it, so what decides the guest decides the image too.
CORE_FROM = (
    "src/engine",
    "src/guest/boot.c",
    "src/guest/dylink",
    "src/guest/trampoline.c",
    "src/builder",
)
# What decides how a wheel is built.
WHEEL_FROM = ("src/engine", "src/guest/dylink", "src/wheel", "src/builder", "python/setup")
GUEST_FROM = (*CORE_FROM, *WHEEL_FROM, "src/base", "src/guest", "python")

BYTECODE_SCRIPT = REPOSITORY / "python" / "setup" / "compile_bytecode.py"
LIBRARY_GUEST_DIR = "/lib/python3.14"
RUNNER_GUEST_DIR = "/lib/python3.14/site-packages/vitrine"
LOCK = "pyodide-lock.json"
RESOLVER_PRELOAD = "vitrine.resolve"
RUNNER_DIR = REPOSITORY / "python" / "vitrine"


def cpu_features() -> str:
    """What the processor can do, as the kernel says it; machine code is made for exactly that."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.MULTILINE)
    flags = " ".join(sorted(found.group(1).split())) if found else "unknown"
    return f"{platform.machine()} {flags}"


def sum_of(found: dict[str, parts.Part], folders: tuple[str, ...], cpu: str) -> str:
    """One sum over the parts, the sources in `folders` and a kind of processor."""
    inputs = {"cpu": cpu, "guest.py": cache.sha256_of(Path(__file__))}
    for part in found.values():
        inputs |= {f"{part.name}/{name}": digest for name, digest in part.files.items()}
    for folder in folders:
        top = REPOSITORY / folder
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.suffix in SOURCE_SUFFIXES and "__pycache__" not in path.parts:
                inputs[str(path.relative_to(REPOSITORY))] = cache.sha256_of(path)
    return cache.sha256_of_all(inputs)


def key_of(found: dict[str, parts.Part], folders: tuple[str, ...]) -> str:
    """A name for what is made from the parts and from the sources in `folders` for this machine."""
    return sum_of(found, folders, cpu_features())[:16]


def make_core(program: Path, pyodide: Path, work: Path) -> None:
    """CPython and its call trampoline as machine code, and CPython's link record."""
    step(program, "CPython to machine code", "core", pyodide / "pyodide.asm.wasm", work)


def make_library(program: Path, pyodide: Path, core: Path, work: Path) -> None:
    """The core's files and, made by a guest that runs it, the library as bytecode."""
    for made in sorted(core.parent.iterdir()):
        share(made, work / made.name)
    with tempfile.TemporaryDirectory(prefix="vitrine-guest.") as scratch:
        library = Path(scratch) / "library"
        with zipfile.ZipFile(pyodide / "python_stdlib.zip") as stored:
            stored.extractall(library)
        data = Path(scratch) / "data"
        data.mkdir()
        share(pyodide / LOCK, data / LOCK)
        sources = Path(scratch) / "sources.img"
        layers = (f"{LIBRARY_GUEST_DIR}={library}", f"{RUNNER_GUEST_DIR}={RUNNER_DIR}")
        layers += (f"{RUNNER_GUEST_DIR}={data}",)
        step(program, "the library's sources to an image", "image", sources, *layers)
        options = ("--core", core, "--image", sources, "--script", BYTECODE_SCRIPT)
        options += ("--root", LIBRARY_GUEST_DIR, work / "stdlib.img")
        step(program, "the library to bytecode, by the guest itself", "bytecode", *options)


def snapshot_command(program: Path, guest: Path) -> list[str | Path]:
    """What makes a snapshot in the guest's folder; one that a guest can boot from stays."""
    files = ["--core", guest / "core.cwasm", "--image", guest / "stdlib.img"]
    return [program, "snapshot", guest / "snapshot", *files]


def make_resolver(program: Path, wheel: Path, guest: Path) -> None:
    """The environment that resolves requirements: pip's wheel, built like any other."""
    with tempfile.TemporaryDirectory(prefix="vitrine-resolver.", dir=guest) as scratch:
        built = Path(scratch) / "wheel"
        built.mkdir()
        about = Path(scratch) / "about.json"
        about.write_text('{"packages":[]}\n', encoding="utf-8")
        (guest / "resolver").mkdir()
        (guest / "resolver" / "preload").write_text(RESOLVER_PRELOAD + "\n", encoding="utf-8")
        step(program, "pip, by the guest itself", "wheel", wheel, built, "--guest", guest)
        step(program, "pip's environment", "environment", guest / "resolver", "--wheel", built,
             "--about", about, "--guest", guest, "--preload", RESOLVER_PRELOAD)  # fmt: skip


def distribution(pyodide: parts.Part) -> str:
    """Where the distribution's wheels can be had, a line each.

    Its own server, as its own loader names it, and the wheel of the index that carries them.
    """
    loader = (pyodide.place / "pyodide.mjs").read_text(encoding="utf-8")
    found = re.search(r"https://[^`\"\s]+/v\$\{\w+\}/full/", loader)
    if found is None:
        raise parts.PartsError("the distribution's loader does not name its server")
    lines = [re.sub(r"\$\{\w+\}", pyodide.version, found.group(0))]
    for source in pyodide.sources:
        if source.client == "pip":
            folder = source.members[LOCK].rpartition("/")[0]
            wheel = f"{source.project}=={source.version}/{source.file}#{source.sha256}"
            lines.append(f"index:{wheel}/{folder}")
    return "\n".join(lines) + "\n"


def make_guest(program: Path, found: dict[str, parts.Part], core: Path, work: Path) -> None:
    """Everything that a build folder needs beside the programs."""
    pyodide = found["pyodide"]
    make_library(program, pyodide.place, core, work)
    step(program, "a guest that has booted, as a file", *snapshot_command(program, work)[1:])
    share(pyodide.place / LOCK, work / LOCK)
    (work / "distribution").write_text(distribution(pyodide), encoding="utf-8")
    (work / "key").write_text(key_of(found, WHEEL_FROM) + "\n", encoding="utf-8")
    (work / "id").write_text(key_of(found, GUEST_FROM) + "\n", encoding="utf-8")
    # The same on each machine: a guest's state goes from one to the other.
    (work / "build").write_text(sum_of(found, GUEST_FROM, "any") + "\n", encoding="utf-8")
    pip = found["pip"]
    make_resolver(program, pip.place / next(iter(pip.files)), work)


def share(source: Path, target: Path) -> None:
    """A second name for a file of the cache; a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


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
    place = cache.root() / "guest" / key_of(found, GUEST_FROM)
    program = build / "vitrine-precompile"
    if place.is_dir():
        subprocess.run(snapshot_command(program, place), stdin=subprocess.DEVNULL, check=False)
        return place
    pyodide = found["pyodide"].place
    core = cache.root() / "core" / key_of(found, CORE_FROM)
    if not core.is_dir():
        cache.put(core, lambda work: make_core(program, pyodide, work))
    cache.put(place, lambda work: make_guest(program, found, core / "core.cwasm", work))
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
