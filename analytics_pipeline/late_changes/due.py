"""Which loaded days to read again without any word from the shop that they changed. Pure functions.

By count: where the shop counts its orders, a day that has fewer or more than are stored is found by bisection. By age:
a shop that cannot be asked for changes has its last days read again daily, and all days in turn. What is read again
within the budget is `rounds`' part.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from analytics_pipeline.days import Days

DAILY = timedelta(hours=20)
"""Age from which a day of the last few is read again: less than a day, so that a daily poll never skips one."""


def differing_days(days: Days, stored: Mapping[date, int], count_at_the_shop: Callable[[Days], int]) -> list[date]:
    """Return the days whose number of orders differs, asking the shop as few times as it takes.

    Days that differ in opposite directions within one half may hide each other there.

    Args:
        days: The days to compare.
        stored: Number of stored orders by day; none where a day is missing.
        count_at_the_shop: Asks the shop for its number of orders of some days.
    """
    return _differing(days, stored, count_at_the_shop, count_at_the_shop(days))


def _differing(
    days: Days, stored: Mapping[date, int], count_at_the_shop: Callable[[Days], int], counted: int
) -> list[date]:
    if counted == sum(stored.get(day, 0) for day in days):
        return []
    if len(days) == 1:
        return [days.first]
    middle = days.first + timedelta(days=len(days) // 2 - 1)
    first, second = Days(days.first, middle), Days(middle + timedelta(days=1), days.last)
    in_first = count_at_the_shop(first)
    return [
        *_differing(first, stored, count_at_the_shop, in_first),
        *_differing(second, stored, count_at_the_shop, counted - in_first),
    ]


def aged_days(
    held_at: Mapping[date, datetime | None], now: datetime, *, today: date, reread_days: int, sweep_days: int | None
) -> list[date]:
    """Return the loaded days that are due to be read again whatever that costs, oldest first.

    Args:
        held_at: When each loaded day was held against the shop last; None where nobody knows.
        now: An aware stamp.
        today: The current business day, which is left out.
        reread_days: How many days before today are read again daily.
        sweep_days: After how many days any day is read again; None for never.
    """
    due = []
    for day, held in sorted(held_at.items()):
        age = timedelta.max if held is None else now - held
        is_recent = (today - day).days <= reread_days
        if day < today and (
            (is_recent and age >= DAILY) or (sweep_days is not None and age >= timedelta(days=sweep_days))
        ):
            due.append(day)
    return due
