"""Which of our fields a description maps, one model per `fields` of the file, and where the lists within orders are.

What the lists themselves may say (path, paging, windows) is in spec.py; what a value means is in transforms.
"""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from analytics_pipeline.shop.charges import Charges
from analytics_pipeline.shop.protocol import LATER, Expression, Model, Times

VALUES = frozenset({"unit_price", "line_total"})
"""Fields of a line of which exactly one is mapped."""
DESCRIPTIVE_TEXTS = ("channel", "payment_method", "location", "shipping_country", "shipping_region")
DESCRIPTIVE_LISTS = ("discount_codes", "tags")
"""Fields of an order that no figure is made of: texts, and lists of texts."""
EXTRA_PREFIX = "extra_"
"""Begins the columns of a description's own fields."""
ExtraType = Literal["text", "number", "money", "count", "flag", "stamp", "day"]


class Extra(Model):
    """A field of the description's own: a column of clean orders.

    Attributes:
        path: What it is: an expression on the order.
        type: Its type.
    """

    path: Expression
    type: ExtraType = "text"


ExtraName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]


class OrderFields(Model):
    """Paths from an order to our fields.

    Attributes:
        order_id: The order's id.
        created_at: When it was placed: decides the business day.
        updated_at: When it was last changed: of two versions the newest wins.
        cancelled_at: When it was cancelled: its sales are reversed on that day.
        currency: Its currency, else the shop's.
        customer_id: The customer's id; empty for guests.
        email: Stored as a hash only; knows guests again.
        country: As the shop writes it.
        prices_include_tax: True if prices, discounts and shipping contain tax.
        order_discount: Order-wide discount that the lines do not contain.
        discounts: All discounts: compared with the parts.
        shipping: What the customer pays for shipping.
        shipping_tax: Tax on shipping.
        taxes: All taxes: compared with the parts.
        total: What the order adds up to, refunds apart: compared with the parts.
        channel: Where it was sold.
        payment_method: How it is paid.
        location: Which shop or store sold it.
        shipping_country: Where it is sent.
        shipping_region: Where it is sent, within the country.
        discount_codes: Codes that were used: a list, or a text with commas.
        tags: The order's tags: a list, or a text with commas.
    """

    order_id: Expression
    created_at: Expression
    updated_at: Expression | None = None
    cancelled_at: Expression | None = None
    currency: Expression | None = None
    customer_id: Expression | None = None
    email: Expression | None = None
    country: Expression | None = None
    prices_include_tax: Expression | None = None
    order_discount: Expression | None = None
    discounts: Expression | None = None
    shipping: Expression | None = None
    shipping_tax: Expression | None = None
    taxes: Expression | None = None
    total: Expression | None = None
    channel: Expression | None = LATER
    payment_method: Expression | None = LATER
    location: Expression | None = LATER
    shipping_country: Expression | None = LATER
    shipping_region: Expression | None = LATER
    discount_codes: Expression | None = LATER
    tags: Expression | None = LATER


class LineFields(Model):
    """Paths from an order line to our fields; its value is that of a unit, or that of the whole line.

    Attributes:
        product_id: The product's id.
        quantity: Units: a whole number.
        unit_price: Price of one unit.
        line_total: What the whole line costs before discounts, in place of unit_price.
        line_id: The line's id, else its position.
        title: The product's title at the time of the order.
        discount: Discount of the whole line.
        tax: Tax of the whole line.
        tax_rate: Such as 0.19.
    """

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["unit_price"]}, {"required": ["line_total"]}]})

    product_id: Expression
    quantity: Expression
    unit_price: Expression | None = None
    line_total: Expression | None = LATER
    line_id: Expression | None = None
    title: Expression | None = None
    discount: Expression | None = None
    tax: Expression | None = None
    tax_rate: Expression | None = None

    @model_validator(mode="after")
    def _has_one_value(self) -> "LineFields":
        if (self.unit_price is None) == (self.line_total is None):
            raise ValueError("give unit_price, the price of one unit, or line_total, that of the line; not both")
        return self


class Lines(Model):
    """Where an order's lines are.

    Attributes:
        records: The order's list of lines.
        fields: Paths of a line's fields.
    """

    records: Expression
    fields: LineFields


class RefundLineFields(Model):
    """Paths from a refund line to our fields.

    Attributes:
        line_id: The line that is taken back.
        quantity: Units taken back.
        amount: Their value after discount.
        tax: Tax on it.
    """

    line_id: Expression
    quantity: Expression
    amount: Expression
    tax: Expression | None = None


class RefundLines(Model):
    """Where a refund's lines are.

    Attributes:
        records: The refund's list of lines.
        fields: Paths of a refunded line's fields.
    """

    records: Expression
    fields: RefundLineFields


class RefundFields(Model):
    """Paths from a refund to our fields.

    Attributes:
        refund_id: The refund's id.
        refunded_at: When: decides the business day of the return.
        shipping: Shipping given back.
        shipping_tax: Tax on it.
        adjustment: Goods value given back without naming lines.
    """

    refund_id: Expression
    refunded_at: Expression
    shipping: Expression | None = None
    shipping_tax: Expression | None = None
    adjustment: Expression | None = None


class Refunds(Model):
    """Where an order's refunds are.

    Attributes:
        records: The order's list of refunds.
        fields: Paths of a refund's fields.
        lines: The refund's lines.
        charges: Other charges that are given back.
        times: How refunds write stamps, where otherwise than orders.
    """

    records: Expression
    fields: RefundFields
    lines: RefundLines | None = None
    charges: Charges = ()
    times: Times | None = LATER


Flag = bool | Expression | None


def _said(alias: str) -> Any:  # noqa: ANN401  # as pydantic's Field
    return Field(default=None, alias=alias, exclude_if=lambda value: value is None)


class IncludesTax(Model):
    """Which amounts contain tax: true, false or an expression on the order; by default as `prices_include_tax` says.

    Of refunds, lines and adjustments do not by default.

    Attributes:
        lines: Of prices.
        discount: Of discounts.
        shipping: Of shipping.
        charges: Of other charges.
        refund_lines: Of refunded lines.
        refund_shipping: Of refunded shipping.
        refund_adjustment: Of adjustments.
    """

    lines: Flag = LATER
    discount: Flag = LATER
    shipping: Flag = LATER
    charges: Flag = LATER
    refund_lines: Flag = _said("refunds.lines")
    refund_shipping: Flag = _said("refunds.shipping")
    refund_adjustment: Flag = _said("refunds.adjustment")

    @property
    def expressions(self) -> dict[str, str]:
        """The expressions, by the part that they are about, as `includes_tax.lines`."""
        return {f"includes_tax.{part}": said for part, said in self if isinstance(said, str)}


class CustomerFields(Model):
    """Paths from a customer to our fields.

    Attributes:
        customer_id: The customer's id.
        created_at: When the customer registered.
        updated_at: When the record was last changed.
        email: Stored as a hash only.
        name: Not stored in a clean table.
        country: As the shop writes it.
        first_order_at: First order ever.
    """

    customer_id: Expression
    created_at: Expression | None = None
    updated_at: Expression | None = None
    email: Expression | None = None
    name: Expression | None = None
    country: Expression | None = None
    first_order_at: Expression | None = None


class ProductFields(Model):
    """Paths from a product to our fields.

    Attributes:
        product_id: The product's id, as in the lines.
        title: Title.
        category: Category.
        price: Current list price.
        cost: What one unit costs the shop.
        updated_at: When the record was last changed.
    """

    product_id: Expression
    title: Expression | None = None
    category: Expression | None = None
    price: Expression | None = None
    cost: Expression | None = LATER
    updated_at: Expression | None = None


def as_text(value: object) -> str:
    """Return a plain value as JSON writes it, texts without their quotes."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def mapped_names(prefix: str, fields: Model) -> list[str]:
    """Return the names of the fields that are mapped, each with the prefix in front."""
    return [f"{prefix}{name}" for name, path in fields if path is not None]
