"""What the shop's records have, reported by two checks of the raw tables.

One reports fields that are new, missing, or of another type, the other mapped paths that no record has had yet.

Profiles are taken in `profile.fields`, compared in `profile.drift` and held against the mapping in `profile.unfound`;
what is known is kept by `history.fields`.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.decoding.mapping import decode
from analytics_pipeline.history.fields import known_fields, record_fields
from analytics_pipeline.orchestration.assets import publish
from analytics_pipeline.profile.drift import BACK, Comparison, FieldChange, KnownField, compare
from analytics_pipeline.profile.fields import ANY_KEY, FieldProfile
from analytics_pipeline.profile.mapped import mapped_paths, personal_paths
from analytics_pipeline.profile.unfound import unfound
from analytics_pipeline.shop.spec import Records
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import EXAMPLES, RAW_CUSTOMERS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import exists, query

KNOWN_FIELDS = "fields_are_the_known_ones"
MAPPED_FOUND = "mapped_paths_are_found"
EXAMINED_FIRST = 2_000
"""Records of a run that are all looked at; a long range would spend seconds on more."""
THEN_EVERY = 20


def field_specs(contract: Contract) -> list[dg.AssetCheckSpec]:
    """Return the checks of `FieldAudit`."""
    key = dg.AssetKey(contract.table.path)
    return [
        dg.AssetCheckSpec(
            KNOWN_FIELDS,
            asset=key,
            description="Fields and types are those of earlier records: none is new, missing or of another type.",
        ),
        dg.AssetCheckSpec(
            MAPPED_FOUND,
            asset=key,
            description="Each path of the description that records should have was seen in one.",
        ),
    ]


class _Sample:
    """A profile of the first records, and of every twentieth after them."""

    def __init__(self, profile: FieldProfile) -> None:
        self.profile = profile
        self._given = 0

    def look_at(self, payloads: pa.Array) -> None:
        start, self._given = self._given, self._given + len(payloads)
        places = range(start, self._given)
        chosen = [place - start for place in places if place < EXAMINED_FIRST or place % THEN_EVERY == 0]
        for payload in payloads.take(pa.array(chosen, pa.int64())).to_pylist():
            try:
                self.profile.look_at(decode(payload))
            except ValueError:
                continue  # cleaning quarantines it


class FieldAudit:
    """Looks at the records of one extraction, says how their fields differ from the known ones, and records it."""

    def __init__(self, contract: Contract, endpoint: Records, database: Database) -> None:
        """Read what is known, before anything is written.

        Args:
            contract: The raw table's.
            endpoint: The description of the shop's list.
            database: Where the known fields are kept.
        """
        self._table = contract.table
        self._database = database
        self._known = known_fields(database, self._table.name)
        self._newest_day = self._stored_newest_day()
        self._endpoint, self._roles = endpoint, mapped_paths(endpoint)
        # Whatever stands in the record of a customer may tell of the customer.
        personal = {ANY_KEY} if contract is RAW_CUSTOMERS else personal_paths(self._roles)
        maps = {field.path.removesuffix(ANY_KEY).removesuffix(".") for field in self._known if _is_of_a_map(field)}
        # Old orders may be as an older version of the API made them: they are compared on their own.
        self._newest, self._older = (_Sample(FieldProfile(personal=personal, maps=maps)) for _ in range(2))
        self._seen_at = datetime.now(UTC)
        self._comparison = Comparison((), ())

    def look_at(self, batch: pa.RecordBatch) -> None:
        """Take in the records of a page, those from the newest loaded business day on apart from older ones."""
        if self._newest_day is None:
            self._newest.look_at(batch.column("payload"))
            return
        is_newest = pc.greater_equal(batch.column(self._table.day_column), pa.scalar(self._newest_day))
        self._newest.look_at(batch.filter(is_newest).column("payload"))
        self._older.look_at(batch.filter(pc.invert(is_newest)).column("payload"))

    def results(self) -> list[dg.AssetCheckResult]:
        """Compare the records with what is known, and with the mapping."""
        return [self._drift(), self._mapping()]

    def _mapping(self) -> dg.AssetCheckResult:
        profiles = [self._newest.profile, self._older.profile]
        records = sum(profile.records for profile in profiles)
        fields = [field for profile in profiles for field in profile.fields()]
        missed = [one for one in unfound(self._endpoint, fields, records, self._known) if one.is_suspect]
        # What was cut short may hold what seems missing.
        messages = [] if any(profile.notes for profile in profiles) else [str(one) for one in missed]
        return dg.AssetCheckResult(
            asset_key=dg.AssetKey(self._table.path),
            check_name=MAPPED_FOUND,
            passed=not messages,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"records_examined": records, "not_found": "; ".join(messages)},
        )

    def _drift(self) -> dg.AssetCheckResult:
        profiles = [(self._newest.profile, True), (self._older.profile, False)]
        metadata: dict[str, Any] = {"records_examined": sum(profile.records for profile, _ in profiles)}
        changes: dict[tuple[str, str], FieldChange] = {}
        known: Sequence[KnownField] = self._known
        for profile, is_newest in profiles:
            if profile.records:
                found = compare(
                    known, profile.fields(), profile.records, self._roles, now=self._seen_at, is_newest=is_newest
                )
                for change in found.changes:
                    changes.setdefault((change.change, change.path), change)
                known = found.known
        if not metadata["records_examined"]:
            return self._result([], metadata | {"note": "no record came"})
        if not self._known:
            changes = {}
            metadata["note"] = "the first profile: from now on these fields are the known ones"
        notes = dict.fromkeys(note for profile, _ in profiles for note in profile.notes)
        if notes:
            metadata["not_looked_at"] = "; ".join(notes)
        self._comparison = Comparison(tuple(changes.values()), tuple(known))
        return self._result(self._comparison.changes, metadata)

    def record(self, run_id: str) -> None:
        """Keep what is known now, after the records have been written; without records nothing changes."""
        known, changes = self._comparison.known, self._comparison.changes
        if known:
            record_fields(self._database, self._table.name, known, changes, run_id=run_id, seen_at=self._seen_at)

    def _result(self, changes: Sequence[FieldChange], metadata: dict[str, Any]) -> dg.AssetCheckResult:
        metadata |= Counter(change.change for change in changes)
        if changes:
            messages = [f"- {change}" for change in changes[: 2 * EXAMPLES]]
            metadata["changes"] = dg.MetadataValue.md("\n".join(messages))
        return dg.AssetCheckResult(
            asset_key=dg.AssetKey(self._table.path),
            check_name=KNOWN_FIELDS,
            # A field that is back is as it was before.
            passed=all(change.change == BACK for change in changes),
            severity=dg.AssetCheckSeverity.WARN,
            metadata=publish.shown(metadata),
        )

    def _stored_newest_day(self) -> date | None:
        """Return the newest loaded business day; None for a list without days, and before the first one."""
        day, name = self._table.day_column, self._table.sql_name
        if day is None or not exists(self._database, self._table):
            return None
        newest: date | None = query(self._database, f"select max({day}) as day from {name}")[0]["day"]
        return newest


def _is_of_a_map(field: KnownField) -> bool:
    return field.path == ANY_KEY or field.path.endswith(f".{ANY_KEY}")
