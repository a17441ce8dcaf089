"""A quick look at whether a shop answers as it is described: one page of the last day's orders, in a sentence."""

from datetime import UTC, datetime, timedelta

from analytics_pipeline.shop.calendar import last_awaited_day
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.sources.source import SourceCheck

CLOCKS_DIFFER = timedelta(seconds=60)
"""A difference that travelling and rounding to seconds explain."""


def check_shop(client: ShopClient, *, now: datetime | None = None) -> SourceCheck:
    """Asks for the first page of the orders of yesterday or of `last_day` (two pages when the first has none of them).

    Args:
        client: The shop's client.
        now: An aware stamp that stands for now.

    Raises:
        PipelineError: As `extract_orders`; the message says what to change.
    """
    shop = client.shop
    moment = now or datetime.now(UTC)
    day = last_awaited_day(shop, moment)
    extraction = extract_orders(client, day, day)
    next(extraction, None)
    counted = "gives no count" if extraction.source_count is None else f"counts {extraction.source_count}"
    summary = (
        f"{client.base_url}{shop.api_orders.path} answers: {extraction.records} orders of {day} on the first page, "
        f"the shop {counted}"
    )
    notes = _clock_notes(extraction.shop_time, moment)
    window = shop.api_orders.created_window
    if extraction.outside_window and window is not None and window.format != "date":
        notes.append(
            f"{extraction.outside_window} orders were created on another day: check timezone, times and created_window"
        )
    if client.base_url.startswith("http://") and shop.auth.type != "none" and not _is_loopback(client.base_url):
        notes.append("credentials travel unencrypted: use https:// in base_url")
    return SourceCheck(summary, tuple(notes))


def _clock_notes(shop_time: datetime | None, now: datetime) -> list[str]:
    """Say how far the shop's clock is from this machine's, where that matters: signatures and polls stand on it."""
    if shop_time is None or abs(shop_time - now) <= CLOCKS_DIFFER:
        return []
    seconds = (shop_time - now).total_seconds()
    how = "ahead of" if seconds > 0 else "behind"
    return [f"the shop's clock is {abs(seconds):.0f} s {how} this machine's: see which of them is wrong"]


def _is_loopback(url: str) -> bool:
    return url.startswith(("http://127.", "http://localhost", "http://[::1]"))
