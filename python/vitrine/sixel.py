"""A picture as sixels (DEC STD 070), for `vitrine repl` on a terminal that draws them.

Made here, in the program's own cell, so that the host has no picture to decode. It takes Pillow,
which Matplotlib brings along; without it the host saves the picture.
"""

import re
from binascii import a2b_base64
from io import BytesIO
from operator import itemgetter

from vitrine import BUILTINS

__builtins__ = BUILTINS

_WIDTH_MAX = 800
_HEIGHT_MAX = 600
_COLOURS = 64
_BAND = 6  # rows of pixels in one row of sixels
_BYTES_MAX = 4 << 20  # of the text
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def of_png(base64: str) -> str | None:
    """Draw a PNG; None when it cannot be done."""
    try:
        from PIL import Image

        picture = Image.open(BytesIO(a2b_base64(base64))).convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture).convert("RGB")
        picture.thumbnail((_WIDTH_MAX, _HEIGHT_MAX))
        text = _draw(picture.quantize(_COLOURS))
    except Exception:  # no Pillow, no picture, no memory: the host saves it
        return None
    return text if len(text) <= _BYTES_MAX else None


def _draw(picture: object) -> str:
    width, height = picture.size
    palette = picture.getpalette()
    pixels = picture.tobytes()
    parts = [f'"1;1;{width};{height}']
    for colour in sorted(set(pixels)):
        red, green, blue = (part * 100 // 255 for part in palette[3 * colour : 3 * colour + 3])
        parts.append(f"#{colour};2;{red};{green};{blue}")
    for top in range(0, height, _BAND):
        rows = [
            pixels[row * width : (row + 1) * width] for row in range(top, min(top + _BAND, height))
        ]
        parts.append(_draw_band(rows, width))
    return "".join(parts)


def _draw_band(rows: list[bytes], width: int) -> str:
    """Draw six rows: each colour over the whole width, one after another."""
    masks: dict[int, bytearray] = {}
    for bit, row in enumerate(rows):
        for x, colour in enumerate(row):
            mask = masks.get(colour)
            if mask is None:
                mask = masks[colour] = bytearray(b"?" * width)
            mask[x] += 1 << bit
    lines = [f"#{colour}{_pack(mask)}" for colour, mask in sorted(masks.items(), key=itemgetter(0))]
    return "$".join(lines) + "-"


def _pack(mask: bytearray) -> str:
    """Write runs of the same sixel as a count; what is empty at the end is left out."""
    return _RUN.sub(lambda run: b"!%d%c" % (len(run[0]), run[0][0]), mask.rstrip(b"?")).decode()
