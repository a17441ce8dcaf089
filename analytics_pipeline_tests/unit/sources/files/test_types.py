"""Numbers and dates as files write them: one form, exactly, and nothing that could be meant otherwise."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from analytics_pipeline.shop.reading import DateOrder, Numbers, Reading
from analytics_pipeline.sources.files.types import Cached, date_reader, number_reader, plain_value

GERMAN: dict[str, Any] = {"decimal": ",", "group": ".", "signs": ["€", "EUR"]}
ENGLISH: dict[str, Any] = {"decimal": ".", "group": ",", "signs": ["$"]}


def number(text: str, described: dict[str, Any]) -> str | None:
    return Cached(number_reader(Numbers.model_validate(described)))[text]


@pytest.mark.parametrize(
    ("text", "described", "expected"),
    [
        ("12.50", {}, "12.50"),
        ("007", {}, "7"),
        (".5", {}, "0.5"),
        ("1234567890123456789.123456789", {}, "1234567890123456789.123456789"),
        ("-12.50", {}, "-12.50"),
        ("\u221212.50", {}, "-12.50"),
        ("12.50-", {}, "-12.50"),
        ("(12.50)", {}, "-12.50"),
        ("+3", {}, "3"),
        ("1.234,56", GERMAN, "1234.56"),
        ("1.234.567", GERMAN, "1234567"),
        ("1.234,56 €", GERMAN, "1234.56"),
        ("EUR -5,00", GERMAN, "-5.00"),
        ("1,234.56", ENGLISH, "1234.56"),
        ("$(1,234.56)", ENGLISH, None),
        ("($1,234.56)", ENGLISH, "-1234.56"),
        ("-$5", ENGLISH, "-5"),
        ("1\u202f234,56", {"decimal": ",", "group": " "}, "1234.56"),
        ("1\u2019234.56", {"decimal": ".", "group": "'"}, "1234.56"),
    ],
)
def test_a_number_has_one_form(text: str, described: dict[str, Any], expected: str | None) -> None:
    assert number(text, described) == expected


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("1,234.56", GERMAN),
        ("12.50", GERMAN),
        ("1.2345,00", GERMAN),
        ("12.34.567", GERMAN),
        ("1.234,56", ENGLISH),
        ("12,50", ENGLISH),
        ("1,234", {}),
        ("12 EUR", {}),
        ("12 USD", GERMAN),
        ("€12€", GERMAN),
        ("1e5", {}),
        ("1.2E+05", {}),
        ("--5", {}),
        ("-5-", {}),
        ("(-5)", {}),
        ("(5", {}),
        ("-", {}),
        ("5%", {}),
        ("NaN", {}),
        ("12,5O", {"decimal": ","}),
        ("١٢", {}),
        ("5.", {}),
    ],
)
def test_what_could_be_another_number_or_none_is_unreadable(text: str, described: dict[str, Any]) -> None:
    assert number(text, described) is None


def test_a_written_amount_is_read_to_the_last_digit() -> None:
    def is_read(amount: Decimal, style: tuple[dict[str, Any], str, str], minus: str) -> None:
        described, group, decimal = style
        text = f"{abs(amount):,.4f}" if described else f"{abs(amount):.4f}"
        text = text.translate({ord(","): group, ord("."): decimal})
        found = number(minus.format(text) if amount < 0 else text, described)
        assert found is not None
        assert Decimal(found) == amount

    draws = {
        "amount": st.decimals(-(10**12), 10**12, places=4),
        "style": st.sampled_from([({}, ",", "."), (GERMAN, ".", ","), (ENGLISH, ",", ".")]),
        "minus": st.sampled_from(["-{}", "{}-", "({})", "- {}"]),
    }
    settings(max_examples=60, deadline=None, derandomize=True, database=None)(given(**draws)(is_read))()


@pytest.mark.parametrize(
    ("order", "text", "expected"),
    [
        ("iso", "2026-01-31", "2026-01-31"),
        ("iso", "2026-01-31T08:26:00Z", "2026-01-31T08:26:00Z"),
        ("iso", "2026-01-31 08:26:00.123456+0200", "2026-01-31T08:26:00.123456+02:00"),
        ("dmy", "31.01.2026", "2026-01-31"),
        ("dmy", "3/4/2026 8:26", "2026-04-03T08:26:00"),
        ("mdy", "3/4/2026 8:26 PM", "2026-03-04T20:26:00"),
        ("mdy", "12/1/2010 12:05 a.m.", "2010-12-01T00:05:00"),
        ("ymd", "2026/1/31", "2026-01-31"),
        ("ymd", "20260131", "2026-01-31"),
        ("iso", "31.01.2026", None),
        ("iso", "2026-02-30", None),
        ("dmy", "01/31/2026", None),
        ("mdy", "31/01/2026", None),
        ("dmy", "2026-01-31", None),
        ("dmy", "31.01.26", None),
        ("dmy", "31.01/2026", None),
        ("dmy", "01.01.0026", None),
        ("dmy", "01.01.2026 24:00", None),
        ("dmy", "01.01.2026 13:00 PM", None),
        ("iso", "2026-01-31T", None),
        ("iso", "2026-01-31 08:26:00 UTC", "2026-01-31T08:26:00Z"),
        ("dmy", "3. März 2026", "2026-03-03"),
        ("dmy", "03-MAR-2026 8:26", "2026-03-03T08:26:00"),
        ("dmy", "3. Mär. 2026", "2026-03-03"),
        ("mdy", "Dec 3, 2026, 2:22:10 PM", "2026-12-03T14:22:10"),
        ("ymd", "2026-Mai-03", "2026-05-03"),
        ("dmy", "December 3, 2026", None),
        ("mdy", "3 December 2026", None),
        ("dmy", "3 Mars 2026", None),
        ("dmy", "31. Feb 2026", None),
        ("dmy", "03-Mar-26", None),
        ("dmy", "٣. März 2026", None),
    ],
)
def test_a_date_is_of_the_declared_order_or_none(order: DateOrder, text: str, expected: str | None) -> None:
    assert date_reader(order)(text) == expected


@pytest.mark.parametrize(
    ("order", "text", "expected"),
    [
        ("dmy", "31.01.26", "2026-01-31"),
        ("dmy", "31.01.2026", "2026-01-31"),
        ("mdy", "1/31/26 8:26 PM", "2026-01-31T20:26:00"),
        ("dmy", "03-Mar-26", "2026-03-03"),
        ("mdy", "Mar-03-26", "2026-03-03"),
        ("dmy", "31.01.026", None),
        ("dmy", "01.31.26", None),
    ],
)
def test_years_of_two_digits_are_read_where_they_are_described(
    order: DateOrder, text: str, expected: str | None
) -> None:
    assert date_reader(order, short_years=True)(text) == expected


def test_floats_of_a_file_are_their_shortest_digits_and_whole_ones_have_no_decimals() -> None:
    values = [2.55, 17850.0, float("nan"), float("inf"), 0.1 + 0.2, {"a": [1.5, b"x"]}, 2**70]
    assert list(map(plain_value, values)) == [
        Decimal("2.55"),
        17850,
        None,
        "inf",
        Decimal("0.30000000000000004"),
        {"a": [Decimal("1.5"), "x"]},
        Decimal(2**70),
    ]


@pytest.mark.parametrize(
    ("described", "fault"),
    [
        ({"numbers": {"decimal": ",", "group": ","}}, "have to differ"),
        ({"csv": {"delimiter": "ab"}}, "one character"),
        ({"csv": {"header": ["a"], "header_row": 2}}, "not both"),
        ({"columns": {"_file": "text"}}, "adds itself"),
        ({"columns": {"unit_price": "number"}, "renamed": {"unit_price": "price"}}, "write price under columns"),
        ({"renamed": {"a": "b", "b": "c"}}, "name the last one"),
        ({"numbers": {"signs": ["-"]}}, "currency"),
        ({"dates": "ymd", "short_years": True}, "dmy or mdy"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(described: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Reading.model_validate(described)
