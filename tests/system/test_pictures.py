"""What a program draws comes back as pictures: not blank, in order, once, and not too large."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from driver import Json, Program, RawServer, clean_environment
from fastmcp import Client as FastClient
from fastmcp.client.transports import StdioTransport
from mcp import Client, StdioServerParameters
from pictures import unpack

COLD_SECONDS_MAX = 300
PICTURE_BYTES = 128 << 10
SIDE_MAX = 1568
FIGURE = "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 3, 2], 'r')\n"


@pytest.fixture(scope="module")
def drawing(vitrine: Program) -> Iterator[RawServer]:
    """A server whose packages are there."""
    needed = "import IPython.display, PIL, matplotlib, numpy, pandas, seaborn"
    vitrine("run", "-m", "1G", "-c", needed, timeout=COLD_SECONDS_MAX)
    with RawServer(vitrine, "--memory", "1G", "--timeout", "200") as server:
        server.initialize()
        for package in ("matplotlib", "PIL", "pandas", "seaborn", "IPython.display"):
            call(server, f"import {package}")
        yield server


def call(drawing: RawServer, code: str) -> Json:
    """Run code and return the result; a busy machine may take its time."""
    message = drawing.call_message(code)
    drawing.send(message)
    while (answer := drawing.receive(COLD_SECONDS_MAX)).get("id") != message["id"]:
        pass
    return answer["result"]


def images_of(result: Json) -> list[Json]:
    """The pictures in a result, which says where they stand."""
    images = [item for item in result["content"] if item["type"] == "image"]
    mentions = re.findall(r"\[image/\w+, (\d+)x(\d+)", result["content"][0]["text"])
    forms = [
        form
        for forms in result["structuredContent"].get("display", [])
        for kind, form in forms.items()
        if kind.startswith("image/") and "width" in form
    ]
    for image, mention, form in zip(images, mentions, forms, strict=True):
        assert result["content"][form["content"]] == image
        assert (form["width"], form["height"]) == (int(mention[0]), int(mention[1]))
        assert form["bytes"] == len(base64.b64decode(image["data"], validate=True))
        assert len(image["data"]) <= PICTURE_BYTES
        assert max(form["width"], form["height"]) <= SIDE_MAX
    return images


def shapes(drawing: RawServer, code: str) -> list[str]:
    """How each text and picture of a program's output begins, in order."""
    result = call(drawing, code)
    assert result["structuredContent"]["status"] == "success", result
    images_of(result)
    return [item["text"] for item in result["structuredContent"]["output"]]


def test_figures_left_open_come_back_in_order(drawing: RawServer) -> None:
    result = call(
        drawing,
        FIGURE + "print('before')\nplt.figure(figsize=(2, 1))\nplt.axis('off')\n"
        "plt.gca().set_facecolor('blue')\nplt.gcf().patch.set_facecolor((0, 0, 1))\nprint('after')",
    )
    assert result["isError"] is False
    first, second = images_of(result)
    assert (first["mimeType"], second["mimeType"]) == ("image/png", "image/png")
    picture = unpack(first["data"])
    assert 500 < picture.width < 700
    assert b"\xff\0\0\xff" in picture.colours()
    assert unpack(second["data"]).colours() == {b"\0\0\xff\xff"}
    texts = [item["text"] for item in result["structuredContent"]["output"]]
    assert texts[0] == "before\nafter\n"
    assert len(texts) == 3


def test_show_draws_at_once_and_closes(drawing: RawServer) -> None:
    code = FIGURE + "print('a')\nplt.show()\nprint('b', plt.get_fignums())"
    first, second, third = shapes(drawing, code)
    assert (first, third) == ("a\n", "b []\n")
    assert "[image/png" in second
    first, second, third = shapes(drawing, FIGURE + "print('a')\nfig.show()\nprint('b')")
    assert "[image/png" in second


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("display(fig)", 1),
        ("fig", 1),
        ("display(fig)\nax.set_title('changed')", 2),
        ("display(fig)\nfig", 2),
        ("fig.savefig('x.png')", 1),
        ("plt.close()", 0),
        ("plt.show()\nplt.show()", 1),
        ("for _ in range(3): plt.pause(0.001)", 1),
        ("import matplotlib\nmatplotlib.use('svg')\nplt.show()", 1),
    ],
)
def test_a_figure_is_shown_as_often_as_asked(drawing: RawServer, code: str, count: int) -> None:
    assert len(images_of(call(drawing, FIGURE + code))) == count


@pytest.mark.parametrize(
    "code",
    [
        "display(fig, format='svg')\nplt.close()",
        "plt.rcParams['savefig.format'] = 'svg'",
        "plt.rcParams['savefig.format'] = 'svg'\nplt.show()",
    ],
)
def test_svg_where_it_is_asked_for(drawing: RawServer, code: str) -> None:
    result = call(drawing, FIGURE + code)
    (resource,) = [item for item in result["content"] if item["type"] == "resource"]
    assert images_of(result) == []
    assert resource["resource"]["mimeType"] == "image/svg+xml"
    assert "</svg>" in resource["resource"]["text"]
    assert resource["annotations"]["audience"] == ["user"]
    assert "[image/svg+xml]" in result["content"][0]["text"]


def test_an_error_does_not_hide_the_figures(drawing: RawServer) -> None:
    result = call(drawing, FIGURE + "1/0")
    assert result["structuredContent"]["error"]["type"] == "ZeroDivisionError"
    assert len(images_of(result)) == 1


def test_a_figure_that_cannot_be_drawn_breaks_nothing(drawing: RawServer) -> None:
    code = FIGURE + (
        "class Bad(type(ax.lines[0])):\n    def draw(self, renderer): raise ValueError('no')\n"
        "ax.add_line(Bad([1], [2]))\nplt.figure()\nprint('end')\nfig"
    )
    result = call(drawing, code)
    assert result["structuredContent"]["status"] == "success"
    assert "A figure could not be drawn: ValueError: no" in result["structuredContent"]["stderr"]
    assert len(images_of(result)) == 1


def test_an_animation_breaks_nothing(drawing: RawServer) -> None:
    code = FIGURE + (
        "from matplotlib.animation import FuncAnimation\n"
        "made = FuncAnimation(fig, lambda i: ax.plot([i]), frames=3)\ndisplay(made)\nmade"
    )
    result = call(drawing, code)
    assert result["structuredContent"]["status"] == "success"
    assert len(images_of(result)) == 1


def test_large_figures_are_scaled_down(drawing: RawServer) -> None:
    result = call(drawing, FIGURE + "fig.set_dpi(600)")
    (image,) = images_of(result)
    assert unpack(image["data"]).width == SIDE_MAX
    assert "scaled down from 3" in result["content"][0]["text"]
    whole = result["structuredContent"]["display"][0]["image/png"]["whole"]
    assert whole["width"] > 3000


def test_what_does_not_compress_is_made_smaller(drawing: RawServer, vitrine: Program) -> None:
    code = "import numpy as np\nfrom PIL import Image\n" + (
        "noise = np.random.default_rng(1).integers(0, 256, (600, 700, 3), dtype='uint8')\n"
        "display(Image.fromarray(noise))"
    )
    (image,) = images_of(call(drawing, code))
    assert image["mimeType"] == "image/jpeg"
    done = vitrine.code(code, "--json", "-m", "1G")
    (forms,) = json.loads(done.stdout)["display"]
    picture = unpack(forms["image/png"])  # the whole one
    assert (picture.width, picture.height) == (700, 600)
    with RawServer(vitrine, "--picture-bytes", "2M", "--memory", "1G") as server:
        server.initialize()
        (image,) = [item for item in call(server, code)["content"] if item["type"] == "image"]
        assert image["mimeType"] == "image/png"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "HSV"])
def test_images_of_every_mode(drawing: RawServer, mode: str) -> None:
    code = f"from PIL import Image\nimage = Image.new({mode!r}, (30, 20))\n"
    for end in ("display(image)", "image.show()", "image"):
        (image,) = images_of(call(drawing, code + end))
        picture = unpack(image["data"])
        assert (picture.width, picture.height) == (30, 20)


def test_frames_are_tables(drawing: RawServer) -> None:
    code = (
        "import pandas as pd\nframe = pd.DataFrame({f'column_{i:02}': range(3) for i in range(25)})"
    )
    for end in ("\nframe", "\ndisplay(frame)", "\nframe.T.iloc[:, :0]"):
        result = call(drawing, code + end)
        text = result["content"][0]["text"]
        assert "column_00" in text
        assert "column_24" in text
        (forms,) = result["structuredContent"]["display"]
        assert "<table" in forms["text/html"] or "bytes" in forms["text/html"]
        assert "[text/html]" not in text
    text = call(drawing, "import pandas as pd\npd.DataFrame({'a': range(1000)})")["content"][0][
        "text"
    ]
    assert "[1000 rows x 1 columns]" in text
    text = call(drawing, code + "\npd.set_option('display.max_columns', 3)\nframe")["content"][0][
        "text"
    ]
    assert "column_12" not in text


def test_seaborn(drawing: RawServer) -> None:
    code = """
import pandas as pd
import seaborn as sns

frame = pd.DataFrame({"x": range(9), "y": [i * i for i in range(9)], "kind": list("abc") * 3})
sns.scatterplot(data=frame, x="x", y="y", hue="kind")
sns.pairplot(frame, hue="kind")
frame.plot(x="x", y="y")
"""
    images = images_of(call(drawing, code))
    assert len(images) == 3
    for image in images:
        assert len(unpack(image["data"]).colours()) > 50


def test_the_forms_of_a_value(drawing: RawServer) -> None:
    code = """
class Formula:
    def _repr_latex_(self): return '$x^2$'
class Text:
    def _repr_markdown_(self): return '**bold**'
    def _repr_json_(self): return {'a': [1, 2]}
class Named:
    def _repr_latex_(self): return '$y$'
    def __repr__(self): return 'y'
"""
    seen = {"Formula": "$x^2$", "Text": "**bold**", "Named": "y"}
    for name, text in seen.items():
        result = call(drawing, f"{code}{name}()")
        assert f"<return_value>\n{text}\n</return_value>" in result["content"][0]["text"]
        assert "<output>" not in result["content"][0]["text"]
        shown = call(drawing, f"{code}display({name}())")["content"][0]["text"]
        assert f"<output>\n{text}\n</output>" in shown
    (forms,) = call(drawing, code + "Text()")["structuredContent"]["display"]
    assert forms == {"text/markdown": "**bold**", "application/json": '{"a":[1,2]}'}


def test_the_display_of_notebooks(drawing: RawServer) -> None:
    code = "from IPython.display import Image, Markdown, display\n" + FIGURE
    code += "display(Markdown('# title'))\ndisplay(fig, display_id='x')"
    result = call(drawing, code)
    assert "# title\n" in result["content"][0]["text"]
    assert len(images_of(result)) == 1


def test_a_terminal_is_told_of_pictures(vitrine: Program) -> None:
    assert vitrine.code(FIGURE).stdout == b""  # as python does
    done = vitrine.code(FIGURE + "plt.show()\nprint('end')")
    assert re.fullmatch(
        rb"<Figure size 640x480 with 1 Axes> \[image/png, \d+x\d+\]\nend\n", done.stdout
    )


def run(task: Any) -> Any:
    return asyncio.run(asyncio.wait_for(task, 120))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_official_client_gets_images(vitrine: Program, mode: str) -> None:
    async def talk() -> None:
        parameters = StdioServerParameters(
            command=str(vitrine.path), args=["stdio"], env=clean_environment()
        )
        async with Client(parameters, mode=mode) as client:
            result = await client.call_tool("run_python_code", {"python_code": FIGURE})
            text, image = result.content
            assert (text.type, image.type, image.mime_type) == ("text", "image", "image/png")
            assert b"\xff\0\0\xff" in unpack(image.data).colours()

    run(talk())


def test_fastmcp_gets_images(vitrine: Program) -> None:
    async def talk() -> None:
        transport = StdioTransport(str(vitrine.path), ["stdio"], env=clean_environment())
        async with FastClient(transport) as client:
            result = await client.call_tool("run_python_code", {"python_code": FIGURE})
            assert [item.type for item in result.content] == ["text", "image"]

    run(talk())
