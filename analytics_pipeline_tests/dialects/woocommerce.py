"""WooCommerce REST v3 and the revenue report of its analytics, on the store's own day and with its own statuses.

Lines are always without tax and carry totals, `price` is a rounded float, coupons are the difference of a line's
subtotal and total, stamps have no offset. A bound of a window is read as WordPress does: one with an offset is turned
into the site's own clock, whatever column it is compared with, and both bounds are exclusive. An order names refunds by
id and total; the rest is in a list of its own. Cancelled is a status without a date. Test orders of the demo shop are
payments that failed.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar

from analytics_pipeline.demo_shop.model import (
    ZERO,
    Customer,
    Order,
    OrderLine,
    Product,
    Refund,
    RefundLine,
    line_money,
    rounded,
)
from analytics_pipeline_tests.dialects.base import (
    Answer,
    Call,
    Dialect,
    Handler,
    Record,
    RefusedError,
    basic_credentials,
)
from analytics_pipeline_tests.dialects.charges import FEE, total_charged
from analytics_pipeline_tests.dialects.numbers import line_number, money, order_number, plain_number, refund_number

KEY, SECRET = "ck_demo", "cs_demo"
NOT_COUNTED = frozenset({"pending", "failed", "cancelled", "trash"})
"""Statuses that the analytics leave out by default."""
_MOST = 100
_LIST = {"page", "per_page", "offset", "order", "orderby", "after", "before"}


class WooCommerce(Dialect):
    """A WooCommerce store: `/wp-json/wc/v3` and `/wp-json/wc-analytics`."""

    kinds: ClassVar[tuple[str, ...]] = (FEE,)
    knows_prices_with_tax: ClassVar[bool] = True

    def routes(self) -> dict[tuple[str, str], Handler]:
        base = "/wp-json/wc/v3"
        return {
            ("GET", f"{base}/orders"): self._orders,
            ("GET", f"{base}/orders/{{id:int}}/refunds"): self._refunds_of_an_order,
            ("GET", f"{base}/refunds"): self._refunds,
            ("GET", f"{base}/customers"): self._customers,
            ("GET", f"{base}/products"): self._products,
            ("GET", "/wp-json/wc-analytics/reports/revenue/stats"): self._revenue,
        }

    def check(self, call: Call) -> None:
        if basic_credentials(call) != (KEY, SECRET):
            raise _refusal(401, "woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")

    def _orders(self, call: Call) -> Answer:
        self.check(call)
        places = int(call.params.get("dp", "2"))
        wanted = set(call.params.get("status", "any").split(",")) - {"any"}
        found = [
            order
            for order in self.orders()
            if (not wanted or status(order) in wanted)
            and self._is_within(call, "", order.created_at)
            and self._is_within(call, "modified_", order.stamp)
        ]
        return self._list(call, [self.order(order, places) for order in found], "date_created_gmt")

    def _refunds(self, call: Call) -> Answer:
        self.check(call)
        found = [
            self.refund(order, refund, int(call.params.get("dp", "2"))) | {"parent_id": order_number(order.order_id)}
            for order in self.orders()
            for refund in order.refunds
            if self._is_within(call, "", refund.refunded_at)
        ]
        return self._list(call, found, "date_created_gmt")

    def _refunds_of_an_order(self, call: Call) -> Answer:
        self.check(call)
        number, places = int(call.path["id"]), int(call.params.get("dp", "2"))
        order = next((one for one in self.orders() if order_number(one.order_id) == number), None)
        if order is None:
            raise _refusal(404, "woocommerce_rest_invalid_order_id", "Invalid order ID.")
        found = [self.refund(order, one, places) for one in order.refunds if self._is_within(call, "", one.refunded_at)]
        return self._list(call, found, "date_created_gmt")

    def _customers(self, call: Call) -> Answer:
        """No filter by date; the role `customer` alone unless asked for another."""
        self.check(call)
        return self._list(call, [self._customer(one) for one in self.shop.customers()], "date_created_gmt")

    def _products(self, call: Call) -> Answer:
        self.check(call)
        found = [one for one in self.shop.products() if self._is_within(call, "modified_", one.updated_at)]
        return self._list(call, [self._product(one) for one in found], "date_modified_gmt")

    def _is_within(self, call: Call, prefix: str, moment: datetime) -> bool:
        """Whether a moment lies between both bounds of a filter, as WordPress compares texts of clocks."""
        shown = moment.astimezone(UTC if call.params.get("dates_are_gmt") == "true" else self.settings.zone)
        clock = f"{shown:%Y-%m-%d %H:%M:%S}"
        after, before = (self._bound(call, prefix + name) for name in ("after", "before"))
        return (after is None or clock > after) and (before is None or clock < before)

    def _bound(self, call: Call, name: str) -> str | None:
        if (text := call.params.get(name)) is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise _invalid(name) from None
        return f"{moment.astimezone(self.settings.zone) if moment.tzinfo else moment:%Y-%m-%d %H:%M:%S}"

    def _list(self, call: Call, found: Sequence[Record], by_date: str) -> Answer:
        """One page; parameters that nobody knows are passed over, as WordPress does."""
        size, page = _whole(call, "per_page", 10, most=_MOST), _whole(call, "page", 1)
        key = {"id": "id", "date": by_date, "modified": "date_modified_gmt"}.get(call.params.get("orderby", "date"))
        if key is None:
            raise _invalid("orderby")
        is_descending = call.params.get("order", "desc") == "desc"
        ordered = sorted(found, key=lambda one: (one[key], one["id"]), reverse=is_descending)
        pages = -(-len(ordered) // size)
        start = int(call.params.get("offset", (page - 1) * size))
        headers = {"X-WP-Total": str(len(ordered)), "X-WP-TotalPages": str(pages)}
        return Answer(ordered[start : start + size], headers=headers)

    def order(self, order: Order, places: int = 2) -> Record:
        """An order in the store's own fields."""
        lines = [self._line(order, place, places) for place in range(len(order.lines))]
        fee, fee_tax = self.charges_of(order, FEE)
        goods_tax = sum((line.tax for line in order.lines), ZERO)
        tax = goods_tax + order.shipping_tax + fee_tax
        coupons = sum((one.discounts for one in line_money(order)), ZERO)
        number = order_number(order.order_id)
        return {
            "id": number,
            "parent_id": 0,
            "number": str(number),
            "status": status(order),
            "currency": order.currency,
            "created_via": "checkout",
            "payment_method": "bacs",
            "prices_include_tax": order.prices_include_tax,
            **self._stamps("date_created", order.created_at),
            **self._stamps("date_modified", order.stamp),
            "discount_total": money(coupons, places),
            "discount_tax": money(_discount_tax(order), places),
            "shipping_total": money(_shipping(order, order.shipping, order.shipping_tax), places),
            "shipping_tax": money(order.shipping_tax, places),
            "cart_tax": money(goods_tax + fee_tax, places),
            "total": money(order.stated_total + total_charged(order, self.charged), places),
            "total_tax": money(tax, places),
            "customer_id": plain_number(order.customer_id) if order.customer_id else 0,
            "billing": {"email": order.email or "", "country": order.country},
            "shipping": {"country": order.country},
            "line_items": lines,
            "tax_lines": [{"rate_code": "VAT", "tax_total": money(goods_tax, places)}] if goods_tax else [],
            "shipping_lines": [
                {
                    "id": number * 100 + 90,
                    "method_id": "flat_rate",
                    "total": money(_shipping(order, order.shipping, order.shipping_tax), places),
                    "total_tax": money(order.shipping_tax, places),
                }
            ],
            "fee_lines": [
                {
                    "id": number * 100 + 91,
                    "name": "Packing",
                    "total": money(fee, places),
                    "total_tax": money(fee_tax, places),
                }
            ]
            if fee
            else [],
            "coupon_lines": [{"id": number * 100 + 92, "code": "welcome", "discount": money(coupons, places)}]
            if coupons
            else [],
            "refunds": [
                {"id": refund_number(one.refund_id), "reason": "", "total": money(-_amount(order, one), places)}
                for one in order.refunds
            ],
        }

    def _line(self, order: Order, place: int, places: int) -> Record:
        line, counts = order.lines[place], line_money(order)[place]
        return {
            "id": line_number(order, line.line_id),
            "name": line.title,
            "product_id": plain_number(line.product_id),
            "variation_id": 0,
            "quantity": line.quantity,
            "subtotal": money(counts.gross, places),
            "subtotal_tax": money(rounded(counts.gross * line.tax_rate), places),
            "total": money(counts.net, places),
            "total_tax": money(line.tax, places),
            "sku": line.product_id,
            "price": float(money(counts.net, places)) / line.quantity,
        }

    def refund(self, order: Order, refund: Refund, places: int = 2) -> Record:
        """A refund in the store's own fields: its lines are negative, its amount is not."""
        products = {line.line_id: line for line in order.lines}
        shipping = _shipping(order, refund.shipping, refund.shipping_tax)
        return {
            "id": refund_number(refund.refund_id),
            **self._stamps("date_created", refund.refunded_at),
            "amount": money(_amount(order, refund), places),
            "reason": "",
            "refunded_by": 1,
            "line_items": [_refund_line(order, products[line.line_id], line, places) for line in refund.lines],
            "shipping_lines": [{"total": money(-shipping, places), "total_tax": money(-refund.shipping_tax, places)}]
            if shipping
            else [],
            "fee_lines": [],
        }

    def _stamps(self, name: str, moment: datetime) -> Record:
        """A moment on the site's own clock and in GMT, both without an offset."""
        return {
            name: f"{moment.astimezone(self.settings.zone):%Y-%m-%dT%H:%M:%S}",
            f"{name}_gmt": f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
        }

    def _customer(self, customer: Customer) -> Record:
        first, _, last = customer.name.partition(" ")
        return {
            "id": plain_number(customer.customer_id),
            **self._stamps("date_created", customer.created_at),
            **self._stamps("date_modified", customer.updated_at),
            "email": customer.email,
            "first_name": first,
            "last_name": last,
            "role": "customer",
            "billing": {"country": customer.country},
        }

    def _product(self, product: Product) -> Record:
        return {
            "id": plain_number(product.product_id),
            "name": product.title,
            "type": "simple",
            **self._stamps("date_modified", product.updated_at),
            "price": money(product.price),
            "categories": [{"id": 1, "name": product.category}],
        }

    def _revenue(self, call: Call) -> Answer:
        """Revenue by day: orders and refunds by their own days, without orders whose status does not count."""
        self.check(call)
        if call.params.get("interval") != "day":
            raise _invalid("interval")
        days: dict[str, list[tuple[Record, bool]]] = {}
        for order in self.orders():
            if status(order) in NOT_COUNTED:
                continue
            for record, is_refund in [
                (self.order(order, 4), False),
                *((self.refund(order, one, 4), True) for one in order.refunds),
            ]:
                days.setdefault(record["date_created"][:10], []).append((record, is_refund))
        first, last = call.params["after"][:10], call.params["before"][:10]
        intervals = [
            {"interval": day, "date_start": f"{day} 00:00:00", "date_end": f"{day} 23:59:59", "subtotals": _stats(rows)}
            for day, rows in sorted(days.items())
            if first <= day <= last
        ]
        size, page = _whole(call, "per_page", 10, most=_MOST), _whole(call, "page", 1)
        headers = {"X-WP-Total": str(len(intervals)), "X-WP-TotalPages": str(-(-len(intervals) // size))}
        return Answer({"totals": {}, "intervals": intervals[(page - 1) * size : page * size]}, headers=headers)


def status(order: Order) -> str:
    """The status of an order."""
    if order.is_test:
        return "failed"
    if order.cancelled_at:
        return "cancelled"
    given_back = sum((_amount(order, refund) for refund in order.refunds), ZERO)
    return "refunded" if order.refunds and given_back >= order.stated_total else "completed"


def _stats(rows: Iterable[tuple[Record, bool]]) -> dict[str, float]:
    """One day's figures, as the analytics' own sums make them."""
    sums = dict.fromkeys(("total_sales", "taxes", "shipping", "coupons", "refunds"), ZERO)
    orders = items = 0
    for record, is_refund in rows:
        sign = -1 if is_refund else 1
        total = sign * Decimal(record["amount"] if is_refund else record["total"])
        tax = _sum(record, "total_tax") if is_refund else Decimal(record["total_tax"])
        shipping = sum((Decimal(one["total"]) for one in record["shipping_lines"]), ZERO)
        sums["total_sales"] += total
        sums["taxes"] += tax
        sums["shipping"] += shipping
        sums["refunds"] -= min(total - tax - shipping, ZERO)
        if not is_refund:
            orders += 1
            sums["coupons"] += Decimal(record["discount_total"])
        items += sum(line["quantity"] for line in record["line_items"])
    net = sums["total_sales"] - sums["taxes"] - sums["shipping"]
    gross = net + sums["coupons"] + sums["refunds"]
    figures = {**sums, "net_revenue": net, "gross_sales": gross}
    return {"orders_count": orders, "num_items_sold": items, **{name: float(value) for name, value in figures.items()}}


def _sum(record: Record, field: str) -> Decimal:
    return sum((Decimal(one[field]) for one in [*record["line_items"], *record["shipping_lines"]]), ZERO)


def _amount(order: Order, refund: Refund) -> Decimal:
    """What a refund gives back in all, tax included."""
    goods = sum((line.amount + line.tax for line in refund.lines), refund.adjustment)
    return goods + _shipping(order, refund.shipping, refund.shipping_tax) + refund.shipping_tax


def _shipping(order: Order, amount: Decimal, tax: Decimal) -> Decimal:
    return amount - tax if order.prices_include_tax else amount


def _discount_tax(order: Order) -> Decimal:
    return sum(
        (rounded(money.discounts * line.tax_rate) for line, money in zip(order.lines, line_money(order), strict=True)),
        ZERO,
    )


def _refund_line(order: Order, line: OrderLine, back: RefundLine, places: int) -> Record:
    number = line_number(order, line.line_id)
    return {
        "id": number * 10,
        "name": line.title,
        "product_id": plain_number(line.product_id),
        "quantity": -back.quantity,
        "subtotal": money(-back.amount, places),
        "total": money(-back.amount, places),
        "total_tax": money(-back.tax, places),
        "meta_data": [{"id": number, "key": "_refunded_item_id", "value": str(number)}],
    }


def _whole(call: Call, name: str, default: int, most: int = 10**9) -> int:
    text = call.params.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise _invalid(name)
    return int(text)


def _invalid(name: str) -> RefusedError:
    return _refusal(400, "rest_invalid_param", f"Invalid parameter(s): {name}")


def _refusal(status: int, code: str, message: str) -> RefusedError:
    return RefusedError(status, {"code": code, "message": message, "data": {"status": status}})
