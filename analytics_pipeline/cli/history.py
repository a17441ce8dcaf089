"""What `status` says of the pipeline's own history: maturity, stale days, restatements, and whether it adds up."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from analytics_pipeline.cli.figures import cents
from analytics_pipeline.cli.files import file_lines
from analytics_pipeline.cli.held import held_line, overdue_note, read_held
from analytics_pipeline.cli.proofs import proof_lines
from analytics_pipeline.days import Days, business_day
from analytics_pipeline.history.extractions import deleted_count
from analytics_pipeline.history.maturity import lateness, state_of
from analytics_pipeline.history.outside import INSIDE, PLACES, Part, ledger_parts
from analytics_pipeline.history.rules import describe_rules
from analytics_pipeline.history.stale import days_that_wait, listed_days, parked_days
from analytics_pipeline.history.written import written_days
from analytics_pipeline.late_changes.gaps import describe_gap, gaps_of
from analytics_pipeline.plain import counted
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import POLLS, RESTATEMENTS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

RECENT_DAYS = 7
MOST_SHOWN = 5
STEPS = {
    "source = raw": "source_orders_difference",
    "raw = clean + quarantined + excluded": "raw_orders_difference + raw_money_difference",
    "orders = their parts": "order_difference",
    "lines = orders": "line_difference",
    "ledger = orders": "ledger_difference",
    "daily_revenue = ledger": "revenue_difference",
    "daily_product_sales = daily_revenue": "product_difference",
    "daily_revenue = reported + restated": "history_difference",
}
"""Steps of the reconciliation, as marts.daily_reconciliation has them."""


def history_lines(database: Database, shop: Shop, now: datetime) -> Iterator[str]:
    """Yield the lines of `status`; the tables of the history are there."""
    yield f"maturity     {_maturity(database, shop, now)}"
    yield f"late changes {_looked(database, shop)}"
    note = ""
    if not shop.is_of_files:  # each look holds the files against what is stored
        held = read_held(database, shop, now)
        yield f"held         {held_line(held, shop)}"
        note = overdue_note(held.overdue)
    yield from file_lines(database, shop, now)
    yield f"stale        {_stale(database)}{_waiting(database, shop)}"
    for days in gaps_of(shop, written_days(database, CLEAN_SALES.table), now).too_large:
        yield f"gap          {describe_gap(days)}"
    yield f"rules        {describe_rules(database, shop)}"
    yield f"restated     {_restated(database)}"
    deleted = counted(deleted_count(database), "order")
    yield f"deleted      {deleted} that the shop no longer has (ops.deleted_orders)"
    yield from proof_lines(database, shop)
    yield from _reconciliation(database, note)


def _maturity(database: Database, shop: Shop, now: datetime) -> str:
    late, today = lateness(database, shop), business_day(now, shop.zone)
    as_of = written_days(database, CLEAN_SALES.table)
    days: dict[str, list[date]] = {}
    for day, read in as_of.items():
        days.setdefault(state_of(day, read, today, late.days, shop), []).append(day)
    message = "; ".join(
        f"{state} {_days(days[state])}" for state in ("final", "settling", "provisional") if state in days
    )
    observed = f"{late.observed} {late.basis}" if late.observed else late.basis
    return f"{message}. 99 % of changes arrive within {late.days} days ({observed})"


def _days(days: list[date]) -> str:
    ranges = Days.of(days).ranges
    shown = ", ".join(map(str, ranges[-MOST_SHOWN:]))
    return shown if len(ranges) <= MOST_SHOWN else f"{len(ranges) - MOST_SHOWN} other ranges and {shown}"


def _looked(database: Database, shop: Shop) -> str:
    rows = query(database, f"select * from {POLLS.sql_name} order by polled_at desc limit 1")
    if not rows:
        return "never polled: analytics-pipeline catch-up, or up"
    last = rows[0]
    return (
        f"last poll {last['polled_at'].astimezone(shop.zone):%Y-%m-%d %H:%M %Z}: "
        f"{counted(last['orders_changed'], 'order')} had changed, {counted(last['days_marked'], 'day')} marked"
    )


def _stale(database: Database) -> str:
    stale, parked = list(listed_days(database)), parked_days(database)
    waiting = f"to be loaded again: {counted(len(stale), 'day')}, {_days(stale)}"
    message = waiting if stale else "no day waits to be loaded again"
    return f"{message}; PARKED after three failures: {_days(parked)}" if parked else message


def _waiting(database: Database, shop: Shop) -> str:
    waiting = days_that_wait(database)
    if not waiting:
        return ""
    again = f"{min(waiting.values()).astimezone(shop.zone):%Y-%m-%d %H:%M %Z}"
    return f"; the shop did not answer for {_days(list(waiting))}: asked again from {again} on"


def _restated(database: Database) -> str:
    found = query(
        database,
        "select count(*) as numbers, count(distinct day) as days, "
        f"string_agg(distinct cause, '; ' order by cause) as causes from {RESTATEMENTS.sql_name} "
        f"where restated_at > now() - interval '{RECENT_DAYS} days'",
    )[0]
    if not found["numbers"]:
        return f"no published number changed in the last {RECENT_DAYS} days"
    return (
        f"{counted(found['numbers'], 'published number')} of {counted(found['days'], 'day')} changed in the last "
        f"{RECENT_DAYS} days: "
        f"{found['causes']} (ops.restatements)"
    )


def _reconciliation(database: Database, note: str) -> Iterator[str]:
    reconciliation = Table("marts", "daily_reconciliation", "", ())
    if not exists(database, reconciliation):
        yield "adds up      not known: no run has come that far"
        return
    columns = ", ".join(
        f"sum({column})::text as rung_{number}, count({column}) as compared_{number}"
        for number, column in enumerate(STEPS.values())
    )
    found = query(
        database,
        "select count(*) as days, "
        "count(*) filter (where unexplained_difference = 0 and unexplained_orders = 0) as good, "
        f"sum(unexplained_difference)::text as difference, sum(unexplained_orders)::text as orders, {columns}, "
        "max(business_day) filter (where unexplained_difference <> 0 or unexplained_orders <> 0) as newest "
        'from "@marts".daily_reconciliation',
    )[0]
    steps = [f"{name}: {_step(found, number)}" for number, name in enumerate(STEPS)]
    yield (
        f"adds up      {found['good']} of {found['days']} days{note}; unexplained difference "
        f"{_amount(found['difference'])}, unexplained orders {_amount(found['orders'])}"
        + (f"; newest day that does not: {found['newest']}" if found["newest"] else "")
    )
    yield f"             {'; '.join(steps)}"
    yield from ledger_lines(database)


def ledger_lines(database: Database) -> Iterator[str]:
    """Describe the step over all days: a line for each currency; daily_revenue is there."""
    by_currency: dict[str, list[Part]] = {}
    for part in ledger_parts(database):
        by_currency.setdefault(part.currency, []).append(part)
    for currency, parts in by_currency.items():
        inside = [part for part in parts if part.place == INSIDE]
        revenue = sum((part.revenue for part in inside), Decimal("0.0000"))
        difference = sum((part.ledger - part.revenue for part in inside), Decimal("0.0000"))
        outside = "".join(
            f" + {cents(str(part.ledger))} {PLACES[part.place]} ({counted(part.days, 'day')}, "
            f"{Days(part.first, part.last)})"
            for part in parts
            if part.place != INSIDE
        )
        total = sum((part.ledger for part in parts), Decimal("0.0000"))
        yield (
            f"             ledger = all days + outside: {cents(str(difference))}; {cents(str(total))} {currency} = "
            f"{cents(str(revenue))} of daily_revenue{outside}"
        )


def _step(found: Mapping[str, Any], number: int) -> str:
    """Describe a step, with the number of days that were compared where these are not all."""
    compared, days = found[f"compared_{number}"], found["days"]
    if days and not compared:
        return "not compared"
    of = "" if compared == days else f" ({compared} of {days} days compared)"
    return f"{_amount(found[f'rung_{number}'])}{of}"


def _amount(text: str | None) -> str:
    return cents(text or "0")
