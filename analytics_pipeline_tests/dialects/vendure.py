"""Vendure 3: GraphQL with skip and take, integer minor units, errors with HTTP 200, a token in a header of the answer.

Amounts stand with and without tax, those of a refund with tax alone. Cancelled is a state without a date. Test orders
of the demo shop are drafts.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.demo_shop.model import ZERO, Customer, Order, OrderLine, Product, Refund
from analytics_pipeline_tests.dialects.base import Answer, Call, Dialect, Handler, Record, moment_of
from analytics_pipeline_tests.dialects.charges import SURCHARGE, total_charged
from analytics_pipeline_tests.dialects.graphql import Field, GraphQLError, parse, shown
from analytics_pipeline_tests.dialects.numbers import (
    cent_discounts,
    cents,
    iso,
    line_number,
    order_number,
    plain_number,
    refund_number,
)

USER, PASSWORD = "superadmin", "demo-password"
TOKEN_HEADER = "vendure-auth-token"
MOST = 1_000
_COMPARED: dict[str, Callable[[datetime, datetime], bool]] = {
    "after": lambda value, bound: value > bound,
    "before": lambda value, bound: value < bound,
    "eq": lambda value, bound: value == bound,
}


class RefusedOperationError(Exception):
    """An operation that is refused, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Vendure(Dialect):
    """A server behind `/admin-api`."""

    kinds: ClassVar[tuple[str, ...]] = (SURCHARGE,)
    inexpressible: ClassVar[frozenset[str]] = frozenset({"units_returned", "returns", "net_sales", "taxes"})
    """A refund's amounts contain tax, which is not told apart."""

    def __init__(self, shop: DemoShop, now: Callable[[], datetime], *, with_charges: bool = False) -> None:
        super().__init__(shop, now, with_charges=with_charges)
        self.sessions: set[str] = set()

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {("POST", "/admin-api"): self._answer, ("GET", "/admin-api"): self._answer}

    def check(self, call: Call) -> None:
        if call.headers.get("Authorization", "").removeprefix("Bearer ") not in self.sessions:
            raise RefusedOperationError("FORBIDDEN", "You are not currently authorized to perform this action")

    def _answer(self, call: Call) -> Answer:
        """All operations of a document, or the first error: both with HTTP 200."""
        asked: Mapping[str, Any] = call.body if isinstance(call.body, dict) else call.params
        headers: dict[str, str] = {}
        try:
            kind, fields = parse(asked.get("query"), asked.get("variables"))
            data = {one.alias: self._resolve(kind, one, call, headers) for one in fields}
        except GraphQLError as error:
            fault = {"message": str(error), "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}
            return Answer({"errors": [fault]}, 400)
        except RefusedOperationError as error:
            return Answer({"errors": [{"message": str(error), "extensions": {"code": error.code}}], "data": None})
        return Answer({"data": data}, headers=headers)

    def _resolve(self, kind: str, asked: Field, call: Call, headers: dict[str, str]) -> object:
        if kind == "mutation" and asked.name == "login":
            return self._log_in(asked, headers)
        lists: dict[str, Callable[[], list[Record]]] = {
            "orders": lambda: self.shown(self.order),
            "customers": lambda: [_customer(one) for one in self.shop.customers()],
            "products": lambda: [_product(one) for one in self.shop.products()],
        }
        if kind != "query" or asked.name not in lists:
            raise GraphQLError(f'Cannot query field "{asked.name}" on type "Query".')
        self.check(call)
        return shown(
            _page(asked.arguments.get("options") or {}, lists[asked.name]()), asked.fields, lambda _, value: value
        )

    def _log_in(self, asked: Field, headers: dict[str, str]) -> Record:
        if (asked.arguments.get("username"), asked.arguments.get("password")) != (USER, PASSWORD):
            return {"errorCode": "INVALID_CREDENTIALS_ERROR", "message": "The provided credentials are invalid"}
        token = f"session-{len(self.sessions)}"
        self.sessions.add(token)
        headers[TOKEN_HEADER] = token
        return {"id": "1", "identifier": USER}

    def order(self, order: Order) -> Record:
        """An order with all its fields."""
        number = order_number(order.order_id)
        surcharge, surcharge_tax = self.charges_of(order, SURCHARGE)
        lines = list(zip(order.lines, cent_discounts(order), strict=True))
        net = sum((line.value for line in order.lines), surcharge) - order.discount_total
        goods_tax = sum((line.tax for line in order.lines), surcharge_tax)
        total = order.stated_total + total_charged(order, self.charged)
        return {
            "id": str(number),
            "code": f"V{number}",
            "type": "Regular",
            "state": "Draft" if order.is_test else "Cancelled" if order.cancelled_at else "Delivered",
            "createdAt": _stamp(order.created_at),
            "updatedAt": _stamp(order.stamp),
            "orderPlacedAt": _stamp(order.created_at),
            "currencyCode": order.currency,
            "customer": _buyer(order),
            "shippingAddress": {"countryCode": order.country},
            "subTotal": cents(net),
            "subTotalWithTax": cents(net + goods_tax),
            "shipping": cents(order.shipping),
            "shippingWithTax": cents(order.shipping + order.shipping_tax),
            "total": cents(net + order.shipping),
            "totalWithTax": cents(total),
            "lines": [self._line(order, line, own + share) for line, (own, share) in lines],
            "surcharges": [
                {"description": "Wrapping", "price": cents(surcharge), "priceWithTax": cents(surcharge + surcharge_tax)}
            ]
            if surcharge
            else [],
            "payments": [
                {
                    "id": str(number),
                    "amount": cents(total),
                    "state": "Settled",
                    "refunds": [_refund(order, one) for one in order.refunds],
                }
            ],
        }

    def _line(self, order: Order, line: OrderLine, discount: Decimal) -> Record:
        variant = {"id": line.product_id, "name": line.title, "product": {"id": str(plain_number(line.product_id))}}
        return {
            "id": str(line_number(order, line.line_id)),
            "quantity": line.quantity,
            "orderPlacedQuantity": line.quantity,
            "unitPrice": cents(line.unit_price),
            "linePrice": cents(line.value),
            "lineTax": cents(line.tax),
            "proratedLinePrice": cents(line.value - discount),
            "proratedLinePriceWithTax": cents(line.value - discount + line.tax),
            "taxRate": float(line.tax_rate * 100),
            "discounts": [{"adjustmentSource": "PROMOTION:1", "amount": -cents(discount)}] if discount else [],
            "productVariant": variant,
        }


def _buyer(order: Order) -> Record | None:
    """Guests are customers without an account: known by their address alone."""
    if not order.customer_id and not order.email:
        return None
    return {"id": str(plain_number(order.customer_id)) if order.customer_id else None, "emailAddress": order.email}


def _refund(order: Order, refund: Refund) -> Record:
    goods = sum((line.amount + line.tax for line in refund.lines), ZERO)
    shipping = refund.shipping + refund.shipping_tax
    return {
        "id": str(refund_number(refund.refund_id)),
        "createdAt": _stamp(refund.refunded_at),
        "state": "Settled",
        "items": cents(goods),
        "shipping": cents(shipping),
        "adjustment": cents(refund.adjustment),
        "total": cents(goods + shipping + refund.adjustment),
        "lines": [
            {"orderLineId": str(line_number(order, line.line_id)), "quantity": line.quantity} for line in refund.lines
        ],
    }


def _customer(customer: Customer) -> Record:
    first, _, last = customer.name.partition(" ")
    return {
        "id": str(plain_number(customer.customer_id)),
        "createdAt": _stamp(customer.created_at),
        "updatedAt": _stamp(customer.updated_at),
        "firstName": first,
        "lastName": last,
        "emailAddress": customer.email,
        "addresses": [{"country": {"code": customer.country}}],
    }


def _product(product: Product) -> Record:
    return {
        "id": str(plain_number(product.product_id)),
        "name": product.title,
        "updatedAt": _stamp(product.updated_at),
        "collections": [{"name": product.category}],
        "variants": [{"id": product.product_id, "price": cents(product.price)}],
    }


def _page(options: Mapping[str, Any], records: Sequence[Record]) -> Record:
    """A page of a list; `between` holds both of its ends."""
    take, skip = options.get("take"), options.get("skip") or 0
    take = 100 if take is None else take
    if take > MOST:
        raise RefusedOperationError("USER_INPUT_ERROR", f"Cannot take more than {MOST} results from a list query")
    filters: Mapping[str, Any] = options.get("filter") or {}
    found = [one for one in records if all(_fits(one, name, asked) for name, asked in filters.items())]
    for name, direction in reversed([*(options.get("sort") or {}).items()]):
        found.sort(key=partial(_rank, name), reverse=direction == "DESC")
    return {"items": found[skip : skip + take], "totalItems": len(found)}


def _rank(name: str, record: Record) -> tuple[int, str]:
    """What a record is sorted by: numbers in texts by their value."""
    return (int(record[name]), "") if name == "id" else (0, str(record[name]))


def _fits(record: Record, name: str, asked: Mapping[str, Any]) -> bool:
    value = record.get(name)
    for compare, bound in asked.items():
        if compare == "between":
            if not moment_of(bound["start"]) <= moment_of(str(value)) <= moment_of(bound["end"]):
                return False
        elif compare in {"in", "notIn"}:
            if (value in bound) != (compare == "in"):
                return False
        elif compare in _COMPARED and name.endswith("At"):
            if not _COMPARED[compare](moment_of(str(value)), moment_of(bound)):
                return False
        elif compare != "eq" or value != bound:
            return False
    return True


def _stamp(moment: datetime) -> str:
    return iso(moment).replace("Z", ".000Z")
