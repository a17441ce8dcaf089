"""What belongs to the orders of some days and has a path of its own, asked from the shop and not stored."""

from collections import defaultdict
from datetime import date

import pandas as pd

from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.following import order_calls
from analytics_pipeline.sources.lists import extract_days
from analytics_pipeline.transforms.raw import related_list
from analytics_pipeline.transforms.records import decoded
from analytics_pipeline.transforms.related import Children, Order, orders_of


def ask_for_children(client: ShopClient, raw: pd.DataFrame, first_day: date, last_day: date) -> Children:
    """Ask for it: order by order, and of related lists what was created on the same days.

    Args:
        client: Asks the shop.
        raw: Rows of `raw/orders`.
        first_day: First of their business days.
        last_day: Last one.

    Raises:
        PipelineError: As `extract_days`, and as `OrderCalls.ask`.
    """
    found: defaultdict[str, defaultdict[Order, list[str]]] = defaultdict(lambda: defaultdict(list))
    orders = dict(orders_of(raw))
    for name in client.shop.orders.related if orders else ():
        for batch in extract_days(client, related_list(client.shop, name), first_day, last_day):
            for row in batch.to_pylist():
                if row["parent_id"] in orders:
                    found[name][row["parent_id"], orders[row["parent_id"]]].append(row["payload"])
    for name, calls in order_calls(client).items():
        for order_id, order_date, payload in zip(raw["order_id"], raw["order_date"], raw["payload"], strict=True):
            document = decoded(payload)
            if calls.is_asked(order_id, document):
                found[name][order_id, order_date] = calls.ask(order_id, document)
    return Children(found)
