"""Refunds that move no stamp of their order, on platforms where that is so: they arrive by the polls that follow."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days, business_day
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop.model import Order
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.late_changes.poll import poll
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.orchestration.running import run_days
from analytics_pipeline.shop.spec import packaged_path
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.dialects.base import Dialect
from analytics_pipeline_tests.dialects.numbers import order_number
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, OPENED, SETTINGS, Clock, serving
from analytics_pipeline_tests.dialects.test_descriptions import NAMES
from analytics_pipeline_tests.integration.tables import execute

LOADED, LATER = DAYS[9], timedelta(days=9)
LONGEST_DAYS = {"medusa": 31, "woocommerce": 7}
"""Days of polls after which the last refund is found: days are read again within 30, the list of refunds each day."""
MORNING = time(9)


@pytest.mark.parametrize("name", LONGEST_DAYS)
def test_a_refund_that_moves_no_stamp_arrives_by_the_polls_that_follow(
    name: str, database: Database, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, description = Clock(_morning_after(LOADED)), tmp_path / f"{name}.yaml"
    text = packaged_path(name).read_text(encoding="utf-8")
    description.write_text(text.replace("first_day: 2025-01-01", f"first_day: {OPENED}"), encoding="utf-8")
    with serving(NAMES[name].kind, clock=clock) as running:
        for variable, value in NAMES[name].environment(running.url).items():
            monkeypatch.setenv(variable, value)
        definitions = build_definitions(str(description))
        assert run_days(definitions, instance, Days(OPENED, LOADED), job_name="daily").succeeded
        before = _total_sales(database)
        assert before == _right(running.dialect, OPENED, LOADED)
        # The database's clock is no simulated one.
        execute(database, f"update ops.day_proofs set held_at = least(held_at, timestamptz '{clock.now.isoformat()}')")
        stored = {order.order_id: order for order in running.dialect.orders()}
        clock.now += LATER
        shown = [order for order in running.dialect.orders() if not order.is_test]
        silent = {order.order_id for order in shown if _is_refunded_alone(stored, order)}
        assert silent
        running.dialect.touched = {order_id: stored[order_id].stamp for order_id in silent}
        for _ in range(LONGEST_DAYS[name]):
            _poll(description, database, clock)
            for days in days_to_load(database, in_flight=(), most=1000):
                job = job_of_stale_days(database, days)
                assert run_days(definitions, instance, days, job_name=job).succeeded
            if _total_sales(database) == _right(running.dialect, OPENED, LOADED + LATER):
                break
            clock.now += timedelta(days=1)
        assert {day: money for day, money in _total_sales(database).items() if day <= LOADED + LATER} == _right(
            running.dialect, OPENED, LOADED + LATER
        )
        refunded = query(database, "select order_id from clean.orders where refunded_total <> 0")
        assert {order_number(one) for one in silent} <= {_number(row["order_id"]) for row in refunded}


def _is_refunded_alone(stored: Mapping[str, Order], order: Order) -> bool:
    """Whether an order has had nothing but refunds since it was stored, on days that are over."""
    old, newest = stored.get(order.order_id, order), max((one.refunded_at for one in order.refunds), default=NOW)
    is_over = business_day(newest, SETTINGS.zone) <= LOADED + LATER
    is_otherwise_as_it_was = replace(order, refunds=old.refunds, updated_at=old.updated_at) == old
    return is_over and order.refunds != old.refunds and is_otherwise_as_it_was


def _number(order_id: str) -> int:
    """The number of an order in the platform's own id of it."""
    return int(re.sub(r"\D", "", order_id))


def _morning_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), MORNING, SETTINGS.zone)


def _poll(description: Path, database: Database, clock: Callable[[], datetime]) -> None:
    catalogue = build_catalogue(str(description))
    with ShopClient(catalogue.shop) as client:
        assert poll(ApiSource(client), database, catalogue.daily_marts, now=clock()) is not None


def _total_sales(database: Database) -> dict[date, Decimal]:
    rows = query(database, "select event_date, total_sales::text as money from marts.daily_revenue")
    return {row["event_date"]: Decimal(row["money"]) for row in rows}


def _right(dialect: Dialect, first: date, last: date) -> dict[date, Decimal | None]:
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return {day: dialect.truth(day).total_sales for day in days}
