"""What a description says of how the shop writes amounts: their unit, and how they are rounded."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from analytics_pipeline.shop.protocol import Model

Rounding = Literal["half_up", "half_even", "down"]
MOST_PLACES = 4
_FORM = r"\d{1,9}(\.\d{1,4})?"


def _tolerance(value: object) -> Decimal:
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if not text.isascii() or not text.replace(".", "", 1).isdigit():
        raise ValueError('must be an amount in quotes, such as "0.01"')
    found = Decimal(text)
    if found >= Decimal(10) ** 9 or found != round(found, MOST_PLACES):
        raise ValueError(f"must have at most nine digits before the point and {MOST_PLACES} after it")
    return found


Tolerance = Annotated[
    Decimal,
    BeforeValidator(_tolerance),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^{_FORM}$"}, {"type": "number", "minimum": 0}]}),
]


class Money(Model):
    """How the shop writes amounts.

    Attributes:
        unit: `major` where 19.99 is written so, `minor` where it is 1999; by the currency of the record.
        round_to: Decimals that amounts are rounded to, or `currency` for those of the currency; without it an amount of
            more than four is no amount.
        rounding: How: halves away from zero, halves to the even digit, or towards zero.
        tolerance: By how much a stated total may differ from what its parts add up to.
    """

    unit: Literal["major", "minor"] = "major"
    round_to: Annotated[int, Field(ge=0, le=MOST_PLACES)] | Literal["currency"] | None = None
    rounding: Rounding = "half_up"
    tolerance: Tolerance = Decimal(0)

    @property
    def is_as_written(self) -> bool:
        """Whether amounts are taken as they are."""
        return self.unit == "major" and self.round_to is None

    @property
    def needs_currency(self) -> bool:
        """Whether how an amount is read depends on its currency."""
        return self.unit == "minor" or self.round_to == "currency"
