"""The business days of orders that carry none: found by asking the shop for ever shorter ranges of days.

Pure: who asks is the caller's part.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from analytics_pipeline.transforms.raw import UndatedRecord

LEAST_REQUESTS = 50
"""Requests that finding may cost beside as many as the extraction itself took."""

Ask = Callable[[date, date], tuple[Counter[str], int]]
"""Returns how often each undated record, by its name, comes for a range of days, and the requests that took."""


def among(records: Sequence[UndatedRecord], came: Counter[str]) -> list[UndatedRecord]:
    """Return the first of the records that came, each as often as it did."""
    left = came.copy()
    found = []
    for record in records:
        left[record.name] -= 1
        if left[record.name] >= 0:
            found.append(record)
    return found


def located(
    undated: Sequence[UndatedRecord], first: date, last: date, ask: Ask, *, most_requests: int
) -> list[tuple[date, UndatedRecord]]:
    """Return records with the day for which the shop gives them; those are absent for which too many requests went.

    What is not in the earlier half of a range is taken to be in the later one.

    Args:
        undated: Records that came for the whole range.
        first: First day of the range.
        last: Last day of the range, included.
        ask: Asks the shop.
        most_requests: No question is asked once so many requests were made.
    """
    found: list[tuple[date, UndatedRecord]] = []
    waiting = [(first, last, list(undated))]
    requests = 0
    while waiting:
        start, end, records = waiting.pop()
        if start == end:
            found += [(start, record) for record in records]
            continue
        if requests >= most_requests:
            continue
        middle = start + timedelta(days=(end - start).days // 2)
        came, cost = ask(start, middle)
        requests += cost
        earlier = among(records, came)
        places = set(map(id, earlier))
        later = [record for record in records if id(record) not in places]
        parts = ((start, middle, earlier), (middle + timedelta(days=1), end, later))
        waiting += [part for part in parts if part[2]]
    return found
