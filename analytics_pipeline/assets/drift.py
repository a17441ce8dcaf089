"""Drift of the shop's answers, told by a check of the raw tables: fields that are new, missing, or of another type.

Profiles are taken in `sources.fields` and compared in `sources.drift`; what is known is kept by `history.fields`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pyarrow as pa

from analytics_pipeline.contracts import EXAMPLES, RAW_CUSTOMERS, Contract
from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import exists, query
from analytics_pipeline.history.fields import known_fields, record_fields
from analytics_pipeline.partitions import DayRange
from analytics_pipeline.sources.drift import BACK, Comparison, FieldChange, compare
from analytics_pipeline.sources.fields import ANY_KEY, FieldProfile
from analytics_pipeline.sources.mapped import mapped_paths, personal_paths
from analytics_pipeline.sources.mapping import decode
from analytics_pipeline.sources.spec import Endpoint

KNOWN_FIELDS = "fields_are_the_known_ones"
LOOKED_AT_FIRST = 2_000
"""Records of a run that are all looked at; a long range would spend seconds on more."""
THEN_EVERY = 20


def field_spec(contract: Contract) -> dg.AssetCheckSpec:
    """Return the check of `FieldAudit`."""
    return dg.AssetCheckSpec(
        KNOWN_FIELDS,
        asset=dg.AssetKey(contract.table.path),
        description="Fields and types are those of earlier records: none is new, missing or of another type.",
    )


class FieldAudit:
    """Looks at the records of one extraction, tells how their fields differ from the known ones, and records it."""

    def __init__(
        self, contract: Contract, endpoint: Endpoint, database: Database, days: DayRange | None = None
    ) -> None:
        """Read what is known, before anything is written.

        Args:
            contract: The raw table's.
            endpoint: The description of the shop's list.
            database: Where the known fields are kept.
            days: The business days that are extracted, None for a list without days.
        """
        self._table = contract.table
        self._database = database
        self._known = known_fields(database, self._table.name)
        self._is_newest = days is None or days.last >= (self._newest_day() or days.last)
        self._roles = mapped_paths(endpoint)
        # Whatever stands in the record of a customer may tell of the customer.
        personal = {ANY_KEY} if contract is RAW_CUSTOMERS else personal_paths(self._roles)
        suffix = f".{ANY_KEY}"
        maps = {field.path.removesuffix(suffix) for field in self._known if field.path.endswith(suffix)}
        maps |= {"" for field in self._known if field.path == ANY_KEY}
        self._profile = FieldProfile(personal=personal, maps=maps)
        self._given = 0
        self._seen_at = datetime.now(UTC)
        self._comparison = Comparison((), ())

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Take in the records of a page: all of the first ones, then every twentieth."""
        start, self._given = self._given, self._given + batch.num_rows
        chosen = [
            place
            for place in range(batch.num_rows)
            if start + place < LOOKED_AT_FIRST or (start + place) % THEN_EVERY == 0
        ]
        for payload in batch.column("payload").take(pa.array(chosen, pa.int64())).to_pylist():
            try:
                self._profile.look_at(decode(payload))
            except ValueError:
                continue  # cleaning quarantines it

    def result(self) -> dg.AssetCheckResult:
        """Compare the records with what is known."""
        profile = self._profile
        metadata: dict[str, Any] = {"records_looked_at": profile.records}
        if not profile.records:
            return self._result((), metadata | {"told": "no record came"})
        fields = profile.fields()
        self._comparison = compare(
            self._known, fields, profile.records, self._roles, now=self._seen_at, is_newest=self._is_newest
        )
        metadata["fields"] = len({field.path for field in fields})
        if not self._known:
            metadata["told"] = "the first profile: from now on these fields are the known ones"
        if profile.notes:
            metadata["not_looked_at"] = "; ".join(profile.notes)
        return self._result(self._comparison.changes, metadata)

    def record(self, run_id: str) -> None:
        """Keep what is known now, after the records have been written; without records nothing changes."""
        if self._comparison.known:
            known, changes = self._comparison.known, self._comparison.changes
            record_fields(self._database, self._table.name, known, changes, run_id=run_id, seen_at=self._seen_at)

    def _result(self, changes: Sequence[FieldChange], metadata: dict[str, Any]) -> dg.AssetCheckResult:
        counts: dict[str, int] = {}
        for change in changes:
            counts[change.change] = counts.get(change.change, 0) + 1
        metadata |= counts
        if changes:
            shown = [f"- {change}" for change in changes[: 2 * EXAMPLES]]
            metadata["changes"] = dg.MetadataValue.md("\n".join(shown))
        return dg.AssetCheckResult(
            asset_key=dg.AssetKey(self._table.path),
            check_name=KNOWN_FIELDS,
            # A field that is back is as it was before.
            passed=all(change.change == BACK for change in changes),
            severity=dg.AssetCheckSeverity.WARN,
            metadata=metadata,
        )

    def _newest_day(self) -> date | None:
        if not exists(self._database, self._table):
            return None
        newest: date | None = query(
            self._database, f"select max({self._table.day_column}) as day from {self._table.qualified_name}"
        )[0]["day"]
        return newest
