"""What ``display(value, ...)`` shows: for each value a bundle of texts and pictures by MIME type.

The methods are those of Jupyter's rich display, so what libraries have for notebooks works here.
The host counts the bundles and drops those beyond its limit; a bundle is bounded here, because a
write that is too large shows nothing at all.
"""

from _json import encode_basestring as _quote
from binascii import b2a_base64
from posix import write as _write

from vitrine import BUILTINS, streams, wire

__builtins__ = BUILTINS

_BUNDLE_BYTES_MAX = 3 << 20  # LIMIT_DISPLAY_ITEM_BYTES_MAX of the host
_PLAIN_CHARS_MAX = 1 << 16
_KINDS_MAX = 32
_KIND_CHARS_MAX = 127

_METHODS = (
    ("_repr_html_", "text/html"),
    ("_repr_markdown_", "text/markdown"),
    ("_repr_latex_", "text/latex"),
    ("_repr_svg_", "image/svg+xml"),
    ("_repr_png_", "image/png"),
    ("_repr_jpeg_", "image/jpeg"),
)


def show(values: tuple[object, ...]) -> None:
    """Show each value, behind what the program has written so far."""
    for value in values:
        bundle = _encode(_bundle(value))
        streams.flush()
        try:
            _write(wire.DISPLAY_FD, bundle)
        except OSError:  # beyond the limit, which the host reports
            return


def _bundle(value: object) -> dict[str, str]:
    """Ask a value for its forms; plain text is always one of them, and the first."""
    found: dict[str, object] = {}
    if callable(getattr(type(value), "_repr_mimebundle_", None)):
        try:
            asked = value._repr_mimebundle_()
            asked = asked[0] if isinstance(asked, tuple) else asked
            found.update(asked or {})
        except Exception:  # the value's own fault: other forms may do
            found.clear()
    for method, kind in _METHODS:
        if kind in found or not callable(getattr(type(value), method, None)):
            continue
        try:
            asked = getattr(value, method)()
        except Exception:
            continue
        found[kind] = asked[0] if isinstance(asked, tuple) and asked else asked
    plain = found.pop("text/plain", None)
    texts = {"text/plain": plain if isinstance(plain, str) else repr(value)}
    for kind, form in list(found.items())[:_KINDS_MAX]:
        if isinstance(form, (bytes, bytearray)):
            form = b2a_base64(form, newline=False).decode()
        if isinstance(kind, str) and isinstance(form, str) and len(kind) <= _KIND_CHARS_MAX:
            texts[kind] = form
    return texts


def _encode(texts: dict[str, str]) -> bytes:
    """Write a bundle as a JSON object; forms for which there is no room are left out."""
    plain = texts.pop("text/plain")
    if len(plain) > _PLAIN_CHARS_MAX:
        plain = plain[:_PLAIN_CHARS_MAX] + " [...]"
    parts = [b'{"text/plain":' + _json(plain)]
    room = _BUNDLE_BYTES_MAX - len(parts[0]) - 1
    for kind, text in texts.items():
        if len(text) >= room:
            continue
        part = b"," + _json(kind) + b":" + _json(text)
        if len(part) <= room:
            parts.append(part)
            room -= len(part)
    return b"".join(parts) + b"}"


def _json(text: str) -> bytes:
    return _quote(text).encode("utf-8", "replace")
