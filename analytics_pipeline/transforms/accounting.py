"""The balance of one cleaning: every raw order is clean, quarantined or excluded, in orders and in money."""

from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.tables.contracts import ACCOUNTING
from analytics_pipeline.transforms.values import ZERO, money

UNKNOWN_CURRENCY = "unknown"
MoneyByCurrency = dict[str, Decimal]


@dataclass(frozen=True)
class Accounting:
    """Counts and sums of one cleaning; money by currency, never added across.

    Attributes:
        raw_records: Rows of the raw slice, repeated ones too.
        raw_orders: Different orders among them.
        raw_money: What these claim to add up to.
        clean_orders: Orders that became clean; likewise quarantined and excluded.
        clean_money: What they add up to as the shop says, `rounding` included; likewise quarantined and excluded.
        rounding: How much of that is no part of them, but a difference within the description's tolerance.
        tolerated_orders: Clean orders whose stated totals differ from their parts within that tolerance.
        rounded_amounts: Amounts of all records that were rounded since they had too many decimals.
        rounded_by: How much that changed them, without signs.
    """

    raw_records: int = 0
    raw_orders: int = 0
    clean_orders: int = 0
    quarantined_orders: int = 0
    excluded_orders: int = 0
    raw_money: MoneyByCurrency = field(default_factory=dict)
    clean_money: MoneyByCurrency = field(default_factory=dict)
    quarantined_money: MoneyByCurrency = field(default_factory=dict)
    excluded_money: MoneyByCurrency = field(default_factory=dict)
    rounding: MoneyByCurrency = field(default_factory=dict)
    tolerated_orders: int = 0
    rounded_amounts: int = 0
    rounded_by: Decimal = ZERO

    @property
    def unexplained_orders(self) -> int:
        """Raw orders that ended nowhere, or in two places (then negative)."""
        return self.raw_orders - self.clean_orders - self.quarantined_orders - self.excluded_orders

    @property
    def unexplained_money(self) -> MoneyByCurrency:
        """Raw money that ended nowhere, by currency."""
        ended = [self.clean_money, self.quarantined_money, self.excluded_money]
        currencies = {currency for amounts in [self.raw_money, *ended] for currency in amounts}
        return {
            currency: self.raw_money.get(currency, ZERO) - sum((amounts.get(currency, ZERO) for amounts in ended), ZERO)
            for currency in sorted(currencies)
        }

    @property
    def unexplained_difference(self) -> Decimal:
        """The largest difference of any currency, as a positive amount; 0 when everything is explained."""
        return max((abs(amount) for amount in self.unexplained_money.values()), default=ZERO)

    def __add__(self, other: "Accounting") -> "Accounting":
        pairs = {entry.name: (getattr(self, entry.name), getattr(other, entry.name)) for entry in fields(self)}
        sums: dict[str, Any] = {
            name: _added(mine, others) if isinstance(mine, dict) else mine + others
            for name, (mine, others) in pairs.items()
        }
        return Accounting(**sums)


def _added(mine: MoneyByCurrency, others: MoneyByCurrency) -> MoneyByCurrency:
    return {currency: mine.get(currency, ZERO) + others.get(currency, ZERO) for currency in sorted({*mine, *others})}


def account(
    raw_records: int, orders: pd.DataFrame, clean: pd.DataFrame, quarantine: pd.DataFrame, exclusions: pd.DataFrame
) -> Accounting:
    """Draw the balance.

    Args:
        raw_records: Rows of the raw slice.
        orders: All different orders of it, with `currency` and `stated_total`.
        clean: The rows written to clean/orders.
        quarantine: The rows written to ops/quarantine.
        exclusions: The rows written to ops/exclusions.
    """
    return Accounting(
        raw_records=raw_records,
        raw_orders=len(orders),
        clean_orders=len(clean),
        quarantined_orders=len(quarantine),
        excluded_orders=len(exclusions),
        raw_money=_sums(orders, orders["stated_total"]),
        clean_money=_sums(clean, _as_stated(clean)),
        rounding=_sums(clean, clean["rounding"]),
        quarantined_money=_sums(quarantine, quarantine["money_at_risk"]),
        excluded_money=_sums(exclusions, exclusions["order_total"]),
    )


def balances(
    orders: pd.DataFrame, clean: pd.DataFrame, quarantine: pd.DataFrame, exclusions: pd.DataFrame
) -> pd.DataFrame:
    """Return the same balance for each business day and currency, as rows of `ops/accounting`.

    Args:
        orders: All different orders, with `order_date`, `currency` and `stated_total`.
        clean: The rows written to clean/orders.
        quarantine: The rows written to ops/quarantine.
        exclusions: The rows written to ops/exclusions.
    """
    rows: dict[tuple[date, str], dict[str, object]] = {}
    for kind, frame, amounts in (
        ("raw", orders, orders["stated_total"]),
        ("clean", clean, _as_stated(clean)),
        ("quarantined", quarantine, quarantine["money_at_risk"]),
        ("excluded", exclusions, exclusions["order_total"]),
    ):
        for found in _grouped(frame, amounts, "order_date", "currency"):
            row = rows.setdefault((found["order_date"], found["currency"]), dict(_NOTHING))
            row |= {f"{kind}_orders": found["amount_count"], f"{kind}_money": found["amount_sum"] or ZERO}
    filled = [{"order_date": day, "currency": currency, **row} for (day, currency), row in sorted(rows.items())]
    table = pa.Table.from_pylist(filled, schema=ACCOUNTING.table.arrow_schema)
    listing: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return listing


_COUNT_AND_SUM = [("amount", "count", pc.CountOptions(mode="all")), ("amount", "sum")]
_NOTHING: dict[str, object] = {
    **{f"{kind}_orders": 0 for kind in ("raw", "clean", "quarantined", "excluded")},
    **{f"{kind}_money": ZERO for kind in ("raw", "clean", "quarantined", "excluded")},
}


def _as_stated(clean: pd.DataFrame) -> pd.Series:
    return money(clean["order_total"] + clean["rounding"])


def _sums(rows: pd.DataFrame, amounts: pd.Series) -> MoneyByCurrency:
    sums = {found["currency"]: found["amount_sum"] for found in _grouped(rows, amounts, "currency")}
    return {currency: amount for currency, amount in sorted(sums.items()) if amount is not None}


def _grouped(rows: pd.DataFrame, amounts: pd.Series, *keys: str) -> list[dict[str, Any]]:
    """Return count and sum of amounts by currency, which is one of the keys, and perhaps by day; nothing of no rows."""
    if rows.empty:
        return []
    columns = {key: pa.array(rows[key]) for key in keys} | {"amount": pa.array(amounts)}
    columns["currency"] = pc.fill_null(columns["currency"], UNKNOWN_CURRENCY)
    found: list[dict[str, Any]] = pa.table(columns).group_by(list(keys)).aggregate(_COUNT_AND_SUM).to_pylist()
    return found
