"""`analytics-pipeline up`: the UI, the daemon, the database and the demo shops, until Ctrl-C."""

import fcntl
import os
import secrets
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import click
import yaml

from analytics_pipeline.cli import Command, shop_option
from analytics_pipeline.cli.demo import CALLS_KEY
from analytics_pipeline.cli.demo_shops import is_demo, serving_demo_shops
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.cli.guard import host_of
from analytics_pipeline.cli.opening import open_database
from analytics_pipeline.cli.processes import Processes
from analytics_pipeline.errors import PipelineError, SettingsError
from analytics_pipeline.orchestration.code_location import LOCATION
from analytics_pipeline.orchestration.running import end_dead_runs, open_instance
from analytics_pipeline.settings import UI_URL, Settings
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.warehouse.connection import psql_line
from analytics_pipeline.webhooks.receiver import how_to_describe
from analytics_pipeline.webhooks.signatures import keys_of

Found = TypeVar("Found")
SECONDS_TO_LOAD = 300.0
SECONDS_BETWEEN_TRIES = 0.05
LONGEST_SOCKET = 100
DEFAULT_WEBHOOKS_PORT = 3080
LOOPBACK = "127.0.0.1"
SENSOR_SECONDS = "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS"
"""How long a poll of the shop may take: the first one after a long history asks for many changes."""


@click.command(
    "up",
    cls=Command,
    examples=(
        "analytics-pipeline up",
        "analytics-pipeline up --port 3001 --shop my-shop",
        "analytics-pipeline up --shop my-shop,us",
        "analytics-pipeline up --allowed-host ui.example.com",
        "analytics-pipeline up --webhooks",
    ),
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI on 127.0.0.1."
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Name by which a proxy passes requests on; may be given several times. That of ANALYTICS_UI_URL is allowed.",
)
@click.option(
    "--webhooks",
    "takes_calls",
    is_flag=True,
    help="Also take the shops' calls, on a port of its own.",
)
@click.option(
    "--webhooks-port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_WEBHOOKS_PORT,
    show_default=True,
    help="Port of the calls on 127.0.0.1, for a proxy that speaks TLS.",
)
@shop_option
def command(port: int, allowed_hosts: tuple[str, ...], webhooks_port: int, *, takes_calls: bool) -> None:
    """Start the Dagster UI and daemon on loopback, until Ctrl-C.

    The daemon runs each shop's daily schedule. The embedded Postgres is started when it is the configured one, and so
    are demo shops. Requests are answered that come from loopback or name an allowed host.
    """
    settings = Settings.from_environment()
    shops = _of_each(settings, lambda one: load_shop(one.shop))
    hosts = _hosts(allowed_hosts)
    calls_port = webhooks_port if takes_calls else None
    calling = _prepare_for_calls(settings, shops) if takes_calls else []
    with only_one(settings, port) as lock:
        _refuse_used_port(port, "--port")
        if calls_port is not None:
            _refuse_used_port(calls_port, "--webhooks-port")
        os.environ.setdefault(SENSOR_SECONDS, "1800")
        os.environ.setdefault(UI_URL, f"http://{LOOPBACK}:{port}")
        with open_instance(settings) as instance, serving_demo_shops(settings, shops, is_usual=True) as demo_shops:
            end_dead_runs(instance)
            for name, demo_shop in demo_shops.items():
                click.echo(f"demo shop {demo_shop.url}" + (f"   ({name})" if len(demo_shops) > 1 else ""))
            _open_databases(settings, shops)
            click.echo(f"UI        http://{LOOPBACK}:{port}   (Ctrl-C ends it)")
            click.echo(f"psql      {psql_line(settings)}")
            for shop in calling:
                url = f"http://{LOOPBACK}:{webhooks_port}/webhooks/{shop.name}"
                click.echo(f"webhooks  {url}   (by your proxy: docs/webhooks.md)")
                if shop.name in demo_shops:
                    demo_shops[shop.name].call(url, os.environ[CALLS_KEY])
            raise SystemExit(_serve(Processes([lock]), port, hosts, calls_port))


def _of_each(settings: Settings, work: Callable[[Settings], Found]) -> dict[str, Found]:
    """Do a work for each shop, by its reference; of several shops, one whose work fails is named and left out.

    Raises:
        SystemExit: It fails for all of several.
        PipelineError: It fails for the only shop.
    """
    found: dict[str, Found] = {}
    for one in settings.each():
        try:
            found[one.shop] = work(one)
        except PipelineError as error:
            if len(settings.shops) == 1:
                raise
            click.echo(f"NOT WELL  {one.names[0]}: {error}", err=True)
    if not found:
        raise SystemExit(FAILED)
    return found


def _open_databases(settings: Settings, shops: Mapping[str, Shop]) -> None:
    """Open the database for each shop, and say which shops are served."""
    readable = replace(settings, shops=tuple(shops))
    databases = _of_each(readable, lambda one: open_database(one, shops[one.shop]))
    click.echo(f"database  {next(iter(databases.values())).label}")
    for reference, database in databases.items():
        shop = shops[reference]
        where = f", in {database.schema('raw')} and so on" if database.namespace else ""
        click.echo(f"shop      {shop.name} ({shop.timezone}, {shop.currency}){where}")


def _serve(processes: Processes, port: int, hosts: list[str], calls_port: int | None) -> int:
    """Run the code server, the daemon and the web servers until one of them ends or somebody asks for the end."""
    with tempfile.TemporaryDirectory(prefix="up-", dir=_short_folder()) as folder:
        at, workspace = Path(folder, "code"), Path(folder, "workspace.yaml")
        place = {"location_name": LOCATION, "socket": str(at)}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": place}]}), encoding="utf-8")
        python = [sys.executable, "-m"]
        if calls_port is not None:  # first: what is called meanwhile waits for the others
            processes.start([*python, "analytics_pipeline.cli.receiver", str(calls_port)])
        code_server = ["--socket", str(at), "--module-name", LOCATION, "--location-name", LOCATION]
        quiet = ["--log-level", "warning", "--use-python-environment-entry-point"]
        processes.start([*python, "analytics_pipeline.cli.code_server", "code-server", "start", *code_server, *quiet])
        if _answers(at, processes):
            address = ["--host", LOOPBACK, "--port", str(port)]
            where = ["--workspace", str(workspace)]
            processes.start([*python, "dagster._daemon", "run", *where])
            processes.start([*python, "analytics_pipeline.cli.webserver", ",".join(hosts), *address, *where])
        return processes.wait()


def _answers(at: Path, processes: Processes) -> bool:
    """Wait for the code server, which listens once it has loaded the definitions: others would take it for gone."""
    deadline = time.monotonic() + SECONDS_TO_LOAD
    while processes.are_to_go_on and time.monotonic() < deadline:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(at))
            except OSError:
                time.sleep(SECONDS_BETWEEN_TRIES)
            else:
                return True
    return processes.are_to_go_on


def _short_folder() -> str | None:
    """Return where a socket can be named: the folder for temporary files, unless its path is long."""
    return None if len(os.fsencode(tempfile.gettempdir())) + len("/up-12345678/code") < LONGEST_SOCKET else "/tmp"  # noqa: S108


def _hosts(named: tuple[str, ...]) -> list[str]:
    """Return the names that requests may come under, beside those of loopback."""
    found = []
    for name in named:
        host = host_of(name)
        if host is None:
            raise click.BadParameter(
                f"{name!r} is no name of a host, such as ui.example.com", param_hint="--allowed-host"
            )
        found.append(host)
    link = host_of(urlsplit(os.environ.get(UI_URL) or "").netloc)
    return [*found, *([link] if link else [])]


@contextmanager
def only_one(settings: Settings, port: int) -> Iterator[int]:
    """Refuse a second `up` of one state folder: two daemons would start every run twice.

    What `up` starts holds the lock too, so that what a killed one leaves counts.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "up.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise click.ClickException(
                f"another `up` works in {settings.home} already: {lock.read().strip() or 'it is just starting'}. "
                "End it first; after `kill -9` what it has started still runs."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}, http://{LOOPBACK}:{port}\n")
        lock.flush()
        yield lock.fileno()


def _prepare_for_calls(settings: Settings, shops: Mapping[str, Shop]) -> list[Shop]:
    """Refuse what calls could not be taken with, before anything is started; demo shops get a secret of their own.

    Returns:
        The shops whose calls are taken.

    Raises:
        SettingsError, MissingSecretError: As `keys_of`, of the only shop.
        SystemExit: No shop's calls can be taken.
    """
    if any(is_demo(settings, reference) for reference in shops) and not os.environ.get(CALLS_KEY):
        os.environ[CALLS_KEY] = secrets.token_urlsafe(32)

    def prepare(one: Settings) -> Shop:
        shop = shops[one.shop]
        if shop.webhooks is None:
            raise SettingsError(how_to_describe(shop))
        keys_of(shop.webhooks, os.environ)
        return shop

    return list(_of_each(replace(settings, shops=tuple(shops)), prepare).values())


def _refuse_used_port(port: int, option: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise click.ClickException(
                f"port {port} of {LOOPBACK} cannot be used ({error.strerror}); give another one with {option}"
            ) from error
