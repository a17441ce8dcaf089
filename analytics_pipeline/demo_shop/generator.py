"""The orders of one business day, as they are placed.

Everything depends on the settings and the day alone. What becomes of an order later (edits, refunds, cancellations) is
told in `fates`, when the shop knows of it in `presence`.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from analytics_pipeline.demo_shop import catalogue, days
from analytics_pipeline.demo_shop.buyers import Buyer, buyers
from analytics_pipeline.demo_shop.catalogue import GOODS, SAMPLES, Article
from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.fates import history_of, with_line_taxes
from analytics_pipeline.demo_shop.model import ZERO, Defect, History, Order, OrderLine, rounded
from analytics_pipeline.demo_shop.presence import in_the_shop
from analytics_pipeline.demo_shop.settings import DemoShopSettings

_FOREIGN_RATE = Decimal("1.10")
_FREE_SHIPPING_FROM = 60
_SHIPPING = {"DE": Decimal("4.90"), "AT": Decimal("7.90")}
_SHIPPING_ELSEWHERE = Decimal("11.50")
_SHIPPING_TAX_RATE = Decimal("0.19")
_LINE_COUNTS = (1, 1, 1, 2, 2, 3, 4)
_QUANTITIES = (1, 1, 1, 1, 1, 1, 2, 2, 3, 6)
_PERCENTS = (5, 10, 15, 20, 25, 50)
_VOUCHERS = (Decimal(5), Decimal("7.50"), Decimal(10))
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
        order = _place(settings, day, rng, order_id=f"D{day:%Y%m%d}-{number:04d}", moment=moment, buyer=buyer)
        histories.append(in_the_shop(settings, history_of(settings, order, rng)))
        if buyer.is_new and buyer.customer_id:
            registered_at = max(opening, moment - timedelta(seconds=rng.randint(1, 600)))
            registrations.append(Registration(buyer.customer_id, registered_at))
    return ShopDay(tuple(histories), tuple(registrations))


def _place(
    settings: DemoShopSettings, day: date, rng: Random, *, order_id: str, moment: datetime, buyer: Buyer
) -> Order:
    is_foreign = settings.foreign_currency is not None and happens(rng, settings.foreign_share)
    fate = rng.random()
    is_test = fate < settings.test_share
    is_bad = not is_test and fate < settings.test_share + settings.bad_share
    is_free = not is_test and not is_bad and happens(rng, settings.free_share)
    lines, order_discount = _basket(settings, day, rng, is_foreign=is_foreign, is_free=is_free)
    country = "US" if is_foreign else buyer.country
    shipping = _shipping(lines, country)
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
        shipping_tax=_tax(settings, shipping, ZERO if is_foreign else _SHIPPING_TAX_RATE),
        is_test=is_test,
        defect=rng.choice(_DEFECTS) if is_bad else None,
    )
    return with_line_taxes(order)


def _basket(
    settings: DemoShopSettings, day: date, rng: Random, *, is_foreign: bool, is_free: bool
) -> tuple[tuple[OrderLine, ...], Decimal]:
    """The lines, taxes still zero, and the discount of the whole order."""
    if is_free and happens(rng, 0.5):
        return _lines(settings, day, list(SAMPLES[: rng.randint(1, 2)]), rng, is_foreign=is_foreign), ZERO
    articles = rng.choices(GOODS, k=rng.choice(_LINE_COUNTS))
    if happens(rng, 0.05):
        articles.append(rng.choice(SAMPLES))
    lines = _lines(settings, day, articles, rng, is_foreign=is_foreign)
    base = sum((line.value - line.discount for line in lines), ZERO)
    if is_free and happens(rng, 0.5):
        return tuple(replace(line, discount=line.value) for line in lines), ZERO
    if is_free:
        return lines, base
    if not happens(rng, settings.order_discount_share):
        return lines, ZERO
    if happens(rng, 0.5):
        return lines, rounded(base * rng.choice(_PERCENTS) / 100)
    return lines, min(base, rng.choice(_VOUCHERS))


def _lines(
    settings: DemoShopSettings, day: date, articles: list[Article], rng: Random, *, is_foreign: bool
) -> tuple[OrderLine, ...]:
    lines = []
    for line_id, article in enumerate(articles, start=1):
        rate = ZERO if is_foreign else article.tax_rate
        unit_price = catalogue.price(settings.seed, article, day)
        if is_foreign:
            unit_price = rounded(unit_price * _FOREIGN_RATE)
        elif settings.prices_include_tax:
            unit_price = rounded(unit_price * (1 + rate))
        quantity = rng.choice(_QUANTITIES) if unit_price else 1
        discount = ZERO
        if happens(rng, settings.line_discount_share):
            discount = rounded(quantity * unit_price * rng.choice(_PERCENTS) / 100)
        lines.append(OrderLine(line_id, article.product_id, article.title, quantity, unit_price, discount, ZERO, rate))
    return tuple(lines)


def _shipping(lines: tuple[OrderLine, ...], country: str) -> Decimal:
    goods = sum((line.value for line in lines), ZERO)
    if not goods or goods >= _FREE_SHIPPING_FROM:
        return ZERO
    return _SHIPPING.get(country, _SHIPPING_ELSEWHERE)


def _tax(settings: DemoShopSettings, amount: Decimal, rate: Decimal) -> Decimal:
    return rounded(amount * rate / (1 + rate) if settings.prices_include_tax else amount * rate)
