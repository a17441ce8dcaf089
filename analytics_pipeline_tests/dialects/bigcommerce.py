"""BigCommerce: v2 orders as a bare array with RFC 2822 stamps, v3 for the rest, budgets in milliseconds.

Amounts are texts of four decimals. Lines come only with `include=consignments.line_items`, refunds are a list of their
own whose amounts contain tax. Cancelled is a status without a date. Coupons and manual discounts stand once in the
order and, shared out in cents, in the lines' `applied_discounts`. Test orders of the demo shop are incomplete ones.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime, parsedate_to_datetime
from typing import ClassVar

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.demo_shop.model import ZERO, Order, Refund
from analytics_pipeline_tests.dialects.base import Answer, Call, Dialect, Handler, Record, RefusedError, moment_of
from analytics_pipeline_tests.dialects.charges import HANDLING, total_charged
from analytics_pipeline_tests.dialects.numbers import (
    cent_discounts,
    iso,
    line_number,
    money,
    order_number,
    plain_number,
    refund_number,
)

TOKEN, STORE = "bc-demo-token", "demo1"
WINDOW_MS, QUOTA = 30_000, 150
_MOST = 250
_STATUS = {0: "Incomplete", 4: "Refunded", 5: "Cancelled", 10: "Completed", 14: "Partially Refunded"}
_SHOWN = frozenset({"page", "limit", "sort", "include", "status_id", "min_id", "max_id", "is_deleted"})
_BOUNDS = frozenset(f"{end}_date_{kind}" for end in ("min", "max") for kind in ("created", "modified"))


class BigCommerce(Dialect):
    """A store behind `/stores/demo1`.

    Attributes:
        requests_left: What is left of the budget; each request takes one, and with none left it is refused.
        reset_ms: In how many milliseconds there is a new budget, as the answers say.
    """

    kinds: ClassVar[tuple[str, ...]] = (HANDLING,)
    inexpressible: ClassVar[frozenset[str]] = frozenset({"units_returned", "returns", "net_sales", "taxes"})
    """A refund's amounts contain tax, which is told of the whole refund alone."""

    def __init__(self, shop: DemoShop, now: Callable[[], datetime], *, with_charges: bool = False) -> None:
        super().__init__(shop, now, with_charges=with_charges)
        self.requests_left, self.reset_ms = 1_000_000, 1_500

    def routes(self) -> dict[tuple[str, str], Handler]:
        base = f"/stores/{STORE}"
        return {
            ("GET", f"{base}/v2/orders"): self._orders,
            ("GET", f"{base}/v2/orders/count"): self._count,
            ("GET", f"{base}/v3/orders/payment_actions/refunds"): self._refunds,
            ("GET", f"{base}/v3/customers"): self._customers,
            ("GET", f"{base}/v3/catalog/products"): self._products,
        }

    def check(self, call: Call) -> None:
        if call.headers.get("X-Auth-Token") != TOKEN:
            raise RefusedError(401, {"status": 401, "title": "X-Auth-Token header is required", "type": "unauthorized"})

    def _admit(self, call: Call) -> dict[str, str]:
        """Check credentials and budget; the headers of the answer."""
        self.check(call)
        headers = {
            "X-Rate-Limit-Requests-Left": str(max(self.requests_left - 1, 0)),
            "X-Rate-Limit-Requests-Quota": str(QUOTA),
            "X-Rate-Limit-Time-Window-Ms": str(WINDOW_MS),
            "X-Rate-Limit-Time-Reset-Ms": str(self.reset_ms),
        }
        if self.requests_left <= 0:
            named = {name.replace("-", "_"): value for name, value in headers.items()}
            raise RefusedError(429, {"status": 429, "title": "You have exceeded your API request limit"}, **named)
        self.requests_left -= 1
        return headers

    def _orders(self, call: Call) -> Answer:
        """A page; behind the last one, and where there is nothing, 204 without a body."""
        headers = self._admit(call)
        if unknown := sorted(call.params.keys() - _SHOWN - _BOUNDS):
            message = f"The field '{unknown[0]}' is not supported by this resource."
            raise RefusedError(400, [{"status": 400, "message": message}])
        page, limit = _whole(call, "page", 1), min(_whole(call, "limit", 50), _MOST)
        found = [
            one
            for one in self.orders()
            if _is_within(call, "created", one.created_at)
            and _is_within(call, "modified", one.stamp)
            and _whole(call, "min_id", 0) <= order_number(one.order_id)
            and call.params.get("status_id", str(status(one))) == str(status(one))
        ]
        field, _, direction = call.params.get("sort", "id:asc").partition(":")
        keys: dict[str, Callable[[Order], object]] = {
            "id": lambda one: one.order_id,
            "date_created": lambda one: (one.created_at, one.order_id),
            "date_modified": lambda one: (one.stamp, one.order_id),
        }
        found.sort(key=keys[field], reverse=direction == "desc")  # type: ignore[arg-type]
        chosen = found[(page - 1) * limit : page * limit]
        if not chosen:
            return Answer(None, 204, headers)
        has_lines = "consignments.line_items" in call.params.get("include", "")
        return Answer([self.order(one, has_lines=has_lines) for one in chosen], headers=headers)

    def _count(self, call: Call) -> Answer:
        """All orders by status: the count knows no window."""
        headers = self._admit(call)
        found = [status(one) for one in self.orders()]
        statuses = [{"id": key, "name": name, "count": found.count(key)} for key, name in _STATUS.items()]
        return Answer({"statuses": statuses, "count": len(found)}, headers=headers)

    def order(self, order: Order, *, has_lines: bool = True) -> Record:
        """An order in the store's own fields."""
        number = order_number(order.order_id)
        handling, handling_tax = self.charges_of(order, HANDLING)
        goods = sum((line.value for line in order.lines), ZERO)
        goods_tax = sum((line.tax for line in order.lines), ZERO)
        tax = order.stated_tax_total + handling_tax
        total = order.stated_total + total_charged(order, self.charged)
        link = f"/v2/orders/{number}/consignments"
        return {
            "id": number,
            "customer_id": plain_number(order.customer_id) if order.customer_id else 0,
            "date_created": _rfc2822(order.created_at),
            "date_modified": _rfc2822(order.stamp),
            "status_id": status(order),
            "status": _STATUS[status(order)],
            "subtotal_ex_tax": money(goods, 4),
            "subtotal_inc_tax": money(goods + goods_tax, 4),
            "subtotal_tax": money(goods_tax, 4),
            "shipping_cost_ex_tax": money(order.shipping, 4),
            "shipping_cost_inc_tax": money(order.shipping + order.shipping_tax, 4),
            "shipping_cost_tax": money(order.shipping_tax, 4),
            "handling_cost_ex_tax": money(handling, 4),
            "handling_cost_inc_tax": money(handling + handling_tax, 4),
            "handling_cost_tax": money(handling_tax, 4),
            "wrapping_cost_ex_tax": "0.0000",
            "wrapping_cost_tax": "0.0000",
            "total_ex_tax": money(total - tax, 4),
            "total_inc_tax": money(total, 4),
            "total_tax": money(tax, 4),
            "discount_amount": money(order.discount_total - order.order_discount, 4),
            "coupon_discount": money(order.order_discount, 4),
            "store_credit_amount": "0.0000",
            "gift_certificate_amount": "0.0000",
            "refunded_amount": money(sum((_amount(one) for one in order.refunds), ZERO), 4),
            "currency_code": order.currency,
            "default_currency_code": order.currency,
            "channel_id": 1,
            "is_deleted": False,
            "billing_address": {"email": order.email or "", "country_iso2": order.country},
            "consignments": [{"shipping": [{"id": number, "line_items": _lines(order)}]}]
            if has_lines
            else {"url": link, "resource": link},
        }

    def _refunds(self, call: Call) -> Answer:
        """The refunds of all orders, or of those that are named, created within bounds."""
        headers = self._admit(call)
        wanted = call.params.get("order_id:in")
        found = [
            _refund(order, refund)
            for order in self.orders()
            for refund in order.refunds
            if wanted is None or str(order_number(order.order_id)) in wanted.split(",")
        ]
        return _listed(call, _between(call, "created", found), headers)

    def _customers(self, call: Call) -> Answer:
        headers = self._admit(call)
        found = [
            {
                "id": plain_number(one.customer_id),
                "email": one.email,
                "first_name": one.name.partition(" ")[0],
                "last_name": one.name.partition(" ")[2],
                "date_created": iso(one.created_at),
                "date_modified": iso(one.updated_at),
            }
            for one in self.shop.customers()
        ]
        return _listed(call, _between(call, "date_modified", found), headers)

    def _products(self, call: Call) -> Answer:
        headers = self._admit(call)
        found = [
            {
                "id": plain_number(one.product_id),
                "name": one.title,
                "price": float(one.price),
                "cost_price": float(one.cost),
                "date_modified": iso(one.updated_at),
                "categories": [1],
            }
            for one in self.shop.products()
        ]
        return _listed(call, _between(call, "date_modified", found), headers)


def status(order: Order) -> int:
    """The number of an order's status."""
    if order.is_test:
        return 0
    if order.cancelled_at:
        return 5
    given_back = sum((_amount(one) for one in order.refunds), ZERO)
    return (4 if given_back >= order.stated_total else 14) if order.refunds else 10


def _lines(order: Order) -> list[Record]:
    return [
        {
            "id": line_number(order, line.line_id),
            "product_id": plain_number(line.product_id),
            "name": line.title,
            "quantity": line.quantity,
            "base_price": money(line.unit_price, 4),
            "price_ex_tax": money(line.unit_price, 4),
            "base_total": money(line.value, 4),
            "total_ex_tax": money(line.value, 4),
            "total_inc_tax": money(line.value + line.tax, 4),
            "total_tax": money(line.tax, 4),
            "quantity_refunded": sum(
                one.quantity for refund in order.refunds for one in refund.lines if one.line_id == line.line_id
            ),
            "applied_discounts": [
                {"id": name, "amount": money(amount, 4)}
                for name, amount in (("manual-discount", own), ("coupon", share))
                if amount
            ],
        }
        for line, (own, share) in zip(order.lines, cent_discounts(order), strict=True)
    ]


def _refund(order: Order, refund: Refund) -> Record:
    items: list[Record] = [
        {
            "item_type": "PRODUCT",
            "item_id": line_number(order, line.line_id),
            "quantity": line.quantity,
            "requested_amount": float(line.amount + line.tax),
        }
        for line in refund.lines
    ]
    others = {"SHIPPING": refund.shipping + refund.shipping_tax, "ORDER": refund.adjustment}
    items += [
        {"item_type": name, "item_id": order_number(order.order_id), "quantity": 1, "requested_amount": float(amount)}
        for name, amount in others.items()
        if amount
    ]
    tax = sum((line.tax for line in refund.lines), refund.shipping_tax)
    return {
        "id": refund_number(refund.refund_id),
        "order_id": order_number(order.order_id),
        "created": iso(refund.refunded_at),
        "reason": "",
        "total_amount": float(_amount(refund)),
        "total_tax": float(tax),
        "items": items,
        "payments": [{"provider_id": "custom", "amount": float(_amount(refund)), "offline": True}],
    }


def _amount(refund: Refund) -> Decimal:
    goods = sum((line.amount + line.tax for line in refund.lines), refund.adjustment)
    return goods + refund.shipping + refund.shipping_tax


def _listed(call: Call, found: Sequence[Record], headers: dict[str, str]) -> Answer:
    """A page of v3, with its place among all."""
    page, limit = _whole(call, "page", 1), _whole(call, "limit", 50)
    chosen = found[(page - 1) * limit : page * limit]
    pages = -(-len(found) // limit)
    links = {"next": f"?page={page + 1}&limit={limit}"} if page < pages else {}
    pagination = {
        "total": len(found),
        "count": len(chosen),
        "per_page": limit,
        "current_page": page,
        "total_pages": pages,
        "links": links,
    }
    return Answer({"data": chosen, "meta": {"pagination": pagination}}, headers=headers)


def _between(call: Call, field: str, found: Sequence[Record]) -> list[Record]:
    least, most = call.params.get(f"{field}:min"), call.params.get(f"{field}:max")
    return [
        one
        for one in found
        if (least is None or moment_of(one[field]) >= moment_of(least))
        and (most is None or moment_of(one[field]) <= moment_of(most))
    ]


def _is_within(call: Call, kind: str, moment: datetime) -> bool:
    least, most = (_bound(call, f"{end}_date_{kind}") for end in ("min", "max"))
    return (least is None or moment >= least) and (most is None or moment <= most)


def _bound(call: Call, name: str) -> datetime | None:
    """A bound in RFC 2822 or ISO 8601."""
    if (text := call.params.get(name)) is None:
        return None
    try:
        return moment_of(text) if text[:1].isdigit() else parsedate_to_datetime(text)
    except ValueError:
        raise RefusedError(400, [{"status": 400, "message": f"The field '{name}' is invalid."}]) from None


def _rfc2822(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC))


def _whole(call: Call, name: str, default: int) -> int:
    text = call.params.get(name, str(default))
    if not text.isdigit():
        raise RefusedError(400, [{"status": 400, "message": f"The field '{name}' is invalid."}])
    return int(text)
