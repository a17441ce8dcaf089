"""What a description says of orders: how their records are mapped, and where an API has them.

The paths of single fields are in fields.py; orders that are read from files are in files.py.
"""

from typing import Annotated

from pydantic import Field, model_validator

from analytics_pipeline.shop.charges import Charges, named, placed_like
from analytics_pipeline.shop.endpoints import DatedEndpoint, Records
from analytics_pipeline.shop.fields import (
    DESCRIPTIVE_LISTS,
    DESCRIPTIVE_TEXTS,
    EXTRA_PREFIX,
    Extra,
    ExtraName,
    IncludesTax,
    Lines,
    OrderFields,
    Refunds,
    mapped_names,
)
from analytics_pipeline.shop.protocol import LATER, Expression, FieldPath, Model, Reason
from analytics_pipeline.shop.related import Follow, ListName, Related

LEAST_SHOWN_DAYS = 3


class Exclusion(Model):
    """Records left out on purpose, with the reason they are counted under.

    Attributes:
        when: True of a record that is left out.
        reason: What it is counted under.
    """

    when: Expression
    reason: Reason


class OrderMapping(Records):
    """What is made of the records of orders, wherever they are read from.

    Attributes:
        exclude: Rules that leave orders out on purpose; the first that is true counts.
        returns_when: True of a credit note: the whole record is goods taken back.
        cancelled_when: True of a cancelled order, where the shop does not say when that was.
        volatile: Paths in which two versions of an order may differ and be the same.
        fields: Paths of an order's fields.
        lines: The order's lines.
        extra: Further columns of clean.orders, by name.
        includes_tax: Which amounts contain tax, field by field.
        charges: Other charges than lines and shipping: tips, fees, duties, gift cards.
        refunds: The order's refunds.
    """

    exclude: Annotated[tuple[Exclusion, ...], Field(strict=False)] = ()
    returns_when: Expression | None = None
    cancelled_when: Expression | None = LATER
    volatile: Annotated[tuple[FieldPath, ...], Field(strict=False, exclude_if=lambda paths: not paths)] = ()
    fields: OrderFields
    lines: Lines
    extra: dict[ExtraName, Extra] = Field(default_factory=dict, exclude_if=lambda extra: not extra)
    includes_tax: IncludesTax | None = LATER
    charges: Charges = ()
    refunds: Refunds | None = None

    @model_validator(mode="after")
    def _has_rates_where_taxes_differ(self) -> "OrderMapping":
        said = self.includes_tax
        differs = said is not None and said.lines != said.discount and {said.lines, said.discount} != {None}
        if differs and self.lines.fields.discount and not self.lines.fields.tax_rate:
            raise ValueError("includes_tax says of lines and discount different things: map lines.fields.tax_rate")
        return self

    @property
    def mapped_fields(self) -> list[str]:
        """Names of all mapped fields, those of entries with their list in front: `lines.discount`."""
        found = [*super().mapped_fields, *mapped_names("lines.", self.lines.fields)]
        if self.refunds:
            found += mapped_names("refunds.", self.refunds.fields)
            found += mapped_names("refunds.lines.", self.refunds.lines.fields) if self.refunds.lines else []
            found += [f"refunds.{name}" for name in named(self.refunds.charges)]
        return [*found, *named(self.charges), *(f"{EXTRA_PREFIX}{name}" for name in self.extra)]

    @property
    def is_described(self) -> bool:
        """Whether it maps fields that no figure is made of."""
        return bool(self.extra) or any(getattr(self.fields, name) for name in (*DESCRIPTIVE_TEXTS, *DESCRIPTIVE_LISTS))

    @property
    def refund_charges(self) -> Charges:
        """What refunds give back of charges, each with the place that it counts in."""
        return placed_like(self.refunds.charges, self.charges) if self.refunds else ()

    @model_validator(mode="after")
    def _gives_back_what_it_charges(self) -> "OrderMapping":
        placed_like(self.refunds.charges if self.refunds else (), self.charges)
        return self


class Orders(OrderMapping, DatedEndpoint):
    """The shop's orders, as its API lists them.

    Attributes:
        shown_days: How many days the shop shows an order: older ones are kept as they are, and not asked for.
        related: Lists of their own path that belong to orders, by name.
        follow: Lists that are asked for order by order, by name.
    """

    shown_days: int | None = Field(default=None, ge=LEAST_SHOWN_DAYS, exclude_if=lambda days: days is None)
    related: dict[ListName, Related] = Field(default_factory=dict)
    follow: dict[ListName, Follow] = Field(default_factory=dict)

    @property
    def joined(self) -> dict[str, str]:
        """The key of an order under which the records of each list are that belongs to orders, by the list's name."""
        own = {name: related.into for name, related in self.related.items()}
        return own | {name: follow.into for name, follow in self.follow.items()}

    @model_validator(mode="after")
    def _lists_have_names_of_their_own(self) -> "Orders":
        twice = sorted(self.related.keys() & self.follow.keys())
        if twice:
            raise ValueError(f"{', '.join(twice)} is a name under related and under follow")
        return self
