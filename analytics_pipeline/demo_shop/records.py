"""The demo shop's records as JSON, defects included. Money is decimal strings, moments are ISO 8601 in UTC with "Z"."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from analytics_pipeline.demo_shop.model import CENT, Customer, Defect, Order, OrderLine, Product, Refund


def order_record(order: Order) -> dict[str, Any]:
    """One order as the API shows it."""
    record: dict[str, Any] = {
        "id": order.order_id,
        "created_at": _moment(order.created_at),
        "updated_at": _moment(order.stamp),
        "cancelled_at": _moment(order.cancelled_at) if order.cancelled_at else None,
        "is_test": order.is_test,
        "currency": order.currency,
        "prices_include_tax": order.prices_include_tax,
        "customer": {"id": order.customer_id} if order.customer_id else None,
        "email": order.email,
        "country": order.country,
        "order_discount": _money(order.order_discount),
        "discount_total": _money(order.discount_total),
        "shipping": _money(order.shipping),
        "shipping_tax": _money(order.shipping_tax),
        "tax_total": _money(order.stated_tax_total),
        "total": _money(order.stated_total),
        "lines": [_line(line) for line in order.lines],
        "refunds": [_refund(refund) for refund in order.refunds],
    }
    _spoil(record, order.defect)
    return record


def customer_record(customer: Customer) -> dict[str, Any]:
    """One customer account as the API shows it."""
    return {
        "id": customer.customer_id,
        "created_at": _moment(customer.created_at),
        "updated_at": _moment(customer.updated_at),
        "email": customer.email,
        "name": customer.name,
        "country": customer.country,
        "first_order_at": _moment(customer.first_order_at) if customer.first_order_at else None,
    }


def product_record(product: Product) -> dict[str, Any]:
    """One product as the API shows it."""
    return {
        "id": product.product_id,
        "title": product.title,
        "category": product.category,
        "price": _money(product.price),
        "cost": _money(product.cost),
        "updated_at": _moment(product.updated_at),
    }


def to_json(value: object) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _line(line: OrderLine) -> dict[str, Any]:
    return {
        "id": line.line_id,
        "product_id": line.product_id,
        "title": line.title,
        "quantity": line.quantity,
        "unit_price": _money(line.unit_price),
        "discount": _money(line.discount),
        "tax": _money(line.tax),
        "tax_rate": _money(line.tax_rate),
    }


def _refund(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.refund_id,
        "created_at": _moment(refund.refunded_at),
        "shipping": _money(refund.shipping),
        "shipping_tax": _money(refund.shipping_tax),
        "adjustment": _money(refund.adjustment),
        "lines": [
            {"line_id": line.line_id, "quantity": line.quantity, "amount": _money(line.amount), "tax": _money(line.tax)}
            for line in refund.lines
        ],
    }


def _spoil(record: dict[str, Any], defect: Defect | None) -> None:
    """Break what a defect breaks; sums that do not add up are wrong in the model already."""
    line = record["lines"][0]
    if defect is Defect.UNIT_PRICE_NOT_A_NUMBER:
        line["unit_price"] = "N/A"
    elif defect is Defect.QUANTITY_MISSING:
        del line["quantity"]
    elif defect is Defect.QUANTITY_ZERO:
        line["quantity"] = 0
    elif defect is Defect.CURRENCY_NOT_A_CODE:
        record["currency"] = "EURO"


def _money(amount: Decimal) -> str:
    return str(amount.quantize(CENT))


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"
