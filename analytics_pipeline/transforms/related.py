"""Related records put into the orders that they belong to, before the description's paths read these. Pure.

Which records belong to which orders is found in the database (`history.related`); what they mean is read as if the shop
had sent them within the order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.transforms.records import ORDERS, Faults, Path, decoded, is_true
from analytics_pipeline.transforms.values import means_nothing

Order = tuple[str, date]
"""An order's id, and the business day under which it stands."""


@dataclass(frozen=True)
class Children:
    """The related records of some orders, as they were sent, in order.

    Attributes:
        by_list: Payloads by order, by the name of the list in the description.
    """

    by_list: Mapping[str, Mapping[Order, Sequence[str]]] = field(default_factory=dict)

    def of(self, name: str, order: Order) -> Sequence[str]:
        """Return the payloads of a list that belong to an order."""
        return self.by_list.get(name, {}).get(order, ())

    def having(self, found: Mapping[str, Mapping[Order, Sequence[str]]]) -> "Children":
        """Return the same with other records for some orders, given by list; all orders are copied."""
        merged = {name: {**self.by_list.get(name, {}), **by_order} for name, by_order in found.items()}
        return Children({**self.by_list, **merged})


NO_CHILDREN = Children()


def put_into_orders(
    documents: Sequence[object], orders: Iterable[Order], children: Children, shop: Shop, faults: Faults
) -> None:
    """Put related records into decoded orders, each list under its key; what stands there as a list is added to.

    An order whose key holds something else is noted as a fault.

    Args:
        documents: Decoded orders, which are changed.
        orders: Which ones they are.
        children: Their related records.
        shop: Says under which key each list belongs.
        faults: Takes the faults, by position.
    """
    places = shop.orders.joined
    if not places:
        return
    _judge_rules(documents, shop, faults)
    for position, (document, order) in enumerate(zip(documents, orders, strict=True)):
        if not isinstance(document, dict):
            continue
        for name, place in places.items():
            records = [decoded(payload) for payload in children.of(name, order)]
            if not _put(document, place.split("."), records):
                faults.note(position, f"holds something else than a list of {name}", ORDERS, place)


def _judge_rules(documents: Sequence[object], shop: Shop, faults: Faults) -> None:
    """Note the orders of which it cannot be told whether a list is asked for: it never was, and is no empty one."""
    for name, follow in shop.orders.follow.items():
        of_list = f"follow.{name}"
        found = Path(follow.when, ORDERS, f"{of_list}.when").read(documents, range(len(documents)), faults)
        if follow.cursor is not None:
            asked = [place for place, value in enumerate(found) if is_true(value)]
            Path(follow.cursor, ORDERS, f"{of_list}.cursor").read([documents[place] for place in asked], asked, faults)


def _put(document: dict[str, Any], path: Sequence[str], records: list[object]) -> bool:
    """Add records to the list at a path of an object, which is made where there is none; return whether it could be."""
    *parents, last = path
    for name in parents:
        if means_nothing(document.get(name)):
            document[name] = {}
        document = document[name]
        if not isinstance(document, dict):
            return False
    found = document.get(last)
    if isinstance(found, list):
        found += records
    elif means_nothing(found) or found == {}:
        document[last] = records
    return isinstance(document.get(last), list)


def orders_of(raw: pd.DataFrame) -> set[Order]:
    """Return the orders of rows of `raw.orders`."""
    return set(zip(raw["order_id"], raw["order_date"], strict=True))
