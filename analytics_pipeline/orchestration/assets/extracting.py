"""What the assets of the raw layer share: how an extraction is examined, reported on, and what it cost."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import dagster as dg
import pandas as pd
import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.history.excerpts import keep
from analytics_pipeline.history.stale import note_failure
from analytics_pipeline.orchestration.assets.drift import FieldAudit
from analytics_pipeline.orchestration.assets.proof import MOST_REASONS, DaysFound
from analytics_pipeline.orchestration.assets.publish import ContractAudit
from analytics_pipeline.sources.ranges import DaysRead
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database

SOURCE_COUNT = "extracted_records_equal_the_shops_count"
SECONDS_BETWEEN_REPORTS = 5.0


def count_spec(table: Table, *, blocking: bool) -> dg.AssetCheckSpec:
    """Return the check that holds what arrived against the shop's count; whether it stops the step is given."""
    return dg.AssetCheckSpec(
        SOURCE_COUNT,
        asset=dg.AssetKey(table.path),
        blocking=blocking,
        description="As many records arrived as the shop counts, where it gives a count; checked before the write.",
    )


def keep_words(database: Database, place: str, read: DaysRead, run_id: str) -> None:
    """Keep what the refused days that are reported one by one quote of the shop, apart from their messages."""
    messages = list(read.refused.values())[:MOST_REASONS]
    for excerpt, error in {error.excerpt: error for error in reversed(messages)}.items():
        if excerpt:
            keep(database, place, str(error), excerpt, run_id)


def audited(contract: Contract, found: DaysFound, fields: FieldAudit) -> ContractAudit:
    """Examine the rows of the days that are written."""
    audit = ContractAudit(contract)
    for batch in found.rows():
        audit.look_at(pa.Table.from_batches([batch]).to_pandas(types_mapper=pd.ArrowDtype))
        fields.look_at(batch)
    return audit


def count_refusals(database: Database, read: DaysRead, run_id: str) -> None:
    """Count the refusal of single days as a failed run is counted, which this one is not."""
    for day in sorted(read.refused):
        note_failure(database, Days(day, day), run_id, ())


class Counted(Protocol):
    """What is read, and says how far it is."""

    @property
    def records(self) -> int:
        """Records so far."""

    @property
    def source_count(self) -> int | None:
        """How many there will be; None where nobody says so."""


def reports(context: dg.AssetExecutionContext, contract: Contract) -> Callable[[Counted], None]:
    """Return what reports on a long extraction, every few seconds."""
    reported = time.monotonic()

    def report(extraction: Counted) -> None:
        nonlocal reported
        if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            total = "" if extraction.source_count is None else f" of {extraction.source_count}"
            context.log.info("%s: %s%s records read", contract.table.qualified_name, extraction.records, total)

    return report


def costs(statistics: Statistics) -> dict[str, Any]:
    """Return what an extraction cost, as metadata."""
    waited = statistics.waited
    return {
        "requests": statistics.requests,
        "retries": statistics.retries,
        "megabytes": round(statistics.bytes / 1_000_000, 3),
        "seconds_waited": round(statistics.seconds_waited, 3),
        **({"waited_for": {why: round(seconds, 3) for why, seconds in waited.items()}} if waited else {}),
    }


def outputs(value: Callable[[], Any], metadata: dict[str, Any]) -> Iterator[dg.Output[Any]]:
    """Yield the output of what `value` makes, once it is asked for."""
    yield dg.Output(value(), metadata=metadata)
