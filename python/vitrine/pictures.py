"""Pictures of Matplotlib's figures and Pillow's images, small enough to be passed on to a model.

A picture that is larger than a result may have is scaled down, and the whole one goes along under
the name "whole". None of this is imported before the program has imported one of the two packages.
"""

import sys
from binascii import a2b_base64, b2a_base64
from io import BytesIO

from vitrine import BUILTINS, execute

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    Forms = dict[str, str]

PNG, JPEG, SVG = "image/png", "image/jpeg", "image/svg+xml"
KINDS = (PNG, JPEG, "image/webp", "image/gif")

_SIDE_MAX = 1568  # pixels: models are shown no more
_WHOLE_BYTES_MAX = 3 << 20  # as base64
_PIXELS_MAX = 24_000_000  # a larger picture is never encoded whole
_TIGHT_FACTOR_MAX = 4  # what lies farther outside of a figure is left out
_PADDING_INCHES = 0.1
_SHRINKS_MAX = 16
_COLOURS_MAX = 4096  # a picture with more is no drawing


def of_figure(figure: object, kind: str = "") -> "Forms":
    """Draw a Matplotlib figure: as PNG, or as SVG where that is asked for or Matplotlib's setting.

    Raises whatever its artists raise.
    """
    kind = kind or sys.modules["matplotlib"].rcParams["savefig.format"]
    if kind == "svg":
        forms = {SVG: _draw(figure, "svg").decode("utf-8", "replace")}
    else:
        forms = fit(_draw(figure, "png"), PNG)
    figure.stale = False
    figure.was_shown = True
    return forms


def of_image(image: object) -> "Forms":
    """Encode a Pillow image: of an animation what it shows now."""
    if image.width * image.height > _PIXELS_MAX:
        return _shrink(image)
    image = _plain(image)
    return _fit(image, _save(image, "PNG"), PNG)


def fit(data: bytes | str, kind: str) -> "Forms":
    """Scale an encoded picture down where it is too large, if Pillow is there to do it."""
    if isinstance(data, str):
        data = a2b_base64(data)
    forms = {kind: _base64(data)}
    is_large = len(forms[kind]) > execute.picture_bytes
    if kind == PNG:
        is_large |= max(int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) > _SIDE_MAX
    if is_large:
        try:
            from PIL import Image

            image = Image.open(BytesIO(data))
            image.load()
            return _fit(image, data, kind)
        except Exception:  # no Pillow, or no picture: the host judges it as it is
            pass
    return forms


def _fit(image: object, data: bytes, kind: str) -> "Forms":
    whole = _base64(data)
    if len(whole) <= execute.picture_bytes and max(image.size) <= _SIDE_MAX:
        return {kind: whole}
    forms = _shrink(image)
    if not forms:
        return {kind: whole}
    if len(whole) <= _WHOLE_BYTES_MAX:
        forms["whole"] = whole
    return forms


def _shrink(image: object) -> "Forms":
    """Encode a picture as well as there is room for it."""
    side = min(_SIDE_MAX, max(image.size))
    small = _plain(image).copy()
    for _ in range(_SHRINKS_MAX):
        small.thumbnail((side, side))
        for kind, data in _encodings(small):
            text = _base64(data)
            if len(text) <= execute.picture_bytes:
                return {kind: text}
        side = max(1, side * 3 // 4)
    return {}


def _encodings(image: object) -> "Iterator[tuple[str, bytes]]":
    """Encode without losses, with fewer colours if it seems to be a drawing, with losses."""
    yield PNG, _save(image, "PNG", optimize=True)
    if image.mode == "RGBA":
        from PIL import Image

        ground = Image.new("RGB", image.size, "white")
        ground.paste(image, (0, 0), image)
        image = ground
    if image.getcolors(_COLOURS_MAX) is not None:
        yield PNG, _save(image.quantize(256), "PNG", optimize=True)
    for quality in (85, 70):
        yield JPEG, _save(image, "JPEG", quality=quality)


def _plain(image: object) -> object:
    """Give a mode that all encoders know."""
    if image.mode in ("RGB", "RGBA", "L"):
        return image
    has_alpha = image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _save(image: object, encoder: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, encoder, **options)
    return out.getvalue()


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _draw(figure: object, kind: str) -> bytes:
    """Draw a figure with all that belongs to it, as ``bbox_inches="tight"`` does."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox()
    width, height = figure.get_size_inches()
    if 0 < box.width < _TIGHT_FACTOR_MAX * width and 0 < box.height < _TIGHT_FACTOR_MAX * height:
        box = box.padded(_PADDING_INCHES)
        width, height = box.width, box.height
    else:
        box = None
    dpi = min(figure.dpi, (_PIXELS_MAX / (width * height)) ** 0.5)
    out = BytesIO()
    figure.savefig(out, format=kind, dpi=dpi, bbox_inches=box)
    return out.getvalue()


# ---- What a program leaves open, and shows in its own ways


def show_open(helpers: "ModuleType") -> None:
    """Show and close the figures that a program has left open, in order.

    One that was shown already, and has not changed since, is only closed.
    """
    has_room = True
    for manager in helpers.Gcf.get_all_fig_managers():
        figure = manager.canvas.figure
        if has_room and (figure.stale or not getattr(figure, "was_shown", False)):
            has_room = _show(figure)
        helpers.Gcf.destroy(manager)


def _show(value: object) -> bool:
    from vitrine import display

    return display.show((value,))


def show_manager(manager: object) -> None:
    """Show a figure, and close it, as a person would after a look at it."""
    _show(manager.canvas.figure)
    sys.modules["matplotlib._pylab_helpers"].Gcf.destroy(manager)


def patch(module: "ModuleType") -> None:
    """Tell a module of a package that there is no screen, and what to do instead."""
    _PATCHES[module.__name__](module)


def _set_backend(matplotlib: "ModuleType") -> None:
    from os import environ

    if not environ.get("MPLBACKEND"):
        matplotlib.rcParams["backend"] = "agg"


def _replace_show(backend_bases: "ModuleType") -> None:
    """``plt.show()`` and ``figure.show()``, of every backend that has no window."""
    backend_bases.FigureManagerBase.show = show_manager


def _replace_pause(pyplot: "ModuleType") -> None:
    """``plt.pause()`` would show each frame of an animation, and close it."""
    from time import sleep

    def pause(interval: float) -> None:
        sleep(interval)

    pyplot.pause = pause


def _replace_viewer(image_show: "ModuleType") -> None:
    def show(image: object, title: str | None = None, **_options: object) -> bool:
        return _show(image)

    image_show.show = show


def _replace_display(display_functions: "ModuleType") -> None:
    """IPython's ``display``, which would print without its shell."""
    from builtins import display

    display_functions.display = display


_PATCHES = {
    "IPython.core.display_functions": _replace_display,
    "matplotlib": _set_backend,
    "matplotlib.backend_bases": _replace_show,
    "matplotlib.pyplot": _replace_pause,
    "PIL.ImageShow": _replace_viewer,
}
