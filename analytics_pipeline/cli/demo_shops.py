"""The demo shops: the packaged one and a second one in another zone and currency, described and served on loopback.

What a demo shop sells is the demo shop's own part; which shops there are is said by `settings`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from analytics_pipeline.cli.serving import DEFAULT_PORT, demo_settings
from analytics_pipeline.demo_shop import RunningShop, serve
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.binding import bound_shops
from analytics_pipeline.settings import DATABASE_URL, DEFAULT_SHOP, DEMO_SHOPS, FROM_FILES, HOME, Settings
from analytics_pipeline.shop.spec import Shop, packaged_path
from analytics_pipeline.warehouse.connection import data_database, is_created

SECOND = "demo-us"
SECOND_PORT = DEFAULT_PORT - 1
_OTHERWISE = {
    r"^#.*$": "# The second demo shop, in another zone and currency: `analytics-pipeline demo --shops 2` writes it.",
    r"^name: .*$": f"name: {SECOND}\nnamespace: demo_us",
    r"^timezone: \S+": "timezone: America/New_York",
    r"^currency: \S+": "currency: USD",
    r"^base_url: \S+": f"base_url: ${{ANALYTICS_DEMO_US_SHOP_URL:-http://127.0.0.1:{SECOND_PORT}}}",
}
"""What the second shop's description says where the packaged one says something else."""


def describe_second(settings: Settings) -> Path:
    """Write the description of the second demo shop into the state folder, and return where it lies."""
    text = packaged_path(DEFAULT_SHOP).read_text(encoding="utf-8")
    for pattern, line in _OTHERWISE.items():
        text = re.sub(pattern, line, text, count=1, flags=re.MULTILINE)
    path = settings.home / DEMO_SHOPS / f"{SECOND}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def url_variable(shop: Shop) -> str:
    """Return the name of the variable that says where a demo shop listens."""
    return f"ANALYTICS_{shop.name.upper().replace('-', '_')}_SHOP_URL"


def is_demo(settings: Settings, reference: str) -> bool:
    """Return whether a description is that of a demo shop."""
    return reference == DEFAULT_SHOP or Path(reference).parent == settings.home / DEMO_SHOPS


def refuse_real_shops(settings: Settings) -> None:
    """Keep the demo out of a database of other shops, before anything is written to it.

    Raises:
        SettingsError: One is bound to some of its schemas.
    """
    database = data_database(settings)
    demo = {DEFAULT_SHOP, *(path.stem for path in (settings.home / DEMO_SHOPS).glob("*.yaml"))}
    demo |= {folder.name for folder in (settings.home / FROM_FILES).glob("*")}  # each in schemas of its own
    others = sorted({bound.name for bound in bound_shops(database).values()} - demo) if is_created(database) else []
    if others:
        raise SettingsError(
            f"{database.label} holds the shop {', '.join(others)}, not the demo; nothing was written. Set {HOME} or "
            f"{DATABASE_URL} to another place for the demo."
        )


@contextmanager
def serving_demo_shops(
    settings: Settings, shops: Mapping[str, Shop], *, is_usual: bool
) -> Iterator[dict[str, RunningShop]]:
    """Serve the demo shops among some meanwhile, and say by their variables where.

    Args:
        settings: The installation.
        shops: The descriptions by their references.
        is_usual: Whether they listen on their usual ports where these are free, and one whose variable is set is left
            to who has set it.

    Yields:
        The running shops, by name.
    """
    running: dict[str, RunningShop] = {}
    with ExitStack() as stack:
        for reference, shop in shops.items():
            variable = url_variable(shop)
            if is_demo(settings, reference) and not (is_usual and os.environ.get(variable)):
                running[shop.name] = stack.enter_context(_served(shop, is_usual=is_usual))
                os.environ[variable] = running[shop.name].url
        yield running


def _served(shop: Shop, *, is_usual: bool) -> RunningShop:
    if is_usual:
        with suppress(OSError):
            return serve(demo_settings(shop), SECOND_PORT if shop.name == SECOND else DEFAULT_PORT)
    return serve(demo_settings(shop))
