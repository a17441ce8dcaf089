"""The business day: the calendar day in a shop's time zone, and ranges of days. Pure, and knows no shop."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


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


def business_day(stamp: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an aware stamp in the shop's zone."""
    return stamp.astimezone(zone).date()


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a business day, in UTC.

    Where clocks skip midnight it is the moment they jump; where midnight comes twice it is the first one.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)
