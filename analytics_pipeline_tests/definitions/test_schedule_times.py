"""When the daily run starts, and for which business day, on both days of a clock change."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest


def asked_for(definitions: dg.Definitions, local: str, zone: str) -> list[str | None]:
    """The partition keys that a tick at a local time asks for."""
    schedule = definitions.resolve_schedule_def("daily")
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)),
        repository_def=definitions.get_repository_def(),
    )
    return [request.partition_key for request in schedule.evaluate_tick(context).run_requests or []]


@pytest.mark.parametrize(
    ("zone", "local", "day"),
    [
        ("Europe/London", "2025-03-30T03:00", "2025-03-29"),  # the clock went from 01:00 to 02:00 two hours ago
        ("Europe/London", "2025-03-31T03:00", "2025-03-30"),
        ("Europe/London", "2025-10-26T03:00", "2025-10-25"),
        ("Europe/London", "2025-10-27T03:00", "2025-10-26"),
        ("America/New_York", "2025-03-09T03:00", "2025-03-08"),  # 02:00 did not happen
        ("America/New_York", "2025-03-10T03:00", "2025-03-09"),
        ("America/New_York", "2025-11-02T03:00", "2025-11-01"),
        ("America/New_York", "2025-11-03T03:00", "2025-11-02"),
        ("Pacific/Auckland", "2025-04-07T03:00", "2025-04-06"),
        ("Pacific/Auckland", "2025-09-29T03:00", "2025-09-28"),
    ],
)
def test_the_morning_after_a_clock_change_asks_for_the_day_before(
    definitions_of: Callable[..., dg.Definitions], zone: str, local: str, day: str
) -> None:
    definitions = definitions_of(timezone=zone, daily_run_hour=3)

    assert asked_for(definitions, local, zone) == [day]


def test_an_hour_that_the_clock_change_skips_still_asks_for_the_day_before(
    definitions_of: Callable[..., dg.Definitions],
) -> None:
    definitions = definitions_of(timezone="Europe/Berlin", daily_run_hour=2)

    assert asked_for(definitions, "2025-03-30T03:00", "Europe/Berlin") == ["2025-03-29"]


def test_the_daily_run_is_of_yesterday_where_today_is_loaded_too(definitions_of: Callable[..., dg.Definitions]) -> None:
    definitions = definitions_of(timezone="Europe/London", daily_run_hour=3, intraday=True)
    partitions = definitions.resolve_job_def("daily").partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)

    assert asked_for(definitions, "2025-03-31T03:00", "Europe/London") == ["2025-03-30"]
    keys = partitions.get_partition_keys(current_time=datetime(2025, 3, 31, 3, tzinfo=ZoneInfo("Europe/London")))
    assert keys[-1] == "2025-03-31"


def test_the_hour_and_the_zone_are_those_of_the_shop(definitions_of: Callable[..., dg.Definitions]) -> None:
    schedule = definitions_of(timezone="Asia/Tokyo", daily_run_hour=0).resolve_schedule_def("daily")

    assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 0 * * *", "Asia/Tokyo")


def test_the_first_tick_is_the_one_after_the_shops_first_day(definitions_of: Callable[..., dg.Definitions]) -> None:
    definitions = definitions_of(timezone="Europe/London", first_day="2025-05-10", daily_run_hour=3)

    assert asked_for(definitions, "2025-05-10T03:00", "Europe/London") == []
    assert asked_for(definitions, "2025-05-11T03:00", "Europe/London") == ["2025-05-10"]


def test_partitions_start_at_the_shops_first_day_in_its_zone(definitions_of: Callable[..., dg.Definitions]) -> None:
    definitions = definitions_of(timezone="America/New_York", first_day="2025-05-10")
    partitions = definitions.resolve_job_def("daily").partitions_def

    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.timezone == "America/New_York"
    assert partitions.get_partition_keys(current_time=datetime(2025, 5, 12, tzinfo=ZoneInfo("America/New_York"))) == [
        "2025-05-10",
        "2025-05-11",
    ]
