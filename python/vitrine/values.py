"""A return value as JSON: bounded in size and depth, valid whatever the value does.

The forms are those of ``pydantic_core.to_json`` where that has one, so that clients of
mcp-run-python see no difference; what it refuses becomes the value's ``repr``. A note says when
the JSON is not the whole value.
"""

from _json import encode_basestring as _quote

from vitrine import BUILTINS

__builtins__ = BUILTINS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_DEPTH_MAX = 200
_CHUNK_ITEMS = 4096
_PLAIN_TEXT_MAX = 4096  # characters of a text that is worth encoding together with others
_ITEM_BYTES_MIN = 2  # the shortest item of an array, and its comma
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1
_MARK = '"…"'  # stands where something was left out
_MARK_BYTES = 16  # what it takes in an array or object
_UTF8_BYTES_MAX = 4


def encode(value: object, bytes_max: int) -> tuple[bytes | None, str]:
    """Encode a value: its JSON, or None when not even a part fits; and a note or \"\"."""
    encoder = _Encoder(bytes_max)
    try:
        encoder.put(value, 0)
        return encoder.finish()
    except Exception:  # no memory left, or a value hostile beyond expectation
        encoder = None
        text = _quote_clean(_unprintable(value)).encode()
        return (text, "repr") if len(text) <= bytes_max else (None, "truncated")


class _Encoder:
    """Collects pieces of JSON text while there is room for them.

    A ``put`` method appends one whole JSON value, perhaps of a part of what it was given, and
    returns True; or appends nothing, and returns False. Once something did not fit, ``full``
    makes all open containers close. Room for closing brackets and for one mark is set aside.
    """

    def __init__(self, bytes_max: int) -> None:
        self.depth_max = min(_DEPTH_MAX, bytes_max // 8)
        self.left = bytes_max - _MARK_BYTES
        self.pieces: list[str] = []
        self.path: set[int] = set()  # ids of the containers that we are inside of
        self.full = False
        self.marked = False
        self.truncated = False
        self.used_repr = False

    def finish(self) -> tuple[bytes | None, str]:
        if not self.pieces:
            return None, "truncated"
        note = "truncated" if self.truncated else "repr" if self.used_repr else ""
        return "".join(self.pieces).encode(), note

    def add(self, piece: str) -> bool:
        """Append a piece if there is room; otherwise nothing fits any more."""
        size = len(piece) if piece.isascii() else len(piece.encode())
        if size > self.left:
            self.full = self.truncated = True
            return False
        self.left -= size
        self.pieces.append(piece)
        return True

    def open(self, bracket: str) -> bool:
        """Append an opening bracket, and set room for the closing one aside."""
        self.left -= 1
        if self.left > 0 and self.add(bracket):
            return True
        self.left += 1
        self.full = self.truncated = True
        return False

    def put(self, value: object, depth: int) -> bool:
        """Append any value."""
        kind = type(value)
        if kind is str:
            return self.put_text(value)
        if kind is int:
            return self.put_int(value)
        if kind is float:
            return self.add(_float_text(value))
        if value is None:
            return self.add("null")
        if kind is bool:
            return self.add("true" if value else "false")
        if depth >= self.depth_max:
            self.truncated = True
            return self.add(_MARK)
        if id(value) in self.path:
            self.truncated = True
            return self.add('"{...}"' if kind is dict else '"[...]"')
        self.path.add(id(value))
        if kind is list or kind is tuple:
            done = self.put_items(value, depth)
        elif kind is dict:
            done = self.put_members(value, depth)
        else:
            done = self.put_other(value, depth)
        self.path.discard(id(value))
        return done

    def put_text(self, text: str) -> bool:
        """Append a text, or as much of it as there is room for."""
        if len(text) <= self.left:
            quoted = _quote_clean(text)
            if len(quoted) * _UTF8_BYTES_MAX <= self.left or len(quoted.encode()) <= self.left:
                return self.add(quoted)
        self.full = self.truncated = True
        room = self.left
        while room > 0:
            quoted = f'{_quote_clean(text[:room])[:-1]}…"'
            size = len(quoted.encode())
            if size <= self.left:
                self.marked = True
                return self.add(quoted)
            room = min(room - 1, room * self.left // size)
        return False

    def put_int(self, value: int) -> bool:
        if _INT_MIN <= value <= _INT_MAX:
            return self.add(int.__repr__(value))
        # Readers of JSON refuse or round such a number, so it goes as text. Python itself
        # refuses to write very long ones in decimal.
        self.used_repr = True
        try:
            text = int.__repr__(value)
        except ValueError:
            text = hex(value)
        return self.put_text(text)

    def put_items(self, items: "list | tuple", depth: int) -> bool:
        """Append an array; plain items of one kind go by the chunk."""
        if not self.open("["):
            return False
        kinds = set(map(type, items))
        join = _JOIN.get(kinds.pop(), _join_mixed) if len(kinds) == 1 else _join_mixed
        at = 0
        slow_until = 0  # up to here something needs a look of its own, or not everything fits
        while at < len(items) and not self.full:
            if at > 0 and not self.add(","):
                break
            if at >= slow_until:
                if self.put_chunk(join, items[at : at + _CHUNK_ITEMS]):
                    at += _CHUNK_ITEMS
                    continue
                slow_until = at + _CHUNK_ITEMS
            if not self.put(items[at], depth + 1):
                if at > 0:
                    self.pieces.pop()
                break
            at += 1
        if at < len(items) and not self.marked:
            self.marked = True
            self.pieces.append(f",{_MARK}" if at > 0 else _MARK)
        self.pieces.append("]")
        return True

    def put_chunk(self, join: "Callable[[list | tuple], str | None]", chunk: list | tuple) -> bool:
        """Append plain items without a look at each; False when that is not possible."""
        text = join(chunk)
        return text is not None and self.add_if_fits(text)

    def add_if_fits(self, text: str) -> bool:
        """Append a text made of many, unless it needs cleaning or cutting after all."""
        try:
            size = len(text) if text.isascii() else len(text.encode())
        except UnicodeEncodeError:
            return False
        if size > self.left:
            return False
        self.left -= size
        self.pieces.append(text)
        return True

    def put_members(self, value: dict, depth: int) -> bool:
        """Append an object. Keys are made text; of two that are then equal the last one wins."""
        if not self.open("{"):
            return False
        if len(value) <= _CHUNK_ITEMS and self.add_if_fits_members(value):
            self.pieces.append("}")
            return True
        members = value if _has_plain_keys(value) else self.with_text_keys(value)
        comma = ""
        done = 0
        for key, item in members.items():
            if self.full or not self.add(f"{comma}{_quote(key)}:"):
                break
            if not self.put(item, depth + 1):
                self.pieces.pop()
                break
            comma = ","
            done += 1
        if done < len(members) and not self.marked and "…" not in members:
            self.marked = True
            self.pieces.append(f"{comma}{_MARK}:{_MARK}")
        self.pieces.append("}")
        return True

    def add_if_fits_members(self, value: dict) -> bool:
        text = _join_members(value)
        return text is not None and self.add_if_fits(text)

    def with_text_keys(self, value: dict) -> dict[str, object]:
        room = self.left // _ITEM_BYTES_MIN
        found: dict[str, object] = {}
        for key, item in value.items():
            if len(found) > room:
                break
            found[_clean(self.key_text(key, 0))] = item
        return found

    def key_text(self, key: object, depth: int) -> str:
        kind = type(key)
        if kind is str:
            return key
        if key is None:
            return "None"
        if kind is bool:
            return "true" if key else "false"
        try:
            if kind is int or kind is float:
                return repr(key)
            if depth < self.depth_max:
                if isinstance(key, tuple):
                    return ",".join([self.key_text(item, depth + 1) for item in key])
                converted = _convert(key, 0)
                if type(converted) not in (list, dict):
                    return self.key_text(converted, depth + 1)
        except Exception:  # it has no form as a key: its repr it is
            pass
        self.used_repr = True
        return _repr(key)

    def put_other(self, value: object, depth: int) -> bool:
        """Append a value that has no form of its own in JSON."""
        try:
            converted = _convert(value, self.left // _ITEM_BYTES_MIN + 1)
        except Exception:  # there is no converter, or the value's own code failed
            self.used_repr = True
            return self.put_text(_repr(value))
        return self.put(converted, depth + 1)


def _quote_clean(text: str) -> str:
    return _quote(_clean(text))


def _clean(text: str) -> str:
    """Replace lone surrogates, which UTF-8 cannot express; pairs become the character meant."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _float_text(value: float) -> str:
    text = float.__repr__(value)
    return "null" if "n" in text else text  # nan, inf, -inf


def _has_plain_keys(value: dict) -> bool:
    """Whether all keys are texts that can be written as they are."""
    if set(map(type, value)) - {str}:
        return False
    text = "".join(value)
    try:
        return text.isascii() or text.encode() is not None
    except UnicodeEncodeError:
        return False


def _repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # hostile, or no memory for it
        return _unprintable(value)


def _unprintable(value: object) -> str:
    return f"<unprintable {type.__dict__['__name__'].__get__(type(value))} object>"


def _plain_int(value: int) -> str:
    if _INT_MIN <= value <= _INT_MAX:
        return repr(value)
    raise KeyError


def _plain_text(value: str) -> str:
    if len(value) <= _PLAIN_TEXT_MAX:
        return _quote(value)
    raise KeyError


# Plain values by their exact type; KeyError means that a closer look is needed.
_PLAIN = {
    bool: lambda value: "true" if value else "false",
    int: _plain_int,
    float: _float_text,
    str: _plain_text,
    type(None): lambda _: "null",
}


def _join_mixed(items: "list | tuple") -> str | None:
    try:
        return ",".join([_PLAIN[type(item)](item) for item in items])
    except KeyError:
        return None


def _join_members(value: dict) -> str | None:
    if set(map(type, value)) != {str}:
        return None
    try:
        return ",".join(
            [f"{_quote(key)}:{_PLAIN[type(item)](item)}" for key, item in value.items()]
        )
    except KeyError:
        return None


def _join_ints(items: "list | tuple") -> str | None:
    if min(items) < _INT_MIN or max(items) > _INT_MAX:
        return None
    return ",".join(map(repr, items))


def _join_floats(items: "list | tuple") -> str | None:
    text = ",".join(map(repr, items))
    return None if "n" in text else text  # nan, inf


def _join_texts(items: "list | tuple") -> str | None:
    return ",".join(map(_quote, items)) if max(map(len, items)) <= _PLAIN_TEXT_MAX else None


_JOIN = {int: _join_ints, float: _join_floats, str: _join_texts}


def _convert(value: object, items_max: int) -> object:
    """Turn a value into one of JSON's kinds, or something nearer to them; raise if unknown."""
    kind = type(value)
    if hasattr(kind, "__pydantic_serializer__"):
        return kind.__pydantic_serializer__.to_python(value, mode="json", by_alias=True)
    if hasattr(kind, "__dataclass_fields__"):
        return _from_dataclass(value, items_max)
    for ancestor in kind.__mro__:
        convert = _CONVERT.get(f"{ancestor.__module__}.{ancestor.__qualname__}")
        if convert is None and ancestor.__module__ == "itertools":
            convert = _from_iterable
        if convert is not None:
            return convert(value, items_max)
    raise TypeError(kind)


def _from_iterable(value: "Iterable", items_max: int) -> list:
    from itertools import islice

    return list(islice(iter(value), items_max))


def _from_mapping(value: "Mapping", items_max: int) -> dict:
    return dict(_from_iterable(value.items(), items_max))


def _from_dataclass(value: object, _items_max: int) -> dict:
    fields = type(value).__dataclass_fields__
    return {
        name: getattr(value, name)
        for name, field in fields.items()
        if field._field_type.name == "_FIELD"  # not a ClassVar, not an InitVar
    }


def _from_bytes(value: bytes | bytearray, _items_max: int) -> str:
    return value.decode()


def _from_time(value: object, _items_max: int) -> str:
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


def _from_timedelta(value: object, _items_max: int) -> str:
    """ISO 8601, with years of 365 days."""
    total_us = (value.days * 86400 + value.seconds) * 1_000_000 + value.microseconds
    minutes, us = divmod(abs(total_us), 60_000_000)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    years, days = divmod(days, 365)
    seconds = f"{us // 1_000_000}.{us % 1_000_000:06}".rstrip("0").rstrip(".")
    date = "".join([f"{n}{unit}" for n, unit in ((years, "Y"), (days, "D")) if n])
    time = "".join([f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n])
    if us or not (date or time):
        time += f"{seconds}S"
    return f"{'-' if total_us < 0 else ''}P{date}{'T' if time else ''}{time}"


def _from_array(value: object, items_max: int) -> object:
    """Convert a NumPy array: of a large one only the rows that can fit."""
    if value.ndim > 0 and value.size > items_max:
        row_items = max(1, value.size // len(value))
        value = value[: items_max // row_items + 1]
    return value.tolist()


_CONVERT = {
    "builtins.bool": lambda value, _: bool(value),
    "builtins.str": lambda value, _: str.__str__(value),
    "builtins.int": lambda value, _: int.__int__(value),
    "builtins.float": lambda value, _: float.__float__(value),
    "builtins.complex": lambda value, _: str(complex(value)).strip("()"),
    "builtins.bytes": _from_bytes,
    "builtins.bytearray": _from_bytes,
    "builtins.dict": _from_mapping,
    "builtins.mappingproxy": _from_mapping,
    "builtins.list": _from_iterable,
    "builtins.tuple": _from_iterable,
    "builtins.set": _from_iterable,
    "builtins.frozenset": _from_iterable,
    "builtins.generator": _from_iterable,
    "builtins.map": _from_iterable,
    "builtins.filter": _from_iterable,
    "builtins.zip": _from_iterable,
    "builtins.enumerate": _from_iterable,
    "builtins.reversed": _from_iterable,
    "collections.deque": _from_iterable,
    "datetime.datetime": _from_time,
    "datetime.date": _from_time,
    "datetime.time": _from_time,
    "datetime.timedelta": _from_timedelta,
    "decimal.Decimal": lambda value, _: str(value),
    "enum.Enum": lambda value, _: value.value,
    "ipaddress._BaseAddress": lambda value, _: str(value),
    "ipaddress._BaseNetwork": lambda value, _: str(value),
    "numpy.generic": lambda value, _: value.item(),
    "numpy.ndarray": _from_array,
    "pathlib.PurePath": lambda value, _: str(value),
    "pathlib._local.PurePath": lambda value, _: str(value),
    "re.Pattern": lambda value, _: value.pattern,
    "uuid.UUID": lambda value, _: str(value),
}
