"""Values of the API: exact numbers, paths, stamps on both clock changes."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.days import business_day
from analytics_pipeline.decoding.mapping import column_reader, compile_path, decode, is_same_record, parse_stamp
from analytics_pipeline.decoding.tolerant import Unreadable
from analytics_pipeline.shop.spec import Times

BERLIN = ZoneInfo("Europe/Berlin")
LOCAL = Times(without_offset="local")
UTC_TIMES = Times()


def test_json_floats_become_decimals_with_exactly_their_digits() -> None:
    assert str(decode('{"price": 1.10}')) == "{'price': Decimal('1.10')}"
    assert decode(b"[19.999999999999999999999, 7]") == [Decimal("19.999999999999999999999"), 7]
    assert decode("123456789012345678901234567890") == 123456789012345678901234567890


def test_a_byte_order_mark_is_skipped() -> None:
    assert decode(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_half_a_surrogate_pair_becomes_the_replacement_character() -> None:
    assert decode(rb'{"note": "cut \ud83d", "whole": "\ud83d\ude00", "text": "\\ud83d"}') == {
        "note": "cut \ufffd",
        "whole": "\U0001f600",
        "text": "\\ud83d",
    }


@pytest.mark.parametrize("text", ["", "{", '{"a": }', '{"a" 1}', "[1}", "{a: 1}", '["a', "[1] 2", '{"a": 1,, "b": 2}'])
def test_what_has_no_outline_of_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON is malformed \(byte \d+\)"):
        decode(text)


def test_values_that_json_does_not_know_are_unreadable_and_equal_to_themselves() -> None:
    text = (
        '{"a": NaN, "b": 01, "c": [1, 2.50, -Infinity,], "d": 1e9999999999999999999, '
        '"e": "\\u00e9\\ud83d\\ude00 \\q\n"}'
    )
    found = decode(text)
    assert (
        found
        == decode(text)
        == {
            "a": Unreadable("NaN"),
            "b": Unreadable("01"),
            "c": [1, Decimal("2.50"), Unreadable("-Infinity")],
            "d": Unreadable("1e9999999999999999999"),
            "e": "\u00e9\U0001f600 \\q\n",
        }
    )
    assert is_same_record(text, f" {text}")
    assert not is_same_record(text, text.replace("NaN", "null"))


def test_what_is_nested_too_deeply_is_kept_as_text() -> None:
    deep = "[" * 5000 + "]" * 5000
    found = decode(f'{{"id": 7, "deep": {deep}}}')
    assert isinstance(found, dict)
    assert found["id"] == 7
    assert is_same_record(f'{{"deep": {deep}}}', f'{{"deep":{deep}}}')


@pytest.mark.parametrize(
    ("expression", "value", "found"),
    [
        ("id", {"id": 7}, 7),
        ("id", {}, None),
        ("id", [1], None),
        ("customer.id", {"customer": {"id": "C1"}}, "C1"),
        ("customer.id", {"customer": None}, None),
        ("customer.id", {"customer": "C1"}, None),
        ("a.b.c", {"a": {"b": {"c": 0}}}, 0),
        ("next-page", {"next-page": "x"}, "x"),
        ("lines[0].id", {"lines": [{"id": 3}]}, 3),
        ("type == 'credit_note'", {"type": "credit_note"}, True),
        ("type=='credit_note'", {"type": "order"}, False),
        ("order.type == ''", {"order": {"type": ""}}, True),
        ("type == 'credit_note'", {}, False),
        ("type == '5'", {"type": 5}, False),
        ("type == 'a' || type == 'b'", {"type": "b"}, True),
        (r"name == 'it\'s'", {"name": "it's"}, True),
        ("sum(lines[].tax)", {"lines": [{"tax": Decimal("0.10")}, {"tax": Decimal("0.20")}]}, Decimal("0.30")),
        ("to_number(price)", {"price": "1.10"}, Decimal("1.10")),
        ("to_number(price)", {"price": "x"}, None),
        ("`0.19`", {}, Decimal("0.19")),
        ("abs(amount)", {"amount": Decimal("-2.50")}, Decimal("2.50")),
        ("sum([b, `0.5`])", {"b": Decimal("1.5")}, Decimal("2.0")),
    ],
)
def test_a_path_finds_its_value_or_none(expression: str, value: object, found: object) -> None:
    result = compile_path(expression)(value)
    assert result == found
    assert type(result) is type(found)


def test_a_wrong_expression_is_refused_when_it_is_compiled() -> None:
    with pytest.raises(ValueError, match=r"Incomplete expression"):
        compile_path("a ||")


@pytest.mark.parametrize("expression", ["length(a)", "a > `0`", "sum([a, b])"])
def test_a_value_that_an_expression_does_not_take_is_a_value_error(expression: str) -> None:
    with pytest.raises(ValueError, match=r"invalid type|not supported|unsupported"):
        compile_path(expression)({"a": "text" if "length" not in expression else 5, "b": Decimal("1.5")})


@pytest.mark.parametrize("expression", ["id", "customer.id", "type == 'x'", "lines[0].id"])
def test_a_column_has_what_the_path_finds_in_each_value(expression: str) -> None:
    values: list[object] = [
        {"id": 1, "type": "x", "customer": {"id": 2}, "lines": [{"id": 3}]},
        {"customer": 5},
        {},
    ]
    for some in (values, [*values, None, [1], "id"], []):
        assert column_reader(expression)(some) == [compile_path(expression)(value) for value in some]


@pytest.mark.parametrize(
    ("text", "times", "utc"),
    [
        ("2026-01-31T08:15:00Z", UTC_TIMES, datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
        ("2026-01-31T08:15:00+01:00", LOCAL, datetime(2026, 1, 31, 7, 15, tzinfo=UTC)),
        ("2026-01-31 08:15:00.25", UTC_TIMES, datetime(2026, 1, 31, 8, 15, 0, 250000, tzinfo=UTC)),
        ("2026-01-31T08:15:00", UTC_TIMES, datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
        ("2026-01-31 08:15:00 UTC", LOCAL, datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
        ("2026-01-31T08:15:00z", LOCAL, datetime(2026, 1, 31, 8, 15, tzinfo=UTC)),
        ("2026-01-31T08:15:00", LOCAL, datetime(2026, 1, 31, 7, 15, tzinfo=UTC)),
        ("2026-07-31T08:15:00", LOCAL, datetime(2026, 7, 31, 6, 15, tzinfo=UTC)),
    ],
)
def test_iso_stamps_are_read_as_utc(text: str, times: Times, utc: datetime) -> None:
    assert parse_stamp(text, times, BERLIN) == utc
    assert parse_stamp(text, times, BERLIN).tzinfo is UTC


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        (None, "there is none"),
        (1767225600, "this is a number"),
        (True, "this is true or false"),
        ([], "this is a list"),
    ],
)
def test_a_stamp_that_is_no_text_is_reported_in_the_words_of_json(value: object, messages: str) -> None:
    with pytest.raises(ValueError, match=f"^an ISO 8601 stamp is text, and {messages}$"):
        parse_stamp(value, Times(), BERLIN)


def test_a_local_stamp_in_the_repeated_hour_is_the_first_one() -> None:
    assert parse_stamp("2026-10-25T02:30:00", LOCAL, BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert parse_stamp("2026-10-25T03:00:00", LOCAL, BERLIN) == datetime(2026, 10, 25, 2, 0, tzinfo=UTC)


def test_a_local_stamp_in_the_skipped_hour_is_read_with_the_offset_before_the_gap() -> None:
    assert parse_stamp("2026-03-29T02:30:00", LOCAL, BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert parse_stamp("2026-03-29T03:30:00", LOCAL, BERLIN) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-01-31", "20260131"])
@pytest.mark.parametrize("times", [UTC_TIMES, LOCAL])
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin", "Pacific/Auckland"])
def test_a_day_without_a_time_is_that_business_day_in_any_zone(text: str, times: Times, zone: str) -> None:
    assert business_day(parse_stamp(text, times, ZoneInfo(zone)), ZoneInfo(zone)) == date(2026, 1, 31)


def test_mail_stamps_and_unix_seconds_are_read_too() -> None:
    mail, unix = Times(format="rfc2822"), Times(format="unix_seconds")
    assert parse_stamp("Sat, 31 Jan 2026 08:15:00 +0100", mail, BERLIN) == datetime(2026, 1, 31, 7, 15, tzinfo=UTC)
    assert parse_stamp(1769847300, unix, BERLIN) == datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
    assert parse_stamp("1769847300", unix, BERLIN) == datetime(2026, 1, 31, 8, 15, tzinfo=UTC)
    half = parse_stamp(Decimal("1769847300.5"), unix, BERLIN)
    assert half == datetime(2026, 1, 31, 8, 15, 0, 500000, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, "", "yesterday", "2026-02-30T00:00:00Z", 5, True, "0001-01-01T00:00:00Z", {}])
@pytest.mark.parametrize("stamp_format", ["iso8601", "rfc2822"])
def test_what_is_no_stamp_is_refused(value: object, stamp_format: Literal["iso8601", "rfc2822"]) -> None:
    with pytest.raises(ValueError, match=r"stamp|year"):
        parse_stamp(value, Times(format=stamp_format), BERLIN)


@pytest.mark.parametrize("value", [None, True, "soon", 1769847300000, Decimal("NaN"), [], "9" * 400])
def test_what_is_no_number_of_seconds_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"seconds|year"):
        parse_stamp(value, Times(format="unix_seconds"), BERLIN)


def test_the_business_day_is_the_calendar_day_of_the_zone() -> None:
    day: Callable[[int, int], date] = lambda month, hour: business_day(  # noqa: E731  # a table of four
        datetime(2026, month, 1, hour, tzinfo=UTC), BERLIN
    )
    assert [day(1, 22), day(1, 23)] == [date(2026, 1, 1), date(2026, 1, 2)]
    assert [day(7, 21), day(7, 22)] == [date(2026, 7, 1), date(2026, 7, 2)]
