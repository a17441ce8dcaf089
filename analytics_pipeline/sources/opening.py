"""Which source a shop's records come from, by its description: each list of the API or of files."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, datetime

from analytics_pipeline.days import Days
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.files import FileList
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.files.direct import DirectSource
from analytics_pipeline.sources.files.store import StoreSource
from analytics_pipeline.sources.records import Progress, Records
from analytics_pipeline.sources.source import OrdersRead, Source, SourceCheck
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.warehouse.connection import Database


class SeveralSources:
    """Reads each list of a shop from a source of its own; a `Source`.

    Attributes:
        of_orders: Where orders are read.
    """

    def __init__(self, of_orders: Source, of_customers: Source, of_products: Source, statistics: Statistics) -> None:
        """Take the sources, and what counts what the requests cost."""
        self.of_orders = of_orders
        self._of_customers, self._of_products, self._statistics = of_customers, of_products, statistics

    @property
    def shop(self) -> Shop:
        """The description."""
        return self.of_orders.shop

    @property
    def statistics(self) -> Statistics:
        """Running totals of what the requests cost."""
        return self._statistics

    def read_orders(self, days: Days, stack: ExitStack, *, is_over: bool, progress: Progress) -> OrdersRead:
        """Read the orders of business days; see `Source`."""
        return self.of_orders.read_orders(days, stack, is_over=is_over, progress=progress)

    def orders(self, days: Days) -> Records:
        """Read the orders of business days as they come."""
        return self.of_orders.orders(days)

    def customers(self, changed_since: datetime | None = None) -> Records:
        """Read customers."""
        return self._of_customers.customers(changed_since)

    def products(self, changed_since: datetime | None = None) -> Records:
        """Read products."""
        return self._of_products.products(changed_since)

    def last_day_with_orders(self, until: date) -> date | None:
        """Return the last business day with an order."""
        return self.of_orders.last_day_with_orders(until)

    def check(self) -> SourceCheck:
        """Look whether the source of orders is there."""
        return self.of_orders.check()


@contextmanager
def open_source(shop: Shop, database: Database) -> Iterator[Source]:
    """Open a shop's source, with the secrets that the description names.

    Args:
        shop: The description.
        database: Where what was taken in of files is stored.

    Raises:
        MissingSecretError, SettingsError: As `ShopClient`.
    """
    with _opened(shop, StoreSource(shop, database)) as source:
        yield source


@contextmanager
def open_directly(shop: Shop) -> Iterator[Source]:
    """Open a shop's source for a look at its records: of files the files themselves, and not what is stored of them.

    Raises:
        MissingSecretError, SettingsError: As `ShopClient`.
    """
    with _opened(shop, DirectSource(shop, Settings.from_environment().project)) as source:
        yield source


@contextmanager
def _opened(shop: Shop, files: Source) -> Iterator[Source]:
    if not shop.lists:
        yield files
        return
    of_files = [isinstance(one, FileList) for one in (shop.orders, shop.customers, shop.products)]
    with ShopClient(shop) as client:
        api = ApiSource(client)
        if not any(of_files):
            yield api
        else:
            orders, customers, products = (files if is_file else api for is_file in of_files)
            yield SeveralSources(orders, customers, products, client.statistics)
