"""A hash function in plain Python and one in C: integer arithmetic and bytes."""

import hashlib
import zlib


def fnv(data: bytes) -> int:
    """FNV-1a, 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return value


block = bytes(range(256)) * 64
total = 0
for i in range(3):
    total ^= fnv(block + bytes([i]))
digest = hashlib.sha256()
for i in range(30):
    digest.update(block)
print(hex(total), digest.hexdigest()[:16], len(zlib.compress(block * 8)))
