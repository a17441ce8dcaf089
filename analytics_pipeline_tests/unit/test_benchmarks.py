"""The benchmarks' rows fit the tables that they are written to; they are run by hand, so nothing else would tell."""

from analytics_pipeline.tables.contracts import CLEAN_SALES
from benchmarks.ledger import make_ledger


def test_the_ledger_of_the_benchmarks_has_the_shape_and_keeps_the_contract_of_the_pipelines_own() -> None:
    assert make_ledger(20_000).schema == CLEAN_SALES.table.arrow_schema
