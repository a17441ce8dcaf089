"""The last business day on which a shop that is asked over HTTP has an order, found in few requests."""

from datetime import date, timedelta

from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders

FIRST_SPAN, WIDER = 7, 8
"""Days that are asked for after yesterday, and how much longer each further range is."""


def last_day_with_orders(client: ShopClient, until: date) -> date | None:
    """Return the last business day up to `until` on which the shop has an order, None when it has none.

    Longer and longer ranges are asked for, back to the shop's first day, and the one that has orders is halved: a few
    dozen requests for years. A shop that takes no window is read once, from end to end.

    Raises:
        PipelineError: As `extract_orders`.
    """
    first_day = client.shop.first_day
    if until < first_day:
        return None
    if client.shop.api_orders.created_window is None:
        days = [max(batch.column("order_date").to_pylist()) for batch in extract_orders(client, first_day, until)]
        return max(days, default=None)

    def has_orders(first: date, last: date) -> bool:
        return any(batch.num_rows for batch in extract_orders(client, first, last))

    last, span = until, 1
    while not has_orders(first := max(first_day, last - timedelta(days=span - 1)), last):
        if first == first_day:
            return None
        last, span = first - timedelta(days=1), FIRST_SPAN if span == 1 else span * WIDER
    while first < last:
        middle = first + (last - first) // 2
        if has_orders(middle + timedelta(days=1), last):
            first = middle + timedelta(days=1)
        else:
            last = middle
    return last
