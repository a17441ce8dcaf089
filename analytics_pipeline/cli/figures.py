"""Amounts as the commands print them: what a table keeps apart, by currency, and cents."""

from collections.abc import Iterable
from decimal import Decimal

from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import exists, query
from analytics_pipeline.tables import Table


def orders_and_money(database: Database, table: Table, column: str) -> str:
    """Tell how many orders a table of `ops` holds and what they add up to, each currency on its own.

    Args:
        database: Where the table lies.
        table: A table with `currency`.
        column: Its amount.
    """
    if not exists(database, table):
        return "nothing yet"
    rows = query(
        database,
        "select coalesce(currency, 'of unknown currency') as currency, count(*) as orders, "
        f"coalesce(sum({column}), 0)::text as money from {table.qualified_name} group by 1 order by 1",
    )
    told = (f"{count_of_orders(row['orders'])}, {cents(row['money'])} {row['currency']}" for row in rows)
    return "; ".join(told) or "no orders"


def count_of_orders(count: int) -> str:
    """Tell a number of orders."""
    return "1 order" if count == 1 else f"{count} orders"


def cents(amount: str) -> str:
    """Show an amount of four decimals with two where the others are zeros."""
    return amount.removesuffix("00") if "." in amount else amount


def money_by_currency(amounts: Iterable[tuple[str | None, str | None]]) -> str:
    """Tell what amounts add up to, each currency on its own; an amount that is not known counts as nothing.

    Args:
        amounts: Currency and amount of each order.
    """
    sums: dict[str, Decimal] = {}
    for currency, amount in amounts:
        name = currency or "of unknown currency"
        sums[name] = sums.get(name, Decimal("0.0000")) + Decimal(amount or 0)
    return ", ".join(f"{cents(str(total))} {name}" for name, total in sorted(sums.items()))
