"""The business day: the calendar day in a shop's time zone, and sets of days. Pure, and knows no shop."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Self
from zoneinfo import ZoneInfo

_ONE = timedelta(days=1)


@dataclass(frozen=True, init=False)
class Days:
    """A set of business days, as it is asked of a shop, read, written or computed; `Days(first, last)` is a range.

    Attributes:
        spans: First and last day of each of the fewest ranges that make it up, both included, oldest first; empty
            where there is no day.
    """

    spans: tuple[tuple[date, date], ...]

    def __init__(self, first: date, last: date) -> None:
        if first > last:
            message = f"a range of days begins before it ends: {first} is after {last}"
            raise ValueError(message)
        object.__setattr__(self, "spans", ((first, last),))

    @classmethod
    def of(cls, days: Iterable[date]) -> Self:
        """Return the set of some days, given in any order and any number of times."""
        ordered = sorted(set(days))
        cuts = [number for number, (one, next_one) in enumerate(pairwise(ordered), 1) if next_one - one != _ONE]
        found = cls.__new__(cls)
        bounds = pairwise([0, *cuts, len(ordered)]) if ordered else ()
        object.__setattr__(found, "spans", tuple((ordered[start], ordered[end - 1]) for start, end in bounds))
        return found

    @property
    def first(self) -> date:
        """The first of the days; there is one."""
        return self.spans[0][0]

    @property
    def last(self) -> date:
        """The last of the days; there is one."""
        return self.spans[-1][1]

    @property
    def ranges(self) -> "list[Days]":
        """The same days as ranges, the fewest, oldest first."""
        return [Days(first, last) for first, last in self.spans]

    def where(self, column: str) -> str:
        """Return the condition in SQL that a column of dates is one of the days."""
        ranges = [f"{column} between date '{first}' and date '{last}'" for first, last in self.spans]
        return ranges[0] if len(ranges) == 1 else f"({' or '.join(ranges) or 'false'})"

    def __or__(self, others: "Days") -> "Days":
        return Days.of((*self, *others))

    def __sub__(self, others: "Days") -> "Days":
        return Days.of(day for day in self if day not in others)

    def __iter__(self) -> Iterator[date]:
        for first, last in self.spans:
            for number in range((last - first).days + 1):
                yield first + timedelta(days=number)

    def __contains__(self, day: date) -> bool:
        place = bisect_right(self.spans, day, key=lambda span: span[0]) - 1
        return place >= 0 and day <= self.spans[place][1]

    def __len__(self) -> int:
        return sum((last - first).days + 1 for first, last in self.spans)

    def __str__(self) -> str:
        return ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in self.spans)


NO_DAYS = Days.of(())


def business_day(stamp: datetime, zone: ZoneInfo) -> date:
    """The calendar day of an aware stamp in the shop's zone."""
    return stamp.astimezone(zone).date()


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a business day, in UTC.

    Where clocks skip midnight it is the moment they jump; where midnight comes twice it is the first one.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)
