"""`analytics-pipeline up`: the UI, the daemon, the database and the demo shop, until Ctrl-C."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from analytics_pipeline.cli import shop_option
from analytics_pipeline.cli.demo import SHOP_URL
from analytics_pipeline.cli.shop import DEFAULT_PORT
from analytics_pipeline.database.connection import data_database
from analytics_pipeline.demo_shop import DemoShopSettings, serve
from analytics_pipeline.running import open_instance
from analytics_pipeline.settings import DEFAULT_SHOP, Settings
from analytics_pipeline.sources.spec import Shop, load_shop

SECONDS_TO_STOP = 20


@click.command("up")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="Port of the UI on 127.0.0.1."
)
@shop_option
def command(port: int) -> None:
    r"""Start the Dagster UI and daemon on loopback, until Ctrl-C.

    The daemon runs the daily schedule. The embedded Postgres is started when it is the configured one, and so is the
    demo shop.

    \b
    Examples:
      analytics-pipeline up
      analytics-pipeline up --port 3001 --shop my-shop.yaml
    """
    settings = Settings.from_environment()
    shop = load_shop(settings.shop)
    with open_instance(settings), _demo_shop(settings, shop):
        click.echo(f"database  {data_database(settings).label}")
        click.echo(f"UI        http://127.0.0.1:{port}   (Ctrl-C ends it)")
        arguments = [
            "dev",
            "--module-name",
            "analytics_pipeline.definitions",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        # A session of its own: Ctrl-C reaches this process alone, which then asks the others to end in order.
        process = subprocess.Popen([sys.executable, "-m", "dagster", *arguments], start_new_session=True)  # noqa: S603 - fixed arguments
        raise SystemExit(_wait(process))


@contextmanager
def _demo_shop(settings: Settings, shop: Shop) -> Iterator[None]:
    """Serve the demo shop meanwhile, when it is the configured one and nobody has said where it is."""
    if settings.shop != DEFAULT_SHOP or os.environ.get(SHOP_URL):
        yield
        return
    try:
        running = serve(DemoShopSettings(opened=shop.first_day), DEFAULT_PORT)
    except OSError:
        running = serve(DemoShopSettings(opened=shop.first_day))
    with running:
        os.environ[SHOP_URL] = running.url
        click.echo(f"demo shop {running.url}")
        yield


def _wait(process: subprocess.Popen[bytes]) -> int:
    def stop(*_: object) -> None:
        process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(SECONDS_TO_STOP)
    return 0 if code in {0, -signal.SIGINT, 130} else code
