"""`analytics-pipeline anomalies`: the days whose figures were not as expected, and why."""

from collections.abc import Sequence
from datetime import date
from itertools import groupby
from typing import Any

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.cli.opening import open_database
from analytics_pipeline.cli.run import Day
from analytics_pipeline.cli.shops import each_shop
from analytics_pipeline.plain import counted
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.contracts import ANOMALIES
from analytics_pipeline.warehouse.slices import exists, query

SHOWN_DAYS = 10

Row = dict[str, Any]


@click.command(
    "anomalies",
    cls=Command,
    examples=(
        "analytics-pipeline anomalies",
        "analytics-pipeline anomalies --from 2026-11-01 --to 2026-11-22",
        "analytics-pipeline anomalies --all",
    ),
)
@click.option("--from", "first", type=Day(), help="First business day to report.")
@click.option("--to", "last", type=Day(), help="Last business day to report, included.")
@click.option("--all", "is_all", is_flag=True, help=f"All days that have findings, not the newest {SHOWN_DAYS}.")
@each_shop
def command(settings: Settings, first: date | None, last: date | None, *, is_all: bool) -> None:
    """List the days whose figures were not as expected, newest first, with what makes the difference."""
    database = open_database(settings, load_shop(settings.shop))
    if not exists(database, ANOMALIES.table):
        click.echo("nothing is judged yet: analytics-pipeline run")
        return
    rows = query(
        database,
        f"select day, explanation, suspicion from {ANOMALIES.table.sql_name} where {_within(first, last)} "
        "order by day desc, currency, abs(score) desc, metric",
    )
    by_day = [(day, list(found)) for day, found in groupby(rows, key=lambda row: row["day"])]
    shown = by_day if is_all or first or last else by_day[:SHOWN_DAYS]
    for day, found in shown:
        click.echo("\n".join(_describe(day, found)))
    click.echo(_counted(by_day, shown))


def _within(first: date | None, last: date | None) -> str:
    since = f"day >= date '{first}'" if first else "true"
    until = f"day <= date '{last}'" if last else "true"
    return f"{since} and {until}"


def _describe(day: date, found: Sequence[Row]) -> list[str]:
    suspicions = dict.fromkeys(row["suspicion"] for row in found if row["suspicion"])
    return [
        f"{day:%Y-%m-%d %A}",
        *(f"  {row['explanation']}" for row in found),
        *(f"  the pipeline is a suspect: {suspicion}" for suspicion in suspicions),
        "",
    ]


def _counted(by_day: Sequence[tuple[date, list[Row]]], shown: Sequence[tuple[date, list[Row]]]) -> str:
    if not by_day:
        return "no figure is known to be other than expected; days with less than four weeks before them are not judged"
    figures = sum(len(found) for _, found in shown)
    message = f"{counted(figures, 'figure')} of {counted(len(shown), 'day')} not as expected"
    older = len(by_day) - len(shown)
    return f"{message}; {counted(older, 'earlier day')} more with --all" if older else message
