"""What the demo shop sells, and what it costs on which day."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from random import Random

from analytics_pipeline.demo_shop.happenings import HappeningKind
from analytics_pipeline.demo_shop.model import rounded
from analytics_pipeline.demo_shop.settings import DemoShopSettings

_FULL_RATE = Decimal("0.19")
_REDUCED_RATE = Decimal("0.07")
_PRICE_HOLDS_DAYS = 97

_RANGE: dict[str, tuple[Decimal, dict[str, str]]] = {
    "Kitchen": (
        _FULL_RATE,
        {
            "Chef's knife": "69.90",
            "Cutting board": "34.50",
            "Cast-iron pan": "89.00",
            "Whisk": "9.95",
            "Apron": "24.99",
        },
    ),
    "Coffee": (
        _REDUCED_RATE,
        {"House blend 500 g": "12.90", "Espresso 1 kg": "24.50", "Decaf 250 g": "8.49", "Single origin": "15.75"},
    ),
    "Brewing": (
        _FULL_RATE,
        {"Hand grinder": "119.00", "Dripper": "21.90", "Paper filters": "4.95", "Gooseneck kettle": "79.90"},
    ),
    "Tableware": (
        _FULL_RATE,
        {"Mug": "14.90", "Espresso cup": "11.50", "Dinner plate": "18.90", "Bowl": "16.33", "Carafe": "39.00"},
    ),
    "Books": (
        _REDUCED_RATE,
        {"Baking bread": "28.00", "One pot": "22.00", "Coffee at home": "18.50", "Knives": "35.00"},
    ),
    "Linen": (_FULL_RATE, {"Tea towel": "7.99", "Table runner": "32.90", "Napkins": "19.99", "Tablecloth": "59.00"}),
    "Pantry": (_REDUCED_RATE, {"Olive oil": "17.80", "Sea salt": "5.49", "Honey": "8.95", "Dark chocolate": "3.79"}),
    "Gifts": (_FULL_RATE, {"Gift box": "49.00", "Candle": "23.95", "Postcard": "1.99", "Ribbon": "2.49"}),
    "Samples": (_REDUCED_RATE, {"Coffee sample": "0.00", "Chocolate sample": "0.00"}),
}


@dataclass(frozen=True, slots=True)
class Article:
    """What never changes about a product, and the list price that its prices move around."""

    product_id: str
    title: str
    category: str
    list_price: Decimal
    tax_rate: Decimal

    @property
    def cost(self) -> Decimal:
        """What the shop pays for one, whatever it is listed at: three fifths of the list price."""
        return rounded(self.list_price * 3 / 5)


def _articles() -> tuple[Article, ...]:
    rows = [
        (title, category, price, rate) for category, (rate, prices) in _RANGE.items() for title, price in prices.items()
    ]
    return tuple(
        Article(f"P{number:03d}", title, category, Decimal(price), rate)
        for number, (title, category, price, rate) in enumerate(rows, start=1)
    )


ARTICLES = _articles()
GOODS = tuple(article for article in ARTICLES if article.list_price)
SAMPLES = tuple(article for article in ARTICLES if not article.list_price)
DEAREST = max(GOODS, key=lambda article: article.list_price)
"""All goods are bought equally often, so that the dearest one brings most."""


def _period(article: Article, day: date) -> int:
    shifted = day.toordinal() + 7 * int(article.product_id[1:])
    return shifted // _PRICE_HOLDS_DAYS


def price_since(settings: DemoShopSettings, article: Article, day: date) -> date:
    """The business day from which the price of a day holds."""
    slips = _slips(settings, article)
    if day in slips:
        return day
    shifted = day.toordinal() + 7 * int(article.product_id[1:])
    restored = [slip + timedelta(days=1) for slip in slips if slip < day]
    return max([day - timedelta(days=shifted % _PRICE_HOLDS_DAYS), *restored])


def price(settings: DemoShopSettings, article: Article, day: date) -> Decimal:
    """The tax-exclusive unit price of a business day, in cents of the shop's currency."""
    regular = _price_of_period(settings.seed, article, _period(article, day))
    return rounded(regular / 10) if day in _slips(settings, article) else regular


def _slips(settings: DemoShopSettings, article: Article) -> list[date]:
    """The business days on which an article is listed at a tenth of its price."""
    if article != DEAREST:
        return []
    return [happening.day for happening in settings.happenings if happening.kind == HappeningKind.PRICE_SLIP]


@cache
def _price_of_period(seed: int, article: Article, period: int) -> Decimal:
    percent = Random(f"{seed}:price:{article.product_id}:{period}").randint(-6, 9)
    return rounded(article.list_price * (100 + percent) / 100)
