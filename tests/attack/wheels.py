"""Wheels as an attacker writes them: every field of the archive can be set, right or wrong."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("VITRINE_BUILD", REPOSITORY / "build")).resolve()
FILENAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"
REGULAR, DIRECTORY, LINK, FIFO, DEVICE = 0o100644, 0o040755, 0o120777, 0o010644, 0o020644


@dataclass
class Entry:
    """One file; what is set in `central` and `local` replaces what would stand there."""

    name: bytes
    data: bytes = b""
    method: int = 8
    mode: int = REGULAR
    attributes: int = 0
    central: dict[str, Any] = field(default_factory=dict)
    local: dict[str, Any] = field(default_factory=dict)
    before: bytes = b""  # bytes that belong to nothing
    after: bytes = b""

    def fields(self) -> dict[str, Any]:
        """What both headers say of an honest entry."""
        packer = zlib.compressobj(wbits=-15)
        packed = packer.compress(self.data) + packer.flush() if self.method == 8 else self.data
        return {
            "flags": 0,
            "method": self.method,
            "crc": zlib.crc32(self.data),
            "packed_size": len(packed),
            "size": len(self.data),
            "name": self.name,
            "extra": b"",
            "packed": packed,
        }


def archive(entries: list[Entry], change: Callable[[dict[str, Any]], None] | None = None) -> bytes:
    """A zip archive. `change` may set the fields of the end record, or what stands around it."""
    files = bytearray()
    directory = bytearray()
    for entry in entries:
        files += entry.before
        at = len(files)
        honest = entry.fields()
        local = honest | entry.local
        files += pack(
            "<IHHHHHIIIHH",
            *(0x04034B50, 20, local["flags"], local["method"], 0, 33, local["crc"]),
            *(local["packed_size"], local["size"], len(local["name"]), len(local["extra"])),
        )
        files += local["name"] + local["extra"] + local["packed"] + entry.after
        central = {"at": at} | honest | entry.central
        attributes = entry.mode << 16 | entry.attributes
        directory += pack(
            "<IHHHHHHIIIHHHHHII",
            *(0x02014B50, 0x314, 20, central["flags"], central["method"], 0, 33, central["crc"]),
            *(central["packed_size"], central["size"], len(central["name"])),
            *(len(central["extra"]), 0, 0, 0, attributes, central["at"]),
        )
        directory += central["name"] + central["extra"]
    end: dict[str, Any] = {
        "disk": 0,
        "count": min(len(entries), 0xFFFF),
        "total": min(len(entries), 0xFFFF),
        "size": len(directory),
        "at": len(files),
        "comment": b"",
        "before": b"",
        "after": b"",
    }
    if change is not None:
        change(end)
    record = pack("<IHHHH", 0x06054B50, end["disk"], end["disk"], end["count"], end["total"])
    record += pack("<IIH", end["size"], end["at"], len(end["comment"])) + end["comment"]
    return bytes(files + directory + end["before"] + record + end["after"])


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """A sum as RECORD has it."""
    raw = hashlib.new(algorithm, data).digest()
    return f"{algorithm}={base64.urlsafe_b64encode(raw).rstrip(b'=').decode()}"


def metadata(name: str = "demo", version: str = "1.0", more: str = "") -> bytes:
    """METADATA."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{more}\nAbout it.\n".encode()


def wheel_file(tag: str = "py3-none-any") -> bytes:
    """WHEEL."""
    return f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()


def info_entries(info: str = INFO, tag: str = "py3-none-any", more: str = "") -> list[Entry]:
    """METADATA and WHEEL of an honest wheel."""
    name, _, version = info.removesuffix(".dist-info").partition("-")
    return [
        Entry(f"{info}/METADATA".encode(), metadata(name, version, more)),
        Entry(f"{info}/WHEEL".encode(), wheel_file(tag)),
    ]


def record_of(entries: list[Entry], info: str = INFO) -> bytes:
    """RECORD of entries."""
    lines = ""
    for entry in entries:
        name = entry.name.decode("utf-8", "surrogateescape")
        if not name.endswith("/"):
            quoted = f'"{name}"' if "," in name else name
            lines += f"{quoted},{digest(entry.data)},{len(entry.data)}\n"
    return (lines + f"{info}/RECORD,,\n").encode("utf-8", "surrogateescape")


def wheel(
    *entries: Entry,
    record: bytes | None = None,
    change: Callable[[dict[str, Any]], None] | None = None,
    tag: str = "py3-none-any",
    more: str = "",
    info: str = INFO,
) -> bytes:
    """A wheel that is honest but for what its entries, RECORD or end record say."""
    every = [*entries, *info_entries(info, tag, more)]
    if info == INFO:
        every.insert(0, Entry(b"demo/__init__.py", b"x = 1\n"))
    listed = record_of(every, info) if record is None else record
    return archive([*every, Entry(f"{info}/RECORD".encode(), listed)], change)


@dataclass
class Built:
    """What became of a build."""

    status: int
    error: str
    folder: Path

    @property
    def files(self) -> list[str]:
        """What lies in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


def run(folder: Path, *arguments: str | Path) -> Built:
    """Run the real builder."""
    done = subprocess.run(
        [BUILD / "vitrine-precompile", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Built(done.returncode, done.stderr.decode(), folder)


def build(
    place: Path, data: bytes, filename: str = FILENAME, options: tuple[str, ...] = ()
) -> Built:
    """Build a wheel."""
    folder = place / "out"
    folder.mkdir(parents=True)
    (place / filename).write_bytes(data)
    return run(folder, "wheel", place / filename, folder, "--guest", BUILD / "guest", *options)


def merge(
    place: Path, *wheels: Path, about: Path | None = None, preload: str | None = None
) -> Built:
    """Merge what was made of wheels; with a snapshot where modules are named to be imported."""
    folder = place / "environment"
    folder.mkdir(parents=True)
    options = [option for wheel in wheels for option in ("--wheel", wheel)]
    if about is not None:
        options += ["--about", about]
    if preload is not None:
        options += ["--guest", BUILD / "guest", "--preload", preload]
    return run(folder, "environment", folder, *options)


def image_files(path: Path) -> dict[str, bytes]:
    """Every file of an image by its path (src/guest/vfs/image.h says how it is laid out)."""
    raw = path.read_bytes()

    def number(at: int, size: int) -> int:
        return int.from_bytes(raw[at : at + size], "little")

    entries, names, data = number(16, 8), number(24, 8), number(40, 8)
    found: dict[str, bytes] = {}
    waiting = [(0, "")]
    while waiting:
        index, prefix = waiting.pop()
        entry = entries + 32 * index
        start = names + number(entry + 16, 4)
        name = raw[start : start + number(entry + 20, 2)].decode()
        full = f"{prefix}/{name}" if name else ""
        if number(entry + 22, 2) & 0o170000 == 0o040000:
            first = number(entry + 24, 4)
            waiting += [(first + i, full) for i in range(number(entry + 28, 4))]
        else:
            begin = data + number(entry, 8)
            found[full] = raw[begin : begin + number(entry + 8, 8)]
    return found


def refused(built: Built, reason: str) -> bool:
    """Whether the build failed with that reason on its last line and left nothing."""
    last = built.error.strip().splitlines()[-1] if built.error.strip() else ""
    assert reason in last, built.error
    return built.status == 1 and last != "" and built.files == []
