"""The contracts of the raw, clean and ops tables: what each column is, and what every row has to satisfy.

One pandera schema per table is the single source; table shape, DDL, comments, Dagster's column schema and the
validation before each write (`promises`) derive from it. How records become rows is `transforms`' part; marts describe
themselves in their SQL files.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa

from analytics_pipeline.shop.charges import CHARGED, REFUNDED
from analytics_pipeline.shop.fields import EXTRA_PREFIX
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT, Column, Table

_FIRST_EVENT_TYPES = ("line_sold", "line_returned", "shipping_charged", "shipping_refunded", "adjustment")
EVENT_TYPES = (*_FIRST_EVENT_TYPES, *CHARGED, *REFUNDED)
ORDER, REFUND, CANCELLATION = "order", "refund", "cancellation"
HELD_KINDS = (ORDER, REFUND, CANCELLATION)
"""What a row of ops/quarantine holds back: a whole order, or an event of an order that is clean."""
EXAMPLES = 5
CURRENCY_PATTERN = re.compile("[A-Z]{3}")
HOLDS: dict[str, Callable[[Any], pd.Series]] = {}
"""What tells of values, or of rows, whether a rule holds, by the rule in words."""
FORMERLY: dict[str, str] = {}
"""Rules that say of rows with nothing in later columns what they said before these came: the words of before.

By these the code version knows them, so that it stays what it was where no later key of a description is used.
"""
MOVED = "moved to another business day"
"""Reason for which an order is left out of a day: a newer version of it stands on another one."""


@dataclass(frozen=True)
class Contract:
    """A table's shape together with the schema that its rows are validated against."""

    table: Table
    schema: pandera.DataFrameSchema


def _column(
    kind: pa.DataType,
    description: str,
    *checks: pandera.Check,
    nullable: bool = False,
    personal: bool = False,
    json: bool = False,
    filler: str | None = None,
    later: bool = False,
    was_required: bool = False,
) -> pandera.Column:
    return pandera.Column(
        pd.ArrowDtype(kind),
        checks=list(checks),
        nullable=nullable,
        description=description,
        metadata={
            "is_personal": personal,
            "is_json": json,
            "filler": filler,
            "is_later": later,
            "was_required": was_required,
        },
    )


def _rule(message: str, holds: Callable[[Any], pd.Series], *, formerly: str | None = None) -> pandera.Check:
    """Return a rule over rows, or over values; no two rules are the same in words."""
    if message in HOLDS:
        raise ValueError(f"there is a rule in these words already: {message}")
    HOLDS[message] = holds
    if formerly is not None:
        FORMERLY[message] = formerly
    return pandera.Check(holds, error=message)


NOT_EMPTY = _rule("is not empty", lambda values: values.str.len() > 0)
NOT_NEGATIVE = _rule("is not negative", lambda values: values >= 0)
CURRENCY_CODE = _rule("is a three-letter currency code", lambda values: values.str.fullmatch(CURRENCY_PATTERN.pattern))
ABOVE_OR_BELOW = _rule("is above or below", lambda values: values.isin(("above", "below")))
KNOWN_KIND = _rule(f"is one of {', '.join(HELD_KINDS)}", lambda values: values.isin(HELD_KINDS))
KNOWN_EVENT = _rule(
    f"is one of {', '.join(EVENT_TYPES)}",
    lambda values: values.isin(EVENT_TYPES),
    formerly=f"is one of {', '.join(_FIRST_EVENT_TYPES)}",
)
NET_SALES_ADD_UP = _rule(
    "net_sales = gross_sales - discounts - returns",
    lambda rows: rows["net_sales"] == rows["gross_sales"] - rows["discounts"] - rows["returns"],
)
TOTAL_SALES_ADD_UP = _rule(
    "total_sales = net_sales + shipping + charges + taxes",
    lambda rows: rows["total_sales"] == rows["net_sales"] + rows["shipping"] + rows["charges"] + rows["taxes"],
    formerly="total_sales = net_sales + shipping + taxes",
)
ORDER_TOTAL_ADDS_UP = _rule(
    "order_total = gross_sales - discounts - returns + shipping + charges + taxes + outside_sales",
    lambda rows: (
        rows["order_total"]
        == (rows["gross_sales"] - rows["discounts"] - rows["returns"] + rows["shipping"])
        + (rows["charges"] + rows["taxes"] + rows["outside_sales"])
    ),
    formerly="order_total = gross_sales - discounts - returns + shipping + taxes",
)

EXTRA_TYPES: dict[str, pa.DataType] = {
    "text": TEXT,
    "number": pa.decimal128(38, 9),
    "money": MONEY,
    "count": COUNT,
    "flag": FLAG,
    "stamp": STAMP,
    "day": DAY,
}
"""Types of a description's own fields."""
_ORDER_ID = "The order's id, as the shop gives it."
_ORDER_DATE = "Business day of the order, in the shop's time zone."
_EXTRACTED_AT = "When the answer was read from the shop."
_PAYLOAD = "The record as the shop's API sent it."
_CURRENCY = "ISO 4217 code of every amount in the row."
_CUSTOMER_KEY = "Who ordered: the customer's id, else `email:` and the hash of a guest's e-mail, else null."
_GROSS = "Price times quantity, before discounts, returns, shipping and taxes."
_DISCOUNTS = "Discounts, order-wide ones spread over the lines; positive, tax excluded."
_RETURNS = "Value of goods taken back, after discounts; positive, tax excluded."
_NET = "gross_sales - discounts - returns."
_TAXES = "Taxes of goods, shipping and charges; negative when given back."
_CHARGES = "Tips, fees, duties and the like that count in total sales, tax excluded"
_OUTSIDE = (
    "What is in the order's total and in no sales figure: gift cards sold; negative: gift cards and store credit that "
    "it was paid with"
)


def _money(description: str, *checks: pandera.Check, nullable: bool = False) -> pandera.Column:
    return _column(MONEY, description, *checks, nullable=nullable)


def _later_money(description: str) -> pandera.Column:
    """Return a column of amounts that came after the first version; rows of before have nothing in it."""
    return _column(MONEY, description, filler="0", later=True)


def _later_text(description: str, *, json: bool = False) -> pandera.Column:
    """Return a column of texts that came after the first version; null in rows of before and where it is not mapped."""
    return _column(TEXT, description, nullable=True, json=json, later=True)


def _contract(
    name: str,
    description: str,
    columns: Mapping[str, pandera.Column],
    *,
    rules: Iterable[pandera.Check] = (),
    key: tuple[str, ...] = (),
    day_column: str | None = None,
    merge_column: str | None = None,
    indexes: tuple[str, ...] = (),
) -> Contract:
    layer, table_name = name.split("/")
    schema = pandera.DataFrameSchema(
        dict(columns),
        checks=list(rules),
        unique=list(key) or None,
        strict=True,
        ordered=True,
        name=name,
        description=description,
    )
    table = Table(
        schema=layer,
        name=table_name,
        description=description,
        columns=tuple(_table_column(column_name, column) for column_name, column in columns.items()),
        key=key,
        day_column=day_column,
        merge_column=merge_column,
        indexes=indexes,
    )
    return Contract(table, schema)


def _table_column(name: str, column: pandera.Column) -> Column:
    metadata = column.metadata or {}
    return Column(
        name=name,
        type=column.dtype.type.pyarrow_dtype,
        description=column.description or "",
        is_nullable=bool(column.nullable),
        is_personal=bool(metadata["is_personal"]),
        is_json=bool(metadata["is_json"]),
        is_later=bool(metadata["is_later"]),
        was_required=bool(metadata["was_required"]),
        filler=metadata["filler"],
    )


RAW_ORDERS = _contract(
    "raw/orders",
    "The orders of each business day as the shop's API sent them; what it sent twice stands here twice.",
    {
        "order_id": _column(TEXT, _ORDER_ID, NOT_EMPTY),
        "order_date": _column(DAY, _ORDER_DATE),
        "extracted_at": _column(STAMP, _EXTRACTED_AT),
        "payload": _column(TEXT, _PAYLOAD, NOT_EMPTY, json=True, personal=True),
    },
    day_column="order_date",
    indexes=("order_date, order_id", "order_id"),
)


def _raw_dimension(name: str, id_column: str, what: str) -> Contract:
    return _contract(
        name,
        f"The {what} as the shop's API sent them, newest answer per id.",
        {
            id_column: _column(TEXT, "The record's id, as the shop gives it.", NOT_EMPTY),
            "changed_at": _column(STAMP, "The shop's own stamp of the last change, where it gives one.", nullable=True),
            "extracted_at": _column(STAMP, _EXTRACTED_AT),
            "payload": _column(TEXT, _PAYLOAD, NOT_EMPTY, json=True, personal=id_column == "customer_id"),
        },
        merge_column=id_column,
        indexes=(id_column,),
    )


RAW_CUSTOMERS = _raw_dimension("raw/customers", "customer_id", "customers")
RAW_PRODUCTS = _raw_dimension("raw/products", "product_id", "products")

CLEAN_ORDERS = _contract(
    "clean/orders",
    "One row per order or credit note, newest version, amounts as placed; refunded_total is what was given back since.",
    {
        "order_id": _column(TEXT, _ORDER_ID, NOT_EMPTY),
        "order_date": _column(DAY, _ORDER_DATE),
        "ordered_at": _column(STAMP, "When the order was placed."),
        "updated_at": _column(STAMP, "When the shop last changed the order, where it says so.", nullable=True),
        "cancelled_at": _column(STAMP, "When the order was cancelled.", nullable=True),
        "customer_key": _column(TEXT, _CUSTOMER_KEY, nullable=True, personal=True),
        "customer_id": _column(TEXT, "The shop's id of a registered customer.", nullable=True, personal=True),
        "email_hash": _column(
            TEXT, "Hash of the order's e-mail address, trimmed and in lower case.", nullable=True, personal=True
        ),
        "country": _column(TEXT, "Country, as the shop gives it.", nullable=True),
        "channel": _later_text("Where it was sold, such as web or a market place, as the shop gives it."),
        "payment_method": _later_text("How it was paid, as the shop gives it."),
        "location": _later_text("Store or warehouse that sold it, as the shop gives it."),
        "shipping_country": _later_text("Country that it is sent to, as the shop gives it."),
        "shipping_region": _later_text("State or region that it is sent to, as the shop gives it."),
        "discount_codes": _later_text("Codes that were used, a JSON list of texts.", json=True),
        "tags": _later_text("Tags of the order, a JSON list of texts.", json=True),
        "is_credit_note": _column(FLAG, "Whether the record is goods taken back rather than an order."),
        "currency": _column(TEXT, _CURRENCY, CURRENCY_CODE),
        "units": _column(COUNT, "Sum of the lines' quantities; negative for a credit note."),
        "gross_sales": _money(_GROSS, NOT_NEGATIVE),
        "discounts": _money(_DISCOUNTS, NOT_NEGATIVE),
        "returns": _money("Value of goods that a credit note takes back; zero for an order.", NOT_NEGATIVE),
        "shipping": _money("Shipping charged, tax excluded."),
        "charges": _later_money(f"{_CHARGES}."),
        "taxes": _money("Taxes of goods, shipping and charges."),
        "outside_sales": _later_money(f"{_OUTSIDE}."),
        "order_total": _money(
            "What the order added up to when placed, shipping, charges and taxes included; negative for a credit note."
        ),
        "rounding": _later_money(
            "What the shop says that the order adds up to, less order_total: within the tolerance."
        ),
        "refunded_total": _money(
            "Given back since by refunds and cancellation: goods, shipping, charges and taxes.", NOT_NEGATIVE
        ),
        # Nullable, so that a table of before the column existed is migrated.
        "has_quarantined_events": _column(
            FLAG, "Whether a refund or its cancellation is in ops.quarantine; null in old rows.", nullable=True
        ),
    },
    rules=(ORDER_TOTAL_ADDS_UP,),
    key=("order_id",),
    day_column="order_date",
    indexes=("order_date", "customer_key"),
)


@cache
def _orders_with(extra: tuple[tuple[str, str, str], ...]) -> Contract:
    own = {name: _column(EXTRA_TYPES[kind], f"{path} of the record.", nullable=True) for name, kind, path in extra}
    table = CLEAN_ORDERS.table
    return _contract(
        "clean/orders",
        table.description,
        {**CLEAN_ORDERS.schema.columns, **own},
        rules=CLEAN_ORDERS.schema.checks,
        key=table.key,
        day_column=table.day_column,
        indexes=table.indexes,
    )


def orders_contract(shop: Shop) -> Contract:
    """Return the contract of clean/orders with the columns of a description's own fields, after all others."""
    extra = shop.orders.extra.items()
    return (
        _orders_with(tuple((f"{EXTRA_PREFIX}{name}", one.type, one.path) for name, one in extra))
        if extra
        else (CLEAN_ORDERS)
    )


CLEAN_ORDER_LINES = _contract(
    "clean/order_lines",
    "One row per line of a clean order, amounts as placed and without tax.",
    {
        "order_date": _column(DAY, _ORDER_DATE),
        "order_id": _column(TEXT, _ORDER_ID, NOT_EMPTY),
        "line_id": _column(TEXT, "The line's id within the order; its position where the shop gives none.", NOT_EMPTY),
        "product_id": _column(TEXT, "The product's id, as the line gives it.", NOT_EMPTY),
        "title": _column(TEXT, "The product's title at the time of the order.", nullable=True),
        "currency": _column(TEXT, _CURRENCY, CURRENCY_CODE),
        "quantity": _column(COUNT, "Units; negative for goods that a credit note takes back."),
        "unit_price": _column(
            MONEY,
            "Price of one unit as listed, including tax where the shop lists it so; null where it lists the line's.",
            NOT_NEGATIVE,
            nullable=True,
            was_required=True,
        ),
        "gross_sales": _money(_GROSS, NOT_NEGATIVE),
        "discounts": _money(_DISCOUNTS, NOT_NEGATIVE),
        "returns": _money("Value of goods that a credit note takes back; zero for a line sold.", NOT_NEGATIVE),
        "net_sales": _money(_NET),
        "taxes": _money("Taxes of the line."),
    },
    rules=(NET_SALES_ADD_UP,),
    key=("order_date", "order_id", "line_id"),
    day_column="order_date",
)

CLEAN_SALES = _contract(
    "clean/sales",
    "The ledger: one row per event of an order, on the business day on which the event happened.",
    {
        "order_date": _column(DAY, _ORDER_DATE),
        "order_id": _column(TEXT, _ORDER_ID, NOT_EMPTY),
        "event_number": _column(COUNT, "Position of the event within its order, from 1."),
        "event_type": _column(TEXT, f"One of {', '.join(EVENT_TYPES)}.", KNOWN_EVENT),
        "event_at": _column(STAMP, "When the event happened."),
        "event_date": _column(DAY, "Business day of the event, in the shop's time zone."),
        "is_cancellation": _column(FLAG, "Whether it reverses what was left of an order when that was cancelled."),
        "product_id": _column(TEXT, "The product of a line event.", nullable=True),
        "customer_key": _column(TEXT, _CUSTOMER_KEY, nullable=True, personal=True),
        "currency": _column(TEXT, _CURRENCY, CURRENCY_CODE),
        "quantity": _column(COUNT, "Units sold (positive) or taken back (negative)."),
        "gross_sales": _money(_GROSS, NOT_NEGATIVE),
        "discounts": _money(_DISCOUNTS, NOT_NEGATIVE),
        "returns": _money(_RETURNS),
        "net_sales": _money(_NET),
        "shipping": _money("Shipping charged, or refunded (negative), tax excluded."),
        "charges": _later_money(f"{_CHARGES}; negative when given back."),
        "taxes": _money(_TAXES),
        "outside_sales": _later_money(f"{_OUTSIDE}; with the other sign when given back."),
        "total_sales": _money("net_sales + shipping + charges + taxes."),
    },
    rules=(NET_SALES_ADD_UP, TOTAL_SALES_ADD_UP),
    key=("order_date", "order_id", "event_number"),
    day_column="order_date",
    indexes=("event_date", "customer_key"),
)

CLEAN_CUSTOMERS = _contract(
    "clean/customers",
    "One row per registered customer, newest version; personal data only hashed.",
    {
        "customer_id": _column(TEXT, "The shop's id of the customer.", NOT_EMPTY, personal=True),
        "email_hash": _column(
            TEXT, "Hash of the e-mail address, trimmed and in lower case.", nullable=True, personal=True
        ),
        "country": _column(TEXT, "Country, as the shop gives it.", nullable=True),
        "registered_at": _column(STAMP, "When the customer registered.", nullable=True),
        "first_order_date": _column(
            DAY, "Business day of the first order with gross sales above zero, where the shop says it.", nullable=True
        ),
        "updated_at": _column(STAMP, "When the shop last changed the record, where it says so.", nullable=True),
    },
    key=("customer_id",),
)

CLEAN_PRODUCTS = _contract(
    "clean/products",
    "One row per product, newest version.",
    {
        "product_id": _column(TEXT, "The product's id.", NOT_EMPTY),
        "title": _column(TEXT, "Title.", nullable=True),
        "category": _column(TEXT, "Category.", nullable=True),
        "price": _money(
            "Current list price, in the shop's currency; null where the shop's value is none.", nullable=True
        ),
        "cost": _column(
            MONEY, "What one unit costs the shop, in its currency, where it says so.", nullable=True, later=True
        ),
        "updated_at": _column(STAMP, "When the shop last changed the record, where it says so.", nullable=True),
    },
    key=("product_id",),
)

QUARANTINE = _contract(
    "ops/quarantine",
    "Orders, and refunds and cancellations of clean orders, that broke a rule and are in no figure: why, and how much "
    "money they carry.",
    {
        "order_date": _column(DAY, _ORDER_DATE),
        "order_id": _column(TEXT, _ORDER_ID, NOT_EMPTY),
        "kind": _column(
            TEXT,
            "What is held back: the order, or a refund or the cancellation of an order that is clean.",
            KNOWN_KIND,
            filler=ORDER,
        ),
        "event_id": _column(TEXT, "Which refund; empty for an order and for a cancellation.", filler=""),
        "table_name": _column(TEXT, "The table that the record was meant for."),
        "reason": _column(TEXT, "The first rule that it broke.", NOT_EMPTY),
        "column_name": _column(TEXT, "The field of the description that broke it, or the column made of it."),
        "value": _column(TEXT, "The offending value as text, cut at 200 characters.", nullable=True, personal=True),
        "currency": _column(TEXT, "ISO 4217 code of the money at risk, where the record has one.", nullable=True),
        "money_at_risk": _money(
            "What the order claims to add up to, or what the event gives back, where that can be read.", nullable=True
        ),
        # Nullable, so that a table of before the column existed is migrated.
        "contract_version": _column(
            TEXT, "Version of the description and contracts that judged the record; null in old rows.", nullable=True
        ),
        "payload": _column(
            TEXT, "The record as the shop's API sent it; of a refund, the refund.", NOT_EMPTY, json=True, personal=True
        ),
    },
    key=("order_date", "order_id", "kind", "event_id"),
    day_column="order_date",
)

EXCLUSIONS = _contract(
    "ops/exclusions",
    "Orders left out on purpose: by a rule of the shop description, or since they moved to another business day.",
    {
        "order_date": _column(DAY, _ORDER_DATE),
        "order_id": _column(TEXT, _ORDER_ID, NOT_EMPTY),
        "reason": _column(TEXT, "The rule's reason.", NOT_EMPTY),
        "currency": _column(TEXT, "ISO 4217 code of the amount, where the record has one.", nullable=True),
        "order_total": _money("What the record adds up to, where that can be read.", nullable=True),
    },
    key=("order_date", "order_id"),
    day_column="order_date",
)

_ORDERS_THAT = "Orders that {}."
_MONEY_OF = "What these add up to, as far as that can be read."

ACCOUNTING = _contract(
    "ops/accounting",
    "The balance of each business day and currency: what the shop sent is clean, in quarantine or left out.",
    {
        "order_date": _column(DAY, _ORDER_DATE),
        "currency": _column(TEXT, "ISO 4217 code of the amounts; unknown where the records name none.", NOT_EMPTY),
        "raw_orders": _column(COUNT, "Different orders that the shop sent.", NOT_NEGATIVE),
        "raw_money": _money("What these claim to add up to, as far as that can be read."),
        "clean_orders": _column(COUNT, _ORDERS_THAT.format("became clean"), NOT_NEGATIVE),
        "clean_money": _money(_MONEY_OF),
        "quarantined_orders": _column(COUNT, _ORDERS_THAT.format("went into quarantine"), NOT_NEGATIVE),
        "quarantined_money": _money(_MONEY_OF),
        "excluded_orders": _column(COUNT, _ORDERS_THAT.format("were left out on purpose"), NOT_NEGATIVE),
        "excluded_money": _money(_MONEY_OF),
    },
    key=("order_date", "currency"),
    day_column="order_date",
)

ANOMALIES = _contract(
    "ops/anomalies",
    "Figures of a business day that are not as the days before it let expect: by how much, why, and whose doing.",
    {
        "day": _column(DAY, "Business day of the figure, in the shop's time zone."),
        "currency": _column(TEXT, "ISO 4217 code: of amounts, and of the orders that are counted.", CURRENCY_CODE),
        "metric": _column(TEXT, "The figure, as in net_sales.", NOT_EMPTY),
        "value": _money("The figure: an amount, a count, or a share of 1."),
        "expected": _money("What the days before let expect."),
        "low": _money("Lowest figure that would be as expected."),
        "high": _money("Highest figure that would be as expected."),
        "score": _money("How many usual deviations the figure lies away, with its sign."),
        "direction": _column(TEXT, "above or below.", ABOVE_OR_BELOW),
        "segment_kind": _column(
            TEXT, "What carries the difference: order, customer, product, country, ...; null for none.", nullable=True
        ),
        "segment": _column(TEXT, "Which one.", nullable=True, personal=True),
        "share_explained": _money("Share of the difference that the segment carries; 1 is all of it.", nullable=True),
        "explanation": _column(TEXT, "The finding in words.", NOT_EMPTY, personal=True),
        "is_pipeline_suspect": _column(FLAG, "Whether something speaks for the pipeline having made the difference."),
        "suspicion": _column(TEXT, "What does.", nullable=True),
    },
    rules=(
        _rule(
            "low <= expected <= high",
            lambda rows: (rows["low"] <= rows["expected"]) & (rows["expected"] <= rows["high"]),
        ),
    ),
    key=("day", "currency", "metric"),
    day_column="day",
)

CONTRACTS: tuple[Contract, ...] = (
    RAW_ORDERS,
    RAW_CUSTOMERS,
    RAW_PRODUCTS,
    CLEAN_ORDERS,
    CLEAN_ORDER_LINES,
    CLEAN_SALES,
    CLEAN_CUSTOMERS,
    CLEAN_PRODUCTS,
    QUARANTINE,
    EXCLUSIONS,
    ACCOUNTING,
    ANOMALIES,
)
