"""What belongs to the orders of a day and has a path of its own, asked from the shop and not stored."""

from datetime import date

import pandas as pd

from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.following import order_calls
from analytics_pipeline.sources.lists import extract_days
from analytics_pipeline.transforms.raw import related_list
from analytics_pipeline.transforms.records import decoded
from analytics_pipeline.transforms.related import NO_CHILDREN, Children, orders_of


def ask_for_children(client: ShopClient, raw: pd.DataFrame, day: date) -> Children:
    """Ask for it: order by order, and of related lists what was created on the same day.

    Args:
        client: Asks the shop.
        raw: Rows of `raw/orders`.
        day: Their business day.

    Raises:
        PipelineError: As `extract_days`, and as `OrderCalls.ask`.
    """
    found, orders = NO_CHILDREN, dict(orders_of(raw))
    for name in client.shop.orders.related if orders else ():
        for batch in extract_days(client, related_list(client.shop, name), day, day):
            for row in batch.to_pylist():
                if row["parent_id"] in orders:
                    order = (row["parent_id"], orders[row["parent_id"]])
                    found = found.having(name, order, [*found.of(name, order), row["payload"]])
    for name, calls in order_calls(client).items():
        for order_id, order_date, payload in zip(raw["order_id"], raw["order_date"], raw["payload"], strict=True):
            document = decoded(payload)
            if calls.is_asked(order_id, document):
                found = found.having(name, (order_id, order_date), calls.ask(order_id, document))
    return found
