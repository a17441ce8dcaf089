"""Whether a shop is the one whose orders are stored: a sample of them is asked for, and nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from analytics_pipeline.days import Days
from analytics_pipeline.decoding.mapping import compile_path, decode
from analytics_pipeline.sources.source import Source
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

SAMPLED_ORDERS = 5
"""Of each sampled day: the oldest one, the newest and one between."""


@dataclass(frozen=True)
class Sample:
    """What became of stored orders that the shop was asked for.

    Attributes:
        asked: How many.
        found: Those that it has, with the same id, day and moment.
    """

    asked: int
    found: int


def ask_for_stored_orders(source: Source, database: Database) -> Sample:
    """Ask the shop for a few of the stored orders, by their days; ids alone prove nothing, since shops count from 1.

    Raises:
        ShopUnavailableError, ShopRefusedError, AnswerError, PaginationError: The shop could not be asked.
    """
    asked = found = 0
    for day, stored in _sampled(database).items():
        there: dict[str, list[object]] = {}
        for batch in source.orders(Days(day, day)):
            for row in batch.to_pylist():
                there.setdefault(row["order_id"], []).append(_moment(row["payload"], source))
        asked += len(stored)
        found += sum(_moment(payload, source) in there.get(order_id, []) for order_id, payload in stored)
    return Sample(asked, found)


def _sampled(database: Database) -> dict[date, Sequence[tuple[str, str]]]:
    if not exists(database, RAW_ORDERS.table):
        return {}
    raw = RAW_ORDERS.table.sql_name
    days = [row["day"] for row in query(database, f"select distinct order_date as day from {raw} order by 1")]
    chosen = dict.fromkeys([days[0], days[len(days) // 2], days[-1]]) if days else {}
    return {
        day: [
            (row["order_id"], row["payload"])
            for row in query(
                database,
                f"select distinct on (order_id) order_id, payload::text as payload from {raw} "
                f"where order_date = date '{day}' order by order_id, extracted_at desc limit {SAMPLED_ORDERS}",
            )
        ]
        for day in chosen
    }


def _moment(payload: str, source: Source) -> object:
    """Return when an order was placed, as the record says it."""
    try:
        return compile_path(source.shop.orders.fields.created_at)(decode(payload))
    except ValueError:
        return None
