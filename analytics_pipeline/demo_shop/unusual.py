"""What happenings do to the orders of a business day; the price of a slip is in `catalogue`.

Each happening draws from a generator of its own, so that the orders it leaves alone stay as they would have been.
Buyers stay too: somebody whose order an outage took has opened the account all the same.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random

from analytics_pipeline.demo_shop import days
from analytics_pipeline.demo_shop.baskets import lines_of, shipping_of, shipping_tax
from analytics_pipeline.demo_shop.buyers import account
from analytics_pipeline.demo_shop.catalogue import DEAREST, GOODS
from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.fates import history_of, with_line_taxes
from analytics_pipeline.demo_shop.happenings import Happening, HappeningKind
from analytics_pipeline.demo_shop.model import ZERO, Defect, History, Order, rounded
from analytics_pipeline.demo_shop.settings import DemoShopSettings

_MISSING_IN_AN_OUTAGE = 0.65
_BROKEN_IN_A_BAD_FEED = 0.25
_SHARE_WITH_VOUCHER = 0.95
_SHARE_WITH_ANOTHER_PRODUCT = 0.2
_ORDERS_FOR_EACH_BARGAIN = 7
_COUNTRIES_OF_A_RUSH = ("AT", "NL", "FR")
_RUSH_BEGINS, _RUSH_ENDS = timedelta(hours=9), timedelta(hours=21)
_DEFECTS = tuple(Defect)

_Change = Callable[[DemoShopSettings, date, Sequence[History], Random], list[History]]


def as_it_happened(settings: DemoShopSettings, day: date, histories: Sequence[History]) -> list[History]:
    """The histories of a day's orders after all that happened on it, by ascending id and moment of placing."""
    for kind, change in _CHANGES.items():
        if Happening(day, kind) in settings.happenings:
            histories = change(settings, day, histories, Random(f"{settings.seed}:{day}:{kind}"))
    return list(histories)


def _outage(settings: DemoShopSettings, day: date, histories: Sequence[History], rng: Random) -> list[History]:
    """The orders of one stretch of the day are missing."""
    del settings, day
    missing = round(_MISSING_IN_AN_OUTAGE * len(histories))
    first = rng.randint(0, len(histories) - missing)
    return [*histories[:first], *histories[first + missing :]]


def _rush(settings: DemoShopSettings, day: date, histories: Sequence[History], rng: Random) -> list[History]:
    """As many further orders within the day. Their ids continue those that they follow, as `D20250901-0007R0001`."""
    opening = days.starts_at(day, settings.zone)
    begins, ends = (int(after.total_seconds()) for after in (_RUSH_BEGINS, _RUSH_ENDS))
    moments = sorted(opening + timedelta(seconds=rng.randint(begins, ends)) for _ in histories)
    placed = [history.versions[0].created_at for history in histories]
    country, product = rng.choice(_COUNTRIES_OF_A_RUSH), rng.choice(GOODS)
    further: list[History] = []
    after: Counter[str] = Counter()
    for number, moment in enumerate(moments):
        position = bisect_right(placed, moment)
        follows = histories[position - 1].order_id if position else f"D{day:%Y%m%d}-0000"
        after[follows] += 1
        articles = [product, rng.choice(GOODS)] if happens(rng, _SHARE_WITH_ANOTHER_PRODUCT) else [product]
        lines = lines_of(settings, day, articles, rng)
        shipping = shipping_of(lines, country)
        order = Order(
            order_id=f"{follows}R{after[follows]:04d}",
            created_at=moment,
            updated_at=moment,
            currency=settings.currency,
            prices_include_tax=settings.prices_include_tax,
            customer_id=None,
            email=account(settings.seed, f"R{(day - settings.opened).days}-{number}").email,
            country=country,
            lines=lines,
            order_discount=ZERO,
            shipping=shipping,
            shipping_tax=shipping_tax(settings, shipping),
        )
        further.append(history_of(settings, with_line_taxes(order), rng))
    return sorted([*histories, *further], key=lambda history: history.order_id)


def _price_slip(settings: DemoShopSettings, day: date, histories: Sequence[History], rng: Random) -> list[History]:
    """Some more orders have the product that is so cheap; its price is in all of them already."""
    changed = list(histories)
    for position in sorted(rng.sample(range(len(histories)), -(-len(histories) // _ORDERS_FOR_EACH_BARGAIN))):
        order = histories[position].versions[0]
        (line,) = lines_of(settings, day, [DEAREST], rng, is_foreign=order.currency != settings.currency)
        lines = (*order.lines, replace(line, line_id=len(order.lines) + 1))
        changed[position] = history_of(settings, with_line_taxes(replace(order, lines=lines)), rng)
    return changed


def _bad_feed(settings: DemoShopSettings, day: date, histories: Sequence[History], rng: Random) -> list[History]:
    """Records that were sound are broken until a quarter of all is; a third of them is repaired some days later."""
    del day
    orders = [history.versions[0] for history in histories]
    sound = [position for position, order in enumerate(orders) if not order.is_test and not order.defect]
    missing = round(_BROKEN_IN_A_BAD_FEED * len(orders)) - sum(order.defect is not None for order in orders)
    changed = list(histories)
    for position in sorted(rng.sample(sound, max(0, min(missing, len(sound))))):
        changed[position] = history_of(settings, replace(orders[position], defect=rng.choice(_DEFECTS)), rng)
    return changed


def _discount_slip(settings: DemoShopSettings, day: date, histories: Sequence[History], rng: Random) -> list[History]:
    """Half of what the goods cost after their own discounts is taken off; an order that is cheaper stays as it is."""
    del day
    changed = list(histories)
    for position, history in enumerate(histories):
        order = history.versions[0]
        half = rounded(sum((line.value - line.discount for line in order.lines), ZERO) / 2)
        if happens(rng, _SHARE_WITH_VOUCHER) and half > order.order_discount:
            changed[position] = history_of(settings, with_line_taxes(replace(order, order_discount=half)), rng)
    return changed


_CHANGES: Mapping[HappeningKind, _Change] = {
    HappeningKind.OUTAGE: _outage,
    HappeningKind.RUSH: _rush,
    HappeningKind.PRICE_SLIP: _price_slip,
    HappeningKind.BAD_FEED: _bad_feed,
    HappeningKind.DISCOUNT_SLIP: _discount_slip,
}
