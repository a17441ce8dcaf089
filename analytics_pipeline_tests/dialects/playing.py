"""The demo shop that all dialects play in tests: four weeks around a clock change, with refunds and cancellations."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings
from analytics_pipeline.demo_shop.days import starts_at
from analytics_pipeline_tests.dialects.base import Dialect, Serving
from analytics_pipeline_tests.dialects.numbers import order_number

OPENED = date(2025, 3, 17)
NOW = datetime(2025, 4, 13, 10, tzinfo=UTC)
DAYS = [OPENED + timedelta(days=number) for number in range(27)]
"""The business days that are over."""
SETTINGS = DemoShopSettings(
    opened=OPENED,
    orders_per_day=(6, 12),
    bad_share=0.0,
    test_share=0.03,
    free_share=0.03,
    order_discount_share=0.2,
    refund_share=0.2,
    longest_refund_days=12,
    cancel_share=0.06,
    edit_share=0.06,
)
_D = TypeVar("_D", bound=Dialect)


class Clock:
    """A clock that a test may set forward."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def serving(
    kind: type[_D],
    *,
    settings: DemoShopSettings = SETTINGS,
    clock: Callable[[], datetime] | None = None,
    with_charges: bool = False,
) -> Serving[_D]:
    """A dialect over the demo shop, answering on 127.0.0.1."""
    clock = clock or Clock()
    return Serving(kind(DemoShop(settings, clock), clock, with_charges=with_charges))


def midnights(first: date, last: date) -> tuple[datetime, datetime]:
    """The moments in UTC at which some business days begin and end."""
    return starts_at(first, SETTINGS.zone), starts_at(last + timedelta(days=1), SETTINGS.zone)


def numbers_of(dialect: Dialect) -> list[int]:
    """The numbers of all orders, ascending."""
    return [order_number(order.order_id) for order in dialect.shop.orders_between()]


def numbers_between(dialect: Dialect, first: date, last: date) -> list[int]:
    """The numbers of the orders of some business days, ascending."""
    return [order_number(order.order_id) for order in dialect.shop.orders_between(*midnights(first, last))]
