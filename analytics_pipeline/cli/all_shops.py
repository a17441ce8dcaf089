"""What commands say and do about all shops together: their marts, and schemas that no description names any more.

It follows what they say of each shop, where there are several.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from analytics_pipeline.catalogue import Installation, installation_of
from analytics_pipeline.cli.exit_codes import FAILED, PENDING
from analytics_pipeline.cli.opening import undescribed
from analytics_pipeline.cli.shops import Answer
from analytics_pipeline.history.all_shops import gaps, stale_days_of_shops
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.job_names import ALL_SHOPS
from analytics_pipeline.plain import counted
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import Database, create_database, data_database, is_created
from analytics_pipeline.warehouse.schema import read_stored

if TYPE_CHECKING:
    import dagster as dg

WITHOUT_MARTS = ("raw", "clean")
"""Jobs that compute no mart."""
AS_THEY_ARE = "as the shops have their days"


def compute_of_all_shops(settings: Settings, *, job: str = "", is_planned: bool = False, **_: object) -> Answer | None:
    """Compute the days of marts over all shops that one of them has written since.

    Args:
        settings: Of all shops.
        job: The job that has run for each of them.
        is_planned: Whether nothing has run.
    """
    installation = installation_of(settings)
    if job in WITHOUT_MARTS:
        return None
    for line in _broken(installation):
        click.echo(f"look at this: {line}", err=True)
    _say_left_out(settings)
    if not installation.marts:
        return None
    if is_planned:
        click.echo(f"{_names(installation)}: computed in Postgres after the shops, no request")
        return None
    from analytics_pipeline.definitions import defs  # noqa: PLC0415 - reads the shops that the options have chosen
    from analytics_pipeline.orchestration.all_shops import stale_ranges  # noqa: PLC0415 - Dagster takes a second to load
    from analytics_pipeline.orchestration.running import open_instance, run_days  # noqa: PLC0415 - as above

    database = opened_of_all(settings)
    failures: list[str] = []
    with open_instance(settings) as instance:
        for days in stale_ranges(database, installation):
            summary = run_days(defs, instance, days, job_name=ALL_SHOPS)
            failures += summary.failures
            for warning in summary.warnings:
                click.echo(f"warning: {warning}", err=True)
            if summary.succeeded:
                click.echo(f"{days}: {_names(installation)} done")
        _report_incidents(instance, database, installation)
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    return Answer(None, FAILED) if failures else None


def _report_incidents(instance: "dg.DagsterInstance", database: Database, installation: Installation) -> None:
    from analytics_pipeline.cli.loading import tell_incidents  # noqa: PLC0415 - as above
    from analytics_pipeline.orchestration.alerting import evaluate_all_shops  # noqa: PLC0415 - as above

    tell_incidents(lambda: evaluate_all_shops(instance, database, installation, datetime.now(UTC)))


def show_all_shops(settings: Settings, **_: object) -> None:
    """Say of marts over all shops which days are to be computed, and which days which shop lacks."""
    installation = installation_of(settings)
    for shop in installation.broken:
        click.echo(f"BROKEN       {shop.name}: {shop.reason}")
    for line in _broken(installation):
        click.echo(f"BROKEN       {line}")
    database = opened_of_all(settings)
    for line in undescribed(settings, database) if len(settings.shops) > 1 else ():  # of one it has been said
        click.echo(f"UNDESCRIBED  {line}")
    for mart in marts_of_all_shops(database, installation):
        state = f"{counted(mart['days'], 'day')} to be computed: analytics-pipeline run"
        click.echo(f"mart         {mart['mart']}: {state if mart['days'] else AS_THEY_ARE}")
    _say_left_out(settings)
    if installation.marts:
        for line in _gap_lines(database, installation):
            click.echo(line)


def plan_all_shops(settings: Settings, *, is_json: bool, **_: object) -> Answer:
    """Say of marts over all shops which days the next run computes; nothing is written."""
    installation, database = installation_of(settings), data_database(settings).of(None)
    marts = marts_of_all_shops(database, installation) if is_created(database) else []
    broken = [{"table": f"{one.layer}.{one.name}", "reason": one.reason} for one in installation.broken_marts]
    is_pending = any(mart["days"] for mart in marts)
    if not is_json:
        _say_left_out(settings)
        for line in _broken(installation):
            click.echo(f"BROKEN       {line}")
        for mart in marts:
            some = (
                f"{counted(mart['days'], 'day')}, {mart['first_day']} to {mart['last_day']}, which a shop has written"
            )
            click.echo(
                f"{'anew' if mart['days'] else 'marts':12} {mart['mart']}: {some if mart['days'] else AS_THEY_ARE}"
            )
    return Answer({"broken": broken, "marts": marts} if is_json else None, PENDING if is_pending else 0)


def marts_of_all_shops(database: Database, installation: Installation) -> list[dict[str, Any]]:
    """Return of each mart over all shops how many days of it are to be computed, as plain data."""
    found = []
    for mart in installation.marts:
        days = stale_days_of_shops(database, mart, installation.shops_of_marts)
        first, last = (days[0].isoformat(), days[-1].isoformat()) if days else (None, None)
        found.append({"mart": mart.table.qualified_name, "days": len(days), "first_day": first, "last_day": last})
    return found


def _say_left_out(settings: Settings) -> None:
    if not settings.is_whole:
        click.echo("marts over all shops stay as they are, since not all shops are chosen")


def _names(installation: Installation) -> str:
    return ", ".join(mart.table.qualified_name for mart in installation.marts)


def _broken(installation: Installation) -> Iterator[str]:
    return (f"{one.layer}.{one.name} is not computed: {one.reason}" for one in installation.broken_marts)


def _gap_lines(database: Database, installation: Installation) -> list[str]:
    lacking = gaps(database, installation.shops_of_marts)
    lines = [f"GAP          {shop} lacks {days}" for shop, days in lacking.items()]
    return lines or ["on time      every shop has every day that is over, from its first one that is loaded"]


def opened_of_all(settings: Settings) -> Database:
    """Return the database with the plain names, opened, unless nothing has been made there: nobody may need it."""
    plain = data_database(settings).of(None)
    create_database(plain)
    return plain if read_stored(plain).is_new else open_warehouse(plain)
