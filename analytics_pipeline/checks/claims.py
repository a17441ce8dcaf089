"""Claims: SQL checks of a run's slice, and the Dagster checks made of them.

A claim selects the rows that contradict it, as `example` (text) and `difference` (a number). It holds when there are none. Its result shows
how many there are, up to five examples, and the sum of the differences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import dagster as dg

from analytics_pipeline.assets.publish import figure
from analytics_pipeline.contracts import EXAMPLES
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import query
from analytics_pipeline.partitions import DayRange, days_of
from analytics_pipeline.resources import DatabaseResource


@dataclass(frozen=True)
class Claim:
    """What stored data has to satisfy.

    Attributes:
        name: The claim as a name.
        table: `layer/name` of the asset it is about.
        description: The claim in words.
        contradictions: A `select` with `example` and `difference` of each contradiction, with the run's `{first_day}` and `{last_day}`;
            `{slice}` is `between` the two.
        is_blocking: Whether a contradiction stops what is downstream; else it is a warning.
    """

    name: str
    table: str
    description: str
    contradictions: str
    is_blocking: bool = True

    @property
    def key(self) -> dg.AssetKey:
        """Key of the asset."""
        return dg.AssetKey(self.table.split("/"))

    def examine(self, database: Database, days: DayRange) -> dg.AssetCheckResult:
        """Look for contradictions among the rows of some business days."""
        contradictions = self.contradictions.format(
            slice=f"between date '{days.first}' and date '{days.last}'", first_day=days.first, last_day=days.last
        )
        found = query(
            database,
            f"select count(*) as cases, coalesce(sum(abs(difference)), 0)::numeric(30,4) as difference, "
            f"coalesce(array_to_string((array_agg(example order by example))[1:{EXAMPLES}], ', '), '') as examples "
            f"from ({contradictions}) as contradictions",
        )[0]
        difference = Decimal(found["difference"])
        return dg.AssetCheckResult(
            asset_key=self.key,
            check_name=self.name,
            passed=found["cases"] == 0,
            severity=dg.AssetCheckSeverity.ERROR if self.is_blocking else dg.AssetCheckSeverity.WARN,
            metadata={
                "unexplained_difference": figure(difference),
                "unexplained_difference_exact": str(difference),
                "contradictions": found["cases"],
                "examples": found["examples"],
                "business_days": str(days),
            },
        )


def build_check(name: str, claims: Sequence[Claim]) -> dg.AssetChecksDefinition:
    """Return one step that examines several claims over the run's slice."""
    specs = [
        dg.AssetCheckSpec(claim.name, asset=claim.key, description=claim.description, blocking=claim.is_blocking) for claim in claims
    ]

    @dg.multi_asset_check(name=name, specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext, database: DatabaseResource) -> Iterator[dg.AssetCheckResult]:
        days = days_of(context.op_execution_context.partition_keys)
        chosen = {(key.asset_key, key.name) for key in context.selected_asset_check_keys}
        for claim in claims:
            if (claim.key, claim.name) in chosen:
                yield claim.examine(database.database(), days)

    return check
