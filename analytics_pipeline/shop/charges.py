"""Other charges, beside lines and shipping: their kinds, what they count in, and what a description says of them.

What becomes of a record's charges is `transforms`' part.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from analytics_pipeline.shop.protocol import LATER, Expression, Model

ChargeKind = Literal[
    "tip", "fee", "duty", "handling", "surcharge", "gift_card_sold", "gift_card_redeemed", "store_credit"
]
CountsIn = Literal["total_sales", "net_sales", "nothing"]
TOTAL_SALES, NET_SALES, NOTHING = get_args(CountsIn)
KINDS: tuple[ChargeKind, ...] = get_args(ChargeKind)
PAYMENTS: tuple[ChargeKind, ...] = ("gift_card_redeemed", "store_credit")
"""What an order is paid with: given as a positive amount, it lowers what the order adds up to."""
_OUTSIDE: tuple[ChargeKind, ...] = ("gift_card_sold", *PAYMENTS)
"""What is no sale by default: a gift card is money kept for the customer until goods are bought with it."""

ENDS = ("charged", "refunded")
CHARGED, REFUNDED = (tuple(f"{kind}_{end}" for kind in KINDS) for end in ENDS)
"""Types of the ledger's events."""


def counts_by_default(kind: ChargeKind) -> CountsIn:
    """Return which figures a kind counts in where the description does not say so."""
    return "nothing" if kind in _OUTSIDE else "total_sales"


class Charge(Model):
    """One charge: an amount of the record itself, or of each entry of a list in it.

    Attributes:
        kind: What it is.
        amount: The amount.
        tax: The tax on it.
        records: A list with one charge each; without it the record itself has the amount.
        counts_in: Which figures it counts in.
    """

    kind: ChargeKind
    amount: Expression
    tax: Expression | None = LATER
    records: Expression | None = LATER
    counts_in: CountsIn | None = LATER

    @property
    def place(self) -> CountsIn:
        """Which figures it counts in."""
        return self.counts_in or counts_by_default(self.kind)

    @model_validator(mode="after")
    def _fits_together(self) -> "Charge":
        if self.kind in PAYMENTS and (self.tax or self.counts_in in {"total_sales", "net_sales"}):
            raise ValueError(f"{self.kind} is what an order is paid with: it has no tax and counts in no sales figure")
        return self


Charges = Annotated[tuple[Charge, ...], Field(strict=False, exclude_if=lambda charges: not charges)]


def named(charges: Sequence[Charge]) -> list[str]:
    """Return the names of the mapped amounts and taxes: `charges.tip`, `charges.tip.tax`."""
    amounts = [f"charges.{charge.kind}" for charge in charges]
    return list(dict.fromkeys([*amounts, *(f"charges.{charge.kind}.tax" for charge in charges if charge.tax)]))


def placed_like(given_back: Sequence[Charge], charged: Sequence[Charge]) -> tuple[Charge, ...]:
    """Return what refunds give back, each counting in what the order's charge of its kind counts in.

    Raises:
        ValueError: An order has no charge of that kind, none that counts there, or several and it is not said which.
    """
    found = []
    for charge in given_back:
        places = {other.place for other in charged if other.kind == charge.kind}
        if not places:
            raise ValueError(f"refunds.charges has a {charge.kind}, which orders.charges has none of: add it there")
        if charge.counts_in not in {None, *places}:
            where = " and ".join(sorted(places))
            raise ValueError(f"refunds.charges has a {charge.kind} in {charge.counts_in}, the order's is in {where}")
        if charge.counts_in is None and len(places) > 1:
            raise ValueError(
                f"refunds.charges has a {charge.kind}, and orders.charges several that count in "
                f"{' and '.join(sorted(places))}: say counts_in"
            )
        found.append(charge.model_copy(update={"counts_in": charge.counts_in or min(places)}))
    return tuple(found)
