"""JSON that breaks the rules of JSON: cutting an answer into its records all the same, reading what can be read of one.

Only what the strict reader has refused comes here, so nothing is fast. Nothing recurses either: a record may be nested
as deeply as it likes. What `json` of Postgres cannot hold as it came is kept escaped, as text within an object.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from decimal import Decimal

import msgspec

ESCAPED, BYTES = "_escaped", "_bytes"
"""Keys of an escaped record: its text, and its bytes in base64 where the text lacks some of them."""
DEEPEST = 100
"""Levels of objects and lists that are read; what lies deeper is kept as text."""
LONGEST_INTEGER = 4_000
"""Digits; Python refuses to read longer ones, and no amount, count or id has as many."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rb"[ \t\r\n]*(" + _STRING + rb'|[\[\]{},:]|[^\s\[\]{},:"]+)', re.DOTALL)
_BRACKET = re.compile(_STRING + rb'|[\[\]{}"]', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_INTEGER = re.compile(rb"-?(?:0|[1-9]\d*)")
_FRACTION = re.compile(rb"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ESCAPE = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL
)
_SHORT = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: dict[bytes, object] = {b"null": None, b"true": True, b"false": False}
_CLOSING = {b"[": b"]", b"{": b"}"}
_HOLDS_ONE = msgspec.json.Decoder(msgspec.Raw)


class Unreadable:
    """A value that JSON does not know (NaN, say), a number beyond all measure, or what is nested too deeply."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unreadable) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def decode_tolerantly(text: bytes) -> object:
    """Decode a record into plain values; a value that none can be made of becomes `Unreadable`.

    Taken as meant: bytes that are no UTF-8 (as U+FFFD), control characters and unknown escapes within texts, a comma
    before a closing bracket.

    Raises:
        ValueError: Brackets, commas or colons are not where they belong; the message gives the byte, and no content.
    """
    value, end = _value(text, 0)
    _expect_end(text, end)
    return value


def cut_list(body: bytes, path: tuple[str, ...]) -> tuple[list[bytes], bytes] | None:
    """Cut the list at a path out of an answer, whatever its elements look like within their brackets.

    Returns:
        The texts of the list's elements, and the answer with an empty list in their place; None without a list there.

    Raises:
        ValueError: The answer has no whole outline; the message gives the byte, and no content.
    """
    start = _SPACE.match(body).end()  # type: ignore[union-attr]  # it matches nothing as well
    end = _span(body, start)
    _expect_end(body, end)
    for name in path:
        found = (
            [place for key, *place in _members(body, start) if key == name] if body[start : start + 1] == b"{" else []
        )
        if not found:
            return None
        start, end = found[-1]
    if body[start : start + 1] != b"[":
        return None
    return list(_elements(body, start)), body[:start] + b"[]" + body[end:]


def storable(record: bytes) -> tuple[bytes, bool]:
    """Return a record as Postgres' `json` can hold it, and whether it had to be escaped for that."""
    try:
        _HOLDS_ONE.decode(record)
        record.decode()
    except (ValueError, RecursionError):
        return _escaped(record), True
    # A record that looks like an escaped one would be taken for one.
    is_misleading = record.lstrip().startswith(b"{") and f'"{ESCAPED}"'.encode() in record
    return (_escaped(record), True) if is_misleading else (record, False)


def unescaped(document: object) -> bytes | None:
    """Return the text of a record that was kept escaped, None of any other one."""
    if type(document) is dict and ESCAPED in document and document.keys() <= {ESCAPED, BYTES}:
        text = document[ESCAPED]
        return text.encode() if isinstance(text, str) else None
    return None


def _escaped(record: bytes) -> bytes:
    text = record.decode("utf-8", "replace").replace("\x00", "\ufffd")
    kept = {ESCAPED: text}
    if text.encode() != record:
        kept[BYTES] = b64encode(record).decode()
    return msgspec.json.encode(kept)


def _value(text: bytes, start: int) -> tuple[object, int]:
    """The value that begins at a place, and where it ends."""
    open_values: list[tuple[object, str | None]] = []  # what encloses the current value, and the key that it gets there
    place = start
    while True:
        token, begin, place = _token(text, place)
        if token in {b"[", b"{"} and len(open_values) < DEEPEST:
            holder: object = [] if token == b"[" else {}
            key, place, is_empty = _first(text, place, token)
            if not is_empty:
                open_values.append((holder, key))
                continue
            value = holder
        elif token in {b"[", b"{"}:
            place = _span(text, begin)
            value = Unreadable(text[begin:place].decode("utf-8", "replace"))
        else:
            value = _single(token, begin)
        while open_values:
            holder, key = open_values.pop()
            closing = _put(holder, key, value)
            following, key, place = _after(text, place, closing)
            if following:
                open_values.append((holder, key))
                break
            value = holder
        else:
            return value, place


def _put(holder: object, key: str | None, value: object) -> bytes:
    """Put a value into what encloses it; returns the bracket that ends that."""
    if isinstance(holder, dict):
        holder[key] = value
        return b"}"
    if isinstance(holder, list):
        holder.append(value)
    return b"]"


def _first(text: bytes, place: int, opening: bytes) -> tuple[str | None, int, bool]:
    """The key of an object's first value (none in a list), where that begins, and whether there is nothing at all."""
    token, _, end = _token(text, place)
    if token == _CLOSING[opening]:
        return None, end, True
    if opening == b"[":
        return None, place, False
    return *_key(text, place), False


def _after(text: bytes, place: int, closing: bytes) -> tuple[bool, str | None, int]:
    """Whether another value follows in a list or object, with its key, and where it begins or the bracket ends."""
    token, begin, place = _token(text, place)
    if token == b",":
        following, _, end = _token(text, place)
        if following == closing:  # a comma too many
            return False, None, end
        return (True, *_key(text, place)) if closing == b"}" else (True, None, place)
    if token != closing:
        raise _fault(begin)
    return False, None, place


def _key(text: bytes, place: int) -> tuple[str, int]:
    token, begin, place = _token(text, place)
    colon, at, end = _token(text, place)
    if not token.startswith(b'"'):
        raise _fault(begin)
    if colon != b":":
        raise _fault(at)
    return _text(token), end


def _single(token: bytes, begin: int) -> object:
    """A text, a number, true, false, null, or a word that JSON does not know."""
    if token.startswith(b'"'):
        return _text(token)
    if token in b"]},:":
        raise _fault(begin)
    if token in _WORDS:
        return _WORDS[token]
    if _INTEGER.fullmatch(token) and len(token) <= LONGEST_INTEGER:
        return int(token)
    try:
        if _FRACTION.fullmatch(token) and not _INTEGER.fullmatch(token):
            return Decimal(token.decode())
    except ArithmeticError:  # its exponent lies beyond all measure
        pass
    return Unreadable(token.decode("utf-8", "replace"))


def _text(token: bytes) -> str:
    return _ESCAPE.sub(_character, token[1:-1].decode("utf-8", "replace"))


def _character(escape: re.Match[str]) -> str:
    high, low, code, short = escape.groups()
    if high:
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    if code:
        character = chr(int(code, 16))
        return "\ufffd" if "\ud800" <= character <= "\udfff" else character
    return _SHORT.get(short, escape[0])


def _token(text: bytes, place: int) -> tuple[bytes, int, int]:
    """The token at a place, where it begins and where it ends."""
    found = _TOKEN.match(text, place)
    if found is None:
        raise _fault(place)
    return found[1], found.start(1), found.end(1)


def _span(text: bytes, start: int) -> int:
    """Where the value that begins at a place ends, by its brackets alone."""
    token, _, end = _token(text, start)
    if token not in _CLOSING:
        if token in b"]},:":
            raise _fault(start)
        return end
    awaited: list[bytes] = []
    for found in _BRACKET.finditer(text, start):
        bracket = found[0]
        if bracket in _CLOSING:
            awaited.append(_CLOSING[bracket])
        elif len(bracket) == 1 and awaited.pop() != bracket:
            raise _fault(found.start())
        if not awaited:
            return found.end()
    raise _fault(len(text))


def _members(text: bytes, start: int) -> Iterator[tuple[str, int, int]]:
    """Key, begin and end of each value of the object that begins at a place."""
    key, place, is_empty = _first(text, start + 1, b"{")
    while not is_empty and key is not None:
        _, begin, _ = _token(text, place)
        end = _span(text, begin)
        yield key, begin, end
        follows, key, place = _after(text, end, b"}")
        is_empty = not follows


def _elements(text: bytes, start: int) -> Iterator[bytes]:
    """The text of each value of the list that begins at a place."""
    _, place, is_empty = _first(text, start + 1, b"[")
    while not is_empty:
        _, begin, _ = _token(text, place)
        end = _span(text, begin)
        yield text[begin:end]
        follows, _, place = _after(text, end, b"]")
        is_empty = not follows


def _expect_end(text: bytes, place: int) -> None:
    if _SPACE.fullmatch(text, place) is None:
        raise _fault(place)


def _fault(place: int) -> ValueError:
    return ValueError(f"JSON is malformed (byte {place})")
