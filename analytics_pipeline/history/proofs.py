"""What each business day of orders was last held against the shop by: one row a day, written with the day's orders.

Likewise of each list that is related to orders, in a table of their own.

Whether a reading proves a day is judged elsewhere; here is the table: writing it, and reading it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import STALE, lock_list
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.history import DAY_PROOFS, RELATED_PROOFS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import query

DAYS_PROVED = "every_day_is_proved"
"""The check that names the days of a run which are not; where rows were left as they are, the run is not whole."""
PROVED, UNPROVED, REFUSED = "proved", "unproved", "refused"
COUNT, FILES, REPEAT, NONE = "count", "files", "repeat", "none"
PROOFS, OF_RELATED = DAY_PROOFS.sql_name, RELATED_PROOFS.sql_name
ORDERS = RAW_ORDERS.table
_COLUMNS = tuple(column.name for column in DAY_PROOFS.columns)


@dataclass(frozen=True)
class DayProof:
    """How a business day stands against the shop; the attributes are the columns of `ops.day_proofs`."""

    day: date
    state: str
    basis: str
    held_at: datetime
    orders: int
    since: datetime
    source_count: int | None = None
    fingerprint: str | None = None
    again_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class ProofsHeld:
    """Writes what was judged of some days in the transaction that writes their orders, or their related records."""

    proofs: tuple[DayProof, ...]

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Write them."""
        del part  # what was judged is of these days
        write_proofs(cursor, self.proofs, table)
        wait_for_turn(cursor, self.proofs)


def write_proofs(cursor: Connection, proofs: Iterable[DayProof], listed: Table = ORDERS) -> None:
    """Replace the rows of some days, in the caller's transaction; a day that stays in its state keeps its `since`.

    Args:
        cursor: In the transaction.
        proofs: What was judged.
        listed: The raw table of the list.
    """
    book, beside = (PROOFS, {}) if listed == ORDERS else (OF_RELATED, {"list_name": listed.qualified_name})
    names = (*beside, *_COLUMNS)
    rows = [beside | {name: _json(getattr(proof, name)) for name in _COLUMNS} for proof in proofs]
    changed = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in {"day", "since"})
    cursor.execute(
        f"insert into {book} as stored ({', '.join(names)}) "
        f"select {', '.join(names)} from jsonb_populate_recordset(null::{book}, $1::text::jsonb) "
        f"on conflict ({', '.join((*beside, 'day'))}) do update set {changed}, since = case "
        "when stored.state = excluded.state and stored.state = 'proved' then stored.since else excluded.since end",
        (json.dumps(rows),),
    )


def renew(cursor: Connection, days: Iterable[date], held_at: datetime, basis: str) -> None:
    """Note, in the caller's transaction, that days were read again and are as they are stored.

    A day that somebody has held against the shop later keeps that, and one that is not proved stays so. A day without
    any proof, which was loaded before proofs were kept, gets one.
    """
    raw = RAW_ORDERS.table.sql_name
    cursor.execute(
        f"""
        insert into {PROOFS} as stored (day, state, basis, held_at, orders, since)
        select day, '{PROVED}', $3, $2, (select count(distinct order_id) from {raw} where order_date = day), $2
        from unnest($1::date[]) as held (day)
        on conflict (day) do update set held_at = excluded.held_at
        where stored.held_at < excluded.held_at and stored.state = '{PROVED}'
        """,
        (list(days), held_at, basis),
    )


def wait_for_turn(cursor: Connection, proofs: Iterable[DayProof]) -> None:
    """Take days off the list of stale ones that are on it to be proved only: a poll lists them in their turn."""
    waiting = ", ".join(f"date '{proof.day}'" for proof in proofs if proof.again_at is not None)
    if waiting:
        lock_list(cursor)
        cursor.execute(f"delete from {STALE} where reason = '{UNPROVED}' and day in ({waiting})")


def read_proofs(database: Database, days: Iterable[date] | None = None, listed: Table = ORDERS) -> dict[date, DayProof]:
    """Return what is known of some days, or of all; a day that was never held against the shop is missing."""
    book = PROOFS if listed == ORDERS else f"{OF_RELATED} where list_name = '{listed.qualified_name}'"
    proofs = f"select {', '.join(_COLUMNS)} from {book}"
    chosen = "" if days is None else f" where day = any('{{{','.join(map(str, days))}}}'::date[])"
    rows = query(database, f"select * from ({proofs}) as proofs{chosen} order by day")
    return {row["day"]: DayProof(**row) for row in rows}


def related_in_doubt(database: Database) -> dict[str, list[DayProof]]:
    """Return the days of lists that belong to orders that are not proved, by the raw table of the list."""
    names = [row["list_name"] for row in query(database, f"select distinct list_name from {OF_RELATED} order by 1")]
    columns = ", ".join(_COLUMNS)
    found: dict[str, list[DayProof]] = {}
    for name in names:
        of_list = f"from {OF_RELATED} where list_name = '{name}' and state <> '{PROVED}' order by day"
        proofs = [DayProof(**row) for row in query(database, f"select {columns} {of_list}")]
        if proofs:
            found[name] = proofs
    return found


def _json(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
