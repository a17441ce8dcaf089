"""When a business day is there, as a pure function: in the shop's zone, on days of clock changes, after backfills."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.history.freshness import Past, WrittenDay, describe, due_time, freshness
from analytics_pipeline.shop.spec import Shop, load_shop

DAY = date(2026, 11, 24)
TABLES = ("marts.a", "marts.b")
OVER = datetime(2026, 11, 24, 23, tzinfo=UTC)
"""When `DAY` ends in Berlin."""
DUE = datetime(2026, 11, 25, 5, tzinfo=UTC)


def shop_of(**changes: object) -> Shop:
    return load_shop("demo").model_copy(update=changes)


def written(
    table: str, as_of: datetime | None, *, day: date = DAY, whole_at: datetime = OVER + timedelta(hours=3)
) -> WrittenDay:
    return WrittenDay(table, day, as_of, whole_at)


def test_a_day_has_landed_when_every_mart_was_read_after_its_end() -> None:
    rows = [
        written("marts.a", OVER, whole_at=OVER + timedelta(minutes=5)),
        written("marts.b", OVER + timedelta(hours=1), whole_at=OVER + timedelta(minutes=7)),
    ]
    found = freshness(shop_of(), DUE, rows, tables=TABLES)

    assert found.day == DAY
    assert found.is_whole
    assert not found.is_late
    assert found.whole_at == OVER + timedelta(minutes=7)


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        ([], TABLES),
        ([written("marts.a", OVER)], ("marts.b",)),
        ([written("marts.a", OVER), written("marts.b", OVER - timedelta(microseconds=1))], ("marts.b",)),
        ([written("marts.a", None), written("marts.b", OVER)], ("marts.a",)),
        ([written("marts.c", OVER), written("marts.b", OVER)], ("marts.a",)),
    ],
)
def test_a_mart_that_lacks_the_day_or_was_read_before_its_end_is_missing(
    rows: list[WrittenDay], missing: tuple[str, ...]
) -> None:
    found = freshness(shop_of(), DUE, rows, tables=TABLES)

    assert found.missing == missing
    assert found.is_late
    assert found.whole_at is None


def test_other_days_that_are_written_now_say_nothing_about_yesterday() -> None:
    rows = [written(table, DUE, day=DAY - timedelta(days=1), whole_at=DUE) for table in TABLES]
    rows += [written(table, DUE, day=DAY + timedelta(days=1), whole_at=DUE) for table in TABLES]

    assert freshness(shop_of(), DUE, rows, tables=TABLES).missing == TABLES


@pytest.mark.parametrize(("second", "is_late"), [(-1, False), (0, True), (60, True)])
def test_a_day_is_late_from_the_second_on_that_it_is_due(second: int, is_late: bool) -> None:
    assert freshness(shop_of(), DUE + timedelta(seconds=second), [], tables=TABLES).is_late is is_late


@pytest.mark.parametrize(
    ("zone", "day", "over", "due"),
    [
        ("Europe/Berlin", date(2026, 3, 28), "2026-03-28T23:00", "2026-03-29T04:00"),  # the night loses an hour
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-29T22:00", "2026-03-30T04:00"),  # 23 hours
        ("Europe/Berlin", date(2026, 10, 24), "2026-10-24T22:00", "2026-10-25T05:00"),  # the night gains one
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-25T23:00", "2026-10-26T05:00"),  # 25 hours
        ("America/New_York", date(2026, 3, 8), "2026-03-09T04:00", "2026-03-09T10:00"),
        ("Asia/Beirut", date(2026, 3, 28), "2026-03-28T22:00", "2026-03-29T03:00"),  # there is no midnight
        ("America/Havana", date(2026, 10, 31), "2026-11-01T04:00", "2026-11-01T11:00"),  # midnight comes twice
    ],
)
def test_the_end_of_the_day_and_its_due_time_follow_the_clock_of_the_shop(
    zone: str, day: date, over: str, due: str
) -> None:
    shop = shop_of(timezone=zone)
    over_at, due_at = (datetime.fromisoformat(f"{text}+00:00") for text in (over, due))
    early = [written("marts.a", over_at - timedelta(seconds=1), day=day)]
    after = [written("marts.a", over_at, day=day)]

    assert freshness(shop, due_at, [], tables=("marts.a",)).day == day
    assert freshness(shop, due_at - timedelta(seconds=1), early, tables=("marts.a",)).is_late is False
    assert freshness(shop, due_at, early, tables=("marts.a",)).is_late
    assert freshness(shop, due_at, after, tables=("marts.a",)).is_whole


def test_nothing_is_due_before_the_first_day_of_the_shop() -> None:
    assert not freshness(shop_of(first_day=DAY + timedelta(days=1)), DUE, [], tables=TABLES).is_late
    assert freshness(shop_of(first_day=DAY), DUE, [], tables=TABLES).is_late


def test_an_earlier_day_can_be_asked_for() -> None:
    day = DAY - timedelta(days=10)
    rows = [written(table, OVER, day=day) for table in TABLES]

    assert freshness(shop_of(), DUE, rows, tables=TABLES, day=day).is_whole
    assert freshness(shop_of(), DUE, [], tables=TABLES, day=day).is_late


@pytest.mark.parametrize(
    ("hour", "described", "due"),
    [
        (3, None, time(5)),
        (21, None, time(23)),
        (22, None, time(23, 59)),
        (23, None, time(23, 59)),
        (3, time(7, 30), time(7, 30)),
    ],
)
def test_the_due_time_is_the_described_one_or_two_hours_after_the_daily_run(
    hour: int, described: time | None, due: time
) -> None:
    assert due_time(shop_of(daily_run_hour=hour, due_by=described)) == due


def test_the_daily_marts_are_what_a_day_has_to_be_in() -> None:
    assert {"marts.daily_revenue", "marts.daily_product_sales"} <= set(build_catalogue("demo").due_names)


def test_freshness_is_described_in_the_shops_time() -> None:
    rows = [written(table, OVER, whole_at=datetime(2026, 11, 25, 3, 7, tzinfo=UTC)) for table in TABLES]
    late = [written(table, OVER, whole_at=datetime(2026, 11, 26, 3, 7, tzinfo=UTC)) for table in TABLES]

    assert describe(freshness(shop_of(), DUE, rows, tables=TABLES), shop_of()) == "2026-11-24 by 04:07 (due 06:00)"
    assert (
        describe(freshness(shop_of(), DUE, late, tables=TABLES), shop_of())
        == "2026-11-24, there since 2026-11-26 04:07 (due 06:00)"
    )
    assert describe(freshness(shop_of(), DUE, [], tables=TABLES), shop_of()) == (
        "2026-11-24 is not whole in marts.a, marts.b (due 06:00)"
    )


def test_a_mart_that_is_younger_than_the_day_does_not_make_it_late() -> None:
    old, young = OVER - timedelta(days=9), OVER + timedelta(hours=9)
    rows = [written("marts.a", OVER)]
    for first_writes in ({"marts.a": old}, {"marts.a": old, "marts.b": young}):
        found = freshness(shop_of(), DUE, rows, tables=TABLES, past=Past(first_writes))
        assert (found.is_late, found.is_whole) == (False, True)
        assert freshness(shop_of(), DUE, [], tables=TABLES, past=Past(first_writes)).missing == ("marts.a",)
    assert freshness(shop_of(), DUE, rows, tables=TABLES, past=Past(dict.fromkeys(TABLES, old))).is_late
    # A new installation has no mart that is older: all of them are awaited.
    assert freshness(shop_of(), DUE, rows, tables=TABLES, past=Past(dict.fromkeys(TABLES, young))).is_late


@pytest.mark.parametrize(("days", "is_late"), [(30, True), (31, False), (5000, False)])
def test_a_shop_without_an_order_for_thirty_days_is_history(days: int, is_late: bool) -> None:
    past = Past(newest_order=DAY - timedelta(days=days))
    assert freshness(shop_of(), DUE, [], tables=TABLES, past=past).is_late is is_late


def test_nothing_is_late_after_the_last_day_of_a_shop() -> None:
    assert not freshness(shop_of(last_day=DAY - timedelta(days=1)), DUE, [], tables=TABLES).is_late
    assert freshness(shop_of(last_day=DAY), DUE, [], tables=TABLES).is_late


def test_a_day_that_nobody_waits_for_is_reported_with_the_reason() -> None:
    ended, past = shop_of(last_day=DAY - timedelta(days=1)), Past(newest_order=DAY - timedelta(days=31))

    assert describe(freshness(ended, DUE, [], tables=TABLES), ended) == (
        "2026-11-24 is not awaited: the shop's last_day is 2026-11-23"
    )
    assert describe(freshness(shop_of(), DUE, [], tables=TABLES, past=past), shop_of()) == (
        "2026-11-24 is not awaited: the newest order is of 2026-10-24, over 30 days earlier"
    )
    young = shop_of(first_day=DAY + timedelta(days=1))
    assert describe(freshness(young, DUE, [], tables=TABLES), young) == (
        "2026-11-24 is not awaited: the shop's first_day is 2026-11-25"
    )


def test_a_day_that_came_after_it_was_due_was_late_unless_nothing_was_loaded_before() -> None:
    came = DUE + timedelta(hours=3)
    rows = [written(table, came, whole_at=came) for table in TABLES]
    before, first = (dict.fromkeys(TABLES, moment) for moment in (OVER - timedelta(days=9), came))
    assert freshness(shop_of(), came, rows, tables=TABLES, past=Past(before)).was_late
    assert not freshness(shop_of(), came, rows, tables=TABLES, past=Past(first)).was_late
    in_time = [written(table, OVER, whole_at=OVER) for table in TABLES]
    assert not freshness(shop_of(), came, in_time, tables=TABLES, past=Past(before)).was_late
