"""The daily figures that are judged: how each is summed up, and how much of it is chance; `figures` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from analytics_pipeline.anomalies.expectation import Floats

Amounts: TypeAlias = Mapping[str, Decimal]
"""Sums by name of what they sum up: orders, gross_sales, discounts, returns, money."""


class Unit(StrEnum):
    """What a figure counts in."""

    COUNT = "count"
    MONEY = "money"
    MONEY_PER_ORDER = "money per order"
    SHARE = "share"


class Source(StrEnum):
    """Which rows a figure is made of."""

    LEDGER = "ledger"
    QUARANTINE = "quarantine"
    EXCLUSIONS = "exclusions"
    WARNINGS = "warnings"


@dataclass(frozen=True, eq=False)
class Metric:
    """A daily figure.

    Attributes:
        name: As in the mart, where it is a column there.
        source: The rows it is made of.
        unit: What it counts in.
        sums: The amounts that it adds, each with its sign.
        per: The amount that it is divided by, for a ratio.
    """

    name: str
    source: Source
    unit: Unit
    sums: Mapping[str, int]
    per: str | None = None

    @property
    def is_signed(self) -> bool:
        """Whether the figure can be negative."""
        return self.per is None and any(sign < 0 for sign in self.sums.values())

    def measure(self, amounts: Amounts, ratio: Decimal) -> Decimal:
        """Return what some amounts add; to a ratio: by how much they exceed `ratio` times what it is divided by."""
        total = sum((sign * amounts.get(name, _ZERO) for name, sign in self.sums.items()), _ZERO)
        return total if self.per is None else total - ratio * amounts.get(self.per, _ZERO)

    def least_deviation(self, orders: Floats, order_value: Floats) -> Floats:
        """Return the deviation of the figure's root that chance alone makes.

        Args:
            orders: How many orders a usual day has.
            order_value: What a usual order is worth.
        """
        chance_of_a_count = 0.5
        of_unit = {
            Unit.COUNT: np.ones_like(orders),
            Unit.MONEY: np.sqrt(order_value),
            Unit.MONEY_PER_ORDER: np.sqrt(order_value / orders),
            Unit.SHARE: np.sqrt(1 / orders) / 2,
        }
        return chance_of_a_count * of_unit[self.unit]


_ZERO = Decimal(0)
ORDERS = Metric("orders", Source.LEDGER, Unit.COUNT, {"orders": 1})
METRICS = (
    ORDERS,
    Metric("gross_sales", Source.LEDGER, Unit.MONEY, {"gross_sales": 1}),
    Metric("returns", Source.LEDGER, Unit.MONEY, {"returns": 1}),
    Metric("net_sales", Source.LEDGER, Unit.MONEY, {"gross_sales": 1, "discounts": -1, "returns": -1}),
    Metric("discount_share", Source.LEDGER, Unit.SHARE, {"discounts": 1}, per="gross_sales"),
    Metric(
        "average_order_value",
        Source.LEDGER,
        Unit.MONEY_PER_ORDER,
        {"gross_sales": 1, "discounts": -1},
        per="orders",
    ),
    Metric("quarantined_orders", Source.QUARANTINE, Unit.COUNT, {"orders": 1}),
    Metric("quarantined_money", Source.QUARANTINE, Unit.MONEY, {"money": 1}),
    Metric("excluded_orders", Source.EXCLUSIONS, Unit.COUNT, {"orders": 1}),
    Metric("excluded_money", Source.EXCLUSIONS, Unit.MONEY, {"money": 1}),
    Metric("orders_with_warnings", Source.WARNINGS, Unit.COUNT, {"orders": 1}),
)
"""All figures, in the order in which they are reported."""
