"""A new mart is one new file: no Python, no registration; a broken one stops nobody else."""

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


BROKEN = """
import dagster as dg
from analytics_pipeline.definitions import defs
days = {"dagster/asset_partition_range_start": "2025-01-01", "dagster/asset_partition_range_end": "2025-01-03"}
for job in ("marts", "daily"):
    result = defs.resolve_job_def(job).execute_in_process(tags=days, raise_on_error=False)
    written = {one.asset_key.path[-1] for one in result.get_asset_materialization_events()}
    print(result.success, *sorted(written))
spec = next(spec for spec in defs.resolve_all_asset_specs() if spec.key.path[-1] == "daily_product_sales")
print(spec.description)
"""


def _ran(loaded: Pipeline, folder: Path, program: str, **marts: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a copy of the package with further marts, or others in place of those of the same names."""
    copy = folder / "checkout" / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in marts.items():
        (copy / "marts" / f"{name}.sql").write_text(text, encoding="utf-8")
    environment = {**os.environ, "ANALYTICS_SHOP": str(loaded.description), "PYTHONPATH": str(copy.parent)}
    return subprocess.run(
        [sys.executable, "-c", program], cwd=copy.parent, env=environment, capture_output=True, text=True, check=False
    )


def test_a_broken_mart_stops_what_reads_it_and_everything_else_runs(loaded: Pipeline, tmp_path: Path) -> None:
    ran = _ran(loaded, tmp_path, BROKEN, daily_product_sales="-- No grain.\nselect 1 as one -- One.\n")

    assert ran.returncode == 0, ran.stderr
    marts, daily, *description = ran.stdout.splitlines()
    assert marts.split()[0] == daily.split()[0] == "True"
    assert "daily_revenue" in marts.split()
    assert {"orders", "sales", "customers", "daily_revenue"} <= set(daily.split())
    assert "daily_product_sales" not in daily.split()
    assert "daily_reconciliation" not in daily.split()  # it reads the broken one
    assert "daily_product_sales.sql: line 1: no line `-- grain" in " ".join(description)


def test_a_file_in_the_folder_of_marts_is_materialised_with_the_others(loaded: Pipeline, tmp_path: Path) -> None:
    ran = _ran(loaded, tmp_path, RUN, country_sales=MART)

    assert ran.returncode == 0, ran.stderr
    messages = [line.split(" ", 1) for line in ran.stdout.splitlines()]
    assert [day for day, _ in messages] == ["2025-01-01", "2025-01-02", "2025-01-03"]
    assert all("dagster/partition_row_count" in figures and "net_sales_EUR" in figures for _, figures in messages)
    by_day = "select event_date, sum(net_sales)::text as net_sales from marts.{table} group by 1 order by 1"
    assert loaded.rows(by_day.format(table="country_sales")) == loaded.rows(by_day.format(table="daily_revenue"))
    described = "select obj_description('marts.country_sales'::regclass) as text"
    assert loaded.rows(described) == [{"text": "Orders and net sales of each country and business day."}]
