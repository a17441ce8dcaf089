"""Windows of business days in every format, over both clock changes."""

from datetime import UTC, date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.days import start_of_day
from analytics_pipeline.shop.placeholders import Draft
from analytics_pipeline.shop.protocol import StampFormat
from analytics_pipeline.shop.requests import ChangedSince, Query, Window
from analytics_pipeline.shop.windows import changed_since_query, covering_query, created_window_query

BERLIN = ZoneInfo("Europe/Berlin")


def sent(query: Query) -> dict[str, Any]:
    return dict(Draft("", query.params, values=query.values).filled().params)


def window(
    stamp_format: StampFormat,
    day: date,
    to: Literal["exclusive", "inclusive"] = "exclusive",
    zone: ZoneInfo = BERLIN,
    lower: Literal["exclusive", "inclusive"] | None = "inclusive",
) -> tuple[str, str]:
    words = {"from_param": "from", "to_param": "to", "format": stamp_format, "from": lower, "to": to}
    described = Window.model_validate(words)
    params = sent(created_window_query(described, day, day, zone))
    assert list(params) == ["from", "to"]
    return params["from"], params["to"]


@pytest.mark.parametrize(
    ("stamp_format", "spring", "autumn"),
    [
        (
            "iso_utc",
            ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ),
        (
            "iso_utc_bare",
            ("2026-03-28T23:00:00", "2026-03-29T22:00:00"),
            ("2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ),
        (
            "iso_offset",
            ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
            ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ),
        ("iso_local", ("2026-03-29T00:00:00", "2026-03-30T00:00:00"), ("2026-10-25T00:00:00", "2026-10-26T00:00:00")),
        ("date", ("2026-03-29", "2026-03-30"), ("2026-10-25", "2026-10-26")),
        ("unix_seconds", ("1774738800", "1774821600"), ("1792879200", "1792969200")),
    ],
)
def test_a_day_runs_from_local_midnight_to_local_midnight(
    stamp_format: StampFormat, spring: tuple[str, str], autumn: tuple[str, str]
) -> None:
    assert window(stamp_format, date(2026, 3, 29)) == spring
    assert window(stamp_format, date(2026, 10, 25)) == autumn


def test_an_inclusive_window_of_dates_ends_with_the_last_day() -> None:
    assert window("date", date(2026, 1, 31), to="inclusive") == ("2026-01-31", "2026-01-31")


def test_an_inclusive_window_of_stamps_does_not_lose_the_last_second() -> None:
    assert window("iso_local", date(2026, 1, 31), to="inclusive")[1] == "2026-02-01T00:00:00"


def test_a_day_whose_midnight_is_skipped_starts_when_the_clocks_jump() -> None:
    sao_paulo = ZoneInfo("America/Sao_Paulo")
    assert start_of_day(date(2018, 11, 4), sao_paulo) == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert window("iso_offset", date(2018, 11, 4), zone=sao_paulo)[0] == "2018-11-04T01:00:00-02:00"


@pytest.mark.parametrize("lower", [None, "exclusive"])
def test_a_second_more_is_asked_for_unless_the_lower_bound_is_known_to_be_inclusive(
    lower: Literal["exclusive"] | None,
) -> None:
    day = date(2026, 7, 1)
    assert window("iso_utc", day, lower=lower) == ("2026-06-30T21:59:59Z", "2026-07-01T22:00:00Z")
    assert window("iso_utc", day) == ("2026-06-30T22:00:00Z", "2026-07-01T22:00:00Z")


def test_a_window_of_days_is_inclusive_unless_it_is_known_not_to_be() -> None:
    day = date(2026, 7, 1)
    assert window("date", day, lower=None) == ("2026-07-01", "2026-07-02")
    assert window("date", day, lower="exclusive") == ("2026-06-30", "2026-07-02")


def test_a_day_more_is_asked_for_where_days_may_be_those_of_another_zone() -> None:
    day, bounds = date(2026, 7, 1), {"from_param": "from", "to_param": "to", "from": "inclusive"}
    days = Window.model_validate({**bounds, "format": "date"})
    assert sent(covering_query(days, day, day, BERLIN)) == {"from": "2026-06-30", "to": "2026-07-03"}
    stamps = Window.model_validate({**bounds, "format": "iso_utc"})
    assert covering_query(stamps, day, day, BERLIN) == created_window_query(stamps, day, day, BERLIN)
    since = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert sent(changed_since_query(ChangedSince(param="s", format="date"), since, BERLIN)) == {"s": "2026-06-30"}


def test_changed_since_is_cut_to_whole_seconds() -> None:
    since = datetime(2026, 7, 1, 12, 0, 0, 999999, tzinfo=UTC)
    assert sent(changed_since_query(ChangedSince(param="since", format="iso_utc"), since, BERLIN)) == {
        "since": "2026-07-01T12:00:00Z"
    }
    assert sent(changed_since_query(ChangedSince(param="since", format="iso_local"), since, BERLIN)) == {
        "since": "2026-07-01T14:00:00"
    }


def test_a_stamp_without_zone_is_refused() -> None:
    naive = datetime(2026, 7, 1)  # noqa: DTZ001  # the fault under test
    with pytest.raises(ValueError, match="time zone"):
        changed_since_query(ChangedSince(param="since", format="iso_utc"), naive, BERLIN)
