"""`analytics-pipeline run`: business days from the shop to the marts, in this process."""

import time
from datetime import UTC, date, datetime

import click

from analytics_pipeline.cli import Command
from analytics_pipeline.cli.all_shops import compute_of_all_shops
from analytics_pipeline.cli.call_plan import compare_with_plan, tell_plan
from analytics_pipeline.cli.exit_codes import DOUBTFUL, FAILED
from analytics_pipeline.cli.loading import load_days, quarantine_line
from analytics_pipeline.cli.opening import shop_database
from analytics_pipeline.cli.returns import missing_returns
from analytics_pipeline.cli.shops import each_shop_and_then
from analytics_pipeline.days import Days
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.blocked import days_blocked_by
from analytics_pipeline.job_names import DAILY, OF_A_LAYER
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.calendar import last_awaited_day, last_complete_day
from analytics_pipeline.shop.spec import Shop, load_shop

CLEANING = (DAILY, "clean")
"""Jobs that decide what goes into quarantine."""


class Day(click.ParamType[date]):
    """A business day as an option's value."""

    name = "YYYY-MM-DD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read the day, or fail with an example of one."""
        try:
            return value if isinstance(value, date) else date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no day such as 2026-11-22", param, ctx)


@click.command(
    "run",
    cls=Command,
    examples=(
        "analytics-pipeline run",
        "analytics-pipeline run --date 2026-11-22",
        "analytics-pipeline run --from 2026-01-01 --to 2026-10-31 --shop my-shop",
        "analytics-pipeline run --date 2026-11-22 --shop my-shop,us",
        "analytics-pipeline run --from 2026-01-01 --plan",
        "analytics-pipeline run --from 2026-01-01 --job marts",
    ),
)
@click.option("--date", "day", type=Day(), help="One business day.")
@click.option("--from", "first", type=Day(), help="First business day of a range.")
@click.option("--to", "last", type=Day(), help="Last business day of the range, included; default: yesterday.")
@click.option(
    "--job",
    type=click.Choice([DAILY, *OF_A_LAYER]),
    default=DAILY,
    show_default=True,
    help="All layers, or one of them.",
)
@click.option("--plan", "is_planned", is_flag=True, help="Only say how many requests it takes, and how many minutes.")
@each_shop_and_then(compute_of_all_shops)
def command(
    settings: Settings, day: date | None, first: date | None, last: date | None, job: str, *, is_planned: bool
) -> None:
    """Load business days from the shop to the marts, with all checks.

    Days can be loaded again at any time: each replaces what stood there. Without a day it is each shop's own yesterday,
    or the `last_day` of a shop that has ended. The exit code is 0 when every step and every check passed but for
    warnings; 3 when all was written and something has to be looked at; else 1, with the reason and the run's id. Where
    quarantine blocks some days of a range, the others are written.

    With --plan the shop is asked for its counts and a page of each list, and nothing is written; the run of the same
    days says afterwards how many requests it made.
    """
    shop = load_shop(settings.shop)
    days = chosen_days(shop, day, first, last, datetime.now(UTC))
    if is_planned:
        tell_plan(settings, shop, days)
        return
    summary = _run(settings, days, job)
    if not summary.succeeded:
        failures = "\n".join(f"  {reason}" for reason in summary.failures)
        click.echo(f"Error: run {summary.run_id} of {days} failed:\n{failures}", err=True)
        _run_the_others(settings, days, summary.run_id, job)
        raise SystemExit(FAILED)
    if summary.doubts:
        raise SystemExit(DOUBTFUL)


def _run(settings: Settings, days: Days, job: str) -> RunSummary:
    started = time.monotonic()
    summary = load_days(settings, days, job_name=job, is_alerting=True)
    if summary.succeeded:
        seconds = time.monotonic() - started
        click.echo(f"{days}: done in {seconds:.1f} s, {summary.checks} checks, run {summary.run_id}")
        if compared := compare_with_plan(settings, days, summary.requests, seconds):
            click.echo(compared)
        shop = load_shop(settings.shop)
        database = shop_database(settings, shop)
        if job == DAILY and (missing := missing_returns(database, shop, days)):
            click.echo(missing)
        if job in CLEANING:
            click.echo(quarantine_line(database, days))
    return summary


def _run_the_others(settings: Settings, days: Days, run_id: str, job: str) -> None:
    """Write the days of a range that quarantine did not block; what the shop sent of them is stored already."""
    database = shop_database(settings, load_shop(settings.shop))
    blocked = days_blocked_by(database, run_id) if job in CLEANING else []
    if not blocked:
        return
    for others in Days.of(set(days) - set(blocked)).ranges:
        for layer in ("clean", "marts") if job == DAILY else (job,):
            summary = _run(settings, others, layer)
            if not summary.succeeded:
                failures = "\n".join(f"  {reason}" for reason in summary.failures)
                click.echo(f"Error: run {summary.run_id} of {others} ({layer}) failed:\n{failures}", err=True)
                break
    named = ", ".join(map(str, Days.of(blocked).ranges))
    click.echo(
        f"Not written, for what is in quarantine: {named}. See: analytics-pipeline quarantine list --blocked", err=True
    )


def chosen_days(shop: Shop, day: date | None, first: date | None, last: date | None, now: datetime) -> Days:
    """Return the days that the options mean.

    Raises:
        click.UsageError: The options contradict each other.
        SettingsError: A day lies before the shop's first one, or is not over yet.
    """
    yesterday = last_complete_day(shop, now)
    if day is not None and (first is not None or last is not None):
        raise click.UsageError("give --date, or --from and --to")
    if last is not None and first is None:
        raise click.UsageError("--to needs --from")
    if first is not None and last is None and first <= last_awaited_day(shop, now):
        last = last_awaited_day(shop, now)
    default = yesterday if first is not None else last_awaited_day(shop, now)
    begin, end = (day, day) if day is not None else (first or default, last or default)
    if begin > end:
        raise click.UsageError(f"--from {begin} is after --to {end}")
    if begin < shop.first_day:
        raise SettingsError(
            f"{begin} lies before {shop.first_day}, the first_day of the shop {shop.name}. Begin there."
        )
    if end > yesterday:
        raise SettingsError(f"{end} is not over yet in {shop.timezone}; the last complete business day is {yesterday}.")
    return Days(begin, end)
