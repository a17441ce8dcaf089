"""Business days that nobody has loaded although later ones, or earlier ones and yesterday's time, say that they should.

Pure functions. A day on which the shop sold nothing has been loaded like any other, and is no gap; what lies before the
first loaded day has not been asked for.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics_pipeline.days import Days
from analytics_pipeline.history.freshness import due_time
from analytics_pipeline.shop.spec import Shop


@dataclass(frozen=True)
class Gaps:
    """Days without an entry.

    Attributes:
        days: Those in gaps that are loaded by themselves.
        too_large: Gaps of more days than that.
    """

    days: list[date]
    too_large: list[Days]


def gaps_of(shop: Shop, loaded: Collection[date], now: datetime) -> Gaps:
    """Return the gaps between a shop's loaded days and up to yesterday, which counts from the time it is due.

    Nothing is missing after the last day of a shop that has ended.
    """
    today = now.astimezone(shop.zone)
    is_due = today.time() >= due_time(shop)
    last = today.date() - timedelta(days=1 if is_due else 2)
    return gaps(loaded, min(last, shop.last_day or last), shop.late_changes.most_days)


def gaps(loaded: Collection[date], last: date, most: int) -> Gaps:
    """Return the gaps between loaded days and after them.

    Args:
        loaded: Days with an entry.
        last: The last day that should have one.
        most: Most days of a gap that is loaded by itself.
    """
    if not loaded:
        return Gaps([], [])
    last = max(last, *loaded)
    known = set(loaded)
    found = Days.of(day for day in Days(min(known), last) if day not in known).ranges
    return Gaps(
        [day for days in found if len(days) <= most for day in days], [days for days in found if len(days) > most]
    )


def describe_gap(days: Days) -> str:
    """Describe a gap with the command that loads it."""
    return (
        f"{days} ({len(days)} days) never loaded, and too many to be loaded unasked: "
        f"analytics-pipeline run --from {days.first} --to {days.last}"
    )
