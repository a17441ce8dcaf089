"""Which source a shop's records come from, by its description."""

from collections.abc import Iterator
from contextlib import contextmanager

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.source import Source
from analytics_pipeline.warehouse.connection import Database


@contextmanager
def open_source(shop: Shop, database: Database) -> Iterator[Source]:
    """Open a shop's source, with the secrets that the description names.

    Args:
        shop: The description.
        database: Where what is read from files is kept.

    Raises:
        MissingSecretError, SettingsError: As `ShopClient`.
    """
    del database  # an API's records are kept nowhere before they are written
    with ShopClient(shop) as client:
        yield ApiSource(client)
