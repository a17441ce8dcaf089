"""`cannot_tell`: which figures may be named, what follows from the others, and that no hash of records knows it."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from analytics_pipeline.anomalies.figures import DailyFigures
from analytics_pipeline.anomalies.metrics import METRICS, Source
from analytics_pipeline.days import Days
from analytics_pipeline.history.mart_days import shop_values
from analytics_pipeline.shop.report import ReportRules
from analytics_pipeline.shop.spec import Shop, load_shop, packaged_path
from analytics_pipeline.transforms.version import rules_of


def described(*figures: str) -> Shop:
    document: dict[str, Any] = yaml.safe_load(packaged_path("demo").read_text(encoding="utf-8"))
    first_day = str(document["first_day"])
    return Shop.model_validate({**document, "first_day": first_day, "cannot_tell": [*figures]})


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        (["discounts"], "discounts alone would follow from the others, since net_sales is made of"),
        (["taxes"], "taxes alone would follow from the others, since total_sales is made of"),
        (["total_sales"], "total_sales alone would follow"),
        (["charges", "taxes"], "charges contain tips, fees, duties, which cannot be told either"),
        (["units_sold", "units_sold"], "units_sold is named twice"),
        (["revenue"], "Input should be 'orders'"),
    ],
)
def test_a_figure_that_would_follow_from_the_others_is_refused(figures: list[str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        described(*figures)


def test_figures_that_cannot_be_told_are_known_to_marts_and_change_no_rule_of_records() -> None:
    shop = described("units_sold", "returns", "net_sales", "taxes")
    assert shop_values(shop)["cannot_tell"] == " units_sold returns net_sales taxes "
    assert shop_values(load_shop("demo"))["cannot_tell"] == " "
    assert rules_of(shop) == rules_of(load_shop("demo"))


def test_a_figure_that_is_null_is_judged_by_nobody() -> None:
    day = date(2025, 1, 1)
    amounts = {"orders": Decimal(3), "gross_sales": Decimal(30)}
    figures = DailyFigures("EUR", Days(day, day), frozenset({day}), {Source.LEDGER: {day: amounts}}, frozenset({day}))
    values = {metric.name: figures.value(metric, day) for metric in METRICS if metric.source is Source.LEDGER}
    assert {name for name, value in values.items() if value is not None} == {"orders", "gross_sales"}
    assert not any(figures.is_anomaly(metric, day) for metric in METRICS)


def test_a_report_cannot_leave_out_what_it_counts() -> None:
    with pytest.raises(ValidationError, match="fees stand under leaves_out and under counts"):
        ReportRules.model_validate({"leaves_out": ["tips", "fees"], "counts": ["fees"]})
