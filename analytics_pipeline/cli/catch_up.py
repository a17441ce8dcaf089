"""`analytics-pipeline catch-up`: late changes, in this process and without the UI's sensor."""

from datetime import UTC, datetime

import click

from analytics_pipeline.catalogue import installed
from analytics_pipeline.cli import Command
from analytics_pipeline.cli.all_shops import compute_of_all_shops
from analytics_pipeline.cli.exit_codes import DOUBTFUL, FAILED
from analytics_pipeline.cli.loading import load_days, quarantine_line
from analytics_pipeline.cli.opening import open_database
from analytics_pipeline.cli.shops import each_shop_and_then
from analytics_pipeline.days import business_day
from analytics_pipeline.history.excerpts import excerpts_apart
from analytics_pipeline.history.stale import days_that_need_dimensions, days_to_load, is_to_wait, parked_days, unpark
from analytics_pipeline.job_names import CHANGED_ORDERS
from analytics_pipeline.late_changes.poll import poll
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.orchestration.running import days_in_flight, end_dead_runs, open_instance
from analytics_pipeline.orchestration.sensors import describe_poll
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.calendar import loadable_days
from analytics_pipeline.sources.opening import open_source


@click.command(
    "catch-up",
    cls=Command,
    examples=(
        "analytics-pipeline catch-up",
        "analytics-pipeline catch-up --shop my-shop,us",
        "analytics-pipeline catch-up --parked --shop my-shop",
    ),
)
@click.option("--parked", is_flag=True, help="Also load the days that were given up after three failures.")
@each_shop_and_then(compute_of_all_shops)
def command(settings: Settings, parked: bool) -> None:  # noqa: FBT001 - click's way
    """Ask the shop which orders changed since the last poll, and load their business days again.

    Days are loaded oldest first, contiguous ones in one run. The exit code is 1 when the shop could not be asked or a
    run failed; the days of a failed run stay stale. It is 3 when something that was written has to be looked at, or a
    file of the shop is refused.
    """
    catalogue = installed(settings)
    shop = catalogue.shop
    database = open_database(settings, shop)
    with open_instance(settings) as instance:
        end_dead_runs(instance)
        in_flight = days_in_flight(instance, shop.namespace)
    with excerpts_apart(database, "catch-up"), open_source(shop, database) as source:
        found = poll(source, database, catalogue.daily_marts, in_flight=in_flight)
    if found is None:
        click.echo("No business day is loaded yet: analytics-pipeline run")
        return
    if parked:
        unpark(database, parked_days(database))
    today = business_day(datetime.now(UTC), shop.zone)
    ranges = days_to_load(
        database,
        in_flight=in_flight,
        most=shop.late_changes.most_days,
        today=today,
        loadable=loadable_days(shop, today),
        is_answering=found.requests > 0,
    )
    click.echo(describe_poll(found, ranges))
    failed, doubtful = False, found.files is not None and bool(found.files.refused)
    waiting = list(ranges)
    while waiting:
        days = waiting.pop(0)
        job_name = job_of_stale_days(database, days)
        summary = load_days(settings, days, job_name=job_name, is_alerting=True)
        if summary.succeeded:
            if job_name == CHANGED_ORDERS:
                waiting[:0] = days_that_need_dimensions(database, days)
            doubtful = doubtful or bool(summary.doubts)
            click.echo(f"{days}: done, {summary.checks} checks, run {summary.run_id}")
            click.echo(quarantine_line(database, days))
        else:
            failed = True
            click.echo(f"{days}: run {summary.run_id} failed:", err=True)
            for reason in summary.failures:
                click.echo(f"  {reason}", err=True)
            if is_to_wait(database, summary.run_id):
                click.echo("the shop does not answer; what is left waits for the next time", err=True)
                break
    for day in parked_days(database):
        click.echo(f"{day} is parked after three failures: mend the cause, then catch-up --parked", err=True)
    if failed or doubtful:
        raise SystemExit(FAILED if failed else DOUBTFUL)
