"""Where a shop's records come from, as everybody else knows it: orders by business day, customers, products.

A shop that is asked over HTTP is an `ApiSource` (`api`); other kinds lie beside it. How each reads its records, and by
what it knows that they are whole, is its own part.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.following import Followed
from analytics_pipeline.sources.ranges import DaysRead
from analytics_pipeline.sources.records import Progress, Records
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.transforms.file_joins import JoinsMade


@dataclass
class OrdersRead:
    """The orders of some business days, and the lists that were asked for order by order.

    Attributes:
        days: What was read of the days.
        followed: The lists.
        joined: What has come of orders that several files have, of a shop that is read from files.
    """

    days: DaysRead
    followed: Sequence[Followed] = ()
    joined: JoinsMade | None = None


@dataclass(frozen=True)
class SourceCheck:
    """What a quick look at a source showed.

    Attributes:
        summary: One sentence for people.
        notes: Things worth a look that are no errors.
    """

    summary: str
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """Reads the records of one shop."""

    @property
    def shop(self) -> Shop:
        """The description."""

    @property
    def statistics(self) -> Statistics:
        """Running totals of what reading costs."""

    def read_orders(self, days: Days, stack: ExitStack, *, is_over: bool, progress: Progress) -> OrdersRead:
        """Read the orders of business days, so that what is wrong with one of them leaves the others whole.

        Args:
            days: The days.
            stack: Holds the rows on disk until it is closed.
            is_over: Whether all days are over: else orders come in while they are read.
            progress: Is called after each batch.

        Raises:
            PipelineError: None of them can be read.
        """

    def orders(self, days: Days) -> Records:
        """Read the orders of business days as they come, as `ORDERS_SCHEMA`."""

    def customers(self, changed_since: datetime | None = None) -> Records:
        """Read customers as `CUSTOMERS_SCHEMA`, where it can be said of them only those changed since a stamp."""

    def products(self, changed_since: datetime | None = None) -> Records:
        """Read products as `PRODUCTS_SCHEMA`; otherwise as `customers`."""

    def last_day_with_orders(self, until: date) -> date | None:
        """Return the last business day up to one on which there is an order, None where there is none."""

    def check(self) -> SourceCheck:
        """Look whether the source is there and is as described.

        Raises:
            PipelineError: It is not; the message says what to change.
        """
