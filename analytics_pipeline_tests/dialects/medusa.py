"""Medusa v2's admin API.

Money is JSON numbers in units of the currency, unrounded where it is a share. Received returns are netted out of every
total of an order and of its items, `original_total` too; what came back is told by `return_received_quantity` and
`return_received_total`. What was given back is the refunds of the payments, tax included and without goods, and leaves
the order's change stamp. A line's whole tax is the demo shop's, in cents. Test orders of the demo shop are drafts.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import ClassVar

from analytics_pipeline.demo_shop.model import ZERO, Customer, Order, Product, Refund
from analytics_pipeline_tests.dialects.base import (
    Answer,
    Call,
    Dialect,
    Handler,
    Record,
    RefusedError,
    basic_credentials,
    moment_of,
)
from analytics_pipeline_tests.dialects.charges import GIFT_CARD_REDEEMED
from analytics_pipeline_tests.dialects.numbers import cent_discounts, iso, line_number, order_number, refund_number

SECRET_KEY = "sk_demo"
EMAIL, PASSWORD = "admin@example.com", "demo-password"
_LIFETIME = timedelta(hours=24)
_COMPARED: dict[str, Callable[[datetime, datetime], bool]] = {
    "$gte": lambda value, bound: value >= bound,
    "$gt": lambda value, bound: value > bound,
    "$lte": lambda value, bound: value <= bound,
    "$lt": lambda value, bound: value < bound,
}
_PLAIN = frozenset({"metadata", "summary"})
"""Objects that are one value, not a relation."""
_FIELDS = {
    "orders": "id,display_id,status,version,summary,total,metadata,created_at,updated_at",
    "customers": "id,company_name,first_name,last_name,email,has_account,created_at,updated_at,deleted_at",
    "products": "id,title,status,created_at,updated_at,*categories,*variants",
}
_UNSORTABLE = frozenset({"total", "summary", "subtotal", "tax_total", "original_total"})


class Medusa(Dialect):
    """A Medusa back end: `/admin` behind a secret key or a token of `/auth/user/emailpass`."""

    kinds: ClassVar[tuple[str, ...]] = (GIFT_CARD_REDEEMED,)
    inexpressible: ClassVar[frozenset[str]] = frozenset({"units_returned", "returns", "net_sales", "shipping", "taxes"})
    """A refund is one amount with tax: what of it is goods, shipping and tax is not told."""

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("POST", "/auth/user/emailpass"): self._log_in,
            ("GET", "/admin/orders"): self._orders,
            ("GET", "/admin/customers"): self._customers,
            ("GET", "/admin/products"): self._products,
        }

    def check(self, call: Call) -> None:
        if basic_credentials(call) == (SECRET_KEY, ""):
            return
        token = call.headers.get("Authorization", "").removeprefix("Bearer jwt-")
        if not token.isdigit() or self.now().timestamp() >= int(token):
            raise RefusedError(401, {"message": "Unauthorized"})

    def _log_in(self, call: Call) -> Answer:
        """A token that says until when it holds."""
        body = call.body if isinstance(call.body, dict) else {}
        if (body.get("email"), body.get("password")) != (EMAIL, PASSWORD):
            raise RefusedError(401, {"type": "unauthorized", "message": "Invalid email or password"})
        return Answer({"token": f"jwt-{int((self.now() + _LIFETIME).timestamp())}"})

    def _orders(self, call: Call) -> Answer:
        self.check(call)
        return _listed(call, "orders", self.shown(self.order))

    def _customers(self, call: Call) -> Answer:
        self.check(call)
        return _listed(call, "customers", [_customer(one) for one in self.shop.customers()])

    def _products(self, call: Call) -> Answer:
        self.check(call)
        return _listed(call, "products", [self._product(one) for one in self.shop.products()])

    def orders(self) -> list[Order]:
        """The orders without test orders, which are drafts: in a list of their own."""
        return [order for order in super().orders() if not order.is_test]

    def changed_at(self, order: Order) -> datetime:
        """The change stamp: that of the newest version which did not come by a refund."""
        if order.order_id in self.touched:
            return order.stamp
        versions = self.versions(order)
        before = [None, *versions]
        return max(
            version.updated_at
            for version, earlier in zip(versions, before, strict=False)
            if earlier is None or len(version.refunds) == len(earlier.refunds)
        )

    def order(self, order: Order) -> Record:
        """An order with all its relations."""
        items = [self._item(order, place) for place in range(len(order.lines))]
        number = order_number(order.order_id)
        shipping, shipping_tax = order.shipping, order.shipping_tax
        credit, _ = self.charges_of(order, GIFT_CARD_REDEEMED)
        subtotal = sum(item["subtotal"] for item in items) + Fraction(shipping)
        tax = sum(item["tax_total"] for item in items) + Fraction(shipping_tax)
        discount = sum(item["discount_subtotal"] for item in items)
        original = sum(item["original_total"] for item in items) + Fraction(shipping + shipping_tax)
        return {
            "id": f"order_{number:014d}",
            "display_id": number,
            "status": "canceled" if order.cancelled_at else "completed",
            "version": 1 + len(self.versions(order)),
            "metadata": None,
            "created_at": iso(order.created_at),
            "updated_at": iso(self.changed_at(order)),
            "canceled_at": iso(order.cancelled_at) if order.cancelled_at else None,
            "currency_code": order.currency.lower(),
            "customer_id": f"cus_{order.customer_id}" if order.customer_id else None,
            "email": order.email,
            "total": subtotal + tax - discount - Fraction(credit),
            "subtotal": subtotal,
            "tax_total": tax,
            "discount_subtotal": discount,
            "original_total": original,
            "shipping_subtotal": shipping,
            "shipping_tax_total": shipping_tax,
            "shipping_total": shipping + shipping_tax,
            "credit_line_total": credit,
            "summary": {"original_order_total": order.stated_total, "refunded_total": _given_back(order.refunds)},
            "shipping_address": {"id": f"ordaddr_{number}", "country_code": order.country.lower()},
            "items": items,
            "shipping_methods": [{"id": f"ordsm_{number}", "amount": shipping, "is_tax_inclusive": False}],
            "credit_lines": [{"id": f"ordcl_{number}", "amount": credit}] if credit else [],
            "payment_collections": [
                {
                    "id": f"pay_col_{number}",
                    "payments": [{"id": f"pay_{number}", "amount": order.stated_total, "refunds": _refunds(order)}],
                }
            ],
        }

    def _item(self, order: Order, place: int) -> Record:
        """An item with the totals of what has not come back, by the platform's own formulas."""
        line, (own, share) = order.lines[place], cent_discounts(order)[place]
        number = line_number(order, line.line_id)
        back = sum(one.quantity for refund in order.refunds for one in refund.lines if one.line_id == line.line_id)
        part = Fraction(line.quantity - back, line.quantity)
        subtotal, discount = Fraction(line.value) * part, Fraction(own + share) * part
        tax = Fraction(line.tax) * part
        original_tax = subtotal * Fraction(line.tax_rate)
        whole = Fraction(line.value - own - share + line.tax)
        kinds = [("line", own), ("order", share)]
        return {
            "id": f"ordli_{number}",
            "title": line.title,
            "product_id": f"prod_{line.product_id}",
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "is_tax_inclusive": False,
            "subtotal": subtotal,
            "discount_subtotal": discount,
            "discount_total": discount + original_tax - tax,
            "tax_total": tax,
            "total": subtotal - discount + tax,
            "original_total": subtotal + original_tax,
            "return_received_total": whole * (1 - part),
            "adjustments": [
                {"id": f"ordliadj_{number}_{kind}", "code": kind, "amount": amount} for kind, amount in kinds if amount
            ],
            "tax_lines": [{"id": f"ordlitxl_{number}", "rate": line.tax_rate * 100, "code": "VAT"}],
            "detail": {"id": f"orditem_{number}", "quantity": line.quantity, "return_received_quantity": back},
        }

    def _product(self, product: Product) -> Record:
        prices = [{"id": f"price_{product.product_id}", "amount": product.price, "currency_code": "eur"}]
        return {
            "id": f"prod_{product.product_id}",
            "title": product.title,
            "status": "published",
            "updated_at": iso(product.updated_at),
            "categories": [{"id": f"pcat_{product.category}", "name": product.category}],
            "variants": [{"id": f"variant_{product.product_id}", "title": product.title, "prices": prices}],
        }


def _customer(customer: Customer) -> Record:
    first, _, last = customer.name.partition(" ")
    return {
        "id": f"cus_{customer.customer_id}",
        "first_name": first,
        "last_name": last,
        "email": customer.email,
        "has_account": True,
        "created_at": iso(customer.created_at),
        "updated_at": iso(customer.updated_at),
        "addresses": [{"id": f"cuaddr_{customer.customer_id}", "country_code": customer.country.lower()}],
    }


def _refunds(order: Order) -> list[Record]:
    """The refunds of the payment; one of nothing cannot be made."""
    return [
        {"id": f"ref_{refund_number(one.refund_id)}", "amount": _given_back([one]), "created_at": iso(one.refunded_at)}
        for one in order.refunds
        if _given_back([one])
    ]


def _given_back(refunds: Sequence[Refund]) -> Decimal:
    """What some refunds give back in all, tax included."""
    goods = sum((line.amount + line.tax for refund in refunds for line in refund.lines), ZERO)
    return goods + sum((one.adjustment + one.shipping + one.shipping_tax for one in refunds), ZERO)


def _listed(call: Call, name: str, records: Sequence[Record]) -> Answer:
    """One page of a list. Where a sorting leaves ties, pages break them as they like."""
    limit, offset = _whole(call, "limit", 20 if name == "orders" else 50), _whole(call, "offset", 0)
    found = list(records)
    for key, value in call.query:
        if match := re.fullmatch(r"(created_at|updated_at)\[(\$\w+)\]", key):
            field, compare = match[1], _COMPARED.get(match[2])
            if compare is None:
                raise _invalid(f"unknown operator {match[2]}")
            found = [one for one in found if compare(moment_of(one[field]), _moment(value))]
        elif key not in {"limit", "offset", "fields", "order"}:
            raise _invalid(f"Unrecognized fields: '{key}'")
    wanted = call.params.get("order", "id")
    field = wanted.removeprefix("-")
    if field in _UNSORTABLE or not all(field in one for one in found):
        raise _invalid(f"Order field {field} is not valid")
    is_turned = field != "id" and offset // limit % 2 == 1
    found.sort(key=lambda one: one["id"], reverse=is_turned)
    found.sort(key=lambda one: one[field], reverse=wanted.startswith("-"))
    chosen = [_selected(one, "", *_wanted(call, name)) for one in found[offset : offset + limit]]
    return Answer({name: _numbers(chosen), "count": len(found), "offset": offset, "limit": limit})


def _wanted(call: Call, name: str) -> tuple[set[str], set[str]]:
    """Names of the fields, and relations with all their fields; a name without sign stands in place of the defaults."""
    default = _FIELDS[name].split(",")
    asked = [one.strip() for one in call.params["fields"].split(",")] if call.params.get("fields") else []
    entries = asked if any(one[0] not in "+-*" for one in asked) else [*default, *asked]
    left_out = {one[1:] for one in entries if one[0] == "-"}
    names = {one.removeprefix("+") for one in entries if one[0] not in "-*"}
    return names - left_out, {one[1:] for one in entries if one[0] == "*"} - left_out


def _selected(record: Record, path: str, names: set[str], relations: set[str]) -> Record:
    """What is asked for of a record; relations come only where they are named."""
    chosen: Record = {}
    for name, value in record.items():
        here = f"{path}.{name}" if path else name
        if not isinstance(value, dict | list) or name in _PLAIN:
            if here in names or path in relations or name == "id":
                chosen[name] = value
        elif any(one == here or one.startswith(f"{here}.") for one in names | relations):
            parts = [_selected(one, here, names, relations) for one in (value if isinstance(value, list) else [value])]
            chosen[name] = parts if isinstance(value, list) else parts[0]
    return chosen


def _numbers(value: object) -> object:
    """Amounts as JSON numbers."""
    if isinstance(value, dict):
        return {name: _numbers(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_numbers(one) for one in value]
    return float(value) if isinstance(value, Decimal | Fraction) else value


def _moment(text: str) -> datetime:
    try:
        return moment_of(text)
    except ValueError:
        raise _invalid(f"Invalid date {text!r}") from None


def _whole(call: Call, name: str, default: int) -> int:
    text = call.params.get(name, str(default))
    if not text.isdigit():
        raise _invalid(f"Expected type: 'number' for field '{name}', got: '{text}'")
    return int(text)


def _invalid(message: str) -> RefusedError:
    return RefusedError(400, {"type": "invalid_data", "message": f"Invalid request: {message}"})
