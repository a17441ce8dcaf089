"""How much of each business day is in quarantine: of its orders, and of the money of each currency.

Orders left out on purpose do not count. Amounts count without their sign, so that a credit note hides no sale; an
amount whose currency or value is not known counts on neither side.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pandas as pd
import pyarrow as pa

from analytics_pipeline.contracts import EXAMPLES, ORDER
from analytics_pipeline.transforms.values import ZERO

Money = Mapping[str, Decimal]


@dataclass(frozen=True)
class Reason:
    """A broken rule of one business day: how many orders broke it, and up to five of their ids."""

    text: str
    orders: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.text}: {self.orders} ({', '.join(self.examples)})"


@dataclass(frozen=True)
class QuarantinedDay:
    """A business day with orders in quarantine.

    Attributes:
        day: The business day.
        orders: Its clean and its quarantined orders.
        quarantined: Those in quarantine.
        money: Amounts of all these orders by currency, without sign.
        quarantined_money: Amounts of those in quarantine.
        reasons: The broken rules, the most frequent one first.
    """

    day: date
    orders: int
    quarantined: int
    money: Money
    quarantined_money: Money
    reasons: tuple[Reason, ...]

    @property
    def share(self) -> Fraction:
        """The largest of the shares of orders and of each currency's money, exactly."""
        amounts = (
            Fraction(self.quarantined_money.get(currency, ZERO)) / Fraction(total)
            for currency, total in self.money.items()
            if total
        )
        return max([Fraction(self.quarantined, self.orders), *amounts])

    def __str__(self) -> str:
        money = ", ".join(
            f"{self.quarantined_money.get(currency, ZERO)} of {total} {currency}"
            for currency, total in sorted(self.money.items())
        )
        reasons = "; ".join(str(reason) for reason in self.reasons)
        amounts = f", {money}" if money else ""
        return f"{self.day}: {self.quarantined} of {self.orders} orders{amounts} ({percent(self.share)}); {reasons}"


def percent(share: Fraction) -> str:
    """Show a share as a percentage, as exactly as two decimals allow."""
    return f"{float(share * 100):.2f} %"


def quarantined_days(clean: pd.DataFrame, quarantine: pd.DataFrame) -> list[QuarantinedDay]:
    """Return the days that have orders in quarantine, in order.

    Args:
        clean: Rows of `clean/orders`, whole days, with Arrow dtypes.
        quarantine: Rows of `ops/quarantine` of the same days.
    """
    orders = quarantine[quarantine["kind"] == ORDER]
    days = sorted(orders["order_date"].unique())
    found = []
    for day in days:
        kept, held = clean[clean["order_date"] == day], orders[orders["order_date"] == day]
        held_money = _money(held, "money_at_risk")
        kept_money = _money(kept, "order_total")
        found.append(
            QuarantinedDay(
                day=day,
                orders=len(kept) + len(held),
                quarantined=len(held),
                money={
                    currency: kept_money.get(currency, ZERO) + held_money.get(currency, ZERO)
                    for currency in sorted({*kept_money, *held_money})
                },
                quarantined_money=held_money,
                reasons=_reasons(held),
            )
        )
    return found


def _money(rows: pd.DataFrame, column: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for currency, amount in zip(
        pa.array(rows["currency"]).to_pylist(), pa.array(rows[column]).to_pylist(), strict=True
    ):
        if currency is not None and amount is not None:
            sums[currency] = sums.get(currency, ZERO) + abs(amount)
    return sums


def _reasons(held: pd.DataFrame) -> tuple[Reason, ...]:
    ids: dict[str, list[str]] = {}
    for reason, order_id in zip(held["reason"], held["order_id"], strict=True):
        ids.setdefault(reason, []).append(order_id)
    reasons = [Reason(text, len(orders), tuple(orders[:EXAMPLES])) for text, orders in ids.items()]
    return tuple(sorted(reasons, key=lambda reason: (-reason.orders, reason.text)))
