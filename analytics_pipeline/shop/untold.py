"""Figures that a shop's records do not tell: their names, and which of them cannot be the only ones. No SQL here."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

Figure = Literal[
    "orders",
    "units_sold",
    "units_returned",
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "charges",
    "taxes",
    "total_sales",
    "tips",
    "fees",
    "duties",
    "gift_cards_sold",
    "gift_cards_redeemed",
    "customers",
]
_SUMS = (
    ("net_sales", ("gross_sales", "discounts", "returns")),
    ("total_sales", ("net_sales", "shipping", "charges", "taxes")),
)
_PARTS = ("tips", "fees", "duties")


def _are_not_known_after_all(figures: tuple[str, ...]) -> tuple[str, ...]:
    if twice := {name for name in figures if figures.count(name) > 1}:
        raise ValueError(f"{min(twice)} is named twice")
    for total, parts in _SUMS:
        named = [name for name in (total, *parts) if name in figures]
        if len(named) == 1:
            raise ValueError(
                f"{named[0]} alone would follow from the others, since {total} is made of {', '.join(parts)}: what is "
                "not told stands in another of them, which cannot be told either; name it too"
            )
    if "charges" in figures and (missing := [name for name in _PARTS if name not in figures]):
        raise ValueError(f"charges contain {', '.join(missing)}, which cannot be told either; name them too")
    return figures


CannotTell = Annotated[
    tuple[Figure, ...],
    Field(strict=False, exclude_if=lambda figures: not figures),
    AfterValidator(_are_not_known_after_all),
]
"""Columns of daily_revenue that are null; of a sum at least two, or the one would follow from the others."""
