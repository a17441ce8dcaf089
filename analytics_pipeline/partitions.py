"""The business day: ranges of days, and Dagster's daily partitions in the shop's time zone.

The only place that turns partition keys into days and back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_pipeline.sources.spec import Shop

DAY_FORMAT = "%Y-%m-%d"


@dataclass(frozen=True)
class DayRange:
    """The business days from `first` to `last`, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            message = f"a range of days begins before it ends: {self.first} is after {self.last}"
            raise ValueError(message)

    def __iter__(self) -> Iterator[date]:
        return (self.first + timedelta(days=number) for number in range(len(self)))

    def __contains__(self, day: date) -> bool:
        return self.first <= day <= self.last

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        return self.first.isoformat() if self.first == self.last else f"{self.first} to {self.last}"


def daily_partitions(shop: Shop) -> dg.DailyPartitionsDefinition:
    """Return one partition per business day, from the shop's first one to yesterday, or to today where it is loaded."""
    return dg.DailyPartitionsDefinition(
        start_date=shop.first_day.isoformat(),
        timezone=shop.timezone,
        fmt=DAY_FORMAT,
        end_offset=1 if shop.intraday else 0,
    )


def last_complete_day(shop: Shop, now: datetime) -> date:
    """Return the last business day that is over at `now` (an aware stamp)."""
    return now.astimezone(ZoneInfo(shop.timezone)).date() - timedelta(days=1)


def last_awaited_day(shop: Shop, now: datetime) -> date:
    """Return the last business day that figures are awaited of: the last complete one, or the last one of a shop."""
    day = last_complete_day(shop, now)
    return min(day, shop.last_day or day)


def loadable_days(shop: Shop, today: date) -> DayRange:
    """Return the business days that have a partition; the shop's first one alone before it is over."""
    last = today if shop.intraday else today - timedelta(days=1)
    return DayRange(shop.first_day, max(shop.first_day, last))


def days_of(partition_keys: Sequence[str]) -> DayRange:
    """Return the range of days of a run's partition keys, which Dagster gives in order and without gaps."""
    return DayRange(date.fromisoformat(partition_keys[0]), date.fromisoformat(partition_keys[-1]))
