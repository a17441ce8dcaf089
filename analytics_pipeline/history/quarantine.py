"""What is in quarantine now, what became of orders that were, and the marks that bring their days back.

Nothing is repaired here: an order leaves quarantine when its day is loaded again and it is well.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Any

from analytics_pipeline.contracts import CLEAN_ORDERS, EXCLUSIONS, QUARANTINE
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import exists, query
from analytics_pipeline.history.prepare import prepare
from analytics_pipeline.history.stale import StaleDay, give_another_chance, lock_list, mark
from analytics_pipeline.tables import Table

REPLAY = "replay"
"""Reason of a stale day that was marked so that its quarantined orders are judged again."""
CLEAN, QUARANTINED, EXCLUDED, GONE = "clean", "quarantined", "excluded", "gone"
UNKNOWN_CURRENCY = "of unknown currency"
_LISTED = "order_date, order_id, table_name, reason, column_name, value, currency, money_at_risk::text as money"

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
    """Where an order that was in quarantine is now.

    Attributes:
        order_id: The order.
        day: Business day under which it was quarantined.
        place: `clean`, `quarantined`, `excluded`, or `gone`: the shop no longer gives it for this day.
        currency: Of the money, None when unknown.
        money: What it adds up to, or is at risk still; None when unknown.
        reason: Why it is quarantined or excluded.
    """

    order_id: str
    day: date
    place: str
    currency: str | None = None
    money: str | None = None
    reason: str | None = None


def reasons(database: Database, selection: Selection) -> list[Row]:
    """Return orders, money, first and last day and an example of each reason and currency, frequent reasons first."""
    return _read(
        database,
        f"select reason, coalesce(currency, '{UNKNOWN_CURRENCY}') as currency, count(*) as orders, "
        "coalesce(sum(money_at_risk), 0)::text as money, min(order_date) as first_day, max(order_date) as last_day, "
        "(array_agg(order_id order by order_date desc, order_id))[1] as example, "
        "sum(count(*)) over (partition by reason) as orders_of_reason "
        f"from {QUARANTINE.table.qualified_name} where {selection.condition} group by 1, 2 "
        "order by orders_of_reason desc, reason, currency",
        selection.parameters,
    )


def orders(database: Database, selection: Selection, most: int | None = None) -> list[Row]:
    """Return the quarantined orders without their payloads, newest first."""
    return _read(
        database,
        f"select {_LISTED} from {QUARANTINE.table.qualified_name} where {selection.condition} "
        "order by order_date desc, order_id" + (f" limit {most}" if most is not None else ""),
        selection.parameters,
    )


def records(database: Database, order_id: str) -> list[Row]:
    """Return the quarantined records of an id, payload included; one for each business day that it came under."""
    return _read(
        database,
        f"select {_LISTED}, {_version(database)} as contract_version, payload::text as payload "
        f"from {QUARANTINE.table.qualified_name} where order_id = $1 order by order_date",
        (order_id,),
    )


def _version(database: Database) -> str:
    """Return the column of the version; null while the stored table is of before it existed."""
    found = query(
        database,
        "select count(*) as columns from information_schema.columns where column_name = 'contract_version' "
        f"and table_schema = '{QUARANTINE.table.schema}' and table_name = '{QUARANTINE.table.name}'",
    )
    return "contract_version" if found[0]["columns"] else "null::text"


def outcomes(database: Database, held: Sequence[Row]) -> list[Outcome]:
    """Return where orders are now that `orders` gave before."""
    ids = sorted({row["order_id"] for row in held})
    if not ids:
        return []
    parts = [
        (CLEAN, CLEAN_ORDERS.table, "order_total", "null"),
        (QUARANTINED, QUARANTINE.table, "money_at_risk", "reason"),
        (EXCLUDED, EXCLUSIONS.table, "order_total", "reason"),
    ]
    found = _read(
        database,
        " union all ".join(
            f"select '{place}' as place, order_id, order_date, currency, {money}::text as money, {reason} as reason "
            f"from {table.qualified_name} where order_id = any($1)"
            for place, table, money, reason in parts
        ),
        (ids,),
        tables=[table for _, table, _, _ in parts],
    )
    places = {(row["order_id"], row["order_date"]): row for row in found}
    return [_outcome(row["order_id"], row["order_date"], places) for row in held]


def _outcome(order_id: str, day: date, places: dict[tuple[str, date], Row]) -> Outcome:
    row = places.get((order_id, day))
    if row is None:
        return Outcome(order_id, day, GONE)
    return Outcome(order_id, day, row["place"], row["currency"], row["money"], row["reason"])


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
    prepare(database)
    selection = Selection(reason, first_day, last_day)
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        lock_list(cursor)
        cursor.execute(
            f"select order_date, array_agg(order_id order by order_id) from {QUARANTINE.table.qualified_name} "
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
        rows: list[Row] = cursor.fetch_arrow_table().to_pylist()
        return rows
