"""What a file seems to be: its format, how numbers and dates are written, which column is what, and what is unsure.

A guess for the first lines of a description (`describing.py`); reading goes by the description alone. The whole file
is looked at: one date of January the 31st says more than a thousand of the first days of a month.
"""

import csv
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from analytics_pipeline.plain import counted
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files.adding_up import AMOUNTS, Sum, adding_up, orders_that_repeat
from analytics_pipeline.sources.files.finding import Found, LocalFolder
from analytics_pipeline.sources.files.opening import Content, opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.reading import read_rows
from analytics_pipeline.sources.files.roles import (
    Kind,
    Role,
    is_settlement,
    named_as,
    rivals,
    roles_of,
    statuses,
)
from analytics_pipeline.sources.files.rows import REASONS
from analytics_pipeline.sources.files.styles import (
    CURRENCIES,
    CURRENCY_SIGNS,
    NumberStyle,
    Values,
    guess_dates,
    guess_numbers,
    is_value,
    signs_of,
)

_DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_LINES, _SNIFFED_TEXT = 200, 1 << 18
_IDS = frozenset({"order_id", "customer_id", "product_id", "line_id"})
"""Roles of columns that stay texts, also where all of them are numbers."""
Doubt = tuple[str, str]
"""What is unsure: the role that it is about, or `dates`, `numbers` or nothing, and the words."""


@dataclass(frozen=True)
class Column:
    """A column of a file.

    Attributes:
        name: Its name.
        kind: What stands in it.
        empty: Rows in which it is empty.
    """

    name: str
    kind: Kind
    empty: int


@dataclass(frozen=True)
class Guess:
    """What a file seems to be.

    Attributes:
        path: The file.
        encoding: How its text is written, for people; None of Parquet and Excel.
        reading: The keys of `shop.reading.Reading` that read it.
        columns: Its columns.
        roles: Which column is what.
        rows: How many rows could be read.
        first_day: The first day in the column that is taken for the order's day.
        currency: The currency that signs or a column name.
        negative: How many rows have a quantity below zero.
        has_times: Whether the order's day has a time of day, and None of UTC or an offset.
        doubts: What is unsure.
        sum: How orders add up to their totals; None where no column is the total.
    """

    path: Path
    encoding: str | None
    reading: Mapping[str, Any]
    columns: tuple[Column, ...]
    roles: Mapping[Role, str]
    rows: int
    first_day: date | None
    currency: str | None
    negative: int
    has_times: bool
    doubts: tuple[Doubt, ...]
    sum: Sum | None = None


def guess(path: Path) -> Guess:
    """Guess what a file of this machine is.

    Raises:
        FileRefusedError: It cannot be read as a table at all; the message says why.
    """
    outer = LocalFolder(path.parent).at(path.name)
    parts = members(outer, Reading())
    doubts: list[Doubt] = []
    if len(parts) > 1:
        doubts.append(("", f"the zip holds {len(parts)} files; looked at is {parts[0].path}"))
    found = parts[0] if parts else outer
    form = _form(found, doubts)
    with opened(found, Reading.model_validate(form)) as content:
        values, rows = _values(content, doubts)
        encoding = content.encoding.name if content.encoding else None
        if content.encoding and content.encoding.doubt:
            doubts.append(("", f"the encoding is taken for {encoding}: {content.encoding.doubt}"))
        kind = content.format
    judged = _judged(path, encoding, {"format": kind, **form}, values, rows)
    return _proved(found, replace(judged, doubts=(*doubts, *judged.doubts)))


def _proved(found: Found, judged: Guess) -> Guess:
    """A guess with those amounts of orders that add up to their totals; the others are said, and not read."""
    roles, total, repeated = dict(judged.roles), None, 0
    if {"order_id", "total"} <= roles.keys() and {"unit_price", "line_total"} & roles.keys():
        with opened(found, Reading.model_validate(judged.reading)) as content:
            total = adding_up((record for chunk in read_rows(content) for record in chunk.records), roles)
    elif {"order_id", "line_total"} <= roles.keys() and "unit_price" not in roles:
        with opened(found, Reading.model_validate(judged.reading)) as content:
            rows = (record for chunk in read_rows(content) for record in chunk.records)
            repeated = orders_that_repeat(rows, roles["order_id"], roles["line_total"])
    is_proved = total is not None and total.is_proved
    proved: Collection[Role] = total.roles if total is not None and is_proved else ()
    dropped = [role for role in AMOUNTS if role in roles and role not in proved]
    columns = {**judged.reading["columns"]}
    doubts = [*judged.doubts]
    if repeated:
        words = (
            f"is the same in each row of an order (those of several rows: {repeated}): the order's would count twice"
        )
        doubts.append(("line_total", f"{roles['line_total']} {words}"))
    for role in dropped:
        name = roles.pop(role)
        columns.pop(name, None)
        doubts.append((role, f"{name} seems to be it; {_why_not_read(total, role)}"))
    if total is not None and is_proved and total.of_lines and "unit_price" in roles:
        roles["line_total"] = roles.pop("unit_price")
    return replace(
        judged,
        roles=roles,
        reading={**judged.reading, "columns": columns},
        doubts=tuple(doubts),
        sum=total if is_proved else None,
    )


def _why_not_read(total: Sum | None, role: Role) -> str:
    if total is None:
        or_rate = ", and it may be a rate" if role in {"discount", "tax"} else ""
        return f"no total of the order proves it{or_rate}: not read"
    if total.is_proved:
        return "orders add up to their total without it: not read"
    return f"in no way more than {total.matching} of {total.orders} orders add up to their total: not read"


def _form(found: Found, doubts: list[Doubt]) -> dict[str, Any]:
    """The keys that say where the table is: delimiter and header, or sheet and row."""
    with opened(found, Reading()) as content:
        if content.format in {"csv", "tsv"}:
            return _csv_form(content, doubts)
    return {}


def _csv_form(content: Content, doubts: list[Doubt]) -> dict[str, Any]:
    text = content.text()
    try:
        lines = list(islice(iter(lambda: text.readline(_SNIFFED_TEXT), ""), _SNIFFED_LINES))
    finally:
        text.detach()
    widths = {one: _width([row for row, _ in _parsed(lines, one)]) for one in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda one: (widths[one][0] > 1, widths[one][1], widths[one][0]))
    width, _ = widths[delimiter]
    if width < 2:  # noqa: PLR2004
        doubts.append(("", "only one column is seen: the delimiter is unsure"))
    row, line = _header_row(lines, delimiter, width)
    form: dict[str, Any] = {} if delimiter == "," else {"delimiter": delimiter}
    if line > 1:
        form["header_row"] = line
        doubts.append(("", f"the names of the columns are taken from line {line}"))
    if any(map(is_value, row)):
        form = {key: one for key, one in form.items() if key != "header_row"}
        form["header"] = [f"column_{number}" for number in range(1, width + 1)]
        doubts.append(("", "there is no line of names: name the columns under csv.header"))
    if delimiter == "\t":
        form.pop("delimiter")
        return {"format": "tsv"} | ({"csv": form} if form else {})
    return {"format": "csv"} | ({"csv": form} if form else {})


def _width(rows: Sequence[Sequence[str]]) -> tuple[int, float]:
    """The number of columns that most rows have, and the share of rows that have it."""
    counts = Counter(len(row) for row in rows if any(row))
    width, count = max(counts.items(), key=lambda one: (one[1], one[0]), default=(0, 0))
    return width, count / max(sum(counts.values()), 1)


def _header_row(lines: Sequence[str], delimiter: str, width: int) -> tuple[list[str], int]:
    """The first row that is as wide as most, and its line."""
    for row, line in _parsed(lines, delimiter):
        if len(row) == width and sum(bool(cell.strip()) for cell in row) * 2 > width:
            return row, line
    return [], 1


def _parsed(lines: Sequence[str], delimiter: str) -> Iterator[tuple[list[str], int]]:
    """The rows of lines and the line of each, up to one that cannot be a row."""
    reader, begin = csv.reader(lines, delimiter=delimiter), 1
    with suppress(csv.Error):
        for row in reader:
            yield row, begin
            begin = reader.line_num + 1


def _values(content: Content, doubts: list[Doubt]) -> tuple[dict[str, Values], int]:
    """The different values of each column, and the number of rows."""
    values: dict[str, Values] = {}
    reasons: Counter[str] = Counter()
    rows = 0
    for chunk in read_rows(content):
        rows += len(chunk.records)
        reasons.update(fault.reason for fault in (*chunk.faults, *chunk.excluded, *chunk.unreadable))
        for name in dict.fromkeys(name for record in chunk.records for name in record):
            seen = values.setdefault(name, Values(empty=rows - len(chunk.records)))
            seen.count([record.get(name) for record in chunk.records])
    doubts += [("", f"{counted(count, 'row')}: {REASONS[reason]}") for reason, count in sorted(reasons.items())]
    return values, rows


def _judged(
    path: Path, encoding: str | None, form: Mapping[str, Any], values: Mapping[str, Values], rows: int
) -> Guess:
    """Judge all values of all columns."""
    signs = signs_of(values.values())
    is_american = "$" in signs or "USD" in signs
    has_own_dates = form["format"] in {"parquet", "excel"}
    dates = guess_dates(values, named_as("date", values), has_own_dates=has_own_dates, is_american=is_american)
    others = {name: seen for name, seen in values.items() if name not in dates.columns}
    numbers = guess_numbers(others, signs, named_as("number", values))
    kinds: dict[str, Kind] = {
        name: "date" if name in dates.columns else "number" if name in numbers.columns else "text" for name in values
    }
    roles = roles_of(kinds, {name: seen.empty for name, seen in values.items()})
    refunded = roles.pop("refunded", None)
    cancelled = roles.get("cancelled_at")
    if cancelled is not None and kinds[cancelled] != "date" and values[cancelled].empty < rows:
        del roles["cancelled_at"]
    unread = {*_IDS, "line_total"} if "unit_price" in roles else _IDS
    typed = {name: kinds[name] for role, name in roles.items() if kinds[name] != "text" and role not in unread}
    if "cancelled_at" in roles:
        typed[roles["cancelled_at"]] = "date"  # also where none of these orders was cancelled
    reading: dict[str, Any] = {**form, "columns": typed}
    if "number" in typed.values() and (described := numbers.described):
        reading["numbers"] = described
    if "date" in typed.values():
        reading |= dates.described
    day = values.get(roles.get("created_at", ""))
    stamps = dates.canonical(day) if day and kinds[roles["created_at"]] == "date" else []
    of_styles = [
        *(("dates", f"{name}: {words}") for name, words in dates.doubts(typed)),
        *(("numbers", f"{name}: {words}") for name, words in numbers.doubts(typed)),
    ]
    return Guess(
        path,
        encoding,
        reading,
        tuple(Column(name, kinds[name], seen.empty) for name, seen in values.items()),
        roles,
        rows,
        min((date.fromisoformat(stamp[:10]) for stamp in stamps), default=None),
        _currency(roles, values, signs),
        numbers.negative(roles["quantity"]) if roles.get("quantity") in numbers.columns else 0,
        any("T" in stamp and not stamp.endswith("Z") and stamp[-6] not in "+-" for stamp in stamps),
        (*of_styles, *_doubts(roles, kinds, values), *_of_exports(kinds, values, numbers, refunded)),
    )


def _currency(roles: Mapping[Role, str], values: Mapping[str, Values], signs: Sequence[str]) -> str | None:
    """The only currency that a column of codes or the signs beside numbers name."""
    codes = {text.strip().upper() for text in values[roles["currency"]].counts} if "currency" in roles else set()
    found = {code for code in codes if code in CURRENCIES} or {CURRENCY_SIGNS.get(sign, sign) for sign in signs}
    return found.pop() if len(found) == 1 else None


def _doubts(roles: Mapping[Role, str], kinds: Mapping[str, Kind], values: Mapping[str, Values]) -> Iterator[Doubt]:
    """What is unsure about which column is what, and what its empty cells mean."""
    yield from ((role, words) for role, words in _MISSING.items() if role not in roles and role not in _EITHER)
    if others := rivals(kinds, roles):
        yield "created_at", f"other columns hold dates, too: {', '.join(others)}"
    if not _EITHER & roles.keys():
        yield "unit_price", "no column seems to be the price"
    elif "unit_price" not in roles:
        words = "is taken for what the whole line costs; if it is the price of one unit, call it unit_price"
        yield "line_total", f"{roles['line_total']} {words}"
    if not {"customer_id", "email"} & roles.keys():
        yield "customer_id", "no column seems to be the customer"
    for role in _EXPECTED:
        if role in roles and (empty := values[roles[role]].empty):
            yield role, f"{roles[role]} is empty in {counted(empty, 'row')}"


def _of_exports(
    kinds: Mapping[str, Kind], values: Mapping[str, Values], numbers: NumberStyle, refunded: str | None
) -> Iterator[Doubt]:
    """What is unsure about columns that many exports have, and that nothing reads."""
    if is_settlement(kinds):
        yield (
            "",
            "it looks like a settlement, whose rows are amounts and fees: take the list of orders and not this one",
        )
    for name in statuses(kinds):
        counts = values[name].counts
        if 1 < len(counts) <= _MOST_STATUSES:
            listed = ", ".join(f"{text} ({count})" for text, count in counts.most_common())
            yield "", f"{name} is {listed}: all are read; leave out under orders.exclude what is no sale"
    if refunded is not None and numbers.other_than_zero(refunded):
        yield "", f"{refunded} is not read, since it has no day: net sales are without these refunds"


_MOST_STATUSES = 10
_EITHER: frozenset[Role] = frozenset({"unit_price", "line_total"})
_MISSING: Mapping[Role, str] = {
    "created_at": "no column seems to be the order's day",
    "order_id": "no column seems to be an order's id: each row is an order of its own",
    "quantity": "no column seems to be the quantity: each row is one unit",
    "product_id": "no column seems to be the product: all rows are of one",
}
_EXPECTED: tuple[Role, ...] = ("created_at", "order_id", "customer_id", "unit_price", "line_total", "quantity")
"""What each row should have."""
