"""What Shopify's two APIs share: orders as Shopify keeps them, credentials, and the shop's own report.

Units that an edit takes off an order stay in its lines' `quantity` and leave it as a refund without money on the day of
the edit; units that an edit adds are in the line. So the right figures are those of these orders, not the demo shop's.
The report dates what an edit adds on the edit's day.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.demo_shop.fates import goods_value
from analytics_pipeline.demo_shop.model import ZERO, Order, Refund, RefundLine
from analytics_pipeline.demo_shop.truth import Event, is_clean, order_events, revenue
from analytics_pipeline_tests.dialects.base import Answer, Call, Dialect, Figures, RefusedError
from analytics_pipeline_tests.dialects.charges import DUTY, GIFT_CARD_SOLD, TIP
from analytics_pipeline_tests.dialects.graphql import Scalar

TOKEN = "shpat_demo"
CLIENT_ID, CLIENT_SECRET = "demo-client", "demo-client-secret"
LIFETIME = timedelta(seconds=86_399)
CLOSES_AFTER = timedelta(days=2)
_SHOWN_DAYS = timedelta(days=60)
_REMOVAL = "-9"
_AMOUNTS = ("units", "gross_sales", "discounts", "taxes", "shipping")
_QUERY = re.compile(
    r"\s*FROM\s+sales\s+SHOW\s+(?P<metrics>[\w\s,]+?)\s+(TIMESERIES|GROUP\s+BY)\s+day"
    r"\s+SINCE\s+(?P<since>\d{4}-\d\d-\d\d)\s+UNTIL\s+(?P<until>\d{4}-\d\d-\d\d)(\s+ORDER\s+BY\s+day)?\s*",
    re.IGNORECASE,
)


class ShopifyShop(Dialect):
    """Orders, credentials and report of a Shopify shop.

    Attributes:
        reads_all_orders: Whether the app has the scope `read_all_orders`: without it, 60 days are shown.
    """

    kinds: ClassVar[tuple[str, ...]] = (TIP, DUTY, GIFT_CARD_SOLD)

    def __init__(self, shop: DemoShop, now: Callable[[], datetime], *, with_charges: bool = False) -> None:
        super().__init__(shop, now, with_charges=with_charges)
        self.reads_all_orders = True
        self._tokens: dict[str, datetime] = {}
        self._sold: dict[tuple[str, datetime], Order] = {}
        self._of_days: tuple[datetime, dict[date, list[Event]]] | None = None

    def check(self, call: Call) -> None:
        token = call.headers.get("X-Shopify-Access-Token", "")
        if token != TOKEN and self.now() >= self._tokens.get(token, self.now()):
            message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
            raise RefusedError(401, {"errors": message})

    def give_token(self, call: Call) -> Answer:
        """A token by client credentials."""
        body = call.body if isinstance(call.body, dict) else {}
        if body.get("grant_type") != "client_credentials":
            raise RefusedError(400, {"error": "unsupported_grant_type"})
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise RefusedError(400, {"error": "application_cannot_be_found"})
        token = f"shpua_{len(self._tokens)}"
        self._tokens[token] = self.now() + LIFETIME
        scope = "read_orders,read_customers,read_products,read_reports"
        return Answer({"access_token": token, "scope": scope, "expires_in": int(LIFETIME.total_seconds())})

    def orders(self) -> list[Order]:
        """The orders as Shopify keeps them; without the scope for all, those of the last 60 days."""
        oldest = datetime.min.replace(tzinfo=self.now().tzinfo) if self.reads_all_orders else self.now() - _SHOWN_DAYS
        return [self._as_sold(order) for order in super().orders() if order.created_at >= oldest]

    def _as_sold(self, order: Order) -> Order:
        key = (order.order_id, order.updated_at)
        if key not in self._sold:
            self._sold[key] = as_sold(self.versions(order))
        return replace(self._sold[key], shown_stamp=order.shown_stamp)

    def truth(self, day: date) -> Figures:
        """The right figures of the orders as Shopify keeps them."""
        events = self._events_by_day().get(day, [])
        right = revenue(events, defaultdict(lambda: day), self.settings.currency)[self.settings.currency]
        return self.with_charges(right, day)

    def _events_by_day(self) -> dict[date, list[Event]]:
        if self._of_days is None or self._of_days[0] != self.now():
            days: defaultdict[date, list[Event]] = defaultdict(list)
            for order in (self._as_sold(one) for one in self.shop.orders_between()):
                for event in order_events(order, self.settings.zone) if is_clean(order) else ():
                    days[event.day].append(event)
            self._of_days = (self.now(), days)
        return self._of_days[1]

    def report(self, query: str) -> dict[str, object]:
        """The answer to a ShopifyQL query of sales by day: reductions are negative, as in the shop's own reports."""
        match = _QUERY.fullmatch(query)
        if match is None:
            return {"tableData": None, "parseErrors": [f"Syntax error in {query!r}"]}
        metrics = [one.strip() for one in match["metrics"].split(",")]
        days = self._sales_by_day()
        first, last = date.fromisoformat(match["since"]), date.fromisoformat(match["until"])
        known = self._figures([])
        if unknown := [one for one in metrics if one not in known]:
            return {"tableData": None, "parseErrors": [f"Column '{unknown[0]}' not found"]}
        rows: list[dict[str, str]] = []
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            figures = self._reported(days[day], day)
            rows.append({"day": day.isoformat(), **{name: str(figures[name]) for name in metrics}})
        columns = [{"name": "day", "dataType": "DAY_TIMESTAMP", "displayName": "Day"}]
        columns += [{"name": name, "dataType": "MONEY", "displayName": name.replace("_", " ")} for name in metrics]
        return {"tableData": {"columns": columns, "rows": Scalar(rows)}, "parseErrors": []}

    def reported(self, day: date) -> dict[str, Decimal | int]:
        """What the report says of a business day."""
        return self._reported(self._sales_by_day()[day], day)

    def _reported(self, events: Sequence[Event], day: date) -> dict[str, Decimal | int]:
        figures = self._figures(events)
        return {**figures, "total_sales": figures["total_sales"] + self.duties_on(day)}

    def duties_on(self, day: date) -> Decimal:
        """Duties are part of total sales, tips are not."""
        charged = ZERO
        for order in self.orders() if DUTY in self.charged else []:
            sign = (self.day_of(order.created_at) == day) - self._is_cancelled_on(order, day)
            charged += sign * self.charges_of(order, DUTY)[0]
        return charged

    def _sales_by_day(self) -> dict[date, list[Event]]:
        """All events, with what an edit added on the day of the edit."""
        days: defaultdict[date, list[Event]] = defaultdict(list)
        days.update({day: [*events] for day, events in self._events_by_day().items()})
        for order in self.shop.orders_between():
            for before, after in _additions(self.versions(order)) if is_clean(order) else ():
                for less, more in zip(self._placed(before), self._placed(after), strict=True):
                    added = {name: getattr(more, name) - getattr(less, name) for name in _AMOUNTS}
                    days[more.day].append(replace(more, **{name: -value for name, value in added.items()}))
                    edited = replace(more, day=self.day_of(after.updated_at), order_id="", **added)
                    days[edited.day].append(edited)
        return days

    def _placed(self, version: Order) -> list[Event]:
        return order_events(replace(version, refunds=(), cancelled_at=None), self.settings.zone)

    def _figures(self, events: Sequence[Event]) -> dict[str, Decimal | int]:
        placed = {event.order_id for event in events if event.gross_sales > 0 and event.order_id}
        gross, discounts, returns, shipping, taxes = (
            sum((getattr(event, name) for event in events), ZERO)
            for name in ("gross_sales", "discounts", "returns", "shipping", "taxes")
        )
        return {
            "orders": len(placed),
            "gross_sales": gross,
            "discounts": -discounts,
            "returns": -returns,
            "net_sales": gross - discounts - returns,
            "shipping_charges": shipping,
            "taxes": taxes,
            "total_sales": gross - discounts - returns + shipping + taxes,
        }


def _edits(versions: Sequence[Order]) -> Iterator[tuple[Order, Order]]:
    """The versions before and after each edit."""
    for before, after in pairwise(versions):
        if before.lines != after.lines:
            yield before, after


def _additions(versions: Sequence[Order]) -> Iterator[tuple[Order, Order]]:
    for before, after in _edits(versions):
        if _units(after) > _units(before):
            yield before, after


def _units(order: Order) -> int:
    return sum(line.quantity for line in order.lines)


def as_sold(versions: Sequence[Order]) -> Order:
    """The newest version, in which units that an edit took off are there still, and refunded on the edit's day."""
    newest = versions[-1]
    for before, after in _edits(versions):
        if _units(after) < _units(before):
            removal = _removal(before, after, newest)
            return replace(
                newest, lines=before.lines, order_discount=before.order_discount, refunds=(removal, *newest.refunds)
            )
    return newest


def is_removal(refund: Refund) -> bool:
    """Whether a refund is what an edit took off."""
    return refund.refund_id.endswith(_REMOVAL)


def _removal(before: Order, after: Order, newest: Order) -> Refund:
    line, less = next(
        (one, other) for one, other in zip(before.lines, after.lines, strict=True) if one.quantity != other.quantity
    )
    refunded = sum(
        (one.amount for refund in newest.refunds for one in refund.lines if one.line_id == line.line_id), ZERO
    )
    off = goods_value(before) - goods_value(after)
    most = max(line.value - line.discount - before.order_discount - refunded, ZERO)
    amount = min(off, most)
    tax = sum((one.tax for one in before.lines), ZERO) - sum((one.tax for one in after.lines), ZERO)
    taken = RefundLine(line.line_id, line.quantity - less.quantity, amount, tax)
    number = f"R{newest.order_id[1:]}{_REMOVAL}"
    return Refund(number, after.updated_at, (taken,), shipping=ZERO, shipping_tax=ZERO, adjustment=off - amount)
