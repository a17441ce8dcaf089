"""The check that reports records which are not as described: without an id or a day, or kept escaped.

They stop nobody: orders go into quarantine, customers and products are in no clean table. No content is shown, since it
may be a person's: only the page and the place in it.
"""

from typing import Any

import dagster as dg

from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.transforms.raw import OddRecords

READABLE_RECORDS = "all_records_are_readable"


def readable_spec(contract: Contract) -> dg.AssetCheckSpec:
    """Return the check of `readable_result`."""
    what = "an id and a creation date" if contract is RAW_ORDERS else "an id"
    return dg.AssetCheckSpec(
        READABLE_RECORDS,
        asset=dg.AssetKey(contract.table.path),
        description=f"Each record is JSON and has {what} that can be read; the others are kept, and set apart.",
    )


def readable_result(contract: Contract, odd: OddRecords, undated: int) -> dg.AssetCheckResult:
    """Return how many records of a finished reading are not so, and where the first of them stand.

    Args:
        contract: The raw table's.
        odd: What was not as described.
        undated: Number of records that belong to no day.
    """
    metadata: dict[str, Any] = {
        "without_id": odd.without_id,
        "without_day": odd.without_day,
        "of_no_day": undated,
        "kept_escaped": odd.escaped,
    }
    if odd.examples:
        metadata["examples"] = dg.MetadataValue.md("\n".join(f"- {example}" for example in odd.examples))
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(contract.table.path),
        check_name=READABLE_RECORDS,
        passed=not odd.any,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )
