"""The shop's own report as it was read: which days are to be read, writing them, and what is said of the comparison.

Asking for the report is `sources`' part; the comparison is marts/daily_witness.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa

from analytics_pipeline.days import NO_DAYS, Days
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import MATERIALISED_DAYS, ORDER_CHANGES
from analytics_pipeline.tables.reports import SHOP_REPORTS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

WITNESS = Table("marts", "daily_witness", "", ())
MOST_BESIDE = 372
"""Days that are read beside those of a run, newest first: a dozen requests. The others follow with the next runs."""
REPORTS = SHOP_REPORTS.table.sql_name
IS_PARTIAL = "strpos(explained_by, '\"not_loaded\"') > 0"
"""Whether a figure waits for refunds of orders on days that are not loaded."""


@dataclass(frozen=True)
class ReportsRead:
    """Rows of `ops.shop_reports`, and the days that they replace."""

    rows: pa.Table
    days: Days = NO_DAYS


@dataclass(frozen=True)
class DueDays:
    """Loaded days, each over when it was loaded, whose report is to be read.

    Attributes:
        own: Those of the run.
        beside: Others that were never read, or that have changed since; newest first.
    """

    own: tuple[date, ...]
    beside: tuple[date, ...]

    @property
    def now(self) -> list[date]:
        """The days to be read in this run."""
        return [*self.own, *self.beside[:MOST_BESIDE]]


def due_days(database: Database, days: Days, metrics: Sequence[str], zone: ZoneInfo) -> DueDays:
    """Return the days whose report is to be read.

    A day with figures that wait for earlier days is read again once one of these has been loaded.

    Args:
        database: Where the tables lie.
        days: The run's days.
        metrics: Figures of the report; a day that was read without one of them is read again.
        zone: The shop's time zone.
    """
    listed = "{" + ",".join(sorted(metrics)) + "}"
    changes = ORDER_CHANGES.sql_name
    days_of_sales = f"{MATERIALISED_DAYS.sql_name} where table_name = '{CLEAN_SALES.table.qualified_name}'"
    partial = f"select business_day from {WITNESS.sql_name} where {IS_PARTIAL}" if exists(database, WITNESS) else ""
    rows = query(
        database,
        f"""
        with reports as (
            select day, min(as_of) as as_of, array_agg(distinct metric order by metric) as metrics
            from {REPORTS} group by day
        ),
        changed as (
            select day, max(changed_at) as changed_at
            from (
                select event_date as day, changed_at from {changes} where not is_first_order
                union all
                select order_date, changed_at from {changes} where not is_first_order
            ) as moved
            group by day
        )
        select sales.day from {MATERIALISED_DAYS.sql_name} as sales
        left join reports on reports.day = sales.day
        left join changed on changed.day = sales.day
        where sales.table_name = '{CLEAN_SALES.table.qualified_name}'
        and sales.as_of >= (sales.day + 1)::timestamp at time zone '{zone.key}'
        and (
            {days.where("sales.day")} or reports.day is null or changed.changed_at > reports.as_of
            or reports.metrics <> '{listed}'::text[]
            or sales.day in ({partial or "null"}) and reports.as_of < (
                select max(first_written_at) from {days_of_sales} and day < sales.day
            )
        )
        order by sales.day desc
        """,
    )
    found = [row["day"] for row in rows]
    return DueDays(tuple(day for day in found if day in days), tuple(day for day in found if day not in days))


def report_rows(
    said: Iterable[tuple[Sequence[date], dict[tuple[date, str], dict[str, Decimal | None]], datetime]],
    metrics: Sequence[str],
    currency: str,
    read_at: datetime,
    run_id: str,
) -> ReportsRead:
    """Return what a report says as rows; a day that it does not mention has a null for each figure.

    Args:
        said: Days asked for, figures by day and currency, and as of when; of several that have a day the first counts.
        metrics: Figures of the report.
        currency: The shop's.
        read_at: When it was read.
        run_id: The run.
    """
    rows: list[dict[str, object]] = []
    known: set[date] = set()
    for days, figures, as_of in said:
        by_day: dict[date, dict[str, dict[str, Decimal | None]]] = {day: {} for day in days if day not in known}
        for (day, code), found in figures.items():
            if day in by_day:
                by_day[day][code] = found
        known |= by_day.keys()
        rows += (
            {
                "day": day,
                "currency": code,
                "metric": metric,
                "value": found.get(metric),
                "as_of": as_of,
                "read_at": read_at,
                "run_id": run_id,
            }
            for day, codes in by_day.items()
            for code, found in (codes or {currency: {}}).items()
            for metric in metrics
        )
    return ReportsRead(pa.Table.from_pylist(rows, schema=SHOP_REPORTS.table.arrow_schema), Days.of(known))


def witness_lines(database: Database, zone: ZoneInfo) -> Iterator[str]:
    """Yield what `status` says of the shop's own report: how far it was compared, and what came of it."""
    if not exists(database, WITNESS):
        return
    found = query(
        database,
        f"""
        select count(distinct business_day) filter (where unexplained is not null and not is_late) as days,
            max(business_day) filter (where unexplained is not null and not is_late) as last,
            (select max(as_of) from {REPORTS}) as as_of,
            count(*) filter (where unexplained <> 0) as unexplained,
            count(distinct business_day) filter (where unexplained <> 0) as unexplained_days,
            count(*) filter (where by_its_rules is null and shop_says is not null) as unknown,
            count(*) filter (where {IS_PARTIAL}) as partial,
            count(distinct business_day) filter (where {IS_PARTIAL}) as partial_days,
            count(distinct business_day) filter (where shop_says is null and by_its_rules <> 0) as absent,
            count(distinct business_day) filter (where is_late) as late
        from {WITNESS.sql_name}
        """,
    )[0]
    if found["as_of"] is None:
        yield "witness      the shop's own report was never read, so nothing is known of it"
        return
    read = f"read {found['as_of'].astimezone(zone):%Y-%m-%d %H:%M %Z}"
    if not found["days"]:
        yield f"witness      no day could be compared with the shop's own report ({read})"
    else:
        rest = (
            f"{_many(found['unexplained'], 'figure')} of {_many(found['unexplained_days'], 'day')} UNEXPLAINED"
            if found["unexplained"]
            else "equal, or explained"
        )
        days = _many(found["days"], "day")
        yield f"witness      {days} compared with the shop's own report, until {found['last']} ({read}): {rest}"
    partial = f"{_many(found['partial'], 'figure')} of {_many(found['partial_days'], 'day')}"
    others = {
        f"{_many(found['unknown'], 'figure')} cannot be judged: what quarantine holds of it cannot be read": "unknown",
        f"{partial} cannot be judged until all earlier days are loaded: it has returns of their orders": "partial",
        f"{_many(found['absent'], 'day')} with sales here and ABSENT from it": "absent",
        f"{_many(found['late'], 'day')} changed since it was read, compared again at the next reading": "late",
    }
    yield from (f"             {text}" for text, name in others.items() if found[name])


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
