"""Numbers and dates as files write them, brought into one form: `-1234.50`, `2026-01-31`, `2026-01-31T08:26:00`.

Exactly, by text alone: nothing is ever a float. What is none is `Unreadable`, and never null.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from analytics_pipeline.shop.reading import ColumnType, DateOrder, Numbers, Reading

Canonical = Callable[[str], str | None]
"""From a stripped text to the one form; None for what is none."""

_MOST_REMEMBERED = 100_000
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2019": "'"})
_TIME = (
    r"(?:(?:, ?|[T ]+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?(?: ?([AaPp])\.?[Mm]\.?)?)?"
    r"( ?(?:Z|UTC|GMT)| ?[+-]\d{2}:?\d{2})?"
)
_DAYS = {
    "iso": r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})",
    "ymd": r"(?P<y>\d{4})(?P<s>[-/.]?)(?P<m>\d{2}|(?<=[-/.])\d)(?P=s)(?P<d>\d{2}|(?<=[-/.])\d)",
    "dmy": r"(?P<d>\d{1,2})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<y>\d{4})",
    "mdy": r"(?P<m>\d{1,2})(?P<s>[-/.])(?P<d>\d{1,2})(?P=s)(?P<y>\d{4})",
}
_SHORT_DAYS: dict[DateOrder, str] = {
    "dmy": r"(?P<d>\d{1,2})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<y>\d{2})",
    "mdy": r"(?P<m>\d{1,2})(?P<s>[-/.])(?P<d>\d{1,2})(?P=s)(?P<y>\d{2})",
}
_NAMED_DAYS: dict[DateOrder, str] = {
    "dmy": r"(?P<d>[0-9]{1,2})\.?[- ]?(?P<m>[^\W\d_]{3,9})[-. ]{1,2}(?P<y>[0-9]{4}|[0-9]{2})",
    "mdy": r"(?P<m>[^\W\d_]{3,9})\.?[- ](?P<d>[0-9]{1,2})(?:, ?|[- ])(?P<y>[0-9]{4}|[0-9]{2})",
    "ymd": r"(?P<y>[0-9]{4})(?P<s>[-/. ])(?P<m>[^\W\d_]{3,9})(?P=s)(?P<d>[0-9]{1,2})",
}
"""With the month's name."""
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar jänner jän",
            "feb february februar feber",
            "mar march mär märz mrz maerz",
            "apr april",
            "may mai",
            "jun june juni",
            "jul july juli",
            "aug august",
            "sep sept september",
            "oct october okt oktober",
            "nov november",
            "dec december dez dezember",
        ),
        1,
    )
    for name in names.split()
}
"""Months in English and German, by their names in small letters."""
_FIRST_YEAR, _LAST_YEAR, _CENTURY = 1900, 2999, 2000
_DIGITS_OF_A_YEAR = 4
_NOON = 12
_LARGEST = 2**63
_EXCEL_EPOCH, _EXCEL_EPOCH_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001  # the shop's clock
_FIRST_SERIAL, _LAST_SERIAL = 61, 401_769
"""From 1900-03-01, since Excel knows a 1900-02-29, to 2999-12-31."""


class Cached(dict[str, str | None]):
    """The one form of each text of a column, remembered; None of one that is blank, or none of the type."""

    def __init__(self, canonical: Canonical) -> None:
        super().__init__()
        self._canonical = canonical

    def __missing__(self, text: str) -> str | None:
        bare = text.translate(_SPACES).strip()
        found = self._canonical(bare) if bare else None
        self[text] = found
        return found

    def forget(self) -> None:
        """Forget what is remembered, where it has become much."""
        if len(self) > _MOST_REMEMBERED:
            self.clear()


def reader_of(kind: ColumnType, reading: Reading) -> Cached | None:
    """What reads the texts of a column; None of one that stays as it is."""
    if kind == "number":
        return Cached(number_reader(reading.numbers))
    if kind == "date":
        return Cached(date_reader(reading.dates, short_years=reading.short_years))
    return None


def number_reader(numbers: Numbers) -> Canonical:
    """What reads numbers: with a decimal and a thousands sign, a currency, a minus before or after, or in brackets."""
    group = re.escape(numbers.group) if numbers.group else None
    whole = rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d+" if group else r"\d+"
    signs = "|".join(re.escape(sign.translate(_SPACES)) for sign in sorted(numbers.signs, key=len, reverse=True))
    currency = rf"(?:{signs})" if signs else r"(?!)"
    pattern = re.compile(
        rf"(?P<open>\()? ?(?P<minus1>[+-])? ?(?P<sign1>{currency})? ?(?P<minus2>[+-])? ?"
        rf"(?P<whole>{whole})?(?:{re.escape(numbers.decimal)}(?P<part>\d+))? ?"
        rf"(?P<minus3>[+-])? ?(?P<sign2>{currency})? ?(?P<minus4>-)? ?(?P<close>\))?",
        re.ASCII,
    )

    def read(text: str) -> str | None:
        found = pattern.fullmatch(text)
        if found is None or (found["whole"] is None and found["part"] is None):
            return None
        minuses = [found[name] for name in ("minus1", "minus2", "minus3", "minus4") if found[name]]
        in_brackets = found["open"] is not None
        if in_brackets != (found["close"] is not None) or len(minuses) + in_brackets > 1:
            return None
        if found["sign1"] and found["sign2"]:
            return None
        units = (found["whole"] or "0").replace(numbers.group or " ", "").lstrip("0") or "0"
        amount = units if found["part"] is None else f"{units}.{found['part']}"
        return f"-{amount}" if in_brackets or minuses == ["-"] else amount

    return read


def date_reader(order: DateOrder, *, short_years: bool = False) -> Canonical:
    """What reads days and stamps, months by number or name; those of another order are none.

    Args:
        order: In which order day, month and year stand.
        short_years: Whether years may have two digits: those of this century.
    """
    time_of_day = re.compile(_TIME, re.ASCII)
    patterns = [re.compile(_DAYS[order], re.ASCII)]
    if short_years and order in _SHORT_DAYS:
        patterns.append(re.compile(rf"{_SHORT_DAYS[order]}(?!\d)", re.ASCII))
    if order in _NAMED_DAYS:
        patterns.append(re.compile(_NAMED_DAYS[order]))

    def read(text: str) -> str | None:
        for pattern in patterns:
            found = pattern.match(text)
            rest = time_of_day.fullmatch(text, found.end()) if found else None
            if found and rest and (short_years or len(found["y"]) == _DIGITS_OF_A_YEAR):
                return _stamp(found, rest)
        return None

    return read


def _stamp(of_day: re.Match[str], of_time: re.Match[str]) -> str | None:
    """A day or stamp in its one form, by what was found of its parts; None where there is no such one."""
    hour, minute, second, part, half, zone = of_time.groups()
    try:
        day = date(_year(of_day["y"]), _month(of_day["m"]), int(of_day["d"]))
        clock = time(_hour(int(hour or 0), half), int(minute or 0), int(second or 0))
    except (KeyError, ValueError):
        return None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR or (hour is None and zone is not None):
        return None
    if hour is None:
        return day.isoformat()
    return f"{day}T{clock}{f'.{part}' if part else ''}{_zone(zone)}"


def _year(digits: str) -> int:
    return int(digits) if len(digits) == _DIGITS_OF_A_YEAR else _CENTURY + int(digits)


def _month(text: str) -> int:
    return int(text) if text.isdecimal() else _MONTHS[text.lower()]


def _hour(hour: int, half: str | None) -> int:
    """The hour of a clock of 24 hours, by AM and PM where they are given."""
    if half is None:
        return hour
    if not 1 <= hour <= _NOON:
        raise ValueError("no hour of half a day")
    return hour % _NOON + (_NOON if half in "pP" else 0)


def _zone(zone: str | None) -> str:
    bare = (zone or "").strip()
    if bare in {"Z", "UTC", "GMT"}:
        return "Z"
    return bare if not bare or ":" in bare else f"{bare[:3]}:{bare[3:]}"


def plain_value(value: Any) -> Any:  # noqa: ANN401  # any value of Parquet or Excel
    """A value as JSON can hold it, numbers by their digits; what stands for no number is null."""
    if value is None or isinstance(value, str | int | bool | Decimal):
        return _storable_number(value) if isinstance(value, int | Decimal) else value
    if isinstance(value, float):
        return _of_float(value)
    if isinstance(value, list | tuple):
        return [plain_value(one) for one in value]
    if isinstance(value, dict):
        return {str(name): plain_value(one) for name, one in value.items()}
    if isinstance(value, datetime | date):
        return date_of(value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _storable_number(value: int | Decimal) -> int | Decimal | str | None:
    if isinstance(value, int):
        return value if isinstance(value, bool) or -_LARGEST <= value < _LARGEST else Decimal(value)
    return None if value.is_nan() else value if value.is_finite() else str(value)


def _of_float(value: float) -> int | Decimal | str | None:
    """The shortest number that is the same in the file; a whole one without decimals, such as an id beside gaps."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return str(value)
    exact = Decimal(repr(value))
    return int(exact) if exact == exact.to_integral_value() and abs(exact) < _LARGEST else exact


def number_of(value: object) -> str | None:
    """The one form of a number that is none of text: of JSON, Parquet or Excel; None for what is none."""
    if isinstance(value, Decimal):
        return format(value, "f") if value.is_finite() else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def date_of(value: object, *, is_1904: bool = False) -> str | None:
    """The one form of a day or stamp that is none of text; a number is the days that Excel counts."""
    if isinstance(value, datetime):
        return stamp_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not _FIRST_SERIAL <= value <= _LAST_SERIAL:
        return None
    return serial_date(Decimal(value), is_1904=is_1904)


def serial_date(days: Decimal, *, is_1904: bool) -> str:
    """The day or stamp that a workbook counts as a number of days, to the second."""
    moment = (_EXCEL_EPOCH_1904 if is_1904 else _EXCEL_EPOCH) + timedelta(seconds=round(days * 86_400))
    return stamp_text(moment) if moment.time() != time() else moment.date().isoformat()


def stamp_text(moment: datetime) -> str:
    """A moment as text: in UTC where its zone is known, else by the shop's clock."""
    return (moment.astimezone(UTC) if moment.tzinfo else moment).isoformat().replace("+00:00", "Z")
