"""What orders are described by beside their money: channel, tags and the like, and a description's own extra fields.

No figure is made of these, so that a value that cannot be read becomes null and is reported; its order stays clean.
"""

import json
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

import pandas as pd

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.mapping import column_reader, compile_path, parse_stamp
from analytics_pipeline.profile.fields import kind_of
from analytics_pipeline.shop.fields import DESCRIPTIVE_LISTS, DESCRIPTIVE_TEXTS, EXTRA_PREFIX
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.own_fields import EXTRA_TYPES
from analytics_pipeline.tables.shape import TEXT
from analytics_pipeline.transforms.amounts import OwnedAmounts
from analytics_pipeline.transforms.records import without_nothing
from analytics_pipeline.transforms.typed import TypedColumns
from analytics_pipeline.transforms.values import arrow_series, means_nothing, repeated

_DECIMALS = Decimal("1e-9")
_NUMBER_LIMIT = Decimal("1e29")


def described(
    documents: Sequence[object], order_ids: Sequence[str], amounts: OwnedAmounts
) -> tuple[dict[str, pd.Series], list[str]]:
    """Return the columns of clean orders, and what could not be read.

    Args:
        documents: The orders' decoded records.
        order_ids: Their ids.
        amounts: Reads their amounts.

    Returns:
        One column per descriptive field, null throughout where it is not mapped, and per extra field; id, field, reason
        and kind of each value that became null, never the value.
    """
    shop = amounts.amounts.shop
    fields, extra, count = shop.orders.fields, shop.orders.extra, len(documents)
    unreadable: list[str] = []

    def note(place: int, reason: str, field: str, value: object) -> None:
        unreadable.append(
            f"{order_ids[place]}: {field}: {reason}" + ("" if value is None else f", but {kind_of(value)}")
        )

    paths = {name: getattr(fields, name) for name in (*DESCRIPTIVE_TEXTS, *DESCRIPTIVE_LISTS)}
    paths |= {f"{EXTRA_PREFIX}{name}": one.path for name, one in extra.items()}
    nothing = shop.orders.stands_for_nothing()
    columns = {
        name: without_nothing(_found(documents, path, name, note), nothing.get(name, frozenset()))
        for name, path in paths.items()
        if path is not None
    }
    typed = TypedColumns(columns, amounts, note)
    nothing_listed = repeated(None, count, TEXT)
    read: dict[str, pd.Series] = {
        name: typed.texts(name) if name in columns else nothing_listed for name in DESCRIPTIVE_TEXTS
    }
    for name in DESCRIPTIVE_LISTS:
        read[name] = _lists(columns[name], name, note) if name in columns else nothing_listed
    for name, one in extra.items():
        read[f"{EXTRA_PREFIX}{name}"] = _extra(typed, f"{EXTRA_PREFIX}{name}", one.type, shop, note)
    return read, unreadable


Note = Callable[[int, str, str, object], None]


def _found(documents: Sequence[object], path: str, name: str, note: Note) -> list[object]:
    """Return what a path finds in each record, None where it cannot be looked up."""
    try:
        return column_reader(path)(documents)
    except ValueError:
        look_up = compile_path(path)
    found: list[object] = []
    for place, document in enumerate(documents):
        try:
            found.append(look_up(document))
        except ValueError:
            note(place, "its path cannot be looked up", name, None)
            found.append(None)
    return found


def _lists(values: Sequence[object], name: str, note: Note) -> pd.Series:
    """Return lists of texts as JSON, given as such or as one text with commas; what is empty is no list."""
    read: list[str | None] = []
    for place, value in enumerate(values):
        entries = value.split(",") if isinstance(value, str) else value
        if means_nothing(value) or entries == []:
            read.append(None)
        elif isinstance(entries, list) and all(_is_text(entry) for entry in entries):
            texts = [str(entry).strip().replace("\x00", "\ufffd") for entry in entries if entry is not None]
            read.append(json.dumps([text for text in texts if text], ensure_ascii=False))
        else:
            note(place, "neither a list of texts nor a text", name, value)
            read.append(None)
    return arrow_series(read, TEXT)


def _is_text(value: object) -> bool:
    return value is None or (isinstance(value, str | int | Decimal) and not isinstance(value, bool))


def _extra(typed: TypedColumns, name: str, kind: str, shop: Shop, note: Note) -> pd.Series:
    readers = {
        "text": typed.texts,
        "money": typed.money,
        "count": typed.counts,
        "flag": typed.flags,
        "stamp": typed.stamps,
    }
    if kind in readers:
        return readers[kind](name)
    read = _number if kind == "number" else _day
    found: list[object] = []
    for place, value in enumerate(typed.values(name)):
        one = None if means_nothing(value) else read(value, shop)
        if one is None and not means_nothing(value):
            note(place, f"no {kind}", name, value)
        found.append(one)
    return arrow_series(found, EXTRA_TYPES[kind])


def _number(value: object, shop: Shop) -> Decimal | None:
    """Read a number of at most 29 digits before the point, rounded to nine decimals."""
    del shop
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
        return number.quantize(_DECIMALS) if abs(number) < _NUMBER_LIMIT else None
    except ArithmeticError:  # no number, or none that is finite
        return None


def _day(value: object, shop: Shop) -> date | None:
    """Read a calendar day as it is written, or the business day of a stamp."""
    try:
        if isinstance(value, str) and len(value) == len("2026-01-31"):
            return date.fromisoformat(value)
        return business_day(parse_stamp(value, shop.times, shop.zone), shop.zone)
    except ValueError:
        return None
