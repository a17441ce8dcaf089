"""`analytics-pipeline doctor`: everything that a run stands on, a line each."""

import os
import platform
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import date
from functools import partial
from importlib.metadata import version

import click
import psycopg

from analytics_pipeline.alerts.sending import fault_of, receivers_of
from analytics_pipeline.catalogue import installation_of, read_tables
from analytics_pipeline.cli import Command
from analytics_pipeline.cli.all_shops import marts_of_all_shops
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.cli.opening import left_behind, readable_shops, shop_database, undescribed
from analytics_pipeline.cli.probes import Probe, Warned, all_pass
from analytics_pipeline.cli.run import Day
from analytics_pipeline.cli.shop_probes import shop_probes
from analytics_pipeline.cli.shops import Answer, each_shop_and_then
from analytics_pipeline.errors import (
    ContractError,
    DatabaseRefusedError,
    DescriptionError,
    MissingSecretError,
    PipelineError,
    SettingsError,
)
from analytics_pipeline.history.binding import binding_of, refuse_another_shop
from analytics_pipeline.history.email_hashes import describe_key
from analytics_pipeline.history.excerpts import keep
from analytics_pipeline.history.rules import describe_rules
from analytics_pipeline.plain import counted
from analytics_pipeline.seeds import Seed, rows_of
from analytics_pipeline.settings import ALERT_URLS, AlertSettings, Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.tables.shape import in_sql, schema_in_sql
from analytics_pipeline.warehouse.connection import Database, create_database, data_database, instance_database
from analytics_pipeline.warehouse.schema import packaged_schema, read_stored, refuse_newer
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline.webhooks.due import describe_traffic, read_traffic
from analytics_pipeline.webhooks.signatures import keys_of

OLDEST_SERVER = 140000
CHECKED_LAYERS = ("raw", "clean", "ops", "marts")
PACKAGES = (
    "analytics-pipeline",
    "dagster",
    "dagster-postgres",
    "pandas",
    "pyarrow",
    "psycopg",
    "adbc-driver-postgresql",
)


def _of_installation(settings: Settings, **_: object) -> Answer:
    """Check what is no shop's own."""
    probes: list[Probe] = [("marts", lambda: _marts_of_all(settings))]
    if len(settings.shops) > 1:  # of one it has been said
        click.echo(f"ok    {'versions':12} {_versions()}")
        probes.append(("instance", lambda: _instance(instance_database(data_database(settings)))))
        probes.append(("schemas", lambda: _schemas(settings)))
        probes += _alert_probes()
    passed = [all_pass([probe]) for probe in probes]  # none stands on another one
    return Answer(None, 0 if all(passed) else FAILED)


def _marts_of_all(settings: Settings) -> str:
    """Say how the marts over all shops stand."""
    installation, database = installation_of(settings), data_database(settings).of(None)
    if installation.broken_marts:
        faults = "; ".join(one.reason for one in installation.broken_marts)
        return Warned(f"{len(installation.broken_marts)} broken, not computed: {faults}")
    if not installation.marts:
        return "none over these shops"
    waiting = [
        f"{one['mart']} {counted(one['days'], 'day')}"
        for one in marts_of_all_shops(database, installation)
        if one["days"]
    ]
    return f"{len(installation.marts)} over all shops; to be computed: {', '.join(waiting) or 'nothing'}"


def _schemas(settings: Settings) -> str:
    left = undescribed(settings, data_database(settings))
    return Warned("; ".join(left)) if left else "none of a shop that no description names"


@click.command(
    "doctor",
    cls=Command,
    examples=(
        "analytics-pipeline doctor",
        "analytics-pipeline doctor --shop my-shop",
        "analytics-pipeline doctor --shop my-shop,us",
        "analytics-pipeline doctor --date 2026-01-31",
    ),
)
@click.option(
    "--date",
    "day",
    type=Day(),
    help="Business day whose orders are cleaned without writing; the last one with orders by default.",
)
@each_shop_and_then(_of_installation)
def command(settings: Settings, day: date | None) -> None:
    """Check shop, records, credentials, database, rights, time zone and versions, a line each.

    The exit code is 1 when one of them fails; a warning is no failure. Nothing is written, except that missing
    databases are created and that what a refusal of the shop says is kept (excerpts). Of several shops, versions,
    Dagster's database and alerts come once, after them.
    """
    if settings.is_alone:
        click.echo(f"ok    {'versions':12} {_versions()}")
    passed = [
        all_pass(probes, partial(_keep_words, settings))
        for probes in (
            _mart_probes(settings),
            shop_probes(settings.shop, day, beside=readable_shops(settings.beside)),
            _database_probes(settings),
            _alert_probes() if settings.is_alone else (),
        )
    ]
    if not all(passed):
        raise SystemExit(FAILED)


def _keep_words(settings: Settings, error: PipelineError) -> None:
    """Keep what the shop said when it refused, where the database can be reached."""
    if error.excerpt:
        with suppress(PipelineError):
            keep(_of_shop(settings), "doctor", str(error), error.excerpt)


def _mart_probes(settings: Settings) -> Iterator[Probe]:
    yield "marts", lambda: _marts(settings)


def _database_probes(settings: Settings) -> Iterator[Probe]:
    yield "database", lambda: _database(data_database(settings))
    yield "rights", lambda: _rights(_of_shop(settings))
    yield "schema", lambda: _schema(_of_shop(settings))
    yield "e-mail key", lambda: describe_key(_of_shop(settings), settings)
    if settings.is_alone:
        yield "instance", lambda: _instance(instance_database(data_database(settings)))
        yield "schemas", lambda: _schemas(settings)
    with suppress(DescriptionError):  # which has a line of its own
        shop = load_shop(settings.shop)
        yield "holds", lambda: _holds(_of_shop(settings), shop)
        if shop.webhooks is not None:
            yield "webhooks", lambda: _webhooks(_of_shop(settings), shop)


def _of_shop(settings: Settings) -> Database:
    """Return the database as the shop has it; with the plain schemas where its description is wrong."""
    shop = _described(settings)
    return data_database(settings) if shop is None else shop_database(settings, shop)


def _described(settings: Settings) -> Shop | None:
    with suppress(DescriptionError):  # which has a line of its own
        return load_shop(settings.shop)
    return None


def _marts(settings: Settings) -> str:
    """Say how many marts there are; a broken one stops what reads it and nothing else."""
    marts, broken, seeds, _ = read_tables(settings.project, partial(data_database, settings), _described(settings))
    faults = [*(one.reason for one in broken), *filter(None, map(_fault_of_seed, seeds))]
    if faults:
        return Warned(f"{len(faults)} broken, not computed: " + "; ".join(faults))
    whole = [mart.table.name for mart in marts if not mart.is_daily]
    number = f"{len(marts) + len(seeds)} files are right"
    return number + (f"; every run computes whole: {', '.join(whole)}" if whole else "")


def _fault_of_seed(seed: Seed) -> str | None:
    """Read a seed as a run does; what it would be refused for, if anything."""
    try:
        rows_of(seed)
    except ContractError as error:
        return str(error)
    return None


def _alert_probes() -> Iterator[Probe]:
    yield "alerts", _alerts


def _alerts() -> str:
    settings = AlertSettings.from_environment()
    receivers = receivers_of(settings.urls)
    faults = [fault for fault in map(fault_of, receivers) if fault is not None]
    if faults:
        raise SettingsError("; ".join(faults))
    if not receivers:
        return f"{ALERT_URLS} is not set: incidents are kept and logged, and nobody is notified"
    message = ", ".join(receiver.label for receiver in receivers)
    return f"{message}; not tried: `analytics-pipeline alerts --test` sends a message"


def _versions() -> str:
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])


def _database(database: Database) -> str:
    made = " (created now)" if create_database(database) else ""
    server = query(
        database,
        "select current_setting('server_version_num')::int as number, current_setting('server_version') as version",
    )[0]
    if server["number"] < OLDEST_SERVER:
        raise DatabaseRefusedError(f"{database.label} is PostgreSQL {server['version']}; 14 or newer is needed.")
    return f"{database.label}: PostgreSQL {server['version']}{made}"


def _rights(database: Database) -> str:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        try:
            for layer in CHECKED_LAYERS:
                cursor.execute(f"create schema if not exists {schema_in_sql(layer)}")
                cursor.execute(f"create table {in_sql(layer, 'analytics_pipeline_doctor')} (one int)")
        except psycopg.ProgrammingError:
            connection.rollback()
            raise
        connection.rollback()
    *most, last = map(database.schema, CHECKED_LAYERS)
    return f"schemas and tables can be created in {', '.join(most)} and {last}"


def _schema(database: Database) -> str:
    schema, stored = packaged_schema(), read_stored(database)
    refuse_newer(database, stored)
    if stored.is_new:
        return f"none yet: what opens the database first makes version {schema.version}"
    if pending := stored.pending(schema):
        done_by = "what opens the database next does it, in moments; a backup before that is the only way back"
        return Warned(f"version {stored.version} of {schema.version}, pending: {', '.join(pending)} ({done_by})")
    return f"version {stored.version}, nothing is pending"


def _holds(database: Database, shop: Shop) -> str:
    refuse_another_shop(database, shop)
    bound = binding_of(database)
    held = "no shop yet: the first run binds it"
    if bound is not None:
        held = f"the shop {bound.name}; {describe_rules(database, shop)}"
    elsewhere = left_behind(database, shop)
    return held if elsewhere is None else Warned(f"{held}; {elsewhere}")


def _webhooks(database: Database, shop: Shop) -> str:
    """Say what calls came lately, and whether they could be taken here."""
    traffic = read_traffic(database)
    line = describe_traffic(traffic, shop.zone)
    if shop.webhooks is not None:
        try:
            keys_of(shop.webhooks, os.environ)
        except MissingSecretError as error:
            line += f"; {error} before `up --webhooks`"
    if traffic.are_all_refused:
        return Warned(f"every call is refused, see whether the secret is the shop's: {line}")
    return line


def _instance(database: Database) -> str:
    made = " (created now)" if create_database(database) else ""
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        # Dagster makes its tables without naming a schema; those that are there it reads and writes.
        cursor.execute("create table analytics_pipeline_doctor (one int)")
        connection.rollback()
    return f"{database.label}: Dagster's runs and events{made}"
