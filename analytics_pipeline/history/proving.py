"""Whether a day that came is believed: by the shop's count, or without one by what is stored and what came before.

Without a count a list that lost most of its orders looks like any other. Such a day is unproved: it is read again after
an hour and on another calendar day, and the same answer then is believed. The judgement is a pure function; beside it
stand the figures of the database that it needs, and the days whose turn it is to be read again.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics_pipeline.days import start_of_day
from analytics_pipeline.history.proofs import (
    COUNT,
    NONE,
    OF_RELATED,
    PROOFS,
    PROVED,
    REFUSED,
    REPEAT,
    UNPROVED,
    DayProof,
    read_proofs,
    wait_for_turn,
    write_proofs,
)
from analytics_pipeline.history.stale import StaleDay
from analytics_pipeline.history.written import written_days
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

AGAIN_AFTER = timedelta(hours=1)
LONGEST_WAIT = timedelta(days=1)
SAME_WEEKDAYS = tuple(timedelta(weeks=weeks) for weeks in (1, 2, 3, 4))
NO_COUNT = "the shop gives no count"
EMPTY = "0-" + "0" * 32
"""The fingerprint of a day without orders."""


@dataclass(frozen=True)
class DayCame:
    """What came for a day.

    Attributes:
        day: The business day.
        orders: Different orders.
        is_counted: Whether the shop's count agrees.
        source_count: The shop's count of this day alone.
        fingerprint: Tells the same answer.
        count_fault: Why a count that came is none of the list.
        basis: What the count is of: the shop's (`COUNT`), or that of the files that were taken in (`FILES`).
        lack: What there is not, where it is not counted, in words.
    """

    day: date
    orders: int
    is_counted: bool
    source_count: int | None = None
    fingerprint: str = EMPTY
    count_fault: str | None = None
    basis: str = COUNT
    lack: str = NO_COUNT


@dataclass(frozen=True)
class Stored:
    """What is stored of some days.

    Attributes:
        written: The days of raw orders that have been written.
        orders: Different orders by day; none where it has none.
        lost: Those of them that did not come.
        proofs: What the days were held against the shop by.
    """

    written: Collection[date]
    orders: Mapping[date, int]
    lost: Mapping[date, int]
    proofs: Mapping[date, DayProof]


def judge(came: Sequence[DayCame], stored: Stored, began: datetime, zone: ZoneInfo) -> list[DayProof]:
    """Return what the days are held against the shop by, now that they have been read at `began`."""
    counts = {**stored.orders, **{day.day: day.orders for day in came}}
    busy = {day for day, orders in counts.items() if orders}
    return [_judged(day, stored, busy, began, zone) for day in came]


def _judged(came: DayCame, stored: Stored, busy: Collection[date], began: datetime, zone: ZoneInfo) -> DayProof:
    if came.is_counted:
        return DayProof(came.day, PROVED, came.basis, began, came.orders, began, source_count=came.source_count)
    odd = _oddity(came, stored, busy)
    proof = DayProof(
        came.day, PROVED, NONE, began, came.orders, began, fingerprint=came.fingerprint, reason=came.count_fault
    )
    if odd is None:
        return proof
    before = stored.proofs.get(came.day)
    is_same = before is not None and before.state == UNPROVED and before.fingerprint == came.fingerprint
    since = before.since if before is not None and is_same else began
    waited, first_day = began - since, since.astimezone(zone).date()
    if waited >= AGAIN_AFTER and began.astimezone(zone).date() > first_day:
        return DayProof(came.day, PROVED, REPEAT, began, came.orders, began, fingerprint=came.fingerprint, reason=odd)
    soon = since + AGAIN_AFTER
    again_at = soon if waited < AGAIN_AFTER else max(soon, start_of_day(first_day + timedelta(days=1), zone))
    return DayProof(
        came.day, UNPROVED, NONE, began, came.orders, since, fingerprint=came.fingerprint, again_at=again_at, reason=odd
    )


def _oddity(came: DayCame, stored: Stored, busy: Collection[date]) -> str | None:
    """Return what is odd of a day that nobody counted, in words; `busy` days had orders."""
    had, lost = stored.orders.get(came.day, 0), stored.lost.get(came.day, 0)
    if had and not came.orders:
        return f"it came empty, {had} orders are stored, and {came.lack}"
    if 2 * lost > had:
        return f"{lost} of {had} stored orders did not come, and {came.lack}"
    is_new = came.day not in stored.written or _is_unproved(came.day, stored)
    if is_new and not came.orders and all(came.day - weeks in busy for weeks in SAME_WEEKDAYS):
        return f"it came empty, the same weekdays of four weeks before had orders, and {came.lack}"
    return None


def _is_unproved(day: date, stored: Stored) -> bool:
    before = stored.proofs.get(day)
    return before is not None and before.state == UNPROVED


def is_kept(proof: DayProof, written: Collection[date]) -> bool:
    """Return whether what came of a day is written: not an unproved one over older rows."""
    return proof.state == PROVED or (proof.state == UNPROVED and proof.day not in written)


def refusal(day: date, reason: str, stored: Stored, began: datetime) -> DayProof:
    """Return the entry of a day that could not be read whole: asked for again after an hour, later once a day."""
    before = stored.proofs.get(day)
    since = before.since if before is not None and before.state == REFUSED else began
    wait = min(max(began - since, AGAIN_AFTER), LONGEST_WAIT)
    orders = stored.orders.get(day, 0)
    return DayProof(day, REFUSED, NONE, began, orders, since, again_at=began + wait, reason=reason)


def read_stored(
    database: Database, days: Collection[date], came: Collection[tuple[str, date]], listed: Table = RAW_ORDERS.table
) -> Stored:
    """Return what is stored of some days and of the same weekdays before, and what of it did not come.

    Args:
        database: Where the tables lie.
        days: The days.
        came: The records that came, by id and day.
        listed: The raw table of the list.
    """
    written = written_days(database, listed)
    proofs = read_proofs(database, listed=listed)
    if not exists(database, listed):
        return Stored(written, {}, {}, proofs)
    record_id, day, name = listed.columns[0].name, listed.day_column, listed.sql_name
    asked = {*days, *(day - weeks for day in days for weeks in SAME_WEEKDAYS)}
    rows = query(
        database,
        f"select {day} as day, count(distinct {record_id}) as orders from {name} "
        f"where {day} between date '{min(asked)}' and date '{max(asked)}' group by {day}",
    )
    orders = {row["day"]: row["orders"] for row in rows}
    ids = {one for one, _ in came}
    names = query(
        database,
        f"select distinct {day} as day, {record_id} as record_id from {name} "
        f"where {day} between date '{min(days)}' and date '{max(days)}'",
    )
    lost: dict[date, int] = {}
    for row in names:
        lost[row["day"]] = lost.get(row["day"], 0) + (row["record_id"] not in ids)
    return Stored(written, orders, lost, proofs)


def days_to_prove(database: Database, now: datetime) -> list[StaleDay]:
    """Return the unproved and refused days whose turn it is to be read again."""
    proofs = f"select day, again_at from {PROOFS} union all select day, again_at from {OF_RELATED}"
    turn = f"again_at <= timestamptz '{now.isoformat()}'"
    rows = query(database, f"select distinct day from ({proofs}) as proofs where {turn} order by day")
    return [StaleDay(row["day"], UNPROVED, event_days=frozenset({row["day"]})) for row in rows]


def note_refusals(database: Database, proofs: Sequence[DayProof], listed: Table = RAW_ORDERS.table) -> None:
    """Keep what was refused where nothing else is written."""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        write_proofs(cursor, proofs, listed)
        wait_for_turn(cursor, proofs)
        connection.commit()
