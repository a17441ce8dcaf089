"""Which business days stop or begin to be the one of a customer's first order: by orders, or by what the shop says."""

from collections.abc import Sequence
from dataclasses import dataclass

from analytics_pipeline.days import Days
from analytics_pipeline.history.noting import first_order_changes, keep, lock_marts, marts_days, note_changes
from analytics_pipeline.history.written import Writing
from analytics_pipeline.tables.contracts import CLEAN_CUSTOMERS, CLEAN_SALES
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.changes import CUSTOMER_RECORD
from analytics_pipeline.warehouse.drivers import Connection, fetched
from analytics_pipeline.warehouse.slices import is_there

SALES, CUSTOMERS = CLEAN_SALES.table.sql_name, CLEAN_CUSTOMERS.table.sql_name
IS_SOLD = "gross_sales > 0 and customer_key is not null"
"""Events by which an order is one of its customer's."""


def keep_first_orders_moved(cursor: Connection, slice_: str, marts: Sequence[Table]) -> None:
    """Keep the first orders that moved to or from a day that a mart has, with the order that did it.

    They are kept as `first_orders_moved`: order_id, before and after, the old and the new day, either of which may be
    null.

    Only customers are looked at of whom an order came, went, or has another day or customer; of these all orders, since
    the first one may lie anywhere.

    Args:
        cursor: In the write of the ledger; `sales_before` has the old rows, `orders_changed` the orders that differ.
        slice_: The condition that the rewritten rows of the ledger meet.
        marts: Tables of the marts by business day.
    """
    records = f"select customer_id as customer_key, first_order_date as day from {CUSTOMERS}"
    if not is_there(cursor, CLEAN_CUSTOMERS.table):
        records = "select null::text as customer_key, null::date as day where false"
    keep(
        cursor,
        "first_orders_moved",
        f"""
        with
        -- An order is noted once for its customer; which of several is all the same, as long as it is one of them.
        buyers as (
            select customer_key, min(order_id) as order_id
            from orders_changed cross join lateral (values (buyer_before), (buyer_after)) as buyers (customer_key)
            where (buyer_before, sold_on_before) is distinct from (buyer_after, sold_on_after)
            and customer_key is not null
            group by customer_key
        ),
        old as (
            select customer_key, min(order_date) as day from sales_before
            where {IS_SOLD} and customer_key in (select customer_key from buyers) group by customer_key
        ),
        -- The whole ledger, by the index of its customers: a first order may lie outside of the slice, where it is the
        -- same before and after.
        now as (
            select customer_key, min(order_date) as day, min(order_date) filter (where not ({slice_})) as elsewhere
            from {SALES} where {IS_SOLD} and customer_key in (select customer_key from buyers) group by customer_key
        ),
        -- The shop may know of orders that are older than what is loaded.
        given as ({records}),
        moved as (
            select
                buyers.order_id, least(old.day, now.elsewhere, given.day) as before, least(now.day, given.day) as after
            from buyers
            left join old using (customer_key)
            left join now using (customer_key)
            left join given using (customer_key)
        )
        select order_id, before, after from moved
        where before is distinct from after
        and (before in ({marts_days(marts)}) or after in ({marts_days(marts)}))
        """,
    )


@dataclass(frozen=True)
class FirstOrdersMoved:
    """Notes which days of first orders move with what the shop's customer records say.

    Attributes:
        writing: The run.
        marts: Tables of the marts by business day.
    """

    writing: Writing
    marts: Sequence[Table]

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Keep what the records said."""
        del part
        keep(
            cursor,
            "customers_before",
            f"select customer_id, first_order_date from {table.sql_name}",
            counted="customer_id",
        )

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Note the old and the new day of each first order that moved."""
        del part
        if not lock_marts(cursor, self.marts):
            return
        keep(
            cursor,
            "customers_differing",
            f"""
            select customer_id, old.first_order_date as before, new.first_order_date as after
            from {table.sql_name} as new full join customers_before as old using (customer_id)
            where old.first_order_date is distinct from new.first_order_date
            """,
            counted="customer_id",
        )
        cursor.execute(
            f"""
            with
            -- Loaded orders count beside what the records say: the older of both days is the first order's.
            bought as (
                select customer_key as customer_id, order_date as day, min(order_id) as order_id from {SALES}
                where gross_sales > 0 and customer_key in (select customer_id from customers_differing)
                group by customer_key, order_date
            ),
            loaded as (select customer_id, min(day) as day from bought group by customer_id),
            moved as (
                select customer_id, least(loaded.day, before) as before, least(loaded.day, after) as after
                from customers_differing left join loaded using (customer_id)
            )
            -- The order of that day is named, where it is loaded.
            select order_id, bought.day as order_date, affected.day as event_date, '{CUSTOMER_RECORD}' as cause
            from moved
            cross join lateral (values (before), (after)) as affected (day)
            left join bought on bought.customer_id = moved.customer_id and bought.day = affected.day
            where before is distinct from after and affected.day in ({marts_days(self.marts)})
            """
        )
        note_changes(cursor, first_order_changes(fetched(cursor)), self.writing, self.marts)
