"""Write, audit, publish: outputs go to the IO manager only after every check before the write has passed.

A blocking check that fails after the write stops what is downstream, but the bad slice is stored by then. So the checks
of raw and clean tables are part of the asset: their results are reported, and a failed one ends the step before any
output.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import dagster as dg

from analytics_pipeline.plain import without_addresses
from analytics_pipeline.tables.contract import Contract
from analytics_pipeline.tables.contracts import EXAMPLES
from analytics_pipeline.tables.promises import OCCURS_ONCE, Violation, violations
from analytics_pipeline.tables.shape import Table

FITS_CONTRACT = "rows_fit_the_contract"
KEYS_UNIQUE = "keys_are_unique"
_MARKUP = re.compile(r"\](?=\()|<(?=[A-Za-z/!])")
"""What begins a link, a picture or a tag in markdown; with a blank behind it, it begins nothing."""


def contract_specs(table: Table) -> list[dg.AssetCheckSpec]:
    """Return the checks of a table that run before its write."""
    key = dg.AssetKey(table.path)
    specs = [
        dg.AssetCheckSpec(
            FITS_CONTRACT,
            asset=key,
            blocking=True,
            description="Every row fits the table's contract; checked before the write.",
        )
    ]
    if table.key:
        description = f"No two rows have the same {', '.join(table.key)}; checked before the write."
        specs.append(dg.AssetCheckSpec(KEYS_UNIQUE, asset=key, blocking=True, description=description))
    return specs


class ContractAudit:
    """Collects the violations of one table over all its batches and turns them into check results."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._rows = 0
        self._found: list[Violation] = []

    def look_at(self, rows: Any) -> None:  # noqa: ANN401 - a pandas frame
        """Validate a batch; the rows are not changed."""
        self._rows += len(rows)
        self._found += violations(self._contract, rows)

    def results(self) -> Iterator[dg.AssetCheckResult]:
        """Yield one result per check of `contract_specs`."""
        table = self._contract.table
        repeated = [violation for violation in self._found if violation.rule == OCCURS_ONCE]
        others = [violation for violation in self._found if violation.rule != OCCURS_ONCE]
        yield self._result(FITS_CONTRACT, others)
        if table.key:
            yield self._result(KEYS_UNIQUE, repeated)

    def _result(self, name: str, found: Sequence[Violation]) -> dg.AssetCheckResult:
        metadata: dict[str, Any] = {"rows": self._rows, "violations": sum(violation.rows for violation in found)}
        if found:
            metadata["examples"] = dg.MetadataValue.md("\n".join(f"- {violation}" for violation in found[:EXAMPLES]))
        return dg.AssetCheckResult(
            asset_key=dg.AssetKey(self._contract.table.path),
            check_name=name,
            passed=not found,
            metadata=shown(metadata),
        )


def publish(
    results: Iterable[dg.AssetCheckResult], outputs: Iterable[dg.Output[Any]]
) -> Iterator[dg.AssetCheckResult | dg.Output[Any]]:
    """Yield the check results, then the outputs; the outputs only when no check failed but for warnings.

    Raises:
        dagster.Failure: A check failed; the stored rows are the last good ones. Not retried: the same data fails again.
    """
    failed = []
    for result in results:
        yield result
        if not result.passed and result.severity == dg.AssetCheckSeverity.ERROR:
            failed.append(result)
    if failed:
        names = "; ".join(
            f"{result.check_name} of {result.asset_key.to_user_string() if result.asset_key else '?'}"
            + (f" ({result.description})" if result.description else "")
            for result in failed
        )
        description = (
            f"Nothing was written, since a check before it failed: {names}. The stored rows are the last good ones."
        )
        shown = {
            f"{result.check_name}: {name}": value
            for result in failed
            for name, value in result.metadata.items()
            if name != "rows"
        }
        raise dg.Failure(description, metadata=shown, allow_retries=False)
    yield from outputs


def shown(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a check with the shop's texts made harmless: no control characters, links or addresses."""
    return {name: _harmless(value) for name, value in metadata.items()}


def _harmless(value: Any) -> Any:  # noqa: ANN401 - whatever Dagster takes as metadata
    if isinstance(value, str):
        return without_addresses(value)
    if isinstance(value, dg.MarkdownMetadataValue):
        return dg.MetadataValue.md(_MARKUP.sub(r"\g<0> ", without_addresses(value.value or "")))
    return value


def figure(amount: Decimal) -> dg.MetadataValue[Any]:
    """Return an amount as metadata that Dagster plots; the exact text belongs beside it."""
    return dg.MetadataValue.float(float(amount))
