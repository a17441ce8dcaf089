"""From the API's values to ours: JSON decoding, plain field paths, stamps and ids.

Everything here is pure and hot (once or more per record). What a description may say is in spec.py; the meaning of
money and quantities belongs to the transforms.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from analytics_pipeline.decoding.expressions import PARENT, Holders, LookUp, compile_expression
from analytics_pipeline.decoding.tolerant import decode_tolerantly, unescaped

Decoded = TypeVar("Decoded")

_PLAIN_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*")
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_JSON_NAMES = {bool: "true or false", list: "a list", dict: "an object"}
"""What people call a value of JSON; any other one that is no text is a number."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR, _LAST_YEAR = 1900, 2999
_LONGEST_DAY = len("2026-01-31")
_UTC_IN_WORDS = (" UTC", " GMT", "z")
LONGEST_ID = 1_000
"""Bytes of an id in UTF-8: two of them have to fit a row of an index, which holds 2,704."""

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def decode(payload: bytes | str) -> object:
    """Decodes a record into plain Python values, JSON floats into Decimals with exactly their digits.

    A record that was kept escaped is read as what it was. What the strict reader refuses is read tolerantly, with
    `tolerant.Unreadable` for values that are none.

    Raises:
        ValueError: The text has no outline of JSON either.
    """
    body = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else payload
    try:
        document = decode_with(_decode, body)
    except (ValueError, ArithmeticError, RecursionError):
        return decode_tolerantly(body)
    original = unescaped(document)
    return document if original is None else decode_tolerantly(original)


def is_same_record(one: str, other: str, volatile: Sequence[str] = ()) -> bool:
    """Whether two payloads say the same, however they are written, but for some fields; see `without`."""
    if one == other:
        return True
    try:
        return without(decode(one), volatile) == without(decode(other), volatile)
    except (ValueError, RecursionError):  # no JSON, or nested beyond what can be compared: only the same text is
        return False


def without(document: object, fields: Sequence[str]) -> object:
    """Take fields out of a decoded record (`stock`, `lines[].stock`), in place, and return it."""
    for field in fields:
        *above, last = field.split(".")
        holders = [document]
        for name in above:
            found = [holder.get(name.removesuffix("[]")) for holder in holders if isinstance(holder, dict)]
            holders = [one for each in found for one in (each if isinstance(each, list) else [each])]
        for holder in holders:
            if isinstance(holder, dict):
                holder.pop(last.removesuffix("[]"), None)
    return document


def decode_with(decoder: Callable[[bytes], Decoded], body: bytes) -> Decoded:
    r"""Calls a msgspec decoder, mending two faults of real shops' JSON that readers in other languages accept.

    A byte order mark is skipped. Half of a surrogate pair (`\ud83d` alone: a text cut in the middle of an emoji),
    which is no character and cannot be stored, becomes U+FFFD.

    Raises:
        ValueError: As the decoder.
    """
    try:
        return decoder(body)
    except msgspec.ValidationError:
        raise
    except ValueError:
        whole = mended(body)
        if whole == body:
            raise
    return decoder(whole)


def mended(body: bytes) -> bytes:
    """The body without a byte order mark, and with U+FFFD for each half of a surrogate pair."""
    return _ESCAPE.sub(_whole_characters, body.removeprefix(_BYTE_ORDER_MARK))


def _whole_characters(escape: re.Match[bytes]) -> bytes:
    return b"\\ufffd" if _LONE_SURROGATE.fullmatch(escape[0]) else escape[0]


def is_plain_path(expression: str) -> bool:
    """Whether the expression is a dotted path of names (`a` or `a.b.c`), which needs no JMESPath."""
    return _PLAIN_PATH.fullmatch(expression) is not None


def compile_path(expression: str, levels: int = 0) -> LookUp:
    """Compiles a path into a function from a decoded value to the value at the path, None where there is none.

    Plain dotted paths become direct look-ups; anything else is an expression.

    Args:
        expression: As it is written.
        levels: How many records hold what it is looked up in: 1 for a line, 2 for the line of a refund. With one and
            more, a path that begins with `parent` is looked up in the record that holds the list.

    Raises:
        ValueError: The expression is none. The function raises it when a part of an expression is given a value that it
            does not take.
    """
    if not is_plain_path(expression):
        return compile_expression(expression, levels)
    names = expression.split(".")
    level = 0
    while level < min(levels, len(names)) and names[level] == PARENT:
        level += 1
    return _in_holder(level, _compile_plain(names[level:])) if level else _compile_plain(names)


class ColumnReader(Protocol):
    """From many decoded values, and those that hold each, to the list of what a path finds in each."""

    def __call__(self, values: Sequence[Any], holders: Sequence[Holders] | None = None, /) -> list[object]:
        """Return what is found; raises ValueError as a look-up does, when it does so for any of the values."""


def column_reader(expression: str, levels: int = 0) -> ColumnReader:
    """Compiles a path into a function from many decoded values to the list of what it finds in each.

    Raises:
        ValueError: As `compile_path`.
    """
    look_up = compile_path(expression, levels)
    if not is_plain_path(expression) or "." in expression or (levels and expression == PARENT):

        def look_up_all(values: Sequence[object], holders: Sequence[Holders] | None = None) -> list[object]:
            if holders is None:
                return [look_up(value) for value in values]
            return [look_up(value, above) for value, above in zip(values, holders, strict=True)]

        return look_up_all

    def read(values: Sequence[Any], _holders: Sequence[Holders] | None = None) -> list[object]:
        try:
            return [value.get(expression) for value in values]
        except AttributeError:  # one of them is no object
            return [look_up(value) for value in values]

    return read


def reads_parent(expression: str) -> bool:
    """Whether an expression may look at the record that holds the list, so that it has to be given it."""
    return PARENT in expression


def _in_holder(level: int, look_up: LookUp) -> LookUp:
    return lambda _, holders=(): look_up(holders[level - 1])


def _compile_plain(names: Sequence[str]) -> LookUp:
    if len(names) == 1:
        name = names[0]
        return lambda value, _=(): value.get(name) if isinstance(value, dict) else None

    def look_up(value: object, _holders: Holders = ()) -> object:
        for step in names:
            if not isinstance(value, dict):
                return None
            value = value.get(step)
        return value

    return look_up


class StampStyle(Protocol):
    """How stamps are written, and what one without offset means: `shop.protocol.Times`."""

    @property
    def format(self) -> str:
        """`iso8601`, `rfc2822` or `unix_seconds`."""

    @property
    def without_offset(self) -> str:
        """`utc` or `local`."""


def parse_stamp(value: object, times: StampStyle, zone: ZoneInfo) -> datetime:
    """Reads a stamp of the shop as an aware UTC datetime.

    A local stamp without offset in autumn's repeated hour is the first of the two; one in spring's skipped hour is
    read with the offset before the gap. A day without a time lies on that day of the zone in any case.

    Args:
        value: Text for `iso8601` and `rfc2822`; a number or its digits for `unix_seconds`.
        times: How the shop writes stamps.
        zone: The shop's zone, for stamps without offset when they are local.

    Raises:
        ValueError: The value is no such stamp, or its year is before 1900 or after 2999; the message does not
        repeat it.
    """
    if times.format == "iso8601":
        stamp = _iso_stamp(value)
    elif times.format == "rfc2822":
        stamp = _mail_stamp(value)
    else:
        stamp = _unix_stamp(value)
    if stamp.tzinfo is None:
        day, is_local = stamp.date(), times.without_offset == "local"
        stamp = stamp.replace(tzinfo=zone if is_local else UTC)
        if not is_local and len(str(value)) <= _LONGEST_DAY and stamp.astimezone(zone).date() != day:
            stamp = stamp.replace(tzinfo=zone)
    if not _FIRST_YEAR <= stamp.year <= _LAST_YEAR:
        raise ValueError(f"its year {stamp.year} lies outside {_FIRST_YEAR} to {_LAST_YEAR}")
    return stamp.astimezone(UTC)


def _iso_stamp(value: object) -> datetime:
    if not isinstance(value, str):
        found = "there is none" if value is None else f"this is {_JSON_NAMES.get(type(value), 'a number')}"
        raise ValueError(f"an ISO 8601 stamp is text, and {found}")  # noqa: TRY004  # documented ValueError
    try:
        if value.endswith(_UTC_IN_WORDS):  # as Ruby writes it, and a z that RFC 3339 allows to be small
            value = value.rstrip("zUTCGM ") + "Z"
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("it is no ISO 8601 stamp such as 2026-01-31T08:15:00Z") from None


def _mail_stamp(value: object) -> datetime:
    try:
        return parsedate_to_datetime(value if isinstance(value, str) else "")
    except (IndexError, OverflowError, TypeError, ValueError):
        raise ValueError("it is no RFC 2822 stamp such as Sat, 31 Jan 2026 08:15:00 +0000") from None


def _unix_stamp(value: object) -> datetime:
    is_number = isinstance(value, int | Decimal | str) and not isinstance(value, bool)
    try:
        return _EPOCH + timedelta(microseconds=int(Decimal(str(value) if is_number else "") * 1_000_000))
    except (ArithmeticError, ValueError):
        raise ValueError("it is no number of seconds since 1970 such as 1769847300") from None


def id_text(value: object) -> str:
    """Reads an id of the shop as text.

    Raises:
        ValueError: It is none; the message is the reason, and does not repeat the value.
    """
    if value is None:
        raise ValueError("missing")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError("neither text nor a whole number")  # noqa: TRY004  # a fault of the record
    text = str(value)
    if not text.strip() or "\x00" in text:
        raise ValueError("empty, or with a zero character in it")
    if is_too_long(text):
        raise ValueError(f"longer than {LONGEST_ID} bytes")
    return text


def is_too_long(text: str) -> bool:
    """Whether a text is longer than an id may be."""
    return len(text) * 4 > LONGEST_ID and len(text.encode("utf-8", "replace")) > LONGEST_ID
