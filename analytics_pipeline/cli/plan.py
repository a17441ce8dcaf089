"""`analytics-pipeline plan`: what the next run would compute anew, and which published numbers that would change."""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from analytics_pipeline.catalogue import Catalogue, installed
from analytics_pipeline.cli import Command
from analytics_pipeline.cli.all_shops import plan_all_shops
from analytics_pipeline.cli.exit_codes import PENDING
from analytics_pipeline.cli.figures import cents
from analytics_pipeline.cli.opening import shop_database
from analytics_pipeline.cli.shops import Answer, each_shop_and_then, of_one_shop
from analytics_pipeline.history.opening import pending_steps
from analytics_pipeline.history.planning import Plan, Planned, planned
from analytics_pipeline.history.rules import other_rules
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.orchestration.assets.mart_faults import with_its_line
from analytics_pipeline.plain import counted
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import is_created

MOST_SHOWN = 20
COLUMNS = ("mart", "day", "key", "column", "old_value", "new_value", "difference", "cause")


@click.command(
    "plan",
    cls=Command,
    examples=(
        "analytics-pipeline plan",
        "analytics-pipeline plan --mart daily_revenue --all",
        "analytics-pipeline plan --cells changes.csv --shop my-shop",
        "analytics-pipeline plan --json",
    ),
)
@click.option("--mart", "names", multiple=True, metavar="NAME", help="Only this mart and those that it reads.")
@click.option("--all", "is_all", is_flag=True, help=f"Every number that changes, not the first {MOST_SHOWN}.")
@click.option(
    "--cells",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=of_one_shop,
    help="Write every number that changes as CSV; of one shop.",
)
@click.option("--json", "is_json", is_flag=True, help="As JSON.")
@each_shop_and_then(plan_all_shops)
def command(
    settings: Settings, names: Sequence[str], cells: Path | None, *, is_all: bool, is_json: bool
) -> Answer | None:
    """Say which marts the next run computes anew, and which published numbers that changes. Nothing is written.

    A mart is computed anew, all its days, when its columns, their types or its grain are others than those of the
    stored table, or when its statement, or that of a mart below it, is another one. Runs wait while it is found out.
    The exit code is 0 where nothing is pending, and 4 where something is.
    """
    catalogue = installed(settings)
    database = shop_database(settings, catalogue.shop)
    _refuse_unknown(catalogue, names)
    pending = pending_steps(database, catalogue.shop) if is_created(database) else [f"the database {database.name}"]
    message: dict[str, Any] = {
        "broken": [{"table": f"{one.layer}.{one.name}", "reason": one.reason} for one in catalogue.broken],
        "schema": pending,
        "marts": [],
        "not_stored": [],
        "columns": [],
        "cells": [],
        "orders": [],
    }
    if not pending:
        message["orders"] = [str(found) for found in other_rules(database, catalogue.shop)]
        click.echo("the marts are computed beside the stored ones; runs wait meanwhile", err=True)
        with planned(database, catalogue, names, _shown) as plan:
            message["marts"] = [_mart(one) for one in plan.marts]
            message["not_stored"] = list(plan.missing)
            message["columns"] = plan.by_column()
            if cells is not None:
                _write(cells, plan)
            message["cells"] = list(plan.cells(None if is_all else MOST_SHOWN))
    if not is_json:
        click.echo("\n".join(_lines(message, cells)))
    is_pending = pending or message["marts"] or message["orders"]
    return Answer(message if is_json else None, PENDING if is_pending else 0)


@contextmanager
def _shown(mart: Mart) -> Iterator[None]:
    click.echo(f"  {mart.table.qualified_name}", err=True)
    with with_its_line(mart):
        yield


def _refuse_unknown(catalogue: Catalogue, names: Sequence[str]) -> None:
    known = [mart.table.name for mart in catalogue.marts]
    broken = {one.name: one.reason for one in catalogue.broken}
    for name in names:
        if name in broken:
            raise click.ClickException(f"{name} is not computed: {broken[name]}")
        if name not in known:
            raise click.UsageError(f"there is no mart {name}; there are {', '.join(sorted(known))}")


def _mart(one: Planned) -> dict[str, Any]:
    days = one.anew.days
    return {
        "mart": one.mart.table.name,
        "shape": None if one.anew.change is None else str(one.anew.change),
        "days": sum(len(part) for part in days),
        "first_day": days[0].first.isoformat() if days else None,
        "last_day": days[-1].last.isoformat() if days else None,
        "lacking_days": one.lacking,
        "is_on_record": bool(one.mart.watched),
        "why": str(one),
    }


def _write(path: Path, plan: Plan) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        lines.writeheader()
        lines.writerows(plan.cells())


def _lines(message: dict[str, Any], cells: Path | None) -> list[str]:
    lines = [f"BROKEN       {one['table']} is not computed: {one['reason']}" for one in message["broken"]]
    if message["schema"]:
        steps = ", ".join(message["schema"])
        return [
            *lines,
            f"schema       pending: {steps}",
            "marts        not compared before that: any other command takes these steps",
        ]
    lines += ["schema       up to date"]
    lines += [
        f"orders       {found}: read again, and what that changes is not known here" for found in message["orders"]
    ]
    lines += [
        f"not stored   {name}: computed for the days of the runs that come, and for those that it had"
        for name in message["not_stored"]
    ]
    if not message["marts"]:
        return [*lines, "marts        nothing is computed anew"]
    for one in message["marts"]:
        lines.append(f"anew         marts.{one['mart']}: {one['why']}")
        if not one["is_on_record"]:
            lines.append("             its numbers are not on record (no line `restatements:`), and not compared")
    return [*lines, *_number_lines(message, cells), "nothing was written"]


def _number_lines(message: dict[str, Any], cells: Path | None) -> list[str]:
    total = sum(row["cells"] for row in message["columns"])
    if not total:
        return ["numbers      no published number changes"]
    lines = [f"numbers      {counted(total, 'published number')} would change"]
    lines += [
        f"             {' '.join(filter(None, (row['mart'], row['column'], row['currency'])))}: "
        f"{counted(row['cells'], 'number')}, {cents(row['difference'])} in all"
        for row in message["columns"]
    ]
    lines += [
        f"             {row['mart']} {row['day']} {row['key']} {row['column']}: {_value(row['old_value'])} -> "
        f"{_value(row['new_value'])} ({cents(row['difference'])}; {row['cause']})"
        for row in message["cells"]
    ]
    more = total - len(message["cells"])
    if cells is not None:
        lines.append(f"             all of them are in {cells}")
    elif more:
        lines.append(f"             and {more:,} more: --all, or --cells FILE")
    return lines


def _value(text: str | None) -> str:
    return "none" if text is None else cents(text)
