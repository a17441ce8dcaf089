"""`analytics-pipeline excerpts`: what errors would have quoted, for whoever may read it."""

from datetime import UTC, tzinfo

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.cli.opening import open_database, readable_shops
from analytics_pipeline.cli.shops import Answer, each_shop_and_then
from analytics_pipeline.history.excerpts import read_excerpts
from analytics_pipeline.plain import plain, plain_lines
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database, data_database

SHOWN = 10


def _of_all_shops(settings: Settings, *, run_id: str | None, is_all: bool) -> Answer | None:
    """Show those of marts over all shops, which lie among those of the shop with the plain names, if there is one."""
    if all(shop.namespace for shop in readable_shops(settings.shops)):
        _show(data_database(settings).of(None), UTC, run_id, is_all=is_all)
    return None


@click.command(
    "excerpts",
    cls=Command,
    examples=(
        "analytics-pipeline excerpts",
        "analytics-pipeline excerpts --run 3f2a9c1e",
    ),
)
@click.option("--run", "run_id", metavar="ID", help="Only of runs whose ids begin so.")
@click.option("--all", "is_all", is_flag=True, help=f"All that is kept, not the newest {SHOWN}.")
@each_shop_and_then(_of_all_shops)
def command(settings: Settings, run_id: str | None, *, is_all: bool) -> None:
    """Show what errors would have quoted: the shop's own words, or the values that broke a rule.

    It may be of a person, so it is in no message, log or alert. It is kept for 30 days (ops.error_excerpts).
    """
    shop = load_shop(settings.shop)
    _show(open_database(settings, shop), shop.zone, run_id, is_all=is_all)


def _show(database: Database, zone: tzinfo, run_id: str | None, *, is_all: bool) -> None:
    found = read_excerpts(database, run_id)
    if not found:
        click.echo("nothing is kept")
    for row in found if is_all else found[:SHOWN]:
        of_run = f", run {row['run_id']}" if row["run_id"] else ""
        click.echo(f"{row['at'].astimezone(zone):%Y-%m-%d %H:%M %Z}  {plain(row['place'])}{of_run}")
        click.echo(f"  {plain(row['message'])}")
        for line in plain_lines(row["excerpt"]).splitlines():
            click.echo(f"    {line}")
    if not is_all and len(found) > SHOWN:
        click.echo(f"and {len(found) - SHOWN} older ones with --all")
