"""What is in quarantine now, what became of what was, and the marks that bring its days back.

Nothing is repaired here: an order, or an event of one, leaves quarantine when its day is loaded again and it is well.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

from analytics_pipeline.history.stale import StaleDay, give_another_chance, lock_list, mark
from analytics_pipeline.tables.contracts import CLEAN_ORDERS, EXCLUSIONS, ORDER, QUARANTINE
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import fetched
from analytics_pipeline.warehouse.slices import exists

REPLAY = "replay"
"""Reason of a stale day that was marked so that its quarantined orders are judged again."""
CLEAN, QUARANTINED, EXCLUDED, GONE = "clean", "quarantined", "excluded", "gone"
UNKNOWN_CURRENCY = "of unknown currency"
_LISTED = (
    "order_date, order_id, kind, event_id, table_name, reason, column_name, value, currency, "
    "money_at_risk::text as money"
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Selection:
    """Which quarantined orders are meant; what is None does not matter.

    Attributes:
        reason: The broken rule.
        first_day: First business day.
        last_day: Last business day, included.
        order_id: One order.
    """

    reason: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    order_id: str | None = None

    @property
    def condition(self) -> str:
        """The condition in SQL, with `$1` for the first of `parameters`."""
        tests = [test for test, value in self._tests() if value is not None]
        return " and ".join(f"{test} ${place}" for place, test in enumerate(tests, 1)) or "true"

    @property
    def parameters(self) -> tuple[object, ...]:
        """Values of the condition."""
        return tuple(value for _, value in self._tests() if value is not None)

    def _tests(self) -> list[tuple[str, object]]:
        return [
            ("reason =", self.reason),
            ("order_date >=", self.first_day),
            ("order_date <=", self.last_day),
            ("order_id =", self.order_id),
        ]


@dataclass(frozen=True)
class Outcome:
    """Where an order, or an event of one, that was in quarantine is now.

    Attributes:
        order_id: The order.
        kind: What was held back of it: `order`, `refund` or `cancellation`.
        day: Business day under which it was quarantined.
        place: `clean`, `quarantined`, `excluded`, or `gone`: the shop no longer gives it for this day.
        currency: Of the money, None when unknown.
        money: What it adds up to, or is at risk still; None when unknown.
        reason: Why it is quarantined or excluded.
    """

    order_id: str
    kind: str
    day: date
    place: str
    currency: str | None = None
    money: str | None = None
    reason: str | None = None


def reasons(database: Database, selection: Selection, table: Table = QUARANTINE.table) -> list[Row]:
    """Return number, money, first and last day and an example of each reason, field, kind and currency.

    Frequent reasons come first. Amounts that are not known are rows of their own, without `money`.

    Args:
        database: Where the tables lie.
        selection: What is meant.
        table: `ops.quarantine`, or `ops.blocked_orders` for what it would hold of blocked days.
    """
    return _read(
        database,
        f"select reason, column_name, kind, coalesce(currency, '{UNKNOWN_CURRENCY}') as currency, count(*) as orders, "
        "sum(money_at_risk)::text as money, min(order_date) as first_day, max(order_date) as last_day, "
        "(array_agg(order_id order by order_date desc, order_id))[1] as example, "
        "(sum(count(*)) over (partition by reason, column_name, kind))::bigint as orders_of_reason "
        f"from {table.sql_name} where {selection.condition} "
        "group by 1, 2, 3, 4, money_at_risk is null "
        "order by orders_of_reason desc, reason, column_name, kind, money_at_risk is null, currency",
        selection.parameters,
        tables=[table],
    )


def orders(
    database: Database, selection: Selection, most: int | None = None, table: Table = QUARANTINE.table
) -> list[Row]:
    """Return what is in quarantine without the payloads, newest first; of blocked days as `reasons` does."""
    return _read(
        database,
        f"select {_LISTED} from {table.sql_name} where {selection.condition} "
        "order by order_date desc, order_id, kind, event_id" + (f" limit {most}" if most is not None else ""),
        selection.parameters,
        tables=[table],
    )


def records(database: Database, order_id: str) -> list[Row]:
    """Return what is in quarantine of an order id, payloads included; an order once for each day that it came under."""
    return _read(
        database,
        f"select {_LISTED}, contract_version, payload::text as payload "
        f"from {QUARANTINE.table.sql_name} where order_id = $1 order by order_date, kind, event_id",
        (order_id,),
    )


def outcomes(database: Database, held: Sequence[Row]) -> list[Outcome]:
    """Return where that is now which `orders` gave before."""
    ids = sorted({row["order_id"] for row in held})
    if not ids:
        return []
    parts = [
        (CLEAN, CLEAN_ORDERS.table, f"'{ORDER}'", "''", "order_total", "null"),
        (QUARANTINED, QUARANTINE.table, "kind", "event_id", "money_at_risk", "reason"),
        (EXCLUDED, EXCLUSIONS.table, f"'{ORDER}'", "''", "order_total", "reason"),
    ]
    found = _read(
        database,
        " union all ".join(
            f"select '{place}' as place, order_id, order_date, {kind} as kind, {event_id} as event_id, currency, "
            f"{money}::text as money, {reason} as reason from {table.sql_name} where order_id = any($1)"
            for place, table, kind, event_id, money, reason in parts
        ),
        (ids,),
        tables=[table for _, table, *_ in parts],
    )
    places = {key_of(row): row for row in found}
    return [_outcome(row, places) for row in held]


def key_of(row: Row) -> tuple[object, ...]:
    """Return which order, or which event of one, a row holds."""
    return tuple(row[name] for name in QUARANTINE.table.key)


def _outcome(held: Row, places: dict[tuple[object, ...], Row]) -> Outcome:
    """Describe where it is; an event that is no longer held back is where its order is."""
    order_id, kind, day = held["order_id"], held["kind"], held["order_date"]
    row = places.get(key_of(held))
    if row is not None:
        return Outcome(order_id, kind, day, row["place"], row["currency"], row["money"], row["reason"])
    order = None if kind == ORDER else places.get((day, order_id, ORDER, ""))
    if order is None:
        return Outcome(order_id, kind, day, GONE)
    return Outcome(order_id, kind, day, order["place"], held["currency"], held["money"], order["reason"])


def mark_quarantined_days(
    database: Database, *, reason: str | None = None, first_day: date | None = None, last_day: date | None = None
) -> list[date]:
    """Mark the business days of quarantined orders as stale, so that the sensor for late changes loads them again.

    A day that is marked already keeps when it went stale, and is tried again even if it was given up.

    Args:
        database: Where the tables lie.
        reason: Only the orders that broke this rule.
        first_day: Only from this business day.
        last_day: Only to this business day, included.

    Returns:
        The marked days, in order.
    """
    if not exists(database, QUARANTINE.table):
        return []
    selection = Selection(reason, first_day, last_day)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        lock_list(cursor)
        cursor.execute(
            f"select order_date, array_agg(distinct order_id order by order_id) from {QUARANTINE.table.sql_name} "
            f"where {selection.condition} group by order_date order by order_date",
            selection.parameters or None,
        )
        found = [StaleDay(day, REPLAY, tuple(ids), frozenset({day})) for day, ids in cursor.fetchall()]
        mark(cursor, found)
        give_another_chance(cursor, [stale.day for stale in found])
        connection.commit()
    return [stale.day for stale in found]


def _read(
    database: Database, sql: str, parameters: tuple[object, ...] = (), tables: Sequence[Table] = (QUARANTINE.table,)
) -> list[Row]:
    """Return the rows of a `select`; none while one of its tables is missing."""
    if not all(exists(database, table) for table in tables):
        return []
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql, parameters or None)
        return fetched(cursor)
