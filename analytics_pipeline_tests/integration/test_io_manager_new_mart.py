"""A new mart is one new file: no Python, no registration."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from analytics_pipeline_tests.conftest import Pipeline

PACKAGE = Path(__file__).parents[2] / "analytics_pipeline"
MART = """-- Orders and net sales of each country and business day.
-- grain: event_date, country, currency
select
    sales.event_date, -- Business day of the events.
    coalesce(orders.country, '?') as country, -- Country of the order.
    sales.currency, -- Currency.
    count(distinct sales.order_id) as orders, -- Orders with an event that day.
    sum(sales.net_sales) as net_sales -- Net sales.
from clean.sales
join clean.orders on orders.order_id = sales.order_id
where sales.event_date between :first_day and :last_day
group by sales.event_date, coalesce(orders.country, '?'), sales.currency
"""
RUN = """
import dagster as dg
from analytics_pipeline.definitions import defs
days = {"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-01-03"}
result = defs.resolve_job_def("marts").execute_in_process(tags=days)
for event in result.asset_materializations_for_node("marts__country_sales"):
    print(event.partition, sorted(event.metadata))
"""


def test_a_file_in_the_folder_of_marts_is_materialised_with_the_others(loaded: Pipeline, tmp_path: Path) -> None:
    copy = tmp_path / "checkout" / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "marts" / "country_sales.sql").write_text(MART, encoding="utf-8")
    environment = {**os.environ, "ANALYTICS_SHOP": str(loaded.description), "PYTHONPATH": str(copy.parent)}
    ran = subprocess.run(
        [sys.executable, "-c", RUN], cwd=copy.parent, env=environment, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
    told = [line.split(" ", 1) for line in ran.stdout.splitlines()]
    assert [day for day, _ in told] == ["2025-01-01", "2025-01-02", "2025-01-03"]
    assert all("dagster/partition_row_count" in figures and "net_sales_EUR" in figures for _, figures in told)
    by_day = "select event_date, sum(net_sales)::text as net_sales from marts.{table} group by 1 order by 1"
    assert loaded.rows(by_day.format(table="country_sales")) == loaded.rows(by_day.format(table="daily_revenue"))
    described = "select obj_description('marts.country_sales'::regclass) as text"
    assert loaded.rows(described) == [{"text": "Orders and net sales of each country and business day."}]
