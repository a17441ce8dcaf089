"""The orders of one business day, as they are placed.

Everything depends on the settings and the day alone. What an order holds stands in `baskets`, what becomes of it later
(edits, refunds, cancellations) in `fates`, what unusual days do to it in `unusual`, when the shop knows of it in
`presence`.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from analytics_pipeline.demo_shop import days
from analytics_pipeline.demo_shop.baskets import basket_of, shipping_of, shipping_tax
from analytics_pipeline.demo_shop.buyers import Buyer, buyers
from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.fates import history_of, with_line_taxes
from analytics_pipeline.demo_shop.model import Defect, History, Order
from analytics_pipeline.demo_shop.presence import in_the_shop
from analytics_pipeline.demo_shop.settings import DemoShopSettings
from analytics_pipeline.demo_shop.unusual import as_it_happened

_DEFECTS = tuple(Defect)


@dataclass(frozen=True, slots=True)
class Registration:
    """A customer account opened with its first order, up to ten minutes before it."""

    customer_id: str
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class ShopDay:
    """All that ever becomes of the orders of one business day: histories by ascending order id and moment."""

    histories: tuple[History, ...]
    registrations: tuple[Registration, ...]


def generate_day(settings: DemoShopSettings, day: date) -> ShopDay:
    """Everything about the orders of a business day, whatever the time is now."""
    rng = Random(f"{settings.seed}:{day}")
    placed = zip(days.order_times(settings, day, rng), buyers(settings, day, rng), strict=True)
    histories, registrations = [], []
    opening = days.starts_at(day, settings.zone)
    for number, (moment, buyer) in enumerate(placed, start=1):
        order = place(settings, day, rng, order_id=f"D{day:%Y%m%d}-{number:04d}", moment=moment, buyer=buyer)
        histories.append(history_of(settings, order, rng))
        if buyer.is_new and buyer.customer_id:
            registered_at = max(opening, moment - timedelta(seconds=rng.randint(1, 600)))
            registrations.append(Registration(buyer.customer_id, registered_at))
    happened = as_it_happened(settings, day, histories)
    return ShopDay(tuple(in_the_shop(settings, history) for history in happened), tuple(registrations))


def place(
    settings: DemoShopSettings, day: date, rng: Random, *, order_id: str, moment: datetime, buyer: Buyer
) -> Order:
    """An order as somebody places it."""
    is_foreign = settings.foreign_currency is not None and happens(rng, settings.foreign_share)
    fate = rng.random()
    is_test = fate < settings.test_share
    is_bad = not is_test and fate < settings.test_share + settings.bad_share
    is_free = not is_test and not is_bad and happens(rng, settings.free_share)
    lines, order_discount = basket_of(settings, day, rng, is_foreign=is_foreign, is_free=is_free)
    country = "US" if is_foreign else buyer.country
    shipping = shipping_of(lines, country)
    order = Order(
        order_id=order_id,
        created_at=moment,
        updated_at=moment,
        currency=settings.foreign_currency if is_foreign and settings.foreign_currency else settings.currency,
        prices_include_tax=settings.prices_include_tax,
        customer_id=buyer.customer_id,
        email=buyer.email,
        country=country,
        lines=lines,
        order_discount=order_discount,
        shipping=shipping,
        shipping_tax=shipping_tax(settings, shipping, is_foreign=is_foreign),
        is_test=is_test,
        defect=rng.choice(_DEFECTS) if is_bad else None,
    )
    return with_line_taxes(order)
