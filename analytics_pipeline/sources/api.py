"""A shop that is asked over HTTP, as a source."""

from contextlib import ExitStack
from datetime import date, datetime

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.doctor import check_shop
from analytics_pipeline.sources.following import follow
from analytics_pipeline.sources.lists import extract_customers, extract_orders, extract_products
from analytics_pipeline.sources.newest_day import last_day_with_orders
from analytics_pipeline.sources.ranges import RangeReader
from analytics_pipeline.sources.records import Progress, Records
from analytics_pipeline.sources.source import OrdersRead, SourceCheck
from analytics_pipeline.sources.statistics import Statistics


class ApiSource:
    """Asks one shop by its client; a `Source`.

    Attributes:
        client: The client.
    """

    def __init__(self, client: ShopClient) -> None:
        """Take the client, which is open."""
        self.client = client

    @property
    def shop(self) -> Shop:
        """The description."""
        return self.client.shop

    @property
    def statistics(self) -> Statistics:
        """Running totals of what the requests cost."""
        return self.client.statistics

    def read_orders(self, days: Days, stack: ExitStack, *, is_over: bool, progress: Progress) -> OrdersRead:
        """Ask for the orders of business days, and order by order for the lists of which the description says so.

        Raises:
            ShopUnavailableError, ShopRefusedError, SettingsError: As `RangeReader.read`.
        """
        reader = RangeReader(self.client, stack, is_over=is_over, progress=progress)
        read = reader.read(days.first, days.last)
        return OrdersRead(read, follow(self.client, read, stack))

    def orders(self, days: Days) -> Records:
        """Ask for the orders of business days; see `extract_orders`."""
        return extract_orders(self.client, days.first, days.last)

    def customers(self, changed_since: datetime | None = None) -> Records:
        """Ask for customers; see `extract_customers`."""
        return extract_customers(self.client, changed_since)

    def products(self, changed_since: datetime | None = None) -> Records:
        """Ask for products; see `extract_products`."""
        return extract_products(self.client, changed_since)

    def last_day_with_orders(self, until: date) -> date | None:
        """Ask for the last business day with an order; see `newest_day`."""
        return last_day_with_orders(self.client, until)

    def check(self) -> SourceCheck:
        """Ask for a page of orders; see `check_shop`."""
        return check_shop(self.client)
