"""Stripe: payments in minor units. Charges with their refunds, and invoices with lines and credit notes.

A charge is what was paid: an edit that makes an order dearer is a further charge, one that makes it cheaper a refund on
the edit's day, and a cancellation a refund of the rest. What costs nothing is not charged, a test order's payment
failed. Nothing but refunds tells what changed: lists filter by `created` alone. Invoices show orders as they are now.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar

from analytics_pipeline.demo_shop.model import ZERO, Order, Refund
from analytics_pipeline_tests.dialects.base import Answer, Call, Dialect, Figures, Handler, Record, RefusedError
from analytics_pipeline_tests.dialects.numbers import cent_discounts, cents, line_number, order_number, refund_number

KEY = "sk_test_demo"
PENDING_FOR = timedelta(days=1)
_MOST = 100
_PARAMETERS = frozenset(
    {"limit", "charge", "starting_after", "expand[]", "created[gte]", "created[gt]", "created[lte]", "created[lt]"}
)


@dataclass
class Charge:
    """One payment, and what was given back of it when."""

    number: str
    order: Order
    created: datetime
    amount: Decimal
    refunds: list[tuple[datetime, Decimal]] = field(default_factory=list)

    @property
    def left(self) -> Decimal:
        """What has not been given back."""
        return self.amount - sum((amount for _, amount in self.refunds), ZERO)


class Stripe(Dialect):
    """An account behind `/v1`."""

    inexpressible: ClassVar[frozenset[str]] = frozenset(
        {"units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "shipping", "taxes"}
        | {"orders", "charges", "outside_sales"}
    )
    """A payment is one amount, which the ledger has as `gross_sales`, and as `returns` what was given back.

    An order that cost nothing has none.
    """
    shown_refunds = 10
    """How many of its last refunds a charge lists."""

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("GET", "/v1/charges"): self._charges,
            ("GET", "/v1/refunds"): self._refunds,
            ("GET", "/v1/invoices"): self._invoices,
            ("GET", "/v1/credit_notes"): self._credit_notes,
            ("GET", "/v1/customers"): self._customers,
            ("GET", "/v1/products"): self._products,
        }

    def check(self, call: Call) -> None:
        if call.headers.get("Authorization") != f"Bearer {KEY}":
            raise _refusal(401, "Invalid API Key provided: sk_test_****", "invalid_request_error")

    def payments(self) -> list[Charge]:
        """The payments of all orders, in the order in which the orders were placed."""
        return [charge for order in self.orders() for charge in charges_of(self.versions(order)) if charge.amount]

    def tests(self) -> int:
        return sum(one.order.is_test for one in self.payments())

    def truth(self, day: date) -> Figures:
        """What was paid and given back on a business day."""
        paid = [one for one in self.payments() if not one.order.is_test]
        placed = [one.amount for one in paid if self.day_of(one.created) == day]
        back = [amount for one in paid for moment, amount in one.refunds if self.day_of(moment) == day]
        gross, returns = sum(placed, ZERO), sum(back, ZERO)
        right = self.with_charges(self.shop.truth(day).revenue[self.settings.currency], day)
        values = {"orders": len(placed), "gross_sales": gross, "returns": returns}
        totals = dict.fromkeys(("net_sales", "total_sales"), gross - returns)
        return Figures(**{**right.__dict__, **values, **totals})

    def _charges(self, call: Call) -> Answer:
        return self._listed(call, "charge", [self._charge(one, call) for one in self.payments()])

    def _refunds(self, call: Call) -> Answer:
        found = [one for paid in self.payments() for one in self._refunds_of(paid)]
        wanted = call.params.get("charge")
        return self._listed(call, "refund", [one for one in found if wanted in {None, one["charge"]}])

    def _charge(self, charge: Charge, call: Call) -> Record:
        order = charge.order
        record: Record = {
            "id": charge.number,
            "object": "charge",
            "amount": cents(charge.amount),
            "amount_refunded": cents(charge.amount - charge.left),
            "created": int(charge.created.timestamp()),
            "currency": order.currency.lower(),
            "customer": f"cus_{order.customer_id}" if order.customer_id else None,
            "billing_details": {"email": order.email, "address": {"country": order.country}},
            "livemode": True,
            "metadata": {"order_id": order.order_id},
            "paid": not order.is_test,
            "status": "failed" if order.is_test else "succeeded",
        }
        if ("expand[]", "data.refunds") in call.query:
            url = f"/v1/charges/{charge.number}/refunds"
            last = self._refunds_of(charge)[::-1]
            has_more = len(last) > self.shown_refunds
            record["refunds"] = {"object": "list", "data": last[: self.shown_refunds], "has_more": has_more, "url": url}
        return record

    def _refunds_of(self, charge: Charge) -> list[Record]:
        """The refunds of a charge: pending for a day."""
        return [
            {
                "id": f"re_{charge.number[3:]}_{place}",
                "object": "refund",
                "amount": cents(amount),
                "charge": charge.number,
                "created": int(moment.timestamp()),
                "currency": charge.order.currency.lower(),
                "status": "succeeded" if moment + PENDING_FOR <= self.now() else "pending",
            }
            for place, (moment, amount) in enumerate(charge.refunds)
        ]

    def _invoices(self, call: Call) -> Answer:
        return self._listed(call, "invoice", [self._invoice(one) for one in self.orders()])

    def _invoice(self, order: Order) -> Record:
        number = order_number(order.order_id)
        goods = sum((line.value for line in order.lines), ZERO)
        lines = [
            {
                "id": f"il_{line_number(order, line.line_id)}",
                "description": line.title,
                "amount": cents(line.value),
                "quantity": line.quantity,
                "pricing": {"price_details": {"product": f"prod_{line.product_id}"}},
                "discount_amounts": [{"amount": cents(amount)} for amount in (own, share) if amount],
                "taxes": [{"amount": cents(line.tax), "tax_behavior": "exclusive"}] if line.tax else [],
            }
            for line, (own, share) in zip(order.lines, cent_discounts(order), strict=True)
        ]
        return {
            "id": f"in_{number}",
            "object": "invoice",
            "created": int(order.created_at.timestamp()),
            "currency": order.currency.lower(),
            "customer": f"cus_{order.customer_id}" if order.customer_id else None,
            "customer_email": order.email,
            "status": "void" if order.cancelled_at else "paid",
            "status_transitions": {"voided_at": int(order.cancelled_at.timestamp()) if order.cancelled_at else None},
            "livemode": not order.is_test,
            "subtotal": cents(goods),
            "total_discount_amounts": [{"amount": cents(order.discount_total)}] if order.discount_total else [],
            "shipping_cost": {"amount_subtotal": cents(order.shipping), "amount_tax": cents(order.shipping_tax)},
            "total_taxes": [{"amount": cents(order.stated_tax_total)}],
            "total": cents(order.stated_total),
            "lines": {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/in_{number}/lines"},
        }

    def _credit_notes(self, call: Call) -> Answer:
        notes = [_credit_note(order, refund) for order in self.orders() for refund in order.refunds]
        return self._listed(call, "credit note", notes)

    def _customers(self, call: Call) -> Answer:
        found = [
            {
                "id": f"cus_{one.customer_id}",
                "object": "customer",
                "created": int(one.created_at.timestamp()),
                "email": one.email,
                "name": one.name,
                "address": {"country": one.country},
            }
            for one in self.shop.customers()
        ]
        return self._listed(call, "customer", found)

    def _products(self, call: Call) -> Answer:
        found = [
            {
                "id": f"prod_{one.product_id}",
                "object": "product",
                "name": one.title,
                "created": 0,
                "updated": int(one.updated_at.timestamp()),
                "metadata": {"category": one.category},
            }
            for one in self.shop.products()
        ]
        return self._listed(call, "product", found)

    def _listed(self, call: Call, name: str, records: Sequence[Record]) -> Answer:
        """One page, newest first; a page goes on behind the last record of the one before."""
        self.check(call)
        if unknown := [key for key, _ in call.query if key not in _PARAMETERS]:
            raise _refusal(400, f"Received unknown parameter: {unknown[0]}", code="parameter_unknown")
        limit = call.params.get("limit", "10")
        if not limit.isdigit() or not 1 <= int(limit) <= _MOST:
            raise _refusal(400, "Invalid limit: must be between 1 and 100")
        found = [one for one in records if _is_within(call, one["created"])]
        found.sort(key=lambda one: (one["created"], one["id"]), reverse=True)
        start = 0
        if after := call.params.get("starting_after"):
            place = next((place for place, one in enumerate(found) if one["id"] == after), None)
            if place is None:
                raise _refusal(400, f"No such {name}: '{after}'", code="resource_missing")
            start = place + 1
        chosen = found[start : start + int(limit)]
        has_more = start + len(chosen) < len(found)
        return Answer({"object": "list", "data": chosen, "has_more": has_more, "url": call.url.partition("?")[0]})


def charges_of(versions: Sequence[Order]) -> list[Charge]:
    """What was paid for an order, and what was given back."""
    newest = versions[-1]
    number = order_number(newest.order_id)
    charges = [Charge(f"ch_{number}", newest, versions[0].updated_at, versions[0].stated_total)]
    for before, after in pairwise(versions):
        more = after.stated_total - before.stated_total
        if more > 0:
            charges.append(Charge(f"ch_{number}_{len(charges)}", newest, after.updated_at, more))
        for refund in after.refunds[len(before.refunds) :]:
            more -= _given_back(refund)
        if after.cancelled_at:
            more = -sum((one.left for one in charges), ZERO)
        _give_back(charges, after.updated_at, -more)
    charges[0].created = newest.created_at
    return charges


def _give_back(charges: Sequence[Charge], moment: datetime, amount: Decimal) -> None:
    for charge in charges:
        part = min(amount, charge.left)
        if part > 0:
            charge.refunds.append((moment, part))
            amount -= part


def _given_back(refund: Refund) -> Decimal:
    goods = sum((line.amount + line.tax for line in refund.lines), refund.adjustment)
    return goods + refund.shipping + refund.shipping_tax


def _credit_note(order: Order, refund: Refund) -> Record:
    lines = [
        {
            "type": "invoice_line_item",
            "invoice_line_item": f"il_{line_number(order, line.line_id)}",
            "amount": cents(line.amount),
            "quantity": line.quantity,
            "taxes": [{"amount": cents(line.tax), "tax_behavior": "exclusive"}],
        }
        for line in refund.lines
    ]
    if refund.adjustment:
        lines.append({"type": "custom_line_item", "amount": cents(refund.adjustment), "quantity": 1, "taxes": []})
    return {
        "id": f"cn_{refund_number(refund.refund_id)}",
        "object": "credit_note",
        "invoice": f"in_{order_number(order.order_id)}",
        "created": int(refund.refunded_at.timestamp()),
        "status": "issued",
        "shipping_cost": {"amount_subtotal": cents(refund.shipping), "amount_tax": cents(refund.shipping_tax)},
        "total": cents(_given_back(refund)),
        "lines": {"object": "list", "data": lines, "has_more": False},
    }


def _is_within(call: Call, created: int) -> bool:
    bounds = {name[8:-1]: int(value) for name, value in call.query if name.startswith("created[") and value.isdigit()}
    return (
        created >= bounds.get("gte", created)
        and created <= bounds.get("lte", created)
        and created > bounds.get("gt", created - 1)
        and created < bounds.get("lt", created + 1)
    )


def _refusal(status: int, message: str, kind: str = "invalid_request_error", code: str | None = None) -> RefusedError:
    return RefusedError(status, {"error": {"type": kind, "message": message, "code": code}})
