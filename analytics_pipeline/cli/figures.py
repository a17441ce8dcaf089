"""Amounts as the commands print them: what a table keeps apart, by currency, and cents."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from analytics_pipeline.days import Days
from analytics_pipeline.plain import counted
from analytics_pipeline.tables.contracts import HELD_KINDS, ORDER
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query


def orders_and_money(database: Database, table: Table, column: str, days: Days | None = None) -> str:
    """Say how many orders a table of `ops` holds and what they add up to, each currency on its own.

    Amounts that are not known are told apart from known ones; so are refunds and cancellations from orders.

    Args:
        database: Where the table lies.
        table: A table with `currency`, and `kind` where it holds more than orders.
        column: Its amount.
        days: Only these business days.
    """
    if not exists(database, table):
        return "nothing yet"
    kind = "kind" if any(known.name == "kind" for known in table.columns) else f"'{ORDER}'"
    where = f"where {table.where(days)} " if days is not None else ""
    rows = query(
        database,
        f"select {kind} as kind, {column} is null as is_unknown, "
        f"case when {column} is not null then coalesce(currency, 'of unknown currency') end as currency, "
        f"count(*) as orders, sum({column})::text as money from {table.sql_name} {where}group by 1, 2, 3 "
        f"order by {kind} <> '{ORDER}', 1 desc, 2, 3",
    )
    messages = (
        f"{counted(row['orders'], row['kind'])} of unknown amount"
        if row["is_unknown"]
        else f"{counted(row['orders'], row['kind'])}, {cents(row['money'])} {row['currency']}"
        for row in rows
    )
    return "; ".join(messages) or "no orders"


def count_of_orders(count: int) -> str:
    """Describe a number of orders."""
    return counted(count, ORDER)


def counted_kinds(kinds: Iterable[str]) -> str:
    """Say how many orders, refunds and cancellations there are."""
    counts = Counter(kinds)
    return ", ".join(counted(counts[kind], kind) for kind in HELD_KINDS if counts[kind]) or counted(0, ORDER)


def cents(amount: str) -> str:
    """Show an amount of four decimals with two where the others are zeros."""
    return amount.removesuffix("00") if "." in amount else amount


def money_by_currency(amounts: Iterable[tuple[str | None, str | None]]) -> str:
    """Say what amounts add up to, each currency on its own, and how many are not known.

    Args:
        amounts: Currency and amount of each order.
    """
    sums: dict[str, Decimal] = {}
    unknown = 0
    for currency, amount in amounts:
        if amount is None:
            unknown += 1
            continue
        name = currency or "of unknown currency"
        sums[name] = sums.get(name, Decimal("0.0000")) + Decimal(amount)
    known = [f"{cents(str(total))} {name}" for name, total in sorted(sums.items())]
    return ", ".join([*known, *([f"{unknown} of unknown amount"] if unknown else [])])
