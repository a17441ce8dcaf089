"""`analytics-pipeline quarantine`: which orders broke a rule, what is wrong with one, and their way back."""

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import groupby

import click
import msgspec

from analytics_pipeline.cli import Command, Commands, shop_option
from analytics_pipeline.cli.exit_codes import DOUBTFUL
from analytics_pipeline.cli.figures import cents
from analytics_pipeline.cli.opening import open_database
from analytics_pipeline.cli.run import Day
from analytics_pipeline.cli.shops import each_shop, for_each
from analytics_pipeline.days import Days
from analytics_pipeline.history import quarantine
from analytics_pipeline.history.quarantine import Row, Selection
from analytics_pipeline.history.undated import undated_orders, undated_record
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline.plain import counted, plain
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.contracts import ORDER, QUARANTINE
from analytics_pipeline.tables.history import BLOCKED_ORDERS
from analytics_pipeline.transforms.version import contract_version
from analytics_pipeline.warehouse.connection import Database

MOST_SHOWN = 50

_reason_option = click.option("--reason", metavar="TEXT", help="Only the orders that broke this rule.")
_day_option = click.option("--day", type=Day(), help="Only the orders of one business day.")


@click.group(
    "quarantine",
    cls=Commands,
    examples=(
        "analytics-pipeline quarantine list",
        "analytics-pipeline quarantine show 4711",
        "analytics-pipeline quarantine replay --day 2026-11-22",
    ),
)
def command() -> None:
    """List, show and replay orders that broke a rule and are in no figure."""


@command.command(
    "list",
    cls=Command,
    examples=(
        "analytics-pipeline quarantine list",
        'analytics-pipeline quarantine list --reason "not a list" --day 2026-11-22',
        "analytics-pipeline quarantine list --blocked",
    ),
    short_help="Show reasons and orders with money at risk.",
)
@_reason_option
@_day_option
@click.option("--blocked", "is_blocked", is_flag=True, help="What it would hold of days that were not written for it.")
@each_shop
def list_orders(settings: Settings, reason: str | None, day: date | None, *, is_blocked: bool) -> None:
    """Describe the reasons with orders and money at risk, then the orders, newest first."""
    database = _database(settings)
    selection = Selection(reason, day, day)
    table = BLOCKED_ORDERS if is_blocked else QUARANTINE.table
    found = quarantine.reasons(database, selection, table)
    for row in undated_orders(database, MOST_SHOWN, reason) if day is None and not is_blocked else []:
        click.echo(f"no day      {plain(row['order_id'])}  {_money(row)}  {_fault(row)}")
    if not found:
        click.echo("no day is blocked, or none of these options" if is_blocked else _nothing(database))
        return
    for line in _reasons(found):
        click.echo(line)
    click.echo()
    for row in quarantine.orders(database, selection, MOST_SHOWN, table):
        click.echo(f"{row['order_date']}  {plain(row['order_id'])}{_event(row)}  {_money(row)}  {_fault(row)}")
    hidden = sum(row["orders"] for row in found) - MOST_SHOWN
    if hidden > 0:
        click.echo(f"and {hidden} more: narrow them down with --reason or --day")


@command.command(
    "show",
    cls=Command,
    examples=("analytics-pipeline quarantine show 4711",),
    short_help="Show one order and what is wrong with it.",
)
@click.argument("order_id")
@shop_option
def show(order_id: str) -> None:
    """Show one order: what broke which rule, the money at risk, and the record as the shop sent it."""
    settings = Settings.from_environment()
    holders: list[str] = []

    def look(one: Settings) -> None:
        if _show(one, order_id):
            holders.append(one.shop)

    for_each(settings, look)
    if not holders:
        raise click.ClickException(f"the order {plain(order_id)} is not in quarantine")


def _show(settings: Settings, order_id: str) -> bool:
    """Show an order of a shop; returns whether it is in quarantine."""
    now = contract_version(load_shop(settings.shop))
    database = _database(settings)
    found = quarantine.records(database, order_id)
    for row in undated_record(database, order_id):
        click.echo(f"order          {plain(row['order_id'])} of no day, first seen on {row['seen_on']}")
        click.echo(f"reason         {plain(row['reason'])}{', left out by a rule' if row['is_excluded'] else ''}")
        click.echo(f"money at risk  {_money(row)}")
        click.echo(_pretty(row["payload"]))
        return True
    for row in found:
        click.echo(f"order          {plain(row['order_id'])} of {row['order_date']}, meant for {row['table_name']}")
        if row["kind"] != ORDER:
            click.echo(f"held back     {_event(row)}; the order itself is clean")
        click.echo(f"reason         {plain(row['reason'])}")
        click.echo(f"column         {row['column_name']}")
        click.echo(f"value          {'none' if row['value'] is None else plain(row['value']) or 'an empty text'}")
        click.echo(f"money at risk  {_money(row)}")
        click.echo(f"judged by      {_versions(row['contract_version'], now)}")
        click.echo(_pretty(row["payload"]))
    return bool(found)


@command.command(
    "replay",
    cls=Command,
    examples=(
        "analytics-pipeline quarantine replay",
        "analytics-pipeline quarantine replay --order 4711",
        'analytics-pipeline quarantine replay --reason "not a list" --stored',
    ),
    short_help="Load the days of these orders again.",
)
@_reason_option
@_day_option
@click.option("--order", "order_id", metavar="ID", help="Only this order.")
@click.option(
    "--stored", "is_stored", is_flag=True, help="Clean the stored answers again, without asking the shop for new ones."
)
@each_shop
def replay(settings: Settings, reason: str | None, day: date | None, order_id: str | None, *, is_stored: bool) -> None:
    """Load the days of quarantined orders again, and say which orders came back.

    The days are loaded through the normal path and replaced as a whole. After a repair in the shop, the shop is asked
    again; after a change of the description, --stored is enough. The exit code is 1 when a run failed, 3 when something
    that was written has to be looked at, else 0.
    """
    from analytics_pipeline.cli import loading, replaying  # noqa: PLC0415 - only this command of the three loads days

    database = _database(settings)
    held = quarantine.orders(database, Selection(reason, day, day, order_id))
    if not held:
        click.echo(_nothing(database))
        return

    def run(days: Days, job: str) -> RunSummary:
        return loading.load_days(settings, days, job_name=job)

    replayed = replaying.replay(database, held, run, is_stored=is_stored)
    for line in replayed.lines():
        click.echo(line)
    if replayed.failures:
        raise click.ClickException("\n".join(replayed.failures))
    if replayed.is_doubtful:
        raise SystemExit(DOUBTFUL)


def _database(settings: Settings) -> Database:
    return open_database(settings, load_shop(settings.shop))


def _nothing(database: Database) -> str:
    """Say that the options choose nothing, and what there is."""
    there = dict.fromkeys(plain(row["reason"]) for row in quarantine.reasons(database, Selection()))
    if not there:
        return "nothing is in quarantine"
    return f"no such order is in quarantine; the reasons there are: {'; '.join(there)}"


def _reasons(found: Sequence[Row]) -> Iterator[str]:
    """Describe each reason on two lines; `found` has a row for each of its fields, kinds and currencies."""
    for (reason, column, kind), rows in groupby(
        found, key=lambda row: (row["reason"], row["column_name"], row["kind"])
    ):
        listed = list(rows)
        money = ", ".join(
            f"{cents(row['money'])} {row['currency']}" if row["money"] else f"{row['orders']} of unknown amount"
            for row in listed
        )
        first, last = min(row["first_day"] for row in listed), max(row["last_day"] for row in listed)
        count = counted(sum(row["orders"] for row in listed), kind)
        yield f"{plain(reason)} ({column})"
        yield f"    {count}, {money} at risk; {Days(first, last)}, such as {plain(listed[0]['example'])}"


def _event(row: Row) -> str:
    return "" if row["kind"] == ORDER else f" {row['kind']} {plain(row['event_id'])}".rstrip()


def _money(row: Row) -> str:
    if row["money"] is None:
        return "amount unknown"
    return f"{cents(row['money'])} {row['currency'] or quarantine.UNKNOWN_CURRENCY}"


def _fault(row: Row) -> str:
    value = "" if row["value"] is None else f" = {plain(row['value']) or 'an empty text'}"
    return f"{row['column_name']}{value}: {plain(row['reason'])}"


def _versions(then: str | None, now: str) -> str:
    if then == now:
        return f"{now}, the rules of now"
    return f"{then or 'unknown'}; the rules of now are {now}, so a replay with --stored may bring it back"


def _pretty(payload: str) -> str:
    """Show a record with indentation and its numbers as they came."""
    try:
        text = msgspec.json.format(payload, indent=2)
    except ValueError:
        text = payload
    return "\n".join(plain(line) for line in text.splitlines())
