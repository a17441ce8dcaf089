"""What a reading of orders, or of a related list, brought by day: which are written, what is reported of the others.

Reading is `sources.ranges`' part, judging `history.proving`'s.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from analytics_pipeline.days import Days
from analytics_pipeline.errors import CountError
from analytics_pipeline.history.extractions import ExtractionFigures
from analytics_pipeline.history.proofs import DAYS_PROVED, REFUSED, UNPROVED, DayProof
from analytics_pipeline.history.proving import EMPTY, NO_COUNT, DayCame, is_kept, judge, read_stored, refusal
from analytics_pipeline.sources.ranges import DaysRead, Part
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.transforms.raw import EXAMPLES, OddRecords, UndatedRecord
from analytics_pipeline.warehouse.connection import Database

MOST_REASONS = 10
NAMED_DAYS = 2
"""Days whose reasons stand in the sentence of a step that failed; the check's figures have `MOST_REASONS`."""


def days_spec(table: Table) -> dg.AssetCheckSpec:
    """Return the check of `DaysFound.days_result`."""
    return dg.AssetCheckSpec(
        DAYS_PROVED,
        asset=dg.AssetKey(table.path),
        blocking=False,
        description="Each day of the run was read whole and is believed. The others are named; their rows stay as they "
        "were, and a poll has them read again.",
    )


class DaysFound:
    """The orders of a run's days, or the records of a related list, as they were read and judged.

    Attributes:
        proofs: What each day was held against the shop by.
    """

    def __init__(
        self,
        read: DaysRead,
        database: Database,
        days: Days,
        began: datetime,
        zone: ZoneInfo,
        *,
        is_over: bool,
        table: Table = RAW_ORDERS.table,
    ) -> None:
        """Judge the days, with what is stored of them in the list's raw table."""
        self._read, self._table, self._key = read, table, dg.AssetKey(table.path)
        came = [day for part in read.parts for day in _days_of(part, is_over=is_over) if day.day not in read.refused]
        stored = read_stored(database, list(days), {one for part in read.parts for one in part.days}, table)
        refused = [refusal(day, str(error), stored, began) for day, error in sorted(read.refused.items())]
        self.proofs: list[DayProof] = [*judge(came, stored, began, zone), *refused]
        self._kept = {proof.day for proof in self.proofs if is_kept(proof, stored.written)}

    @property
    def all_refused(self) -> bool:
        """Whether no day could be read whole."""
        return all(day in self._read.refused for part in self._read.parts for day in Days(part.first, part.last))

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of the days that are written."""
        for part in self._read.parts:
            yield from self.written(part.rows.reader(), {day for _, day in part.days})

    def written(self, rows: pa.RecordBatchReader, days: Collection[date]) -> Iterator[pa.RecordBatch]:
        """Yield those of some rows whose days are written; `days` are all that they may have."""
        kept = None if self._kept.issuperset(days) else pa.array(sorted(self._kept), pa.date32())
        for batch in rows:
            yield batch if kept is None else batch.filter(pc.is_in(batch[1], kept))

    def ids(self) -> list[str]:
        """Return the orders, or records, that came."""
        return list({order_id for part in self._read.parts for order_id, _ in part.days})

    def left(self) -> dict[date, Mapping[str, Any]]:
        """Return what is said of the days that are not written."""
        proofs = [proof for proof in self.proofs if proof.day not in self._kept]
        return {proof.day: {"state": proof.state, "reason": proof.reason or ""} for proof in proofs}

    @property
    def undated(self) -> list[UndatedRecord]:
        """Records that belong to no day."""
        return [record for part in self._read.parts for one in part.extractions for record in one.undated]

    @property
    def odd(self) -> OddRecords:
        """What was not as described."""
        odd = OddRecords()
        for one in (one.odd for part in self._read.parts for one in part.extractions):
            odd.escaped += one.escaped
            odd.without_id += one.without_id
            odd.without_day += one.without_day
            odd.examples = [*odd.examples, *one.examples][:EXAMPLES]
        return odd

    def figures(self) -> dict[str, Any]:
        """Return the metadata of the whole run's slice."""
        parts = self._read.parts
        return {
            "records": sum(part.records for part in parts),
            "records_of_other_days": sum(one.outside_window for part in parts for one in part.extractions),
            "records_without_day": len(self.undated),
            "records_kept_escaped": self.odd.escaped,
            "days_refused": len(self._read.refused),
        }

    def extraction_figures(self, statistics: Statistics) -> ExtractionFigures:
        """Return what `ops.extractions` keeps; a count only where each part has one."""
        parts = self._read.parts
        counts = [part.source_count for part in parts]
        orders = sum(len(part.days) for part in parts)
        return ExtractionFigures(
            records=sum(part.records for part in parts),
            orders=orders,
            records_of_other_days=sum(part.arrived for part in parts) - orders
            if None not in counts
            else sum(one.outside_window + len(one.undated) for part in parts for one in part.extractions),
            source_count=None if None in counts else sum(count for count in counts if count is not None),
            requests=statistics.requests,
            retries=statistics.retries,
            bytes=statistics.bytes,
            milliseconds_waited=round(statistics.seconds_waited * 1000),
        )

    def count_result(self, name: str) -> dg.AssetCheckResult:
        """Return whether as many records came as the shop counts; it fails for sure where no day could be read."""
        parts = [part for part in self._read.parts if part.source_count is not None]
        wrong = [error for error in self._read.refused.values() if isinstance(error, CountError)]
        arrived = sum(part.arrived for part in self._read.parts)
        counted = sum(part.source_count or 0 for part in parts)
        difference = sum(part.arrived - (part.source_count or 0) for part in parts)
        if self.all_refused:
            arrived, counted = sum(error.arrived for error in wrong), sum(error.counted for error in wrong)
            difference = arrived - counted
        has_count = bool(parts or (self.all_refused and wrong))
        faults = {one.count_fault for part in self._read.parts for one in part.extractions if one.count_fault}
        return dg.AssetCheckResult(
            asset_key=self._key,
            check_name=name,
            passed=difference == 0 and not self.all_refused,
            severity=dg.AssetCheckSeverity.ERROR if self.all_refused else dg.AssetCheckSeverity.WARN,
            metadata={
                "unexplained_difference": difference,
                "arrived": arrived,
                "arrived_again": sum(part.records - len(part.days) for part in self._read.parts),
                "counted_by_the_shop": counted if has_count else "; ".join(sorted(faults)) or "the shop gives no count",
            },
        )

    def days_result(self) -> dg.AssetCheckResult:
        """Return which days are not proved, and why."""
        refused = [proof for proof in self.proofs if proof.state == REFUSED]
        unproved = [proof for proof in self.proofs if proof.state == UNPROVED]
        is_lacking = any(proof.day not in self._kept for proof in self.proofs)
        return dg.AssetCheckResult(
            asset_key=self._key,
            check_name=DAYS_PROVED,
            passed=not refused and not unproved,
            severity=dg.AssetCheckSeverity.ERROR if is_lacking else dg.AssetCheckSeverity.WARN,
            metadata={"refused": _listed(refused), "unproved": _listed(unproved)},
            description=_listed(refused, NAMED_DAYS) or None,
        )


def _listed(proofs: list[DayProof], most: int = MOST_REASONS) -> str:
    shown = [f"{proof.day}: {proof.reason}" for proof in proofs[:most]]
    rest = Days.of(proof.day for proof in proofs[most:]).ranges
    return "; ".join([*shown, *([f"and {', '.join(map(str, rest))}"] if rest else [])])


def _days_of(part: Part, *, is_over: bool) -> Iterator[DayCame]:
    orders, alone = part.by_day(), part.source_count if part.first == part.last else None
    is_counted = part.source_count is not None and (part.agrees or not is_over)
    prints = {} if is_counted else part.fingerprints()
    covered = part.covered
    faults = {one.count_fault for one in part.extractions if one.count_fault}
    for day in Days(part.first, part.last):
        yield DayCame(
            day,
            orders[day],
            is_counted=is_counted and (covered is None or day in covered),
            source_count=alone,
            fingerprint=prints.get(day, EMPTY),
            count_fault="; ".join(sorted(faults)) or None,
            basis=part.basis,
            lack=NO_COUNT if covered is None else "no file has rows of it",
        )
