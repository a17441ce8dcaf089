"""How much of each business day is in quarantine: of its orders, and of the money of each currency; and when it blocks.

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

from analytics_pipeline.tables.contracts import EXAMPLES, ORDER
from analytics_pipeline.transforms.values import ZERO

Money = Mapping[str, Decimal]


FEW_ORDERS = 5
"""With fewer orders on a day, one bad one is more than any sensible share."""


@dataclass(frozen=True)
class Reason:
    """A broken rule of one business day: of which field, how many broke it, and up to five ids of their orders."""

    text: str
    column: str
    orders: int
    examples: tuple[str, ...]

    @property
    def rule(self) -> str:
        """Rule and field; nothing of it is the shop's."""
        return f"{self.text} ({self.column})"

    def __str__(self) -> str:
        return f"{self.rule}: {self.orders}, such as {', '.join(self.examples)}"


@dataclass(frozen=True)
class QuarantinedDay:
    """A business day with orders, or events of clean ones, in quarantine.

    Attributes:
        day: The business day.
        orders: Its clean and its quarantined orders.
        quarantined: Those in quarantine.
        marked: Clean orders of which a refund or the cancellation is in quarantine.
        unknown: Orders in quarantine whose amount or currency is not known.
        money: Amounts of all these orders by currency, without sign.
        quarantined_money: Amounts of those in quarantine.
        reasons: The broken rules, the most frequent one first.
    """

    day: date
    orders: int
    quarantined: int
    marked: int
    unknown: int
    money: Money
    quarantined_money: Money
    reasons: tuple[Reason, ...]

    @property
    def share_of_orders(self) -> Fraction:
        """Share of the orders that are in quarantine, exactly."""
        return Fraction(self.quarantined, self.orders)

    @property
    def share(self) -> Fraction:
        """The largest of the shares of orders, of each currency's money, and of orders with events in quarantine."""
        amounts = (
            Fraction(self.quarantined_money.get(currency, ZERO)) / Fraction(total)
            for currency, total in self.money.items()
            if total
        )
        return max([self.share_of_orders, Fraction(self.marked, self.orders), *amounts])

    def is_blocked(self, limit: float | None) -> bool:
        """Whether the day must not be written: too many of its orders are bad, or all of two and more.

        What a bad record claims to cost is not proved, so that money alone stops no day.
        """
        is_all = self.quarantined == self.orders > 1
        return is_above(self.share_of_orders, limit) and (self.orders >= FEW_ORDERS or is_all)

    def is_doubtful(self, limit: float | None) -> bool:
        """Whether more than the limit is in quarantine, and the day is written all the same."""
        return is_above(self.share, limit) and not self.is_blocked(limit)

    @property
    def summary(self) -> str:
        """The day in words of which nothing is the shop's."""
        what = f"{self.quarantined} of {self.orders} orders ({percent(self.share_of_orders)})"
        return f"{self.day}: {what}, mostly: {self.reasons[0].rule}"

    def __str__(self) -> str:
        amounts = [
            f"{self.quarantined_money.get(currency, ZERO)} of {total} {currency}"
            for currency, total in sorted(self.money.items())
        ]
        if self.unknown:
            amounts.append(f"{self.unknown} of unknown amount")
        if self.marked:
            amounts.append(f"events of {self.marked} other orders")
        shown = "".join(f", {amount}" for amount in amounts)
        reasons = "; ".join(str(reason) for reason in self.reasons)
        return f"{self.day}: {self.quarantined} of {self.orders} orders{shown} ({percent(self.share)}); {reasons}"


def is_above(share: Fraction, limit: float | None) -> bool:
    """Whether a share is larger than a limit; by the limit's digits: as a binary fraction 0.1 lies above one tenth."""
    return limit is not None and share > Fraction(str(limit))


def percent(share: Fraction) -> str:
    """Show a share as a percentage, as exactly as two decimals allow."""
    return f"{float(share * 100):.2f} %"


def quarantined_days(clean: pd.DataFrame, quarantine: pd.DataFrame) -> list[QuarantinedDay]:
    """Return the days that have something in quarantine, in order.

    Args:
        clean: Rows of `clean/orders`, whole days, with Arrow dtypes.
        quarantine: Rows of `ops/quarantine` of the same days.
    """
    found = []
    for day in sorted(quarantine["order_date"].unique()):
        kept, of_day = clean[clean["order_date"] == day], quarantine[quarantine["order_date"] == day]
        held = of_day[of_day["kind"] == ORDER]
        held_money = _money(held, "money_at_risk")
        kept_money = _money(kept, "order_total")
        found.append(
            QuarantinedDay(
                day=day,
                orders=len(kept) + len(held),
                quarantined=len(held),
                marked=int(kept["has_quarantined_events"].sum()),
                unknown=int((held["currency"].isna() | held["money_at_risk"].isna()).sum()),
                money={
                    currency: kept_money.get(currency, ZERO) + held_money.get(currency, ZERO)
                    for currency in sorted({*kept_money, *held_money})
                },
                quarantined_money=held_money,
                reasons=_reasons(of_day),
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
    ids: dict[tuple[str, str], list[str]] = {}
    for reason, column, order_id in zip(held["reason"], held["column_name"], held["order_id"], strict=True):
        ids.setdefault((reason, column), []).append(order_id)
    reasons = [Reason(*rule, len(orders), tuple(orders[:EXAMPLES])) for rule, orders in ids.items()]
    return tuple(sorted(reasons, key=lambda reason: (-reason.orders, reason.rule)))
