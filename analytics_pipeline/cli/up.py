"""`analytics-pipeline up`: the UI, the daemon, the database and the demo shop, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import click
import psutil

from analytics_pipeline.cli import Command, shop_option
from analytics_pipeline.cli.demo import SHOP_URL
from analytics_pipeline.cli.shop import DEFAULT_PORT, demo_settings
from analytics_pipeline.database.connection import data_database, psql_line
from analytics_pipeline.demo_shop import serve
from analytics_pipeline.running import end_dead_runs, open_instance
from analytics_pipeline.settings import DEFAULT_SHOP, UI_URL, Settings
from analytics_pipeline.sources.spec import Shop, load_shop

SECONDS_TO_STOP = 20
LOOPBACK = "127.0.0.1"
SENSOR_SECONDS = "DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS"
"""How long a look at the shop may take: the first one after a long history asks for many changes."""
QUIET = "ignore:Function `dev_command` is superseded"
"""Dagster announces another command line of its own at each start; a user of this one need not read that."""


@click.command(
    "up",
    cls=Command,
    examples=(
        "analytics-pipeline up",
        "analytics-pipeline up --port 3001 --shop my-shop.yaml",
    ),
)
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI on 127.0.0.1."
)
@shop_option
def command(port: int) -> None:
    """Start the Dagster UI and daemon on loopback, until Ctrl-C.

    The daemon runs the daily schedule. The embedded Postgres is started when it is the configured one, and so is the
    demo shop.
    """
    settings = Settings.from_environment()
    shop = load_shop(settings.shop)
    _refuse_used_port(port)
    os.environ.setdefault(SENSOR_SECONDS, "1800")
    os.environ.setdefault(UI_URL, f"http://{LOOPBACK}:{port}")
    with open_instance(settings) as instance, _demo_shop(settings, shop):
        end_dead_runs(instance)
        click.echo(f"database  {data_database(settings).label}")
        click.echo(f"psql      {psql_line(settings)}")
        click.echo(f"UI        http://{LOOPBACK}:{port}   (Ctrl-C ends it)")
        arguments = ["--module-name", "analytics_pipeline.definitions", "--host", LOOPBACK, "--port", str(port)]
        raise SystemExit(_run_until_asked([sys.executable, "-W", QUIET, "-m", "dagster", "dev", *arguments]))


def _refuse_used_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise click.ClickException(
                f"port {port} of {LOOPBACK} cannot be used ({error.strerror}); give another one with --port"
            ) from error


@contextmanager
def _demo_shop(settings: Settings, shop: Shop) -> Iterator[None]:
    """Serve the demo shop meanwhile, when it is the configured one and nobody has said where it is."""
    if settings.shop != DEFAULT_SHOP or os.environ.get(SHOP_URL):
        yield
        return
    try:
        running = serve(demo_settings(shop), DEFAULT_PORT)
    except OSError:
        running = serve(demo_settings(shop))
    with running:
        os.environ[SHOP_URL] = running.url
        click.echo(f"demo shop {running.url}")
        yield


def _run_until_asked(command: list[str]) -> int:
    """Run a command until it ends or this process is asked to (SIGINT, SIGTERM), and leave none of its processes.

    Returns:
        Its exit code, 0 when it was asked to end.
    """
    started: list[subprocess.Popen[bytes]] = []
    asked: list[int] = []

    def end(number: int, _: object) -> None:
        asked.append(number)
        for process in started:
            process.send_signal(signal.SIGINT)

    # Before the command starts, so that no signal finds it running and nobody who passes the signal on.
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    if asked:
        return 0
    # A session of its own: Ctrl-C reaches this process alone, which then asks the others to end in order.
    # A file of the current folder must not stand in for a module of the same name (PYTHONSAFEPATH).
    safely = {**os.environ, "PYTHONSAFEPATH": "1"}
    started.append(subprocess.Popen(command, start_new_session=True, env=safely))  # noqa: S603 - fixed arguments
    if asked:
        started[0].send_signal(signal.SIGINT)
    code = started[0].wait()
    _end_session(started[0].pid)
    return 0 if asked else code


def _end_session(leader: int) -> None:
    """End what is left of a session whose leader has ended."""
    left = [process for process in psutil.process_iter() if _session_of(process.pid) == leader]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(left, timeout=SECONDS_TO_STOP)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
