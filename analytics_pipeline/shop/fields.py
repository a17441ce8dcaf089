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
    """A field of the description's own: a column of clean orders."""

    path: Expression
    type: ExtraType = "text"


ExtraName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]


class OrderFields(Model):
    """Paths from an order to our fields."""

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
    """Paths from an order line to our fields; its value is that of a unit, or that of the whole line."""

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
    """Where an order's lines are."""

    records: Expression
    fields: LineFields


class RefundLineFields(Model):
    """Paths from a refund line to our fields."""

    line_id: Expression
    quantity: Expression
    amount: Expression
    tax: Expression | None = None


class RefundLines(Model):
    """Where a refund's lines are."""

    records: Expression
    fields: RefundLineFields


class RefundFields(Model):
    """Paths from a refund to our fields."""

    refund_id: Expression
    refunded_at: Expression
    shipping: Expression | None = None
    shipping_tax: Expression | None = None
    adjustment: Expression | None = None


class Refunds(Model):
    """Where an order's refunds are."""

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
    """Paths from a customer to our fields."""

    customer_id: Expression
    created_at: Expression | None = None
    updated_at: Expression | None = None
    email: Expression | None = None
    name: Expression | None = None
    country: Expression | None = None
    first_order_at: Expression | None = None


class ProductFields(Model):
    """Paths from a product to our fields."""

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
