"""Rows of the shop's own report as figures: by day, currency and metric. Pure; where rows come from is `sources`' part.

A report is a witness: a row that cannot be read makes the whole report useless, and is no case for quarantine.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal

from analytics_pipeline.errors import AnswerError
from analytics_pipeline.tables.contract import CURRENCY_PATTERN
from analytics_pipeline.transforms.values import MONEY_LIMIT, means_nothing, round_money

LookUp = Callable[[object], object]
Figures = dict[tuple[date, str], dict[str, Decimal | None]]
"""What a report says, by day and currency, and then by metric; None for a figure that a row lacks."""

_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:$|[T ].*)", re.ASCII)
_PARTS = re.compile(r"\s*(\d{1,2})\D(\d{1,2})\D(\d{4})\s*", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_ORDERS = {"day_month_year": (2, 1, 0), "month_day_year": (2, 0, 1)}


def read_rows(rows: Iterable[object], fields: Mapping[str, LookUp], shop_currency: str, dates: str) -> Figures:
    """Return the figures of a report.

    Args:
        rows: Decoded records.
        fields: From a record to its value, by our names: `date`, `currency` where there is one, and metrics.
        shop_currency: Of rows that name none.
        dates: How days are written, as the description's `report.dates`.

    Raises:
        AnswerError: A row has no day, currency or amount that can be read, or a day comes twice; the value itself is
            in the error's excerpt.
    """
    found: Figures = {}
    for number, row in enumerate(rows, 1):
        values = {name: _value(number, name, look_up, row) for name, look_up in fields.items()}
        day = _day(number, values.pop("date"), dates)
        currency = _currency(number, values.pop("currency", None), shop_currency)
        if (day, currency) in found:
            raise AnswerError(
                f"the shop's report has several rows for {day} {currency}: ask for one row a day, and map `currency` "
                "where it has one for each currency"
            )
        found[day, currency] = {name: _amount(number, name, day, value) for name, value in values.items()}
    return found


def _value(number: int, name: str, look_up: LookUp, row: object) -> object:
    try:
        return look_up(row)
    except ValueError as error:
        fault = f"row {number} of the shop's report: report.fields.{name} cannot be looked up"
        raise AnswerError(f"{fault}; check the expression", excerpt=str(error)) from None


def _day(number: int, value: object, dates: str) -> date:
    try:
        if dates == "iso":
            parts = [int(part) for part in _found(_ISO, value)]
        else:
            listed = _found(_PARTS, value)
            parts = [int(listed[place]) for place in _ORDERS[dates]]
        return date(*parts)
    except ValueError:
        fault = f"row {number} of the shop's report has no day that can be read"
        message = f"{fault}; check report.fields.date, and report.dates ({dates})"
        raise AnswerError(message, excerpt=repr(value)[:200]) from None


def _found(pattern: re.Pattern[str], value: object) -> tuple[str, ...]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError
    return match.groups()


def _currency(number: int, value: object, shop_currency: str) -> str:
    if means_nothing(value):
        return shop_currency
    code = value.strip().upper() if isinstance(value, str) else ""
    if not CURRENCY_PATTERN.fullmatch(code):
        fault = f"row {number} of the shop's report has no three-letter currency code; check report.fields.currency"
        raise AnswerError(fault, excerpt=repr(value)[:200])
    return code


def _amount(number: int, name: str, day: date, value: object) -> Decimal | None:
    """Return a figure to four decimals: reports made in floating point have more of them."""
    if means_nothing(value):
        return None
    text = str(value).strip() if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else ""
    amount = Decimal(text) if _NUMBER.fullmatch(text) else None
    if amount is None or abs(amount) >= MONEY_LIMIT:
        fault = f"row {number} of the shop's report, {day}: {name} is no amount; check report.fields.{name}"
        raise AnswerError(fault, excerpt=repr(value)[:200])
    return round_money(amount)
