"""The rows of single days, cut into segments, as the tables have them. Which segment counts is `explanation`'s part."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from analytics_pipeline.anomalies.explanation import Part
from analytics_pipeline.anomalies.figures import orders_with_warnings
from analytics_pipeline.anomalies.metrics import Source
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, CLEAN_SALES, EXCLUSIONS, ORDER, QUARANTINE
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query

_SALES, _ORDERS = CLEAN_SALES.table.sql_name, CLEAN_ORDERS.table.sql_name
_GUEST = "guest"
_HEAVIEST = 40
_DISCOUNTS = """
    case
        when coalesce(orders.discounts, 0) = 0 then 'no discount'
        when orders.discounts < 0.1 * orders.gross_sales then 'a discount below 10 %'
        when orders.discounts < 0.3 * orders.gross_sales then 'a discount of 10 to 30 %'
        when orders.discounts < 0.6 * orders.gross_sales then 'a discount of 30 to 60 %'
        else 'a discount of 60 % or more'
    end
"""


def parts(database: Database, source: Source, currency: str, days: Sequence[date], shop_currency: str) -> list[Part]:
    """Return the rows of some days, from which one source's figures are made.

    Args:
        database: Where the tables lie.
        source: Which rows.
        currency: Those in this currency.
        days: The days, the one to explain first.
        shop_currency: The currency of what names none.
    """
    among = f"in ({dates(days)})"
    if source is Source.LEDGER:
        return [
            *_parts(query(database, _orders(currency, among))),
            *_parts(query(database, _products(currency, days))),
        ]
    if source is Source.WARNINGS:
        statement = (
            f'select day, reason as "reason:", order_id as "order:", 1 as orders '
            f"from ({orders_with_warnings(among)}) as warned where currency = '{currency}'"
        )
        return _parts(query(database, statement))
    contract, reason, money, only = {
        Source.QUARANTINE: (QUARANTINE, "reason || ' in ' || column_name", "money_at_risk", f"kind = '{ORDER}'"),
        Source.EXCLUSIONS: (EXCLUSIONS, "reason", "order_total", "true"),
    }[source]
    statement = (
        f'select order_date as day, {reason} as "reason:", order_id as "order:", 1 as orders, '
        f"case when currency is not null then coalesce({money}, 0) else 0 end as money "
        f"from {contract.table.sql_name} "
        f"where {only} and order_date {among} and coalesce(currency, '{shop_currency}') = '{currency}'"
    )
    return _parts(query(database, statement))


def _orders(currency: str, among: str) -> str:
    return f"""
        select
            events.event_date as day,
            events.order_id as "order:",
            events.customer_key as "customer:",
            coalesce(orders.country, '(unknown)') as "country:",
            case
                when orders.customer_id is null then '{_GUEST}'
                when exists (
                    select from {_ORDERS} as earlier
                    where earlier.customer_key = events.customer_key and earlier.gross_sales > 0
                    and earlier.order_date < orders.order_date
                ) then 'returning'
                else 'new'
            end as "customer kind:",
            {_DISCOUNTS} as "discount:",
            case when events.gross_sales > 0 then 1 else 0 end as orders,
            events.gross_sales, events.discounts, events.returns
        from (
            select
                event_date, order_id, customer_key, sum(gross_sales) as gross_sales, sum(discounts) as discounts,
                sum(returns) as returns
            from {_SALES}
            where event_date {among} and currency = '{currency}'
            group by event_date, order_id, customer_key
        ) as events
        left join {_ORDERS} as orders on orders.order_id = events.order_id
    """


def _products(currency: str, days: Sequence[date]) -> str:
    """Select the products that weigh most on the first of some days, or on all of them: no other can carry it."""
    return f"""
        with sums as (
            select
                event_date, product_id, sum(gross_sales) as gross_sales, sum(discounts) as discounts,
                sum(returns) as returns
            from {_SALES}
            where event_date in ({dates(days)}) and currency = '{currency}' and product_id is not null
            group by event_date, product_id
        ),
        heaviest as (
            select product_id
            from sums
            group by product_id
            order by
                sum((gross_sales + abs(returns)) * case when event_date = date '{days[0]}' then {len(days)} else 1 end)
                desc,
                product_id
            limit {_HEAVIEST}
        )
        select event_date as day, product_id as "product:", gross_sales, discounts, returns
        from sums
        where product_id in (select product_id from heaviest)
    """


def _parts(rows: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Make parts of rows: a column named as in `country:` is a segment's kind."""
    names = list(rows[0]) if rows else []
    kinds = [(name[:-1], name) for name in names if name.endswith(":")]
    amounts = [name for name in names if name != "day" and not name.endswith(":")]
    return [
        Part(
            row["day"],
            {kind: row[name] for kind, name in kinds if row[name] is not None},
            {name: Decimal(row[name]) for name in amounts},
        )
        for row in rows
    ]


def order_detail(database: Database, order_id: str, day: date) -> str:
    """Describe who is behind an order's events of a day, and which product they are mostly of."""
    rows = query(
        database,
        "select sales.product_id, orders.customer_id, sales.customer_key, abs(sum(sales.quantity))::bigint as units "
        f"from {_SALES} as sales left join {_ORDERS} as orders on orders.order_id = sales.order_id "
        f"where sales.event_date = date '{day}' and sales.order_id = {_quoted(order_id)} and product_id is not null "
        "group by 1, 2, 3 order by sum(sales.gross_sales + sales.returns) desc, 1 limit 1",
    )
    if not rows:
        return ""
    [row] = rows
    who = f"customer {row['customer_id']}" if row["customer_id"] else f"a {_GUEST}"
    return f"{who}, {_units(row['units'])} of {row['product_id']}"


def cancelled_at_once(database: Database, order_id: str, day: date) -> str:
    """Say if the customer of an order bought and gave back the same units of a product on a day."""
    rows = query(
        database,
        f"""
        select sales.product_id, max(orders.customer_id) as customer_id,
            (sum(sales.quantity) filter (where sales.gross_sales > 0))::bigint as units,
            array_to_string(array_agg(distinct sales.order_id order by sales.order_id), ' and ') as order_ids
        from {_SALES} as sales
        left join {_ORDERS} as orders on orders.order_id = sales.order_id
        where sales.event_date = date '{day}' and sales.customer_key = (
            select customer_key from {_SALES}
            where event_date = date '{day}' and order_id = {_quoted(order_id)} limit 1
        )
        group by sales.product_id
        having sum(sales.gross_sales) > 0 and sum(sales.quantity) = 0
            and {_quoted(order_id)} = any(array_agg(sales.order_id))
        order by sum(sales.gross_sales) desc limit 1
        """,
    )
    if not rows:
        return ""
    [row] = rows
    who = f"customer {row['customer_id']}" if row["customer_id"] else f"a {_GUEST}"
    return (
        f"cancelled at once: {who} bought and returned {_units(row['units'])} of {row['product_id']} the same day "
        f"({row['order_ids']})"
    )


def _units(count: int) -> str:
    return f"{count:,} {'unit' if count == 1 else 'units'}"


def dates(days: Iterable[date]) -> str:
    """Return days as a list in SQL."""
    return ", ".join(f"date '{day}'" for day in days)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
