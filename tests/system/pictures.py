"""Pictures as a test looks at them: what kind, how large, and whether anything is on them."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


@dataclass
class Picture:
    """A PNG, unpacked."""

    width: int
    height: int
    channels: int
    rows: list[bytes]
    palette: bytes

    def pixel(self, x: int, y: int) -> bytes:
        at = x * self.channels
        pixel = self.rows[y][at : at + self.channels]
        return self.palette[3 * pixel[0] : 3 * pixel[0] + 3] if self.palette else pixel

    def colours(self) -> set[bytes]:
        return {self.pixel(x, y) for y in range(self.height) for x in range(self.width)}


def unpack(data: str | bytes) -> Picture:
    """Check and unpack a PNG of eight bits a channel, or its base64."""
    if isinstance(data, str):
        data = base64.b64decode(data, validate=True)
    assert data[:8] == SIGNATURE
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + body) == struct.unpack_from(">I", data, at + 8 + size)[0]
        chunks.append((kind, body))
        at += 12 + size
    assert (chunks[0][0], chunks[-1][0]) == (b"IHDR", b"IEND")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0][1])
    assert (depth, interlaced) == (8, 0)
    channels = CHANNELS[colour]
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    palette = b"".join(body for kind, body in chunks if kind == b"PLTE")
    rows = _unfilter(zlib.decompress(packed), width * channels, channels)
    assert len(rows) == height
    return Picture(width, height, channels, rows, palette if colour == 3 else b"")


def _unfilter(data: bytes, row_bytes: int, step: int) -> list[bytes]:
    rows: list[bytes] = []
    above = bytearray(row_bytes)
    for start in range(0, len(data), row_bytes + 1):
        kind = data[start]
        row = bytearray(data[start + 1 : start + 1 + row_bytes])
        for i in range(row_bytes if kind else 0):
            left = row[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            row[i] = (row[i] + _guess(kind, left, above[i], corner)) & 0xFF
        rows.append(bytes(row))
        above = row
    return rows


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    near = left + up - corner
    return min((left, up, corner), key=lambda value: abs(near - value))
