"""The demo shop as of a moment: what it would answer now, and what is right now.

All days are generated once and kept; what is visible of them changes with the clock. Kept answers know until when they
hold, so they are never stale and seldom built twice.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from random import Random
from threading import RLock
from typing import Generic, TypeVar

from analytics_pipeline.demo_shop import accounts, catalogue, days, placing, silent, truth
from analytics_pipeline.demo_shop.accounts import FirstOrder
from analytics_pipeline.demo_shop.fates import LONGEST_FATE
from analytics_pipeline.demo_shop.generator import ShopDay, generate_day
from analytics_pipeline.demo_shop.misbehaviour import Fault, Misbehaviour
from analytics_pipeline.demo_shop.model import Customer, History, Order, Product
from analytics_pipeline.demo_shop.settings import DemoShopSettings
from analytics_pipeline.demo_shop.truth import Event, Truth

_T = TypeVar("_T")
KEPT_REQUESTS = 1_000
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_T]):
    """A value that is right from the newest change it has seen until the next one."""

    value: _T
    since: datetime
    until: datetime

    def holds(self, now: datetime) -> bool:
        return self.since <= now < self.until


def _kept(value: _T, changes: Iterable[datetime], now: datetime) -> _Kept[_T]:
    since, until = EARLIEST, LATEST
    for change in changes:
        if change <= now:
            since = max(since, change)
        else:
            until = min(until, change)
    return _Kept(value, since, until)


def _first_order(history: History, order: Order, now: datetime) -> FirstOrder:
    """What one order with gross sales says about its buyer's first one."""
    if history.deleted_at and history.is_deleted(now):
        return FirstOrder(None, history.deleted_at)
    return FirstOrder(order.created_at, history.sound_since())


def _note(first_orders: dict[str, FirstOrder], buyer: str, later: FirstOrder) -> None:
    """Enter a buyer's next order, by time of placing."""
    earlier = first_orders.get(buyer)
    first_orders[buyer] = earlier.then(later) if earlier else later


@dataclass(frozen=True, slots=True)
class _DayNow:
    """What is visible of one business day's orders.

    Attributes:
        orders: the newest versions, by id.
        events: events of the clean ones, by the business day that they count on.
        first_orders: the day's first order with gross sales, by buyer, deleted ones remembered.
    """

    orders: tuple[Order, ...]
    events: Mapping[date, list[Event]]
    first_orders: Mapping[str, FirstOrder]


class DemoShop:
    """A shop whose orders depend on its settings alone, seen at the moment that `now` reports.

    Refunds, cancellations and edits appear, and move `updated_at`, once their moment has come; later orders do not
    exist yet, deleted ones no more. Safe to use from several threads. The newest requests of lists stay in `asked`,
    each with its parameters.

    Args:
        settings: which shop.
        now: the clock, timezone aware.
    """

    def __init__(self, settings: DemoShopSettings, now: Callable[[], datetime] = _utc_now) -> None:
        self.settings = settings
        self.misbehaviour = Misbehaviour(settings.seed, settings.fault_share)
        self.asked: deque[tuple[str, Mapping[str, str]]] = deque(maxlen=KEPT_REQUESTS)
        self._now = now
        self._lock = RLock()
        self._generated: dict[date, ShopDay] = {}
        self._days: dict[date, _Kept[_DayNow]] = {}
        self._first_orders: _Kept[dict[str, FirstOrder]] | None = None
        self._customers: _Kept[tuple[Customer, ...]] | None = None
        self._placed = 0

    def now(self) -> datetime:
        """The shop's time."""
        return self._now()

    def misbehave(
        self, fault: Fault | str, *, share: float = 0.0, next_requests: int = 0, path: str | None = None
    ) -> None:
        """Make list requests go wrong; see `Misbehaviour.add`."""
        self.misbehaviour.add(Fault(fault), share=share, next_requests=next_requests, path=path)

    def orders_between(
        self, start: datetime = EARLIEST, end: datetime = LATEST, *, updated_since: datetime = EARLIEST
    ) -> list[Order]:
        """The orders created from `start` (inclusive) to `end` (exclusive), changed at `updated_since` or after."""
        with self._lock:
            now = self._now()
            found: list[Order] = []
            for day in self._days_between(start, min(end, now)):
                kept = self._day(day, now)
                if kept.since >= updated_since:
                    found += (
                        order
                        for order in kept.value.orders
                        if start <= order.created_at < end and order.stamp >= updated_since
                    )
            return found

    def orders_that_count_on(self, first: date, last: date) -> list[Order]:
        """The orders of some business days, and earlier ones of which something may have been given back on them."""
        zone = self.settings.zone
        opening = days.starts_at(max(first, self.settings.opened), zone)
        start = max(opening - LONGEST_FATE - days.ONE_DAY, days.starts_at(self.settings.opened, zone))
        return self.orders_between(start, days.starts_at(last + days.ONE_DAY, zone))

    def orders_updated_since(self, moment: datetime) -> list[Order]:
        """The orders of any day whose newest version is from this moment or later, by id."""
        return self.orders_between(updated_since=moment)

    def deleted_orders(self) -> dict[str, datetime]:
        """When each of the orders that the shop has deleted so far was deleted, by id. For tests: no list says it."""
        with self._lock:
            now = self._now()
            return {
                history.order_id: history.deleted_at
                for day in self._days_between(EARLIEST, now)
                for history in self._generate(day).histories
                if history.deleted_at and history.deleted_at <= now
            }

    def change_silently(self, day: date, number: int, moment: datetime) -> list[str]:
        """Refund or edit some orders of a day at a moment that is not yet, and leave their change stamps as they are.

        Args:
            day: Their business day.
            number: How many; fewer if the day has not so many that can be changed.
            moment: When.

        Returns:
            Their ids.
        """
        with self._lock:
            generated = self._generate(day)
            rng = Random(f"{self.settings.seed}:{day}:{moment}:silent")
            fit = [place for place, one in enumerate(generated.histories) if silent.can_change(one, moment)]
            chosen = set(rng.sample(fit, min(number, len(fit))))
            histories = tuple(
                silent.changed_silently(one, moment, rng) if place in chosen else one
                for place, one in enumerate(generated.histories)
            )
            self._become(day, histories)
            return [generated.histories[place].order_id for place in sorted(chosen)]

    def place_order(self) -> Order:
        """Place a sound order now, of a customer whom the shop knows."""
        with self._lock:
            moment = self._now().replace(microsecond=0)
            day = days.business_day(moment, self.settings.zone)
            histories = self._generate(day).histories
            self._placed += 1
            history = placing.placed_now(self.settings, day, moment, self._placed)
            self._become(day, (*histories, history))
            return history.versions[0]

    def edit_order(self, order_id: str) -> Order:
        """Change a quantity of an order, now or a second after its last change.

        Raises:
            KeyError: There is no such order.
            ValueError: The edit would not stay; see `placing.edited_now`.
        """
        with self._lock:
            now = self._now()
            for day in self._days_between(EARLIEST, now):
                histories = self._generate(day).histories
                for place, history in enumerate(histories):
                    if history.order_id == order_id and history.at(now) is not None:
                        changed = placing.edited_now(history, now.replace(microsecond=0))
                        self._become(day, (*histories[:place], changed, *histories[place + 1 :]))
                        return changed.versions[-1]
        raise KeyError(order_id)

    def changed_order_days(self, since: datetime, until: datetime = LATEST) -> set[date]:
        """The business days of the orders that are new, changed or deleted after `since`, up to `until` and to now."""
        with self._lock:
            until = min(until, self._now())
            opening = days.starts_at(self.settings.opened, self.settings.zone)
            return {
                day
                for day in self._days_between(max(since, opening) - LONGEST_FATE - days.ONE_DAY, until)
                for history in self._generate(day).histories
                if any(since < change <= until for change in history.changes())
            }

    def customers(self) -> tuple[Customer, ...]:
        """The customer accounts registered so far, by id."""
        with self._lock:
            now = self._now()
            if self._customers is None or not self._customers.holds(now):
                self._customers = self._customers_at(now)
            return self._customers.value

    def products(self) -> tuple[Product, ...]:
        """The products at the prices of today, by id; `updated_at` is when the price began to hold."""
        zone = self.settings.zone
        today = days.business_day(self._now(), zone)
        return tuple(
            Product(
                article.product_id,
                article.title,
                article.category,
                catalogue.price(self.settings, article, today),
                article.cost,
                days.starts_at(catalogue.price_since(self.settings, article, today), zone),
            )
            for article in catalogue.ARTICLES
        )

    def truth(self, day: date) -> Truth:
        """What is right about a business day, as far as it can be known now."""
        with self._lock:
            now = self._now()
            opening = days.starts_at(day, self.settings.zone)
            sources = self._days_between(opening - LONGEST_FATE - days.ONE_DAY, opening)
            events = [event for source in sources for event in self._day(source, now).value.events.get(day, ())]
            placed = self._day(day, now).value.orders
            return Truth(
                day=day,
                revenue=truth.revenue(events, self._first_days(events, now), self.settings.currency),
                product_sales=truth.product_sales(events),
                quarantined={order.order_id: order.stated_total for order in placed if order.defect},
                excluded={order.order_id: truth.TEST_ORDER for order in placed if order.is_test},
                orders=frozenset(order.order_id for order in placed if truth.is_clean(order)),
            )

    def _days_between(self, start: datetime, end: datetime) -> Iterator[date]:
        """The business days from the opening on that the time from `start` to `end` (inclusive) touches."""
        zone = self.settings.zone
        if start > end:
            return
        day = self.settings.opened
        if start > days.starts_at(day, zone):
            day = days.business_day(start, zone)
        while days.starts_at(day, zone) <= end:
            yield day
            day += days.ONE_DAY

    def _generate(self, day: date) -> ShopDay:
        if day not in self._generated:
            self._generated[day] = generate_day(self.settings, day)
        return self._generated[day]

    def _become(self, day: date, histories: tuple[History, ...]) -> None:
        """Put other histories in place of a day's, and forget what was known of the old ones."""
        self._generated[day] = replace(self._generate(day), histories=histories)
        self._days.pop(day, None)
        self._first_orders = self._customers = None

    def _day(self, day: date, now: datetime) -> _Kept[_DayNow]:
        kept = self._days.get(day)
        if kept is None or not kept.holds(now):
            histories = self._generate(day).histories
            changes = (change for history in histories for change in history.changes())
            kept = self._days[day] = _kept(self._day_now(histories, now), changes, now)
        return kept

    def _day_now(self, histories: tuple[History, ...], now: datetime) -> _DayNow:
        orders: list[Order] = []
        events: dict[date, list[Event]] = {}
        first_orders: dict[str, FirstOrder] = {}
        for history in histories:
            order = history.newest(now)
            if order is None:
                continue
            order_events = truth.order_events(order, self.settings.zone) if truth.is_clean(order) else []
            if not history.is_deleted(now):
                orders.append(order)
                for event in order_events:
                    events.setdefault(event.day, []).append(event)
            buyer = truth.buyer_of(order)
            if buyer and any(event.is_sale for event in order_events):
                _note(first_orders, buyer, _first_order(history, order, now))
        return _DayNow(tuple(orders), events, first_orders)

    def _first_orders_at(self, now: datetime) -> dict[str, FirstOrder]:
        """The first order with gross sales of every buyer so far, as far as the shop knows now."""
        if self._first_orders is None or not self._first_orders.holds(now):
            first_orders: dict[str, FirstOrder] = {}
            changes = [self._next_opening(now)]
            for day in self._days_between(EARLIEST, now):
                kept = self._day(day, now)
                changes += [kept.since, kept.until]
                for buyer, first_order in kept.value.first_orders.items():
                    _note(first_orders, buyer, first_order)
            self._first_orders = _kept(first_orders, changes, now)
        return self._first_orders.value

    def _first_days(self, events: list[Event], now: datetime) -> dict[str, date]:
        """The business day of the first order with gross sales of each buyer in some sale events."""
        zone, first_orders = self.settings.zone, self._first_orders_at(now)
        buyers = {event.buyer for event in events if event.is_sale and event.buyer}
        placed = ((buyer, first_orders[buyer].created_at) for buyer in buyers)
        return {buyer: days.business_day(created_at, zone) for buyer, created_at in placed if created_at}

    def _customers_at(self, now: datetime) -> _Kept[tuple[Customer, ...]]:
        seed, first_orders = self.settings.seed, self._first_orders_at(now)
        customers: list[Customer] = []
        changes = [self._next_opening(now)]
        for day in self._days_between(EARLIEST, now):
            kept = self._day(day, now)
            changes += [kept.since, kept.until]
            for registration in self._generate(day).registrations:
                changes += accounts.changes(seed, registration)
                if registration.registered_at <= now:
                    first_order = first_orders.get(truth.buyer_of_customer(registration.customer_id))
                    customers.append(accounts.customer_at(seed, registration, first_order, now))
        return _kept(tuple(sorted(customers, key=lambda customer: customer.customer_id)), changes, now)

    def _next_opening(self, now: datetime) -> datetime:
        zone = self.settings.zone
        return days.starts_at(days.business_day(now, zone) + days.ONE_DAY, zone)
