"""Shopify's GraphQL Admin API: connections with cursors of their own, costs, filters as text, bulk files, the report.

What fails is told with HTTP 200. A query may cost so much, and so much a second: nested pages have to be small. A bulk
operation writes one line for each record, nested ones with `__parentId`.
"""

import json
import re
import time
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.demo_shop.model import ZERO, Customer, Order, Product, Refund
from analytics_pipeline_tests.dialects.base import Answer, Call, Handler, Record, moment_of
from analytics_pipeline_tests.dialects.charges import DUTY, GIFT_CARD_SOLD, TIP, total_charged
from analytics_pipeline_tests.dialects.graphql import Field, GraphQLError, parse, shown
from analytics_pipeline_tests.dialects.numbers import (
    cent_discounts,
    iso,
    line_number,
    money,
    order_number,
    plain_number,
    refund_number,
)
from analytics_pipeline_tests.dialects.shopify import CLOSES_AFTER, ShopifyShop, is_removal

PATH = "/admin/api/2026-01/graphql.json"
MOST, MOST_POINTS, BUCKET = 250, 1_000, 2_000
_FILTER = re.compile(r"(?P<field>\w+):(?P<compare>>=|<=|>|<)?(?P<quote>['\"]?)(?P<value>.*?)(?P=quote)(?=\s|$|\))")
_COMPARED: dict[str, Callable[[datetime, datetime], bool]] = {
    ">=": lambda value, bound: value >= bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    "<": lambda value, bound: value < bound,
    "": lambda value, bound: value == bound,
}
_STAMPS = {"created_at": "createdAt", "updated_at": "updatedAt", "processed_at": "processedAt"}
_KEYS = {"CREATED_AT": "createdAt", "UPDATED_AT": "updatedAt", "PROCESSED_AT": "processedAt", "ID": "id"}


class Connection(list[Record]):
    """A list that is paged wherever it stands."""


class FailedError(Exception):
    """A request that fails as a whole, with its code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Bulk:
    """A bulk operation: its lines are ready after so many polls."""

    number: int
    lines: Sequence[str]
    roots: int
    polls_left: int
    fails: bool


class ShopifyGraphQL(ShopifyShop):
    """A shop behind `/admin/api/2026-01/graphql.json`.

    Attributes:
        restore_rate: Points a second that the budget regains.
        available: Points that are left.
        bulk_polls: How often a bulk operation is seen running before it is done.
        bulk_fails: Whether bulk operations fail, half of the lines written.
    """

    def __init__(self, shop: DemoShop, now: Callable[[], datetime], *, with_charges: bool = False) -> None:
        super().__init__(shop, now, with_charges=with_charges)
        self.restore_rate, self.available, self._seen_at = 1e6, float(BUCKET), time.monotonic()
        self.bulk_polls, self.bulk_fails = 1, False
        self.bulks: list[Bulk] = []

    def routes(self) -> dict[tuple[str, str], Handler]:
        return {
            ("POST", "/admin/oauth/access_token"): self.give_token,
            ("POST", PATH): self._answer,
            ("GET", "/bulk/{number:int}.jsonl"): self._file,
        }

    def _answer(self, call: Call) -> Answer:
        self.check(call)
        asked = call.body if isinstance(call.body, dict) else {}
        cost: Record = {}
        try:
            kind, fields = parse(asked.get("query"), asked.get("variables"))
            cost = self._charge(sum(_cost(one) for one in fields))
            data = {one.alias: self._resolve(kind, one, call) for one in fields}
        except GraphQLError as error:
            return Answer({"errors": [{"message": str(error), "extensions": {"code": "undefinedField"}}]})
        except FailedError as error:
            fault = {"message": str(error), "extensions": {"code": error.code}}
            extensions = {"cost": cost or self._budget(0, None)}
            return Answer({"errors": [fault], "data": None, "extensions": extensions})
        return Answer({"data": data, "extensions": {"cost": cost}})

    def _charge(self, points: int) -> Record:
        """Take what a query costs off the budget."""
        now = time.monotonic()
        self.available = min(BUCKET, self.available + (now - self._seen_at) * self.restore_rate)
        self._seen_at = now
        if points > MOST_POINTS:
            message = f"Query cost is {points}, which exceeds the single query max cost limit ({MOST_POINTS})."
            raise FailedError("MAX_COST_EXCEEDED", message)
        if points > self.available:
            raise FailedError("THROTTLED", "Throttled")
        self.available -= points
        return self._budget(points, points)

    def _budget(self, requested: int, actual: int | None) -> Record:
        left = int(self.available)
        status = {"maximumAvailable": BUCKET, "currentlyAvailable": left, "restoreRate": self.restore_rate}
        return {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}

    def _resolve(self, kind: str, asked: Field, call: Call) -> object:
        if kind == "mutation":
            return self._run_bulk(asked)
        match asked.name:
            case "orders" | "customers" | "products":
                return self._connection(asked)
            case "order" | "node":
                return self._one(asked, call)
            case "ordersCount":
                count = {"count": len(self._found("orders", asked.arguments)), "precision": "EXACT"}
                return shown(count, asked.fields, _show)
            case "currentBulkOperation":
                return shown(self._bulk(call), asked.fields, _show) if self.bulks else None
            case "shopifyqlQuery":
                return shown(self.report(str(asked.arguments.get("query"))), asked.fields, _show)
            case _:
                raise GraphQLError(f"Field '{asked.name}' doesn't exist on type 'QueryRoot'")

    def _connection(self, asked: Field) -> object:
        found = Connection(self._found(asked.name, asked.arguments))
        return shown(_show(asked, found), asked.fields, _show)

    def _found(self, name: str, arguments: Mapping[str, Any]) -> list[Record]:
        """The records that a filter and a sorting ask for; a word of the filter that nobody knows is passed over."""
        lists: dict[str, Callable[[], list[Record]]] = {
            "orders": lambda: self.shown(self.order),
            "customers": lambda: [_customer(one) for one in self.shop.customers()],
            "products": lambda: [_product(one) for one in self.shop.products()],
        }
        found = [one for one in lists[name]() if _fits(one, arguments.get("query") or "")]
        key = _KEYS.get(arguments.get("sortKey") or "ID", "id")
        return sorted(found, key=lambda one: (one[key], one["id"]), reverse=bool(arguments.get("reverse")))

    def _one(self, asked: Field, call: Call) -> object:
        number = asked.arguments.get("id")
        if "BulkOperation" in str(number):
            return shown(self._bulk(call, str(number)), asked.fields, _show)
        found = next((one for one in self.shown(self.order) if one["id"] == number), None)
        return shown(found, asked.fields, _show)

    def _run_bulk(self, asked: Field) -> object:
        """Begin a bulk operation. One runs at a time, and lists hold no connections."""
        if asked.name != "bulkOperationRunQuery":
            raise GraphQLError(f"Field '{asked.name}' doesn't exist on type 'Mutation'")
        problem = None
        if self.bulks and self.bulks[-1].polls_left > 0:
            running = _bulk_id(self.bulks[-1])
            problem = f"A bulk query operation for this app and shop is already in progress: {running}."
        _, fields = parse(asked.arguments.get("query"))
        if any(_has_connection_in_a_list(one, is_in_list=False) for one in fields):
            problem = "Queries that contain a connection field within a list field are not currently supported."
        operation = None
        if problem is None:
            roots = [one for field in fields for one in self._found(field.name, field.arguments)]
            lines = [line for field in fields for line in _lines(self._found(field.name, field.arguments), field)]
            self.bulks.append(Bulk(len(self.bulks) + 1, lines, len(roots), self.bulk_polls, self.bulk_fails))
            operation = {"id": _bulk_id(self.bulks[-1]), "status": "CREATED"}
        errors = [{"field": ["query"], "message": problem}] if problem else []
        return shown({"bulkOperation": operation, "userErrors": errors}, asked.fields, _show)

    def _bulk(self, call: Call, number: str | None = None) -> Record:
        bulk = next((one for one in self.bulks if _bulk_id(one) == number), self.bulks[-1])
        is_done = bulk.polls_left <= 0
        bulk.polls_left -= 1
        url = call.url.partition("/admin/")[0] + f"/bulk/{bulk.number}.jsonl"
        lines = _written(bulk)
        return {
            "id": _bulk_id(bulk),
            "status": ("FAILED" if bulk.fails else "COMPLETED") if is_done else "RUNNING",
            "errorCode": "INTERNAL_SERVER_ERROR" if is_done and bulk.fails else None,
            "objectCount": str(len(lines) if is_done else 0),
            "rootObjectCount": str(bulk.roots if is_done else 0),
            "fileSize": str(sum(len(line) + 1 for line in lines)) if is_done else None,
            "url": url if is_done and not bulk.fails else None,
            "partialDataUrl": url if is_done and bulk.fails else None,
        }

    def _file(self, call: Call) -> Answer:
        """The file of a bulk operation: its address is secret, no token is needed."""
        bulk = self.bulks[int(call.path["number"]) - 1]
        body = "".join(f"{line}\n" for line in _written(bulk))
        return Answer(body.encode(), headers={"Content-Type": "application/jsonl"})

    def order(self, order: Order) -> Record:
        """An order with all its fields and connections."""
        number = order_number(order.order_id)
        bag = partial(_bag, order.currency)
        (tip, _), (duty, _), (card, _) = (self.charges_of(order, kind) for kind in (TIP, DUTY, GIFT_CARD_SOLD))
        closes_at = order.created_at + CLOSES_AFTER
        goods = sum((line.value for line in order.lines), card)
        lines = [self._line(order, place) for place in range(len(order.lines))]
        return {
            "id": f"gid://shopify/Order/{number}",
            "legacyResourceId": str(number),
            "name": f"#{number}",
            "createdAt": iso(order.created_at),
            "processedAt": iso(order.created_at),
            "updatedAt": iso(order.stamp),
            "cancelledAt": iso(order.cancelled_at) if order.cancelled_at else None,
            "closedAt": iso(closes_at) if closes_at <= self.now() else None,
            "test": order.is_test,
            "currencyCode": order.currency,
            "taxesIncluded": False,
            "sourceName": "web",
            "email": order.email,
            "customer": {"id": _customer_id(order.customer_id)} if order.customer_id else None,
            "shippingAddress": {"countryCodeV2": order.country},
            "subtotalPriceSet": bag(goods - order.discount_total),
            "totalDiscountsSet": bag(order.discount_total),
            "totalTaxSet": bag(order.stated_tax_total),
            "totalTipReceivedSet": bag(tip),
            "originalTotalDutiesSet": bag(duty) if duty else None,
            "totalShippingPriceSet": bag(order.shipping),
            "totalPriceSet": bag(order.stated_total + total_charged(order, self.charged)),
            "shippingLine": {
                "originalPriceSet": bag(order.shipping),
                "discountedPriceSet": bag(order.shipping),
                "taxLines": [{"title": "VAT", "rate": 0.19, "priceSet": bag(order.shipping_tax)}],
            },
            "lineItems": Connection([*lines, *([_gift_card(order, card)] if card else [])]),
            "refunds": [_refund(order, one) for one in order.refunds],
        }

    def _line(self, order: Order, place: int) -> Record:
        """A line; `originalTotalSet` is of all its units."""
        line, discounts = order.lines[place], cent_discounts(order)[place]
        bag = partial(_bag, order.currency)
        back = sum(one.quantity for refund in order.refunds for one in refund.lines if one.line_id == line.line_id)
        return {
            "id": f"gid://shopify/LineItem/{line_number(order, line.line_id)}",
            "title": line.title,
            "quantity": line.quantity,
            "currentQuantity": line.quantity - back,
            "isGiftCard": False,
            "product": {"id": f"gid://shopify/Product/{plain_number(line.product_id)}"},
            "originalUnitPriceSet": bag(line.unit_price),
            "originalTotalSet": bag(line.value),
            "discountedTotalSet": bag(line.value - discounts[0]),
            "discountAllocations": [{"allocatedAmountSet": bag(amount)} for amount in discounts if amount],
            "taxLines": [{"title": "VAT", "rate": float(line.tax_rate), "priceSet": bag(line.tax)}] if line.tax else [],
        }


def _refund(order: Order, refund: Refund) -> Record:
    number = refund_number(refund.refund_id)
    bag = partial(_bag, order.currency)
    goods = sum((line.amount + line.tax for line in refund.lines), refund.adjustment)
    total = ZERO if is_removal(refund) else goods + refund.shipping + refund.shipping_tax
    shipping = {"subtotalAmountSet": bag(refund.shipping), "taxAmountSet": bag(refund.shipping_tax)}
    adjustment = {
        "id": f"gid://shopify/OrderAdjustment/{number}",
        "reason": "REFUND_DISCREPANCY",
        "amountSet": bag(-refund.adjustment),
        "taxAmountSet": bag(ZERO),
    }
    return {
        "id": f"gid://shopify/Refund/{number}",
        "createdAt": iso(refund.refunded_at),
        "totalRefundedSet": bag(total),
        "refundLineItems": Connection(
            {
                "quantity": line.quantity,
                "restockType": "NO_RESTOCK" if is_removal(refund) else "RETURN",
                "subtotalSet": bag(line.amount),
                "totalTaxSet": bag(line.tax),
                "lineItem": {"id": f"gid://shopify/LineItem/{line_number(order, line.line_id)}"},
            }
            for line in refund.lines
        ),
        "refundShippingLines": Connection([shipping] if refund.shipping else []),
        "orderAdjustments": Connection([adjustment] if refund.adjustment else []),
    }


def _gift_card(order: Order, amount: Decimal) -> Record:
    return {
        "id": f"gid://shopify/LineItem/{order_number(order.order_id) * 100 + 99}",
        "title": "Gift card",
        "quantity": 1,
        "currentQuantity": 1,
        "isGiftCard": True,
        "product": {"id": "gid://shopify/Product/9999"},
        "originalUnitPriceSet": _bag(order.currency, amount),
        "originalTotalSet": _bag(order.currency, amount),
        "discountedTotalSet": _bag(order.currency, amount),
        "discountAllocations": [],
        "taxLines": [],
    }


def _customer(customer: Customer) -> Record:
    first, _, last = customer.name.partition(" ")
    return {
        "id": _customer_id(customer.customer_id),
        "createdAt": iso(customer.created_at),
        "updatedAt": iso(customer.updated_at),
        "email": customer.email,
        "firstName": first,
        "lastName": last,
        "defaultAddress": {"countryCodeV2": customer.country},
    }


def _customer_id(customer_id: str) -> str:
    return f"gid://shopify/Customer/{plain_number(customer_id)}"


def _variant(product: Product) -> Record:
    cost = {"unitCost": {"amount": money(product.cost)}}
    return {"id": "gid://shopify/ProductVariant/1", "price": money(product.price), "inventoryItem": cost}


def _product(product: Product) -> Record:
    return {
        "id": f"gid://shopify/Product/{plain_number(product.product_id)}",
        "title": product.title,
        "productType": product.category,
        "updatedAt": iso(product.updated_at),
        "variants": Connection([_variant(product)]),
    }


def _bag(currency: str, amount: Decimal) -> Record:
    shop_money = {"amount": money(amount), "currencyCode": currency}
    return {"shopMoney": shop_money, "presentmentMoney": shop_money}


def _show(asked: Field, value: Any) -> Any:  # noqa: ANN401 - JSON
    """A connection as a page, a plain list cut to what is asked for, anything else as it is."""
    first = asked.arguments.get("first")
    if not isinstance(value, Connection):
        return value[:first] if isinstance(value, list) and first is not None else value
    if not isinstance(first, int) or not 0 < first <= MOST:
        raise FailedError("BAD_REQUEST", f"you must provide one of first or last, of at most {MOST}")
    start = _place(asked.arguments.get("after"))
    chosen = value[start : start + first]
    cursors = [_cursor(start + place + 1) for place in range(len(chosen))]
    return {
        "edges": [{"cursor": cursor, "node": node} for cursor, node in zip(cursors, chosen, strict=True)],
        "nodes": chosen,
        "pageInfo": {
            "hasNextPage": start + len(chosen) < len(value),
            "hasPreviousPage": start > 0,
            "endCursor": cursors[-1] if cursors else None,
        },
    }


def _cursor(place: int) -> str:
    return b64encode(str(place).encode()).decode()


def _place(cursor: str | None) -> int:
    try:
        return int(b64decode(cursor)) if cursor else 0
    except (ValueError, NoBase64):
        raise FailedError("BAD_REQUEST", "Invalid cursor for current pagination sort.") from None


def _cost(asked: Field) -> int:
    """Points: one for an object, and so many for a connection as it may hold."""
    of_fields = sum(_cost(one) for one in asked.fields)
    first = asked.arguments.get("first")
    return first * max(1, of_fields) if isinstance(first, int) else of_fields


def _fits(record: Record, query: str) -> bool:
    for match in _FILTER.finditer(query):
        name, compare = match["field"], match["compare"] or ""
        if name in _STAMPS and _STAMPS[name] in record:
            try:
                bound = moment_of(match["value"])
            except ValueError:
                continue
            if not _COMPARED[compare](moment_of(record[_STAMPS[name]]), bound):
                return False
        elif name == "test" and record["test"] != (match["value"] == "true"):
            return False
    return True


def _has_connection_in_a_list(asked: Field, *, is_in_list: bool) -> bool:
    is_connection = asked.named("edges") is not None or asked.named("nodes") is not None
    if is_connection and is_in_list:
        return True
    return any(_has_connection_in_a_list(one, is_in_list=is_in_list or asked.name == "refunds") for one in asked.fields)


def _lines(records: Sequence[Record], asked: Field) -> Iterator[str]:
    """The lines of a file: each record, its nested records behind it."""
    nodes = _nodes(asked)
    nested = [one for one in nodes if one.named("edges") or one.named("nodes")]
    plain = [one for one in nodes if one not in nested]
    for record in records:
        yield json.dumps(shown(record, plain, _show))
        for one in nested:
            for child in record[one.name]:
                yield json.dumps({**shown(child, _nodes(one), _show), "__parentId": record["id"]})


def _nodes(asked: Field) -> Sequence[Field]:
    """The fields of a connection's records."""
    edges = asked.named("edges")
    node = edges.named("node") if edges else asked.named("nodes")
    return node.fields if node else ()


def _written(bulk: Bulk) -> Sequence[str]:
    return bulk.lines[: len(bulk.lines) // 2] if bulk.fails else bulk.lines


def _bulk_id(bulk: Bulk) -> str:
    return f"gid://shopify/BulkOperation/{bulk.number}"
