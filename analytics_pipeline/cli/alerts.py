"""`analytics-pipeline alerts`: what is wrong, what was, and a message that shows that messages arrive."""

import click

from analytics_pipeline.alerts.all_shops import AllShops
from analytics_pipeline.alerts.incidents import Incident
from analytics_pipeline.alerts.messages import Concerned, trial_message
from analytics_pipeline.alerts.record import read_closed, read_open
from analytics_pipeline.alerts.sending import receivers_of, send
from analytics_pipeline.cli import Command
from analytics_pipeline.cli.all_shops import opened_of_all
from analytics_pipeline.cli.opening import open_database
from analytics_pipeline.cli.shops import each_shop_and_then
from analytics_pipeline.settings import ALERT_URLS, AlertSettings, Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.operations import INCIDENTS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists

SHOWN_CLOSED = 10


def _of_all_shops(settings: Settings, *, is_test: bool) -> None:
    if not is_test:  # receivers are the same for all
        for line in _listed(opened_of_all(settings), AllShops(), of_all=True):
            click.echo(line)


@click.command(
    "alerts",
    cls=Command,
    examples=(
        "analytics-pipeline alerts",
        "analytics-pipeline alerts --test",
    ),
)
@click.option("--test", "is_test", is_flag=True, help=f"Send a test message to each URL of {ALERT_URLS}.")
@each_shop_and_then(_of_all_shops)
def command(settings: Settings, *, is_test: bool) -> None:
    """List the open incidents and the last ten that are over.

    With --test a message is sent to every receiver; the exit code is 1 when one of them cannot be reached.
    """
    shop = load_shop(settings.shop)
    if is_test:
        _test(shop)
        return
    database = open_database(settings, shop)
    for line in _listed(database, shop):
        click.echo(line)


def _test(shop: Shop) -> None:
    receivers = receivers_of(AlertSettings.from_environment().urls)
    if not receivers:
        raise click.ClickException(f"{ALERT_URLS} is not set; see docs/operations.md for what goes into it")
    failed = 0
    for receiver in receivers:
        failure = send(receiver, trial_message(shop))
        failed += failure is not None
        click.echo(f"FAIL  {failure}" if failure else f"ok    {receiver.label}")
    if failed:
        raise click.ClickException(f"{failed} of {len(receivers)} receivers could not be notified")


def _listed(database: Database, concerned: Concerned, *, of_all: bool = False) -> list[str]:
    if not exists(database, INCIDENTS):
        return ["no incident yet"]
    now_open, closed = read_open(database, of_all=of_all), read_closed(database, SHOWN_CLOSED, of_all=of_all)
    if not now_open and not closed:
        return ["no incident yet"]
    lines = [f"open     {len(now_open)}"]
    for incident in now_open:
        message = (
            ("sent once" if incident.sends == 1 else f"sent {incident.sends} times")
            if incident.sends
            else "nobody has been notified"
        )
        lines += [f"  {_line(incident, concerned)}; {message}", *(f"    {line}" for line in incident.text.splitlines())]
    lines.append(f"over     {len(closed) or 'none'}" + (", the newest first" if closed else ""))
    return [*lines, *(f"  {_line(incident, concerned)}" for incident in closed)]


def _line(incident: Incident, concerned: Concerned) -> str:
    stamps = [stamp for stamp in (incident.opened_at, incident.closed_at) if stamp is not None]
    shown = " to ".join(f"{stamp.astimezone(concerned.zone):%Y-%m-%d %H:%M %Z}" for stamp in stamps)
    return f"{incident.kind} {incident.subject}, {'' if incident.closed_at else 'since '}{shown}"
