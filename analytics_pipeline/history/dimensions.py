"""What a run that asks for no customers and products finds to need them after all.

Whether a day may be loaded so is known from comparing its orders (`late_changes`). Loading it may bring changes that no
comparison has seen: an order that came or went silently since. It is then listed for a run that reads everything.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import StaleDay, mark
from analytics_pipeline.tables.contracts import (
    CLEAN_CUSTOMERS,
    CLEAN_ORDER_LINES,
    CLEAN_ORDERS,
    RAW_CUSTOMERS,
    RAW_PRODUCTS,
)
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import is_there

REASON = "dimensions"
_DIMENSIONS = (RAW_CUSTOMERS, RAW_PRODUCTS, CLEAN_CUSTOMERS)


@dataclass(frozen=True)
class DimensionsMissed:
    """Lists days whose changed orders name a customer or product that is not stored, or were a customer's first one.

    Comes after `SalesChanged`, which finds the changed orders, and `StaleUnmarked`.
    """

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """List them."""
        del table, part
        cursor.execute("select to_regclass('pg_temp.orders_changed') is not null")
        is_compared = cursor.fetchone()[0]  # not while no mart has days
        if not is_compared or not all(is_there(cursor, needed.table) for needed in _DIMENSIONS):
            return
        orders: dict[date, list[str]] = defaultdict(list)
        cursor.execute(
            f"""
            select order_date, order_id
            from {CLEAN_ORDERS.table.sql_name} as orders join orders_changed using (order_id)
            where customer_id is not null
            and not exists (
                select from {RAW_CUSTOMERS.table.sql_name} as known where known.customer_id = orders.customer_id
            )
            union
            select order_date, order_id
            from {CLEAN_ORDER_LINES.table.sql_name} as lines join orders_changed using (order_id)
            where product_id is not null
            and not exists (
                select from {RAW_PRODUCTS.table.sql_name} as known where known.product_id = lines.product_id
            )
            union
            -- The record may name another day by now. An order that comes is none of these: it counts beside records.
            select sold_on_before, order_id
            from orders_changed join {CLEAN_CUSTOMERS.table.sql_name} on customer_id = buyer_before
            where sold_on_before <= first_order_date
            and (buyer_before, sold_on_before) is distinct from (buyer_after, sold_on_after)
            order by 1, 2
            """
        )
        for day, order_id in cursor.fetchall():
            orders[day].append(order_id)
        mark(
            cursor,
            [StaleDay(day, REASON, tuple(ids), frozenset({day}), needs_dimensions=True) for day, ids in orders.items()],
        )
