"""The pipeline on demo shops that know the truth: every figure of every day, in all kinds of shops."""

from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline, at
from analytics_pipeline_tests.integration.truth import hashes, run_rightly

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

EVENTFUL: dict[str, Any] = {
    "orders_per_day": (12, 20),
    "bad_share": 0.08,
    "test_share": 0.05,
    "free_share": 0.05,
    "order_discount_share": 0.3,
    "refund_share": 0.3,
    "cancel_share": 0.15,
    "edit_share": 0.1,
}
"""Rare things happen often, so that a few days show all of them."""

OPENED = date(2025, 1, 1)


def _empty(database: Database) -> None:
    with database.connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        for schema in ("raw", "clean", "ops", "marts"):
            cursor.execute(f"drop schema {schema} cascade")


def test_three_weeks_of_the_default_shop_are_right_and_stay_the_same_when_run_again(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    pipeline = pipeline_of(start_shop(now=at("2025-03-01T12:00:00+01:00"), opened=OPENED))
    last = OPENED + timedelta(days=20)
    truths = run_rightly(pipeline, OPENED, last)
    assert sum(true.revenue["EUR"].orders for true in truths) > 1200
    assert any(true.quarantined for true in truths)
    assert any(true.excluded for true in truths)
    first_hashes = hashes(pipeline)
    run_rightly(pipeline, OPENED, last)
    assert hashes(pipeline) == first_hashes


def test_days_loaded_one_by_one_are_the_same_as_loaded_in_one_run(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(now=at("2025-03-01T12:00:00+01:00"), opened=OPENED, foreign_currency="USD", **EVENTFUL)
    pipeline = pipeline_of(shop)
    run_rightly(pipeline, OPENED, OPENED + timedelta(days=2))
    together = hashes(pipeline)
    _empty(pipeline.database)
    for number in range(3):
        day = OPENED + timedelta(days=number)
        run_rightly(pipeline, day, day)
    assert hashes(pipeline) == together


KINDS: dict[str, tuple[date, int, dict[str, Any]]] = {
    "23 hours in Berlin": (date(2025, 3, 28), 5, {}),
    "25 hours in Berlin": (date(2025, 10, 24), 5, {}),
    "25 hours in New York": (date(2025, 10, 31), 4, {"timezone": "America/New_York", "currency": "USD"}),
    "23 hours in Auckland": (
        date(2025, 9, 26),
        4,
        {"timezone": "Pacific/Auckland", "currency": "NZD", "prices_include_tax": True},
    ),
    "half an hour off in Kolkata": (date(2025, 6, 1), 4, {"timezone": "Asia/Kolkata", "currency": "INR"}),
    "prices that include tax": (date(2025, 6, 1), 30, {"prices_include_tax": True}),
    "two currencies": (date(2025, 6, 1), 20, {"foreign_currency": "USD", "foreign_share": 0.4}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_shop_is_right_to_the_cent(kind: str, start_shop: StartShop, pipeline_of: PipelineOf) -> None:
    opened, count, settings = KINDS[kind]
    now = at(f"{opened + timedelta(days=90)}T12:00:00+00:00")
    pipeline = pipeline_of(start_shop(now=now, opened=opened, **(EVENTFUL | settings)))
    truths = run_rightly(pipeline, opened, opened + timedelta(days=count - 1))
    currencies = {currency for true in truths for currency in true.revenue}
    assert currencies == {
        settings.get("currency", "EUR"),
        settings.get("foreign_currency", settings.get("currency", "EUR")),
    }
    rows = [row for true in truths for row in true.revenue.values()]
    for measure in ("orders", "discounts", "returns", "units_returned", "new_customers", "returning_customers"):
        assert sum(getattr(row, measure) for row in rows) > 0, measure
    assert any(true.quarantined for true in truths)
    assert any(true.excluded for true in truths)


def test_orders_around_midnight_are_on_the_shops_business_day_and_not_on_that_of_utc(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    settings = {"timezone": "Pacific/Auckland", "currency": "NZD", "orders_per_day": (20, 30)}
    pipeline = pipeline_of(start_shop(now=at("2025-12-01T00:00:00+00:00"), opened=date(2025, 9, 27), **settings))
    run_rightly(pipeline, date(2025, 9, 27), date(2025, 9, 28))
    stamps = pipeline.rows("select order_date, ordered_at from clean.orders order by ordered_at")
    days: list[tuple[date, datetime]] = [(row["order_date"], row["ordered_at"]) for row in stamps]  # type: ignore[misc]  # as queried
    assert sum(day != moment.date() for day, moment in days) > 10
