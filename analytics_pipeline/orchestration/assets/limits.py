"""The limits of quarantine: how much of a business day it may hold before a warning, and before nothing is written.

The shares, and what blocks, are computed in `transforms.shares`; the limits stand in the shop description.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import dagster as dg
import pandas as pd

from analytics_pipeline.orchestration.assets.publish import shown
from analytics_pipeline.shop.spec import QuarantineLimits
from analytics_pipeline.tables.contracts import EXAMPLES, QUARANTINE
from analytics_pipeline.transforms.orders import CleanOrders
from analytics_pipeline.transforms.shares import FEW_ORDERS, QuarantinedDay, is_above, percent, quarantined_days

BELOW_LIMIT = "quarantine_stays_below_the_limit"
LITTLE = "quarantine_holds_little_of_a_day"
RARE = "quarantine_is_rare"
NAMED_DAYS = 2
_KEY = dg.AssetKey(QUARANTINE.table.path)


def limit_specs() -> list[dg.AssetCheckSpec]:
    """Return the checks of `QuarantineAudit`, which run before the write."""
    of_a_day = "of a business day's orders, or of a currency's money, is in quarantine"
    return [
        dg.AssetCheckSpec(
            BELOW_LIMIT,
            asset=_KEY,
            blocking=True,
            description=f"Of a business day with {FEW_ORDERS} orders no larger share is in quarantine than "
            "quarantine.block_above allows, and never all of two or more; checked before the write.",
        ),
        dg.AssetCheckSpec(
            LITTLE,
            asset=_KEY,
            description=f"No larger share {of_a_day} than quarantine.block_above, where that blocks nothing: with "
            f"fewer than {FEW_ORDERS} orders, or by money alone. Written all the same, and reported.",
        ),
        dg.AssetCheckSpec(
            RARE,
            asset=_KEY,
            description=f"No larger share {of_a_day} than quarantine.warn_above; checked before the write.",
        ),
    ]


class QuarantineAudit:
    """Collects the days with something in quarantine and turns them into check results.

    Attributes:
        blocked: The days that must not be written.
    """

    def __init__(self, limits: QuarantineLimits) -> None:
        self._limits = limits
        self._days: list[QuarantinedDay] = []
        self._held: list[pd.DataFrame] = []
        self.blocked: list[QuarantinedDay] = []

    def look_at(self, cleaned: CleanOrders) -> None:
        """Take in the orders of some whole days; the frames are not changed."""
        days = quarantined_days(cleaned.orders, cleaned.quarantine)
        blocked = [day for day in days if day.is_blocked(self._limits.block_above)]
        self._days += days
        self.blocked += blocked
        self._held += [cleaned.quarantine[cleaned.quarantine["order_date"] == day.day] for day in blocked]

    def held(self) -> pd.DataFrame:
        """Return what quarantine would hold of the blocked days, of which there is at least one."""
        return pd.concat(self._held, ignore_index=True)

    def results(self) -> Iterator[dg.AssetCheckResult]:
        """Yield one result per blocking check or warning of `limit_specs`."""
        limits = self._limits
        yield self._result(BELOW_LIMIT, limits.block_above, lambda day: day.is_blocked(limits.block_above))
        yield self._result(RARE, limits.warn_above, lambda day: is_above(day.share, limits.warn_above), is_warning=True)

    def doubt(self) -> dg.AssetCheckResult:
        """Return the result of the check that fails and blocks nothing."""
        limit = self._limits.block_above
        return self._result(LITTLE, limit, lambda day: day.is_doubtful(limit))

    def _result(
        self, name: str, limit: float | None, fails: Callable[[QuarantinedDay], bool], *, is_warning: bool = False
    ) -> dg.AssetCheckResult:
        worst = sorted(self._days, key=lambda day: (-day.share, day.day))
        above = [day for day in worst if fails(day)]
        metadata: dict[str, Any] = {
            "limit": "none is set" if limit is None else percent(Fraction(str(limit))),
            "largest_share": float(worst[0].share) if worst else 0.0,
            "days_above": len(above),
        }
        if above:
            metadata["worst_days"] = dg.MetadataValue.md("\n".join(f"- {day}" for day in above[:EXAMPLES]))
        return dg.AssetCheckResult(
            asset_key=_KEY,
            check_name=name,
            passed=not above,
            severity=dg.AssetCheckSeverity.WARN if is_warning else dg.AssetCheckSeverity.ERROR,
            metadata=shown(metadata),
            description=_in_short(above) if above else None,
        )


def _in_short(days: list[QuarantinedDay]) -> str:
    more = f"; and {len(days) - NAMED_DAYS} more days" if len(days) > NAMED_DAYS else ""
    return "; ".join(day.summary for day in days[:NAMED_DAYS]) + more
