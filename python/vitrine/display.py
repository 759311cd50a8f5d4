"""What ``display(value, ...)`` shows: for each value a bundle of texts and pictures by MIME type.

The methods are those of Jupyter's rich display, so what libraries have for notebooks works here.
Figures of Matplotlib, images of Pillow and frames of pandas have forms of their own. The host
counts the bundles, drops those beyond its limit, and checks pictures; a bundle is bounded here,
because a write that is too large shows nothing at all.
"""

import sys
from _json import encode_basestring as _quote
from binascii import b2a_base64
from os import environ
from posix import write as _write

from vitrine import BUILTINS, streams, wire

__builtins__ = BUILTINS

_BUNDLE_BYTES_MAX = 4 << 20  # LIMIT_DISPLAY_ITEM_BYTES_MAX of the host
_PLAIN_CHARS_MAX = 1 << 16
_JSON_BYTES_MAX = 1 << 20
_KINDS_MAX = 32
_KIND_CHARS_MAX = 127

_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_latex_", "text/latex"),
    ("_repr_json_", "application/json"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
)
_READABLE = ("text/markdown", "text/latex")

# What has no other form than its text, and is most of what programs end with.
_PLAIN_KINDS = frozenset(
    (type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
)

# Of tables, where the program has set nothing else.
_ROWS_MAX = 60
_COLUMNS_MAX = 30


def show(values: tuple[object, ...], form: str = "") -> bool:
    """Show each value, behind what the program has written so far; False when there is no room."""
    for value in values:
        forms = _forms(value, form)
        plain = forms.pop("text/plain", None) or _plain(value, forms)
        if not _send({"text/plain": _cut(plain), **forms}):
            return False
    return True


def show_value(value: object) -> str | None:
    """Show what a program's value has beside its text; its text, where that is not its repr."""
    if type(value) in _PLAIN_KINDS:
        return None
    forms = _forms(value, "")
    plain = forms.pop("text/plain", None)
    if forms:
        _send({"of": "return_value", **forms})
    if plain is None and (plain := table(value)) is None and _has_no_text(value):
        plain = _readable(forms)
    return plain


def _forms(value: object, form: str) -> dict[str, str]:
    """Ask a value for its forms. Whatever it does instead of answering, nothing comes of it."""
    try:
        kinds = _kinds(value)
        if "matplotlib.figure.FigureBase" in kinds and hasattr(value, "savefig"):
            return _figure_forms(value, form)
        if "PIL.Image.Image" in kinds:
            from vitrine import pictures

            return pictures.of_image(value)
        return _texts(_ask(value))
    except Exception:  # the value's own fault, or no memory: its text may do
        return {}


def _kinds(value: object) -> list[str]:
    return [f"{kind.__module__}.{kind.__qualname__}" for kind in type(value).__mro__]


def _figure_forms(figure: object, form: str) -> dict[str, str]:
    from vitrine import pictures

    try:
        return pictures.of_figure(figure, form)
    except Exception as error:
        text = f"A figure could not be drawn: {type(error).__name__}: {error}\n"
        streams.complain(text)
        return {}


def _ask(value: object) -> dict[str, object]:
    """Collect what the methods of rich display give."""
    found: dict[str, object] = {}
    if callable(getattr(type(value), "_repr_mimebundle_", None)):
        try:
            asked = value._repr_mimebundle_()
            asked = asked[0] if isinstance(asked, tuple) else asked
            found.update(asked or {})
        except Exception:  # other forms may do
            found.clear()
    for method, kind in _METHODS:
        if kind in found or not callable(getattr(type(value), method, None)):
            continue
        try:
            asked = getattr(value, method)()
        except Exception:
            continue
        found[kind] = asked[0] if isinstance(asked, tuple) and asked else asked
    return found


def _texts(found: dict[str, object]) -> dict[str, str]:
    """Give forms as texts: bytes as base64, JSON written out, pictures no larger than wanted."""
    texts = {}
    for kind, form in list(found.items())[:_KINDS_MAX]:
        if not isinstance(kind, str) or len(kind) > _KIND_CHARS_MAX or "/" not in kind:
            continue
        if kind in ("image/png", "image/jpeg", "image/webp", "image/gif"):
            texts.update(_picture(kind, form))
        elif isinstance(form, str):
            texts[kind] = form
        elif isinstance(form, (bytes, bytearray)):
            texts[kind] = b2a_base64(form, newline=False).decode()
        elif kind.endswith("json") and form is not None:
            from vitrine import values

            text, note = values.encode(form, _JSON_BYTES_MAX)
            if text is not None and not note:
                texts[kind] = text.decode()
    return texts


def _picture(kind: str, form: object) -> dict[str, str]:
    if not isinstance(form, (bytes, bytearray, str)) or not form:
        return {}
    if isinstance(form, str):
        form = "".join(form.split())
    from vitrine import pictures

    try:
        return pictures.fit(form, kind)
    except Exception:  # no base64: the host says so
        return {kind: form} if isinstance(form, str) else {}


def _plain(value: object, forms: dict[str, str]) -> str:
    """Give the text of a value; what can be read, where its repr only names it."""
    text = table(value)
    if text is None and _has_no_text(value):
        text = _readable(forms)
    return repr(value) if text is None else text


def _has_no_text(value: object) -> bool:
    """Whether its repr names a value and no more."""
    try:
        kind = type(value)
        return kind.__repr__ is object.__repr__ or kind.__module__ == "IPython.core.display"
    except Exception:  # a hostile metaclass
        return False


def _readable(forms: dict[str, str]) -> str | None:
    for kind in _READABLE:
        if kind in forms:
            return forms[kind]
    return None


def table(value: object) -> str | None:
    """Write a frame of pandas with all its columns side by side; None for any other value.

    What the program has set holds: only where it has set nothing, pandas would break lines for a
    terminal.
    """
    if "pandas" not in sys.modules:
        return None
    try:
        pandas = sys.modules["pandas"]
        if not isinstance(value, pandas.DataFrame):
            return None
        option = pandas.get_option
        width = option("display.width")
        text = value.to_string(
            max_rows=option("display.max_rows"),
            min_rows=option("display.min_rows"),
            max_cols=option("display.max_columns") or _COLUMNS_MAX,
            max_colwidth=option("display.max_colwidth"),
            line_width=width if width != 80 else None,
            show_dimensions=option("display.show_dimensions"),
        )
        return text if isinstance(text, str) else None
    except Exception:  # of another version, or a subclass with ideas of its own
        return None


def _cut(text: str) -> str:
    return text if len(text) <= _PLAIN_CHARS_MAX else text[:_PLAIN_CHARS_MAX] + " [...]"


def _send(bundle: dict[str, str]) -> bool:
    if "image/png" in bundle and environ.get("VITRINE_GRAPHICS") == "sixel":
        from vitrine import sixel  # at a prompt on such a terminal alone

        if drawn := sixel.of_png(bundle["image/png"]):
            bundle = {"image/sixel": drawn, **bundle}
    data = _encode(bundle)
    streams.flush()
    try:
        return _write(wire.DISPLAY_FD, data) == len(data)
    except OSError:  # beyond the limit, which the host reports
        return False


def _encode(texts: dict[str, str]) -> bytes:
    """Write a bundle as a JSON object; forms for which there is no room are left out."""
    parts = []
    room = _BUNDLE_BYTES_MAX - 2
    for kind, text in texts.items():
        if len(text) >= room:
            continue
        part = _json(kind) + b":" + _json(text)
        if len(part) < room:
            parts.append(part)
            room -= len(part) + 1
    return b"{" + b",".join(parts) + b"}"


def _json(text: str) -> bytes:
    return _quote(text).encode("utf-8", "replace")
