"""Shopify's Admin REST API (2024-10): cursors in the `Link` header, open orders by default, a leaky bucket of 40."""

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NoBase64
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from json import dumps, loads

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.demo_shop.model import ZERO, Customer, Order, OrderLine, Product, Refund
from analytics_pipeline_tests.dialects.base import Answer, Call, Handler, Record, RefusedError, moment_of
from analytics_pipeline_tests.dialects.charges import DUTY, GIFT_CARD_SOLD, TIP, total_charged
from analytics_pipeline_tests.dialects.numbers import (
    cent_discounts,
    line_number,
    money,
    order_number,
    plain_number,
    refund_number,
)
from analytics_pipeline_tests.dialects.shopify import CLOSES_AFTER, ShopifyShop, is_removal

BASE = "/admin/api/2024-10"
BUCKET = 40
_MOST = 250
_WITH_A_CURSOR = frozenset({"page_info", "limit", "fields"})


class ShopifyRest(ShopifyShop):
    """A shop behind `/admin/api/2024-10`.

    Attributes:
        leaks_per_second: How fast the bucket of calls empties.
    """

    def __init__(self, shop: DemoShop, now: Callable[[], datetime], *, with_charges: bool = False) -> None:
        super().__init__(shop, now, with_charges=with_charges)
        self.leaks_per_second = 1e6
        self._bucket, self._filled_at = 0.0, time.monotonic()

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("POST", "/admin/oauth/access_token"): self.give_token,
            ("GET", f"{BASE}/orders.json"): self._orders,
            ("GET", f"{BASE}/orders/count.json"): self._count,
            ("GET", f"{BASE}/customers.json"): self._customers,
            ("GET", f"{BASE}/products.json"): self._products,
        }

    def _orders(self, call: Call) -> Answer:
        return self._listed(call, "orders", self._found)

    def _count(self, call: Call) -> Answer:
        headers = self._admit(call)
        return Answer({"count": len(self._found(call.params))}, headers=headers)

    def _customers(self, call: Call) -> Answer:
        return self._listed(
            call, "customers", lambda params: _between(params, [self._customer(one) for one in self.shop.customers()])
        )

    def _products(self, call: Call) -> Answer:
        return self._listed(
            call, "products", lambda params: _between(params, [self._product(one) for one in self.shop.products()])
        )

    def _found(self, params: dict[str, str]) -> list[Record]:
        """The orders that parameters ask for; those that nobody knows are passed over."""
        shown = _between(params, self.shown(self.order))
        match params.get("status", "open"):
            case "any":
                return shown
            case "cancelled":
                return [one for one in shown if one["cancelled_at"]]
            case "closed":
                return [one for one in shown if one["closed_at"]]
            case _:
                return [one for one in shown if not one["cancelled_at"] and not one["closed_at"]]

    def _admit(self, call: Call) -> dict[str, str]:
        """Check credentials and budget; the headers of the answer."""
        self.check(call)
        now = time.monotonic()
        self._bucket = max(0.0, self._bucket - (now - self._filled_at) * self.leaks_per_second) + 1
        self._filled_at = now
        used = min(int(self._bucket), BUCKET)
        headers = {"X-Shopify-Shop-Api-Call-Limit": f"{used}/{BUCKET}"}
        if self._bucket > BUCKET:
            self._bucket = BUCKET
            words = "Exceeded 2 calls per second for api client. Reduce request rates to resume uninterrupted service."
            raise RefusedError(429, {"errors": words}, Retry_After="2.0", X_Shopify_Shop_Api_Call_Limit="40/40")
        return headers

    def _listed(self, call: Call, name: str, find: Callable[[dict[str, str]], list[Record]]) -> Answer:
        """One page; the way to the next one remembers the query."""
        headers = self._admit(call)
        params, after = dict(call.params), None
        if "page_info" in params:
            if not params.keys() <= _WITH_A_CURSOR:
                wrong = min(params.keys() - _WITH_A_CURSOR)
                raise RefusedError(400, {"errors": {wrong: f"{wrong} cannot be passed with page_info"}})
            remembered, after = _read_cursor(params["page_info"])
            params = {**remembered, "limit": params.get("limit", "50")}
        limit = params.pop("limit", "50")
        if not limit.isdigit() or not 1 <= int(limit) <= _MOST:
            raise RefusedError(400, {"errors": {"limit": f"must be between 1 and {_MOST}"}})
        field, _, direction = params.get("order", "id desc").partition(" ")
        ordered = sorted(find(params), key=lambda one: (str(one[field]), one["id"]), reverse=direction == "desc")
        start = 0 if after is None else next((n for n, one in enumerate(ordered) if one["id"] == after), -1) + 1
        chosen = ordered[start : start + int(limit)]
        if start + len(chosen) < len(ordered):
            info = _cursor(params, chosen[-1]["id"])
            url = call.url.partition("?")[0]
            headers["Link"] = f'<{url}?limit={limit}&page_info={info}>; rel="next"'
        return Answer({name: chosen}, headers=headers)

    def order(self, order: Order) -> Record:
        """An order in Shopify's own fields; stamps have the shop's offset, amounts are texts."""
        number = order_number(order.order_id)
        (tip, _), (duty, _), (card, _) = (self.charges_of(order, kind) for kind in (TIP, DUTY, GIFT_CARD_SOLD))
        goods = sum((line.value for line in order.lines), card)
        closes_at = order.created_at + CLOSES_AFTER
        given_back = sum((_amount(one) for one in order.refunds), ZERO)
        total = order.stated_total + total_charged(order, self.charged)
        return {
            "id": number,
            "admin_graphql_api_id": f"gid://shopify/Order/{number}",
            "name": f"#{number}",
            "created_at": self.stamp(order.created_at),
            "processed_at": self.stamp(order.created_at),
            "updated_at": self.stamp(order.stamp),
            "cancelled_at": self.stamp(order.cancelled_at) if order.cancelled_at else None,
            "closed_at": self.stamp(closes_at) if closes_at <= self.now() else None,
            "test": order.is_test,
            "currency": order.currency,
            "taxes_included": False,
            "financial_status": "partially_refunded" if order.refunds else "paid",
            "source_name": "web",
            "email": order.email,
            "customer": {"id": plain_number(order.customer_id)} if order.customer_id else None,
            "shipping_address": {"country_code": order.country},
            "total_line_items_price": money(goods),
            "total_discounts": money(order.discount_total),
            "subtotal_price": money(goods - order.discount_total),
            "total_tax": money(order.stated_tax_total),
            "total_tip_received": money(tip),
            "original_total_duties_set": _set(duty, order) if duty else None,
            "total_shipping_price_set": _set(order.shipping, order),
            "total_price": money(total),
            "current_total_price": money(total - given_back),
            "line_items": [*self._lines(order), *([_gift_card(order, card)] if card else [])],
            "shipping_lines": [
                {
                    "id": number * 100 + 90,
                    "title": "Standard",
                    "price": money(order.shipping),
                    "discounted_price": money(order.shipping),
                    "tax_lines": _taxes(Decimal("0.19"), order.shipping_tax),
                }
            ],
            "refunds": [self._refund(order, one) for one in order.refunds],
        }

    def _lines(self, order: Order) -> list[Record]:
        """The lines; `total_discount` knows the line's own discount alone, the allocations all."""
        return [
            {
                "id": line_number(order, line.line_id),
                "product_id": plain_number(line.product_id),
                "title": line.title,
                "quantity": line.quantity,
                "current_quantity": line.quantity - _units_back(order, line),
                "price": money(line.unit_price),
                "total_discount": money(own),
                "gift_card": False,
                "discount_allocations": [
                    {"amount": money(amount), "discount_application_index": index}
                    for index, amount in enumerate((own, share))
                    if amount
                ],
                "tax_lines": [{"title": "VAT", "rate": float(line.tax_rate), "price": money(line.tax)}]
                if line.tax
                else [],
            }
            for line, (own, share) in zip(order.lines, cent_discounts(order), strict=True)
        ]

    def _refund(self, order: Order, refund: Refund) -> Record:
        """A refund: what goes back without goods is an adjustment, negative, and shipping has a list of its own."""
        number = refund_number(refund.refund_id)
        return {
            "id": number,
            "order_id": order_number(order.order_id),
            "created_at": self.stamp(refund.refunded_at),
            "processed_at": self.stamp(refund.refunded_at),
            "refund_line_items": [
                {
                    "id": number * 100 + line.line_id,
                    "line_item_id": line_number(order, line.line_id),
                    "quantity": line.quantity,
                    "restock_type": "no_restock" if is_removal(refund) else "return",
                    "subtotal": float(line.amount),
                    "total_tax": float(line.tax),
                }
                for line in refund.lines
            ],
            "refund_shipping_lines": [
                {
                    "id": number * 100 + 90,
                    "subtotal_amount_set": _set(refund.shipping, order),
                    "tax_amount_set": _set(refund.shipping_tax, order),
                }
            ]
            if refund.shipping
            else [],
            "order_adjustments": [
                {
                    "id": number * 100 + 91,
                    "kind": "refund_discrepancy",
                    "reason": "Refund discrepancy",
                    "amount": money(-refund.adjustment),
                    "tax_amount": "0.00",
                }
            ]
            if refund.adjustment
            else [],
            "transactions": [] if is_removal(refund) else [{"kind": "refund", "amount": money(_amount(refund))}],
        }

    def stamp(self, moment: datetime) -> str:
        """A moment with the shop's own offset."""
        return moment.astimezone(self.settings.zone).isoformat()

    def _customer(self, customer: Customer) -> Record:
        first, _, last = customer.name.partition(" ")
        return {
            "id": plain_number(customer.customer_id),
            "created_at": self.stamp(customer.created_at),
            "updated_at": self.stamp(customer.updated_at),
            "email": customer.email,
            "first_name": first,
            "last_name": last,
            "default_address": {"country_code": customer.country},
        }

    def _product(self, product: Product) -> Record:
        return {
            "id": plain_number(product.product_id),
            "title": product.title,
            "product_type": product.category,
            "updated_at": self.stamp(product.updated_at),
            "variants": [{"id": plain_number(product.product_id) + 1000, "price": money(product.price)}],
        }


def _units_back(order: Order, line: OrderLine) -> int:
    return sum(one.quantity for refund in order.refunds for one in refund.lines if one.line_id == line.line_id)


def _amount(refund: Refund) -> Decimal:
    goods = sum((line.amount + line.tax for line in refund.lines), refund.adjustment)
    return goods + refund.shipping + refund.shipping_tax


def _set(amount: Decimal, order: Order) -> Record:
    return {"shop_money": {"amount": money(amount), "currency_code": order.currency}}


def _taxes(rate: Decimal, amount: Decimal) -> list[Record]:
    return [{"title": "VAT", "rate": float(rate), "price": money(amount)}]


def _gift_card(order: Order, amount: Decimal) -> Record:
    return {
        "id": order_number(order.order_id) * 100 + 99,
        "product_id": 9_999,
        "title": "Gift card",
        "quantity": 1,
        "current_quantity": 1,
        "price": money(amount),
        "total_discount": "0.00",
        "gift_card": True,
        "discount_allocations": [],
        "tax_lines": [],
    }


def _between(params: dict[str, str], records: Sequence[Record]) -> list[Record]:
    """The records between bounds of their stamps, both of which belong to it."""
    found = list(records)
    for field in ("created_at", "updated_at", "processed_at"):
        for end in ("min", "max"):
            if (text := params.get(f"{field}_{end}")) is None:
                continue
            try:
                bound = moment_of(text)
            except ValueError:
                raise RefusedError(400, {"errors": {f"{field}_{end}": "Invalid date"}}) from None
            found = [
                one
                for one in found
                if (moment_of(one[field]) >= bound if end == "min" else moment_of(one[field]) <= bound)
            ]
    return [one for one in found if one["id"] > int(params.get("since_id", "0"))]


def _cursor(params: dict[str, str], last: int) -> str:
    return urlsafe_b64encode(dumps([params, last]).encode()).decode()


def _read_cursor(text: str) -> tuple[dict[str, str], int]:
    try:
        params, last = loads(urlsafe_b64decode(text))
    except (ValueError, NoBase64):
        raise RefusedError(400, {"errors": {"page_info": "Invalid value."}}) from None
    return params, last
