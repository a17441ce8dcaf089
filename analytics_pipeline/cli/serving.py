"""The demo shop in the foreground: what `demo --serve` does, and which demo shop a description means."""

from dataclasses import replace

import click

from analytics_pipeline.demo_shop import DemoShopSettings, run_forever
from analytics_pipeline.settings import DEFAULT_SHOP
from analytics_pipeline.shop.spec import Shop, load_shop

DEFAULT_PORT = 8899


def demo_settings(shop: Shop) -> DemoShopSettings:
    """Return the settings of the demo shop that a description means.

    Refunds come within three weeks, so that a month of orders holds all returns of its last week.
    """
    return DemoShopSettings(
        name=shop.name,
        seed=1 if shop.name == DEFAULT_SHOP else 2,
        timezone=shop.timezone,
        currency=shop.currency,
        opened=shop.first_day,
        longest_refund_days=21,
    )


def serve_demo_shop(port: int, faults: float, *, calls: tuple[str, str] | None = None) -> None:
    """Serve the demo shop's API on 127.0.0.1 until Ctrl-C.

    Args:
        port: 0 takes a free one.
        faults: Share of requests that fail.
        calls: URL that is called whenever an order changes, and the secret that signs the calls.
    """
    try:
        run_forever(replace(demo_settings(load_shop(DEFAULT_SHOP)), fault_share=faults), port, calls=calls)
    except OSError as error:
        raise click.ClickException(
            f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); give another one with --port"
        ) from error
