"""What one order of a business day holds as it is placed: lines, discounts, shipping."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from random import Random

from analytics_pipeline.demo_shop import catalogue
from analytics_pipeline.demo_shop.catalogue import GOODS, SAMPLES, Article
from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.model import ZERO, OrderLine, rounded
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


def basket_of(
    settings: DemoShopSettings, day: date, rng: Random, *, is_foreign: bool, is_free: bool
) -> tuple[tuple[OrderLine, ...], Decimal]:
    """The lines, taxes still zero, and the discount of the whole order."""
    if is_free and happens(rng, 0.5):
        return lines_of(settings, day, list(SAMPLES[: rng.randint(1, 2)]), rng, is_foreign=is_foreign), ZERO
    articles = rng.choices(GOODS, k=rng.choice(_LINE_COUNTS))
    if happens(rng, 0.05):
        articles.append(rng.choice(SAMPLES))
    lines = lines_of(settings, day, articles, rng, is_foreign=is_foreign)
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


def lines_of(
    settings: DemoShopSettings, day: date, articles: list[Article], rng: Random, *, is_foreign: bool = False
) -> tuple[OrderLine, ...]:
    """A line of each article at the day's price, some with a discount, taxes still zero."""
    lines = []
    for line_id, article in enumerate(articles, start=1):
        rate = ZERO if is_foreign else article.tax_rate
        unit_price = catalogue.price(settings, article, day)
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


def shipping_of(lines: tuple[OrderLine, ...], country: str) -> Decimal:
    """What the customer pays for shipping, by value and country."""
    goods = sum((line.value for line in lines), ZERO)
    if not goods or goods >= _FREE_SHIPPING_FROM:
        return ZERO
    return _SHIPPING.get(country, _SHIPPING_ELSEWHERE)


def shipping_tax(settings: DemoShopSettings, shipping: Decimal, *, is_foreign: bool = False) -> Decimal:
    """The tax on what shipping costs, contained in it if the shop's prices contain tax."""
    rate = ZERO if is_foreign else _SHIPPING_TAX_RATE
    return rounded(shipping * rate / (1 + rate) if settings.prices_include_tax else shipping * rate)
