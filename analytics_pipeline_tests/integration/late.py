"""A shop that changes while the pipeline follows it: late changes as the sensor and `catch-up` take them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.late_changes.poll import Poll, poll
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.sources.api import ApiSource
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.tables.history import LEDGER_MEASURES
from analytics_pipeline_tests.conftest import Pipeline, at

CHANGEABLE: dict[str, Any] = {
    "refund_share": 0.1,
    "cancel_share": 0.04,
    "edit_share": 0.05,
    "delete_share": 0.03,
    "late_share": 0.03,
    "bad_share": 0.02,
}
"""A shop that changes more than it should."""
OPENED, LOADED = date(2025, 3, 18), date(2025, 4, 1)
MORNING = at("2025-04-02T05:00:00+02:00")
SMALL = DemoShopSettings(
    opened=OPENED,
    orders_per_day=(8, 14),
    longest_refund_days=20,
    **CHANGEABLE | {"refund_share": 0.2, "edit_share": 0.2},
)
"""A small one, whose days up to `LOADED` were loaded in the morning after."""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True)
class CaughtUp:
    """What one round of catching up did.

    Attributes:
        poll: What the poll found.
        ranges: The business days that were loaded again.
    """

    poll: Poll
    ranges: list[Days]

    @property
    def days(self) -> set[date]:
        """The business days that were loaded again."""
        return {day for part in self.ranges for day in part}


def look_at(pipeline: Pipeline, *, retries: int = 4, in_flight: Collection[date] = ()) -> Poll:
    """Poll at the shop once."""
    catalogue = build_catalogue(str(pipeline.description))
    shop = catalogue.shop
    patient = shop.model_copy(update={"limits": shop.limits.model_copy(update={"retries": retries})})
    with ShopClient(patient) as client:
        found = poll(ApiSource(client), pipeline.database, catalogue.daily_marts, in_flight=in_flight)
    assert found is not None
    return found


def catch_up(pipeline: Pipeline) -> CaughtUp:
    """Poll at the shop once, and load again what became stale, as one tick of the sensor has it done."""
    found = look_at(pipeline)
    ranges = days_to_load(pipeline.database, in_flight=(), most=1000)
    for days in ranges:
        summary = pipeline.run(days.first, days.last, job=job_of_stale_days(pipeline.database, days))
        assert summary.succeeded, summary.failures
    return CaughtUp(found, ranges)


def written_since(pipeline: Pipeline, mart: str, moment: object) -> set[date]:
    """The days of a mart that were computed after a moment of the database's clock."""
    rows = pipeline.rows(
        "select day from ops.materialised_days "
        f"where table_name = 'marts.{mart}' and written_at > timestamptz '{moment}'"
    )
    return {row["day"] for row in rows}  # type: ignore[misc]  # a date


def database_time(pipeline: Pipeline) -> str:
    """The database's clock as text."""
    return str(pipeline.rows("select clock_timestamp()::text as now")[0]["now"])


Numbers = dict[tuple[date, str, str], Decimal | None]
"""Published numbers by day, key and metric."""


def revenue_numbers(pipeline: Pipeline) -> Numbers:
    """Every number of daily_revenue as it stands."""
    rows = pipeline.rows("select * from marts.daily_revenue")
    return dict(_numbers(rows))


def _numbers(rows: list[dict[str, Any]]) -> Iterator[tuple[tuple[date, str, str], Decimal | None]]:
    for row in rows:
        day, currency = row.pop("event_date"), row.pop("currency")
        for metric, value in row.items():
            yield (day, currency, metric), None if value is None else Decimal(value)


def restated_since(pipeline: Pipeline, moment: str) -> list[dict[str, Any]]:
    """The restatements after a moment, oldest first."""
    rows: list[dict[str, Any]] = pipeline.rows(
        f"select * from ops.restatements where restated_at > timestamptz '{moment}' order by restated_at"
    )
    return rows


def assert_restated_exactly(before: Numbers, after: Numbers, restatements: list[dict[str, Any]]) -> None:
    """Old numbers plus the differences on record are the new numbers, and nothing else is on record.

    Days that `before` lacks have no old numbers here, and are left out.
    """
    published = {day for day, _, _ in before}
    changed = {
        key: (before.get(key) or Decimal(0), after.get(key) or Decimal(0))
        for key in {*before, *after}
        if key[0] in published and (before.get(key) or 0) != (after.get(key) or 0)
    }
    moved: dict[tuple[date, str, str], Decimal] = {}
    for row in restatements:
        key = (row["day"], row["key"], row["metric"])
        assert Decimal(row["old_value"] or 0) + Decimal(row["difference"]) == Decimal(row["new_value"] or 0)
        if row["metric"] in LEDGER_MEASURES:
            assert Decimal(row["explained"]) == Decimal(row["difference"]), row
        assert row["cause"] != "unexplained", row
        assert row["order_ids"], row
        if row["day"] in published:
            moved[key] = moved.get(key, Decimal(0)) + Decimal(row["difference"])
    assert {key: new - old for key, (old, new) in changed.items()} == {
        key: difference for key, difference in moved.items() if difference
    }


def tomorrow(day: date) -> date:
    """The day after."""
    return day + timedelta(days=1)
