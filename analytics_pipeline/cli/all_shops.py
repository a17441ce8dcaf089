"""Marts over all shops, for commands that have been at work for each of them: computed anew, and how they stand."""

import click

from analytics_pipeline.catalogue import Installation, installation_of
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.cli.shops import Answer
from analytics_pipeline.history.all_shops import gaps, stale_days_of_shops
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.job_names import ALL_SHOPS
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import Database, create_database, data_database

WITHOUT_MARTS = ("raw", "clean")
"""Jobs that compute no mart."""


def compute_of_all_shops(settings: Settings, *, job: str = "", is_planned: bool = False, **_: object) -> Answer | None:
    """Compute the days of marts over all shops that one of them has written since.

    Args:
        settings: Of all shops.
        job: The job that has run for each of them.
        is_planned: Whether nothing has run.
    """
    installation = installation_of(settings)
    if job in WITHOUT_MARTS or is_planned:
        return None
    for one in installation.broken_marts:
        click.echo(f"look at this: {one.layer}.{one.name} is not computed: {one.reason}", err=True)
    if not installation.marts:
        return None
    from analytics_pipeline.definitions import defs  # noqa: PLC0415 - reads the shops that the options have chosen
    from analytics_pipeline.orchestration.all_shops import stale_ranges  # noqa: PLC0415 - Dagster takes a second to load
    from analytics_pipeline.orchestration.running import open_instance, run_days  # noqa: PLC0415 - as above

    database = _opened(settings)
    failures: list[str] = []
    with open_instance(settings) as instance:
        for days in stale_ranges(database, installation):
            summary = run_days(defs, instance, days, job_name=ALL_SHOPS)
            failures += summary.failures
            for warning in summary.warnings:
                click.echo(f"warning: {warning}", err=True)
            if summary.succeeded:
                click.echo(f"{days}: {', '.join(mart.table.qualified_name for mart in installation.marts)} done")
    for failure in failures:
        click.echo(f"Error: {failure}", err=True)
    return Answer(None, FAILED) if failures else None


def show_all_shops(settings: Settings, **_: object) -> None:
    """Say of marts over all shops which days are to be computed, and which days which shop lacks."""
    installation = installation_of(settings)
    for shop in installation.broken:
        click.echo(f"BROKEN       {shop.name}: {shop.reason}")
    for one in installation.broken_marts:
        click.echo(f"BROKEN       {one.layer}.{one.name} is not computed: {one.reason}")
    if not installation.marts:
        return
    database, shops = _opened(settings), installation.shops_of_marts
    for mart in installation.marts:
        stale = len(stale_days_of_shops(database, mart, shops))
        state = f"{stale} days to be computed: analytics-pipeline run" if stale else "as the shops have their days"
        click.echo(f"mart         {mart.table.qualified_name}: {state}")
    for line in _gap_lines(database, installation):
        click.echo(line)


def _gap_lines(database: Database, installation: Installation) -> list[str]:
    lacking = gaps(database, installation.shops_of_marts)
    lines = [f"GAP          {shop} lacks {days}" for shop, days in lacking.items()]
    return lines or ["on time      every shop has every day that is over, from its first one that is loaded"]


def _opened(settings: Settings) -> Database:
    database = data_database(settings)
    create_database(database)
    return open_warehouse(database)
