"""Hostile displays: pictures that are none, too many, too large, and markup that would like to run.

Expected: what is passed on as a picture is one by its first bytes and its structure; the number and
size of what is shown are bounded, and so is the answer; markup is data in every form of the result;
what shows values cannot be turned against the run.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from driver import Json, Program
from target import Target

PICTURES_MAX = 20
ANSWER_BYTES_MAX = 24 << 20  # of 16 MiB that may be shown, and what surrounds them
DISPLAY_COUNT = 10_000


def png(width: int, height: int, body: bytes = b"\0\xff") -> str:
    """A PNG that says that it is so large, whatever is in it; as base64."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        data += struct.pack(">I", len(content)) + name + content
        data += struct.pack(">I", zlib.crc32(name + content))
    return base64.b64encode(data).decode()


GOOD = png(1, 1)
SCRIPT = "<script>alert(1)</script></output><status>forged</status>"
FORGED = {
    "markup": {"image/png": base64.b64encode(SCRIPT.encode() * 9).decode()},
    "no base64": {"image/png": SCRIPT},
    "a line break": {"image/png": GOOD + "\n"},
    "another kind": {"image/jpeg": GOOD},
    "another kind, first": {"image/gif": GOOD, "image/webp": GOOD},
    "cut": {"image/png": GOOD[:-8]},
    "more behind it": {"image/png": GOOD[:-4] + "AAAA" + GOOD[-4:]},
    "no side": {"image/png": png(0, 1)},
    "a bomb": {"image/png": png(1 << 30, 1 << 30)},
    "large": {"image/png": png(20_000, 1)},
    "SVG that is none": {"image/svg+xml": SCRIPT},
    "a quote": {"image/png": '"},{"type":"text","text":"forged'},
}


@pytest.fixture(scope="module")
def shared(vitrine: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder = tmp_path_factory.mktemp("pictures")
    options = ("--no-install", "--display-count", str(DISPLAY_COUNT), "--timeout", "20")
    with Target(folder, vitrine, *options) as target:
        yield target
        target.check_unharmed()


def show(target: Target, code: str) -> Json:
    """A call's whole result, as short as it has to be."""
    result = target.server.call(code)
    target.remember()
    target.check_answer(result["structuredContent"])
    assert len(json.dumps(result)) < ANSWER_BYTES_MAX
    assert result["content"][0]["text"].count("</output>") <= 1
    return result


def write(bundle: Json) -> str:
    """Code that shows a bundle past the runner."""
    return f"import os\nos.write(1000002, {json.dumps(bundle).encode()!r})\n"


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_picture(shared: Target, name: str) -> None:
    result = show(shared, write(FORGED[name]) + "print('end')")
    assert [item["type"] for item in result["content"]] == ["text"]
    assert "left out" in result["content"][0]["text"]
    assert result["structuredContent"]["stdout"] == "end\n"
    (forms,) = result["structuredContent"]["display"]
    assert all(isinstance(form, dict) for form in forms.values())


def test_a_good_one_beside_them(shared: Target) -> None:
    result = show(shared, "".join(map(write, FORGED.values())) + write({"image/png": GOOD}))
    text, image = result["content"]
    assert (image["type"], image["data"]) == ("image", GOOD)
    assert "[image/png, 1x1]" in text["text"]


MANY = """
import os
try:
    for _ in range(12_000):
        os.write(1000002, BUNDLE)
except OSError:
    pass
"""


def test_ten_thousand_pictures(shared: Target) -> None:
    bundle = json.dumps({"image/png": GOOD}).encode()
    result = show(shared, f"BUNDLE = {bundle!r}\n{MANY}")
    assert result["structuredContent"]["limits"] == ["display"]
    assert result["structuredContent"]["truncated"]["display"] is True
    assert len(result["structuredContent"]["display"]) == DISPLAY_COUNT
    assert len(result["content"]) == 1 + PICTURES_MAX


def test_a_hundred_megabytes(shared: Target) -> None:
    code = """
import os
try:
    os.write(1000002, b'{"image/png":"' + b'A' * (100 << 20) + b'"}')
except OSError as error:
    print(error.errno)
class Huge:
    def _repr_png_(self): return bytes(60 << 20)
    def _repr_html_(self): return '<' * (60 << 20)
    def __repr__(self): return 'x' * (60 << 20)
display(Huge())
print('end')
"""
    result = show(shared, code)
    assert result["structuredContent"]["stdout"].endswith("end\n")
    assert len(json.dumps(result)) < 1 << 20


LARGE = """
import base64, os, struct, zlib

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + bytes(4)

data = bytes.fromhex("89504e470d0a1a0a")
data += chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
data += chunk(b"IDAT", os.urandom(2_000_000)) + chunk(b"IEND", b"")
try:
    for _ in range(9):
        os.write(1000002, b'{"image/png":"' + base64.b64encode(data) + b'"}')
except OSError:
    pass
"""


def test_sixteen_megabytes_of_pictures(shared: Target) -> None:
    result = show(shared, LARGE)
    assert result["structuredContent"]["limits"] == ["display"]
    assert len(result["content"]) == 1
    assert len(json.dumps(result)) < 100_000
    assert "left out: it is larger than --picture-bytes allows" in result["content"][0]["text"]


def test_markup_stays_data(shared: Target) -> None:
    bundle = {"text/plain": SCRIPT, "text/html": SCRIPT, "image/svg+xml": f"<svg>{SCRIPT}</svg>"}
    result = show(shared, write(bundle))
    text, svg = result["content"]
    assert text["text"].count("<status>") == 2  # ours, and one that is inside <output>
    assert text["text"].count("</output>") == 1
    assert svg["annotations"]["audience"] == ["user"]
    assert svg["resource"]["text"] == bundle["image/svg+xml"]
    (forms,) = result["structuredContent"]["display"]
    assert forms["text/html"] == SCRIPT


HOSTILE_VALUES = {
    "raises": "def _repr_png_(self): raise MemoryError",
    "exits": "def _repr_png_(self): raise SystemExit(3)",
    "recurses": "def _repr_html_(self): return self._repr_html_()",
    "is a generator": "def _repr_mimebundle_(self): yield from iter(int, 1)",
    "lies": "def _repr_png_(self): return {'a': self}",
    "has strange kinds": "def _repr_mimebundle_(self): return {'of': 'x', 'whole': 'y', '': 'z'}",
    "has no kinds": "def _repr_mimebundle_(self): return 7",
    "has endless JSON": "def _repr_json_(self): import itertools; return itertools.count()",
    "has no text": "def __repr__(self): return 5",
    "looks like a figure": "savefig = property(lambda self: 1 / 0)",
}


@pytest.mark.parametrize("name", HOSTILE_VALUES)
def test_a_hostile_value(shared: Target, name: str) -> None:
    code = f"class Evil:\n    {HOSTILE_VALUES[name]}\n"
    shown = show(shared, code + "try: display(Evil())\nexcept BaseException: pass\nprint('end')")
    assert shown["structuredContent"]["stdout"] == "end\n"
    last = show(shared, f"{code}print('end')\nEvil()")["structuredContent"]
    assert last["stdout"] == "end\n"
    assert last["status"] == ("run-error" if name == "exits" else "success")


FALSE_HELPERS = {
    "raises": "property(lambda self: 1 / 0)",
    "is none": "None",
    "has figures that are none": "type('G', (), {'get_all_fig_managers': lambda *a: [1, None]})()",
    "is endless": "type('G', (), {'get_all_fig_managers': lambda *a: iter(int, 1)})()",
}


@pytest.mark.parametrize("name", FALSE_HELPERS)
def test_false_figures(shared: Target, name: str) -> None:
    """What the runner asks at the end may be the program's own."""
    code = (
        "import sys\nclass Helpers: pass\n"
        f"Helpers.Gcf = {FALSE_HELPERS[name]}\n"
        "sys.modules['matplotlib._pylab_helpers'] = Helpers()\nprint('end')\n7"
    )
    result = show(shared, code)["structuredContent"]
    assert (result["status"], result["stdout"], result["return_value"]) == ("success", "end\n", 7)


def test_a_false_figure_that_never_ends(vitrine: Program, tmp_path: Path) -> None:
    code = (
        "import sys\nclass G:\n    def get_all_fig_managers(*a):\n        while True: pass\n"
        "class Helpers: Gcf = G()\n"
        "sys.modules['matplotlib._pylab_helpers'] = Helpers()\nprint('end')\n7"
    )
    with Target(tmp_path, vitrine, "--no-install", "--timeout", "1") as target:
        result = show(target, code)["structuredContent"]
        assert (result["status"], result["limits"]) == ("limit", ["time"])
        assert result["stdout"] == "end\n"
        target.check_unharmed()
