"""The check that yesterday is complete by the time that the description sets, and its reports between runs.

It is evaluated by a sensor, so that a day which nothing has loaded is noticed too, and never as part of a run of days:
a backfill of an old day has nothing to say about yesterday.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.history.freshness import Freshness, describe, last_freshness, missing_of
from analytics_pipeline.orchestration.namespaces import key_in
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.shop.spec import Shop

ON_TIME = dg.AssetCheckKey(dg.AssetKey(["marts", "daily_revenue"]), "yesterday_is_on_time")


def on_time(shop: Shop) -> dg.AssetCheckKey:
    """Return the check's key for one shop among several."""
    return dg.AssetCheckKey(key_in(ON_TIME.asset_key, shop.namespace), ON_TIME.name)


def build_freshness_check(
    catalogue: Catalogue, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dg.AssetChecksDefinition:
    """Return the check, for those who evaluate it by hand in the UI."""
    shop = catalogue.shop

    @dg.asset_check(
        asset=on_time(shop).asset_key,
        name=ON_TIME.name,
        description=(
            "Yesterday, in the shop's zone, is in every daily mart as the shop knew it once the day was over; holds "
            "until the time that due_by sets. A sensor evaluates it every few minutes."
        ),
        blocking=False,
    )
    def check(database: DatabaseResource) -> dg.AssetCheckResult:
        found = last_freshness(database.of(shop.namespace).database(), shop, clock(), catalogue.due_names)
        return dg.AssetCheckResult(
            passed=not found.is_late, severity=dg.AssetCheckSeverity.ERROR, metadata=_figures(found, shop)
        )

    return check


def evaluation_of(found: Freshness, shop: Shop) -> dg.AssetCheckEvaluation:
    """Return the check's result as an event that belongs to no run."""
    return dg.AssetCheckEvaluation(
        asset_key=on_time(shop).asset_key,
        check_name=ON_TIME.name,
        passed=not found.is_late,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=_figures(found, shop),
        blocking=False,
    )


def _figures(found: Freshness, shop: Shop) -> Mapping[str, Any]:
    return {
        "business_day": found.day.isoformat(),
        "freshness": describe(found, shop),
        "is_due": found.is_due,
        "missing": ", ".join(missing_of(found, shop)),
    }
