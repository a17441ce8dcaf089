"""Comparing what the pipeline stored with what the demo shop knows to be right, to the cent."""

from dataclasses import asdict, fields
from datetime import date
from decimal import Decimal
from typing import Any

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import ProductTruth, RevenueTruth, Truth
from analytics_pipeline_tests.conftest import Pipeline, content_hash

DERIVED_TABLES = (
    "clean.orders",
    "clean.order_lines",
    "clean.sales",
    "clean.customers",
    "clean.products",
    "ops.quarantine",
    "ops.exclusions",
    "ops.accounting",
    "marts.daily_revenue",
    "marts.daily_product_sales",
    "marts.daily_reconciliation",
    "marts.daily_revenue_as_closed",
)
"""Everything that is made of the raw tables."""

Measures = dict[str, Any]


def run_rightly(pipeline: Pipeline, first: date, last: date) -> list[Truth]:
    """Run the daily job over some days, and compare everything that it made of them with the truth.

    Args:
        pipeline: A pipeline whose earlier days are loaded, or that begins with the shop's opening.
        first: First business day.
        last: Last business day.

    Returns:
        The truth of each day, to assert that it was worth comparing.
    """
    summary = pipeline.run(first, last)
    assert summary.succeeded, summary.failures
    assert summary.warnings == []
    return agrees(pipeline, first, last)


def agrees(pipeline: Pipeline, first: date, last: date) -> list[Truth]:
    """Compare the stored rows of some days with the truth as of now, and return it."""
    days = Days(first, last)
    truths = [pipeline.shop.shop.truth(day) for day in days]
    within = f"between date '{first}' and date '{last}'"
    revenue = {
        (row.pop("event_date"), row.pop("currency")): _typed(row, RevenueTruth)
        for row in pipeline.rows(f"select * from marts.daily_revenue where event_date {within}")
    }
    assert revenue == {(true.day, key): asdict(row) for true in truths for key, row in true.revenue.items()}
    products = {
        (row.pop("event_date"), row.pop("product_id"), row.pop("currency")): _typed(row, ProductTruth)
        for row in pipeline.rows(f"select * from marts.daily_product_sales where event_date {within}")
    }
    assert products == {(true.day, *key): asdict(row) for true in truths for key, row in true.product_sales.items()}
    quarantine = pipeline.rows(f"select * from ops.quarantine where order_date {within}")
    assert {(row["order_date"], row["order_id"]): Decimal(str(row["money_at_risk"])) for row in quarantine} == {
        (true.day, order_id): total for true in truths for order_id, total in true.quarantined.items()
    }
    exclusions = pipeline.rows(f"select * from ops.exclusions where order_date {within}")
    assert {(row["order_date"], row["order_id"]): row["reason"] for row in exclusions} == {
        (true.day, order_id): reason for true in truths for order_id, reason in true.excluded.items()
    }
    orders = pipeline.rows(f"select order_date, order_id from clean.orders where order_date {within}")
    assert {(row["order_date"], row["order_id"]) for row in orders} == {
        (true.day, order_id) for true in truths for order_id in true.orders
    }
    return truths


def hashes(pipeline: Pipeline) -> dict[str, str]:
    """The hash of each derived table's rows."""
    return {table: content_hash(pipeline.database, table) for table in DERIVED_TABLES}


def _typed(row: Measures, kind: type[RevenueTruth] | type[ProductTruth]) -> Measures:
    """A row of a mart with its money, which comes as text, as Decimals; its columns are those of the truth."""
    assert row.keys() == {measure.name for measure in fields(kind)}
    return {name: Decimal(value) if isinstance(value, str) else value for name, value in row.items()}
