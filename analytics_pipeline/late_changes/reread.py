"""Holding loaded days against the shop again: their orders are read and compared, and only what differs goes stale.

This finds what no list of changes has: refunds that leave the change stamp as it is, deleted orders, orders that came
late. A day that cannot be read is loaded again, since runs say what is wrong, wait and give up.
"""

from collections.abc import Collection, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date

from analytics_pipeline.days import Days
from analytics_pipeline.errors import DataError, TransientError
from analytics_pipeline.history.proofs import COUNT as COUNTED
from analytics_pipeline.history.proofs import NONE
from analytics_pipeline.history.stale import REREAD, StaleDay
from analytics_pipeline.late_changes.compare import Comparison, events_of, first_orders
from analytics_pipeline.late_changes.related import differing_days
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database

DELETED, COUNT = "deleted", "count"


@dataclass
class Reread:
    """What reading days again has found.

    Attributes:
        held: Days that are as they are stored.
        stale: Days that differ, and why.
        requests: Requests that it cost.
        failure: Why a range could not be read, in words.
        basis: What the days that are held are known by, a word of `ops.day_proofs`.
    """

    held: set[date] = field(default_factory=set)
    stale: list[StaleDay] = field(default_factory=list)
    requests: int = 0
    failure: str | None = None
    basis: str = NONE


def reread(client: ShopClient, database: Database, ranges: Iterable[Days], loaded: Collection[date]) -> Reread:
    """Read days again and compare them with what is stored.

    Args:
        client: Asks the shop.
        database: Where the tables lie.
        ranges: The days; those among them that are not loaded are passed over.
        loaded: The loaded days.
    """
    orders = client.shop.api_orders
    has_count = orders.count is not None or orders.count_header is not None
    found, before = Reread(basis=COUNTED if has_count else NONE), client.statistics.requests
    for days in ranges:
        wanted = {day for day in days if day in loaded}
        try:
            stale = [
                *_differing(client, database, days, wanted, loaded),
                *(one for one in differing_days(client, database, days) if one.day in wanted),
            ]
        except (DataError, TransientError) as error:
            found.failure = f"{days}: {error}"
            stale = [StaleDay(day, REREAD) for day in wanted]
        found.stale += stale
        found.held |= wanted - {one.day for one in stale}
        if found.failure is not None:  # the shop may be down: the next poll goes on
            break
    found.requests = client.statistics.requests - before
    return found


def _differing(
    client: ShopClient, database: Database, days: Days, wanted: set[date], loaded: Collection[date]
) -> list[StaleDay]:
    comparison = Comparison(database, client.shop, loaded, client)
    extraction = extract_orders(client, days.first, days.last)
    came: set[str] = set()
    for batch in extraction:
        rows = batch.to_pylist()
        came.update(row["order_id"] for row in rows)
        comparison.take(rows)
    is_counted = extraction.source_count is not None
    if is_counted and not extraction.agrees:
        return [*comparison.stale, *(StaleDay(day, COUNT) for day in wanted)]
    gone = {order_id: day for order_id, day in _stored_ids(database, days).items() if order_id not in came}
    if not is_counted:  # whether they are gone is for the run to judge
        return [*comparison.stale, *(StaleDay(day, REREAD) for day in {*gone.values()} & wanted)]
    events, first = events_of(database, gone), first_orders(database, gone)
    deleted = (
        StaleDay(day, DELETED, (one,), events[one] | {day}, needs_dimensions=one in first)
        for one, day in gone.items()
        if day in wanted
    )
    return [*comparison.stale, *deleted]


def _stored_ids(database: Database, days: Days) -> dict[str, date]:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(
            f"select order_id, order_date from {RAW_ORDERS.table.sql_name} where order_date between $1 and $2",
            (days.first, days.last),
        )
        return dict(cursor.fetchall())
