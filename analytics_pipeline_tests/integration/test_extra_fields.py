"""A description's own fields: columns of clean.orders in a database that had none, and marts that read them."""

from dataclasses import replace
from pathlib import Path

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import FIRST, LAST, redescribed

EXTRA = {
    "lines": {"path": "length(lines)", "type": "count"},
    "wide_discount": {"path": "order_discount", "type": "money"},
    "title": {"path": "lines[0].title", "type": "count"},
}
MART = """-- Lines of the orders of each business day, and what was taken off the orders as a whole.
-- grain: order_date
select
    order_date, -- Business day of the orders.
    sum(extra_lines) as lines, -- Lines.
    sum(extra_wide_discount) as wide_discount -- Order-wide discounts.
from clean.orders
where order_date between :first_day and :last_day
group by order_date
"""


def test_extra_fields_come_into_a_loaded_table_and_a_mart_reads_them_in_their_types(
    loaded: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "parcels.sql").write_text(MART, encoding="utf-8")
    described = redescribed(loaded, tmp_path, orders={"extra": EXTRA})
    definitions = build_definitions(str(described.description), tmp_path, lambda: loaded.database)
    pipeline = replace(described, definitions=definitions)
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    columns = specs["clean/orders"].metadata["dagster/column_schema"].columns
    assert [(one.name, one.type) for one in columns[-3:]] == [
        ("extra_lines", "bigint"),
        ("extra_wide_discount", "numeric(19,4)"),
        ("extra_title", "bigint"),
    ]
    types = {one.name: one.type for one in specs["marts/parcels"].metadata["dagster/column_schema"].columns}
    assert types["wide_discount"].startswith("numeric")

    # The stored rows have no value yet; a mart that reads them runs all the same.
    assert pipeline.run(FIRST, LAST, job="marts").succeeded
    assert {row["lines"] for row in pipeline.rows("select lines from marts.parcels")} == {None}

    summary = pipeline.run(FIRST, LAST)
    assert summary.succeeded, summary.failures
    assert any("all_values_are_readable" in warning for warning in summary.warnings)  # a title is no number
    assert pipeline.rows("select count(extra_title) as titles from clean.orders") == [{"titles": 0}]
    counted = "select order_date, count(*) as lines from clean.order_lines group by 1 order by 1"
    assert pipeline.rows("select order_date, lines::bigint from marts.parcels order by 1") == pipeline.rows(counted)
    discounts = pipeline.rows(
        "select sum((payload ->> 'order_discount')::numeric(19, 4))::text as sum from raw.orders "
        "join clean.orders using (order_date, order_id)"
    )
    assert pipeline.rows("select sum(extra_wide_discount)::text as sum from clean.orders") == discounts

    # A description that no longer has them leaves the columns, and runs.
    assert loaded.run(LAST).succeeded
    assert pipeline.rows(f"select count(extra_lines) as lines from clean.orders where order_date = '{LAST}'") == [
        {"lines": 0}
    ]
