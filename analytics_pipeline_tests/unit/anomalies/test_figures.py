"""Series of daily figures, each currency on its own, made by hand instead of read from tables."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from analytics_pipeline.anomalies.figures import DailyFigures
from analytics_pipeline.anomalies.metrics import METRICS, Amounts, Source
from analytics_pipeline.days import Days

FIRST = date(2025, 1, 1)
DAYS = Days(FIRST, FIRST + timedelta(days=119))
METRIC = {metric.name: metric for metric in METRICS}
RARE = np.random.default_rng(4).poisson(0.8, len(DAYS))


def figures(orders: dict[date, int], *, value: int = 50, currency: str = "SEK") -> DailyFigures:
    """A currency whose orders are all worth the same, a tenth of them discount."""
    ledger: dict[date, Amounts] = {
        day: {
            "orders": Decimal(count),
            "gross_sales": Decimal(count * value),
            "discounts": Decimal(count * value) / 10,
            "returns": Decimal(0),
        }
        for day, count in orders.items()
        if count
    }
    return DailyFigures(currency, DAYS, frozenset(DAYS), {Source.LEDGER: ledger}, frozenset(DAYS))


def alarms(found: DailyFigures) -> dict[date, list[str]]:
    listed = {day: [metric.name for metric in METRICS if found.is_anomaly(metric, day)] for day in DAYS}
    return {day: names for day, names in listed.items() if names}


def test_a_currency_of_few_orders_may_have_days_without_one_and_a_heap_of_them_is_found() -> None:
    orders = dict(zip(DAYS, map(int, RARE), strict=True))
    assert alarms(figures(orders)) == {}
    day = FIRST + timedelta(days=100)
    found = alarms(figures(orders | {day: 20}))
    assert set(found) == {day}
    assert {"orders", "gross_sales", "net_sales"} <= set(found[day])


def test_a_ratio_is_exact_and_unknown_on_a_day_without_orders() -> None:
    found = figures({FIRST: 3})
    share, average = METRIC["discount_share"], METRIC["average_order_value"]
    assert found.value(share, FIRST) == Decimal("0.1")
    assert found.value(average, FIRST) == Decimal(45)
    assert found.value(average, FIRST + timedelta(days=1)) is None
    assert found.value(METRIC["orders"], FIRST + timedelta(days=1)) == 0
    assert found.value(METRIC["orders"], FIRST - timedelta(days=1)) is None


@pytest.mark.parametrize(("metric", "can_be_negative"), [("net_sales", True), ("returns", False), ("orders", False)])
def test_only_net_sales_can_be_negative(metric: str, can_be_negative: bool) -> None:
    assert METRIC[metric].is_signed == can_be_negative
