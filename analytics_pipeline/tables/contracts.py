"""The contracts of the raw, clean and ops tables: what each column is, and what every row has to satisfy.

One pandera schema per table is the single source; table shape, DDL, comments, Dagster's column schema and the
validation before each write (`promises`) derive from it. How records become rows is `transforms`' part; marts describe
themselves in their SQL files.
"""

from analytics_pipeline.shop.charges import CHARGED, REFUNDED
from analytics_pipeline.tables.contract import (
    CURRENCY_CODE,
    NOT_EMPTY,
    NOT_NEGATIVE,
    Contract,
    column,
    contract,
    later_money,
    later_text,
    money,
    rule,
)
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT

_FIRST_EVENT_TYPES = ("line_sold", "line_returned", "shipping_charged", "shipping_refunded", "adjustment")
EVENT_TYPES = (*_FIRST_EVENT_TYPES, *CHARGED, *REFUNDED)
ORDER, REFUND, CANCELLATION = "order", "refund", "cancellation"
HELD_KINDS = (ORDER, REFUND, CANCELLATION)
"""What a row of ops/quarantine holds back: a whole order, or an event of an order that is clean."""
EXAMPLES = 5
MOVED = "moved to another business day"
"""Reason for which an order is left out of a day: a newer version of it stands on another one."""


ABOVE_OR_BELOW = rule("is above or below", lambda values: values.isin(("above", "below")))
KNOWN_KIND = rule(f"is one of {', '.join(HELD_KINDS)}", lambda values: values.isin(HELD_KINDS))
KNOWN_EVENT = rule(
    f"is one of {', '.join(EVENT_TYPES)}",
    lambda values: values.isin(EVENT_TYPES),
    formerly=f"is one of {', '.join(_FIRST_EVENT_TYPES)}",
)
NET_SALES_ADD_UP = rule(
    "net_sales = gross_sales - discounts - returns",
    lambda rows: rows["net_sales"] == rows["gross_sales"] - rows["discounts"] - rows["returns"],
)
TOTAL_SALES_ADD_UP = rule(
    "total_sales = net_sales + shipping + charges + taxes",
    lambda rows: rows["total_sales"] == rows["net_sales"] + rows["shipping"] + rows["charges"] + rows["taxes"],
    formerly="total_sales = net_sales + shipping + taxes",
)
ORDER_TOTAL_ADDS_UP = rule(
    "order_total = gross_sales - discounts - returns + shipping + charges + taxes + outside_sales",
    lambda rows: (
        rows["order_total"]
        == (rows["gross_sales"] - rows["discounts"] - rows["returns"] + rows["shipping"])
        + (rows["charges"] + rows["taxes"] + rows["outside_sales"])
    ),
    formerly="order_total = gross_sales - discounts - returns + shipping + taxes",
)

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


RAW_ORDERS = contract(
    "raw/orders",
    "The orders of each business day as the shop's API sent them; what it sent twice stands here twice.",
    {
        "order_id": column(TEXT, _ORDER_ID, NOT_EMPTY),
        "order_date": column(DAY, _ORDER_DATE),
        "extracted_at": column(STAMP, _EXTRACTED_AT),
        "payload": column(TEXT, _PAYLOAD, NOT_EMPTY, json=True, personal=True),
    },
    day_column="order_date",
    indexes=("order_date, order_id", "order_id"),
)


def _raw_dimension(name: str, id_column: str, what: str) -> Contract:
    return contract(
        name,
        f"The {what} as the shop's API sent them, newest answer per id.",
        {
            id_column: column(TEXT, "The record's id, as the shop gives it.", NOT_EMPTY),
            "changed_at": column(STAMP, "The shop's own stamp of the last change, where it gives one.", nullable=True),
            "extracted_at": column(STAMP, _EXTRACTED_AT),
            "payload": column(TEXT, _PAYLOAD, NOT_EMPTY, json=True, personal=id_column == "customer_id"),
        },
        merge_column=id_column,
        indexes=(id_column,),
    )


RAW_CUSTOMERS = _raw_dimension("raw/customers", "customer_id", "customers")
RAW_PRODUCTS = _raw_dimension("raw/products", "product_id", "products")

CLEAN_ORDERS = contract(
    "clean/orders",
    "One row per order or credit note, newest version, amounts as placed; refunded_total is what was given back since.",
    {
        "order_id": column(TEXT, _ORDER_ID, NOT_EMPTY),
        "order_date": column(DAY, _ORDER_DATE),
        "ordered_at": column(STAMP, "When the order was placed."),
        "updated_at": column(STAMP, "When the shop last changed the order, where it says so.", nullable=True),
        "cancelled_at": column(STAMP, "When the order was cancelled.", nullable=True),
        "customer_key": column(TEXT, _CUSTOMER_KEY, nullable=True, personal=True),
        "customer_id": column(TEXT, "The shop's id of a registered customer.", nullable=True, personal=True),
        "email_hash": column(
            TEXT, "Hash of the order's e-mail address, trimmed and in lower case.", nullable=True, personal=True
        ),
        "country": column(TEXT, "Country, as the shop gives it.", nullable=True),
        "channel": later_text("Where it was sold, such as web or a market place, as the shop gives it."),
        "payment_method": later_text("How it was paid, as the shop gives it."),
        "location": later_text("Store or warehouse that sold it, as the shop gives it."),
        "shipping_country": later_text("Country that it is sent to, as the shop gives it."),
        "shipping_region": later_text("State or region that it is sent to, as the shop gives it."),
        "discount_codes": later_text("Codes that were used, a JSON list of texts.", json=True),
        "tags": later_text("Tags of the order, a JSON list of texts.", json=True),
        "is_credit_note": column(FLAG, "Whether the record is goods taken back rather than an order."),
        "currency": column(TEXT, _CURRENCY, CURRENCY_CODE),
        "units": column(COUNT, "Sum of the lines' quantities; negative for a credit note."),
        "gross_sales": money(_GROSS, NOT_NEGATIVE),
        "discounts": money(_DISCOUNTS, NOT_NEGATIVE),
        "returns": money("Value of goods that a credit note takes back; zero for an order.", NOT_NEGATIVE),
        "shipping": money("Shipping charged, tax excluded."),
        "charges": later_money(f"{_CHARGES}."),
        "taxes": money("Taxes of goods, shipping and charges."),
        "outside_sales": later_money(f"{_OUTSIDE}."),
        "order_total": money(
            "What the order added up to when placed, shipping, charges and taxes included; negative for a credit note."
        ),
        "rounding": later_money(
            "What the shop says that the order adds up to, less order_total: within the tolerance."
        ),
        "refunded_total": money(
            "Given back since by refunds and cancellation: goods, shipping, charges and taxes.", NOT_NEGATIVE
        ),
        # Nullable, so that a table of before the column existed is migrated.
        "has_quarantined_events": column(
            FLAG, "Whether a refund or its cancellation is in ops.quarantine; null in old rows.", nullable=True
        ),
    },
    rules=(ORDER_TOTAL_ADDS_UP,),
    key=("order_id",),
    day_column="order_date",
    indexes=("order_date", "customer_key"),
)


CLEAN_ORDER_LINES = contract(
    "clean/order_lines",
    "One row per line of a clean order, amounts as placed and without tax.",
    {
        "order_date": column(DAY, _ORDER_DATE),
        "order_id": column(TEXT, _ORDER_ID, NOT_EMPTY),
        "line_id": column(TEXT, "The line's id within the order; its position where the shop gives none.", NOT_EMPTY),
        "product_id": column(TEXT, "The product's id, as the line gives it.", NOT_EMPTY),
        "title": column(TEXT, "The product's title at the time of the order.", nullable=True),
        "currency": column(TEXT, _CURRENCY, CURRENCY_CODE),
        "quantity": column(COUNT, "Units; negative for goods that a credit note takes back."),
        "unit_price": column(
            MONEY,
            "Price of one unit as listed, including tax where the shop lists it so; null where it lists the line's.",
            NOT_NEGATIVE,
            nullable=True,
            was_required=True,
        ),
        "gross_sales": money(_GROSS, NOT_NEGATIVE),
        "discounts": money(_DISCOUNTS, NOT_NEGATIVE),
        "returns": money("Value of goods that a credit note takes back; zero for a line sold.", NOT_NEGATIVE),
        "net_sales": money(_NET),
        "taxes": money("Taxes of the line."),
    },
    rules=(NET_SALES_ADD_UP,),
    key=("order_date", "order_id", "line_id"),
    day_column="order_date",
)

CLEAN_SALES = contract(
    "clean/sales",
    "The ledger: one row per event of an order, on the business day on which the event happened.",
    {
        "order_date": column(DAY, _ORDER_DATE),
        "order_id": column(TEXT, _ORDER_ID, NOT_EMPTY),
        "event_number": column(COUNT, "Position of the event within its order, from 1."),
        "event_type": column(TEXT, f"One of {', '.join(EVENT_TYPES)}.", KNOWN_EVENT),
        "event_at": column(STAMP, "When the event happened."),
        "event_date": column(DAY, "Business day of the event, in the shop's time zone."),
        "is_cancellation": column(FLAG, "Whether it reverses what was left of an order when that was cancelled."),
        "product_id": column(TEXT, "The product of a line event.", nullable=True),
        "customer_key": column(TEXT, _CUSTOMER_KEY, nullable=True, personal=True),
        "currency": column(TEXT, _CURRENCY, CURRENCY_CODE),
        "quantity": column(COUNT, "Units sold (positive) or taken back (negative)."),
        "gross_sales": money(_GROSS, NOT_NEGATIVE),
        "discounts": money(_DISCOUNTS, NOT_NEGATIVE),
        "returns": money(_RETURNS),
        "net_sales": money(_NET),
        "shipping": money("Shipping charged, or refunded (negative), tax excluded."),
        "charges": later_money(f"{_CHARGES}; negative when given back."),
        "taxes": money(_TAXES),
        "outside_sales": later_money(f"{_OUTSIDE}; with the other sign when given back."),
        "total_sales": money("net_sales + shipping + charges + taxes."),
    },
    rules=(NET_SALES_ADD_UP, TOTAL_SALES_ADD_UP),
    key=("order_date", "order_id", "event_number"),
    day_column="order_date",
    indexes=("event_date", "customer_key"),
)

CLEAN_CUSTOMERS = contract(
    "clean/customers",
    "One row per registered customer, newest version; personal data only hashed.",
    {
        "customer_id": column(TEXT, "The shop's id of the customer.", NOT_EMPTY, personal=True),
        "email_hash": column(
            TEXT, "Hash of the e-mail address, trimmed and in lower case.", nullable=True, personal=True
        ),
        "country": column(TEXT, "Country, as the shop gives it.", nullable=True),
        "registered_at": column(STAMP, "When the customer registered.", nullable=True),
        "first_order_date": column(
            DAY, "Business day of the first order with gross sales above zero, where the shop says it.", nullable=True
        ),
        "updated_at": column(STAMP, "When the shop last changed the record, where it says so.", nullable=True),
    },
    key=("customer_id",),
)

CLEAN_PRODUCTS = contract(
    "clean/products",
    "One row per product, newest version.",
    {
        "product_id": column(TEXT, "The product's id.", NOT_EMPTY),
        "title": column(TEXT, "Title.", nullable=True),
        "category": column(TEXT, "Category.", nullable=True),
        "price": money(
            "Current list price, in the shop's currency; null where the shop's value is none.", nullable=True
        ),
        "cost": column(
            MONEY, "What one unit costs the shop, in its currency, where it says so.", nullable=True, later=True
        ),
        "updated_at": column(STAMP, "When the shop last changed the record, where it says so.", nullable=True),
    },
    key=("product_id",),
)

QUARANTINE = contract(
    "ops/quarantine",
    "Orders, and refunds and cancellations of clean orders, that broke a rule and are in no figure: why, and how much "
    "money they carry.",
    {
        "order_date": column(DAY, _ORDER_DATE),
        "order_id": column(TEXT, _ORDER_ID, NOT_EMPTY),
        "kind": column(
            TEXT,
            "What is held back: the order, or a refund or the cancellation of an order that is clean.",
            KNOWN_KIND,
            filler=ORDER,
        ),
        "event_id": column(TEXT, "Which refund; empty for an order and for a cancellation.", filler=""),
        "table_name": column(TEXT, "The table that the record was meant for."),
        "reason": column(TEXT, "The first rule that it broke.", NOT_EMPTY),
        "column_name": column(TEXT, "The field of the description that broke it, or the column made of it."),
        "value": column(TEXT, "The offending value as text, cut at 200 characters.", nullable=True, personal=True),
        "currency": column(TEXT, "ISO 4217 code of the money at risk, where the record has one.", nullable=True),
        "money_at_risk": money(
            "What the order claims to add up to, or what the event gives back, where that can be read.", nullable=True
        ),
        # Nullable, so that a table of before the column existed is migrated.
        "contract_version": column(
            TEXT, "Version of the description and contracts that judged the record; null in old rows.", nullable=True
        ),
        "payload": column(
            TEXT, "The record as the shop's API sent it; of a refund, the refund.", NOT_EMPTY, json=True, personal=True
        ),
    },
    key=("order_date", "order_id", "kind", "event_id"),
    day_column="order_date",
)

EXCLUSIONS = contract(
    "ops/exclusions",
    "Orders left out on purpose: by a rule of the shop description, or since they moved to another business day.",
    {
        "order_date": column(DAY, _ORDER_DATE),
        "order_id": column(TEXT, _ORDER_ID, NOT_EMPTY),
        "reason": column(TEXT, "The rule's reason.", NOT_EMPTY),
        "currency": column(TEXT, "ISO 4217 code of the amount, where the record has one.", nullable=True),
        "order_total": money("What the record adds up to, where that can be read.", nullable=True),
    },
    key=("order_date", "order_id"),
    day_column="order_date",
)

_ORDERS_THAT = "Orders that {}."
_MONEY_OF = "What these add up to, as far as that can be read."

ACCOUNTING = contract(
    "ops/accounting",
    "The balance of each business day and currency: what the shop sent is clean, in quarantine or left out.",
    {
        "order_date": column(DAY, _ORDER_DATE),
        "currency": column(TEXT, "ISO 4217 code of the amounts; unknown where the records name none.", NOT_EMPTY),
        "raw_orders": column(COUNT, "Different orders that the shop sent.", NOT_NEGATIVE),
        "raw_money": money("What these claim to add up to, as far as that can be read."),
        "clean_orders": column(COUNT, _ORDERS_THAT.format("became clean"), NOT_NEGATIVE),
        "clean_money": money(_MONEY_OF),
        "quarantined_orders": column(COUNT, _ORDERS_THAT.format("went into quarantine"), NOT_NEGATIVE),
        "quarantined_money": money(_MONEY_OF),
        "excluded_orders": column(COUNT, _ORDERS_THAT.format("were left out on purpose"), NOT_NEGATIVE),
        "excluded_money": money(_MONEY_OF),
    },
    key=("order_date", "currency"),
    day_column="order_date",
)

ANOMALIES = contract(
    "ops/anomalies",
    "Figures of a business day that are not as the days before it let expect: by how much, why, and whose doing.",
    {
        "day": column(DAY, "Business day of the figure, in the shop's time zone."),
        "currency": column(TEXT, "ISO 4217 code: of amounts, and of the orders that are counted.", CURRENCY_CODE),
        "metric": column(TEXT, "The figure, as in net_sales.", NOT_EMPTY),
        "value": money("The figure: an amount, a count, or a share of 1."),
        "expected": money("What the days before let expect."),
        "low": money("Lowest figure that would be as expected."),
        "high": money("Highest figure that would be as expected."),
        "score": money("How many usual deviations the figure lies away, with its sign."),
        "direction": column(TEXT, "above or below.", ABOVE_OR_BELOW),
        "segment_kind": column(
            TEXT, "What carries the difference: order, customer, product, country, ...; null for none.", nullable=True
        ),
        "segment": column(TEXT, "Which one.", nullable=True, personal=True),
        "share_explained": money("Share of the difference that the segment carries; 1 is all of it.", nullable=True),
        "explanation": column(TEXT, "The finding in words.", NOT_EMPTY, personal=True),
        "is_pipeline_suspect": column(FLAG, "Whether something speaks for the pipeline having made the difference."),
        "suspicion": column(TEXT, "What does.", nullable=True),
    },
    rules=(
        rule(
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
