"""`analytics-pipeline status`: how far the tables are, whether they add up, what changed, and what they leave out."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click

from analytics_pipeline.catalogue import installed
from analytics_pipeline.cli import Command
from analytics_pipeline.cli.all_shops import show_all_shops
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.cli.figures import orders_and_money
from analytics_pipeline.cli.history import history_lines
from analytics_pipeline.cli.opening import left_behind, open_database, undescribed
from analytics_pipeline.cli.shops import Answer, each_shop_and_then
from analytics_pipeline.history.freshness import freshness_line
from analytics_pipeline.history.pages import pages_line
from analytics_pipeline.history.planning import outdated_marts
from analytics_pipeline.history.shop_reports import witness_lines
from analytics_pipeline.history.undated import undated_line
from analytics_pipeline.plain import counted
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.calendar import last_awaited_day
from analytics_pipeline.shop.spec import PageProducts, Shop
from analytics_pipeline.tables.contracts import EXCLUSIONS, QUARANTINE, RAW_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database, psql_line
from analytics_pipeline.warehouse.slices import exists, query
from analytics_pipeline.webhooks.due import describe_traffic, read_traffic

if TYPE_CHECKING:
    from analytics_pipeline.cli.health import Health


def _of_all(settings: Settings, *, is_check: bool, is_json: bool, without_daemon: bool) -> Answer | None:
    if not is_check:
        show_all_shops(settings)
        return None
    from analytics_pipeline.cli.health import check_marts_of_all_shops  # noqa: PLC0415 - Dagster takes a second to load

    health = check_marts_of_all_shops(settings, datetime.now(UTC), with_daemon=not without_daemon)
    for mart in health.marts if not is_json else ():
        click.echo(f"mart         {mart['mart']}: {counted(mart['days'], 'day')} to be computed")
    for shop, days in health.gaps.items() if not is_json else ():
        click.echo(f"GAP          {shop} lacks {days}")
    return _ticks_and_judgement(health, is_json=is_json)


@click.command(
    "status",
    cls=Command,
    examples=(
        "analytics-pipeline status",
        "analytics-pipeline status --shop my-shop",
        "analytics-pipeline status --shop my-shop,us",
        "analytics-pipeline status --check --json",
    ),
)
@click.option("--check", "is_check", is_flag=True, help="Only say whether all is well; the exit code is 1 when not.")
@click.option("--json", "is_json", is_flag=True, help="With --check: as JSON.")
@click.option("--without-daemon", is_flag=True, help="With --check: cron calls the commands, so no daemon has to live.")
@each_shop_and_then(_of_all)
def command(settings: Settings, *, is_check: bool, is_json: bool, without_daemon: bool) -> Answer | None:
    """Show the days loaded, how far they can still move, whether they add up, what changed and what is left out.

    With --check a few lines say whether all is well: when each schedule and sensor was last at work, what is late,
    unproved or parked, and open incidents. Nothing is started for that, no embedded database either.
    """
    if is_check:
        return _check(settings, is_json=is_json, with_daemon=not without_daemon)
    if is_json or without_daemon:
        raise click.UsageError("--json and --without-daemon go with --check")
    _show(settings)
    return None


def _show(settings: Settings) -> None:
    catalogue = installed(settings)
    shop = catalogue.shop
    database = open_database(settings, shop)
    revenue = Table("marts", "daily_revenue", "", ())
    for one in catalogue.broken:
        click.echo(f"BROKEN       {one.layer}.{one.name} is not computed: {one.reason}")
    click.echo(f"shop         {shop.name} ({shop.timezone}, {shop.currency})")
    click.echo(f"database     {database.label}")
    note = "   (while `up` runs)" if settings.database_url is None else ""
    click.echo(f"psql         {psql_line(settings)}{note}")
    for line in _not_read(settings, database, shop):
        click.echo(line)
    if not exists(database, revenue):
        click.echo("loaded       nothing yet: analytics-pipeline run")
        return
    now = datetime.now(UTC)
    for outdated in outdated_marts(database, catalogue):
        name = outdated.mart.table.qualified_name
        click.echo(f"outdated     {name}: {outdated}; computed anew by the next run (see: analytics-pipeline plan)")
    for line in (
        *_loaded(database, revenue, shop, now),
        freshness_line(database, shop, now, catalogue.due_names),
        *history_lines(database, shop, now),
    ):
        click.echo(line)
    if shop.webhooks is not None:
        click.echo(f"webhooks     {describe_traffic(read_traffic(database), shop.zone)}")
    for line in witness_lines(database, shop.zone) if shop.report is not None else ():
        click.echo(line)
    if isinstance(shop.products, PageProducts):
        click.echo(pages_line(database, shop.zone))
    click.echo(f"quarantine   {orders_and_money(database, QUARANTINE.table, 'money_at_risk')}")
    for line in undated_line(database):
        click.echo(line)
    click.echo(f"excluded     {orders_and_money(database, EXCLUSIONS.table, 'order_total')}")


def _not_read(settings: Settings, database: Database, shop: Shop) -> Iterator[str]:
    """Say what lies in the database and is read no more."""
    if elsewhere := left_behind(database, shop):
        yield f"LEFT BEHIND  {elsewhere}"
    for line in undescribed(settings, database) if settings.is_alone else ():  # of several shops it is said once
        yield f"UNDESCRIBED  {line}"


def _check(settings: Settings, *, is_json: bool, with_daemon: bool) -> Answer | None:
    from analytics_pipeline.cli.health import check_health  # noqa: PLC0415 - Dagster takes a second to load

    health = check_health(settings, datetime.now(UTC), with_daemon=with_daemon)
    return _ticks_and_judgement(health, is_json=is_json)


def _ticks_and_judgement(health: "Health", *, is_json: bool) -> Answer:
    for tick in health.ticks if not is_json else ():
        at = f"{tick.at:%Y-%m-%d %H:%M} UTC" if tick.at else "never"
        click.echo(f"tick         {tick.name}: {at}, {tick.status}")
    return _judged(health, is_json=is_json)


def _judged(health: "Health", *, is_json: bool) -> Answer:
    """Show whether all is well, or return it as JSON."""
    if not is_json:
        click.echo("\n".join(f"NOT WELL     {problem}" for problem in health.problems) or "all is well")
    return Answer(health.as_json() if is_json else None, 0 if health.ok else FAILED)


def _loaded(database: Database, revenue: Table, shop: Shop, now: datetime) -> list[str]:
    row = query(
        database,
        "select min(event_date) as first, max(event_date) as last, count(distinct event_date) as days, "
        f"(select max(extracted_at) from {RAW_ORDERS.table.sql_name}) as extracted_at "
        f"from {revenue.sql_name}",
    )[0]
    if row["last"] is None:
        return ["loaded       no day yet: analytics-pipeline run"]
    first, last = row["first"], row["last"]
    missing = (last - first).days + 1 - row["days"]
    gaps = {0: "no day between them is missing", 1: "1 day between them is missing"}
    return [
        f"loaded       {first} to {last}, {gaps.get(missing, f'{missing} days between them are missing')}",
        f"freshness    {_freshness(last, row['extracted_at'], shop, now)}",
    ]


def _freshness(last: date, extracted_at: datetime | None, shop: Shop, now: datetime) -> str:
    awaited = last_awaited_day(shop, now)
    behind = (awaited - last).days
    word = "fresh" if behind <= 0 else f"{behind} {'day' if behind == 1 else 'days'} behind"
    read = "" if extracted_at is None else f"; orders last read {extracted_at.astimezone(shop.zone):%Y-%m-%d %H:%M %Z}"
    which = "last day of the shop" if awaited == shop.last_day else "last complete business day"
    return f"{word}: the {which} is {awaited}{read}"
