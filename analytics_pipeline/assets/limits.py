"""The limits of quarantine: how much of a business day it may hold before a warning, and before nothing is written.

The shares are computed in `transforms.shares`; the limits stand in the shop description.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import dagster as dg

from analytics_pipeline.contracts import EXAMPLES, QUARANTINE
from analytics_pipeline.sources.spec import QuarantineLimits
from analytics_pipeline.transforms.orders import CleanOrders
from analytics_pipeline.transforms.shares import QuarantinedDay, percent, quarantined_days

BELOW_LIMIT = "quarantine_stays_below_the_limit"
RARE = "quarantine_is_rare"
_KEY = dg.AssetKey(QUARANTINE.table.path)


def limit_specs() -> list[dg.AssetCheckSpec]:
    """Return the checks of `QuarantineAudit`, which run before the write."""
    what = "of a business day's orders, or of a currency's money, is in quarantine than"
    return [
        dg.AssetCheckSpec(
            BELOW_LIMIT,
            asset=_KEY,
            blocking=True,
            description=f"No larger share {what} quarantine.block_above allows; checked before the write.",
        ),
        dg.AssetCheckSpec(
            RARE, asset=_KEY, description=f"No larger share {what} quarantine.warn_above; checked before the write."
        ),
    ]


class QuarantineAudit:
    """Collects the days with orders in quarantine and turns them into check results."""

    def __init__(self, limits: QuarantineLimits) -> None:
        self._limits = limits
        self._days: list[QuarantinedDay] = []

    def look_at(self, cleaned: CleanOrders) -> None:
        """Take in the orders of some whole days; the frames are not changed."""
        self._days += quarantined_days(cleaned.orders, cleaned.quarantine)

    def results(self) -> Iterator[dg.AssetCheckResult]:
        """Yield one result per check of `limit_specs`."""
        yield self._result(BELOW_LIMIT, "block_above", self._limits.block_above, dg.AssetCheckSeverity.ERROR)
        yield self._result(RARE, "warn_above", self._limits.warn_above, dg.AssetCheckSeverity.WARN)

    def _result(self, name: str, key: str, limit: float | None, severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
        worst = sorted(self._days, key=lambda day: (-day.share, day.day))
        # By its digits: as a binary fraction 0.1 lies a little above one tenth.
        above = [] if limit is None else [day for day in worst if day.share > Fraction(str(limit))]
        metadata: dict[str, Any] = {
            "limit": f"none is set (quarantine.{key})" if limit is None else percent(Fraction(str(limit))),
            "largest_share": float(worst[0].share) if worst else 0.0,
            "days_above": len(above),
        }
        if above:
            metadata["worst_days"] = dg.MetadataValue.md("\n".join(f"- {day}" for day in above[:EXAMPLES]))
        return dg.AssetCheckResult(
            asset_key=_KEY, check_name=name, passed=not above, severity=severity, metadata=metadata
        )
