"""A shop that is a folder of files, from the first look to restated figures; money to the cent."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.history.stale import days_to_load
from analytics_pipeline.late_changes.files import look
from analytics_pipeline.late_changes.poll import poll
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline.orchestration.running import RunSummary, run_days
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.sources.files.store import StoreSource
from analytics_pipeline.sources.opening import open_source
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.raw import ORDERS_SCHEMA
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.integration.test_real_shop import DESCRIPTION, REAL_SHOP

LESSON = """\
date,customer_id,price,quantity
2026-11-01,C1,10.00,2
2026-11-01,C2,5.50,1
2026-11-01,,20.00,1
2026-11-02,C1,,3
2026-11-02,C3,7.25,4
2026-11-02,C3,7.25,4
2026-11-03,C5,3.00,1
no date,C5,4.00,1
Total,,72.00,
"""


class Folder:
    """The pipeline on a folder of files."""

    def __init__(self, path: Path, database: Database, instance: dg.DagsterInstance) -> None:
        self.path, self.database, self.instance = path / "in", database, instance
        self.path.mkdir()
        self.reference = path / "lesson.yaml"
        described = {
            "name": "lesson",
            "timezone": "Europe/Berlin",
            "currency": "EUR",
            "first_day": date(2026, 11, 1),
            "quarantine": {"block_above": 1.0},
            "files": {"folder": str(self.path), "settle_seconds": 0},
            "orders": {
                "files": "*.csv",
                "columns": {"date": "date", "price": "number"},
                "exclude": [{"when": "customer_id == null", "reason": "without_customer"}],
                "fields": {"created_at": "date", "customer_id": "customer_id"},
                "lines": {"fields": {"product_id": "'sale'", "quantity": "quantity", "unit_price": "price"}},
            },
        }
        self.reference.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
        self.catalogue = build_catalogue(str(self.reference))
        self.definitions = build_definitions(str(self.reference))

    def run(self, days: Days, job: str = "daily") -> RunSummary:
        return run_days(self.definitions, self.instance, days, job_name=job)

    def catch_up(self) -> list[tuple[Days, RunSummary]]:
        """Look once, and load what is stale of the first days."""
        with open_source(self.catalogue.shop, self.database) as source:
            assert poll(source, self.database, self.catalogue.daily_marts) is not None
        ranges = days_to_load(self.database, in_flight=(), most=9, loadable=Days(date(2026, 11, 1), date(2026, 11, 4)))
        return [(days, self.run(days, job_of_stale_days(self.database, days))) for days in ranges]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in query(self.database, sql)]

    def revenue(self) -> list[tuple[Any, ...]]:
        return self.rows("select event_date::text, gross_sales::numeric(9,2)::text from marts.daily_revenue order by 1")


@pytest.fixture
def folder(tmp_path: Path, database: Database) -> Iterator[Folder]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Folder(tmp_path, database, instance)


def test_the_lessons_file_becomes_revenue_by_day_and_a_corrected_one_restates_just_its_day(folder: Folder) -> None:
    (folder.path / "sales_raw.csv").write_text(LESSON, encoding="utf-8")
    days = Days(date(2026, 11, 1), date(2026, 11, 4))
    summary = folder.run(days)
    assert (summary.succeeded, summary.doubts) == (True, [])
    revenue = [("2026-11-01", "25.50"), ("2026-11-02", "58.00"), ("2026-11-03", "3.00"), ("2026-11-04", "0.00")]
    assert folder.revenue() == revenue
    excluded = "select reason, order_total::numeric(9,2)::text from ops.exclusions"
    assert folder.rows(excluded) == [("without_customer", "20.00")]
    held = folder.rows("select column_name, value from ops.quarantine")
    assert held == [("unit_price", "(sales_raw.csv line 5)")]
    undated = "select column_name, money_at_risk::numeric(9,2)::text from ops.undated_orders"
    assert folder.rows(undated) == [("created_at", "4.00")]
    proofs = "select day::text, state, basis from ops.day_proofs order by 1"
    assert folder.rows(proofs) == [(day, "proved", "none" if day == "2026-11-04" else "files") for day, _ in revenue]
    reconciled = (
        "select sum(unexplained_orders)::int + sum(unexplained_difference)::int from marts.daily_reconciliation"
    )
    assert folder.rows(reconciled) == [(0,)]
    assert folder.catch_up() == []

    # A second file with an equal row: a sale of its own, with a warning; the corrected first one restates its day.
    (folder.path / "sales_raw.csv").write_text(LESSON.replace("C1,,3", "C1,2.00,3"), encoding="utf-8")
    (folder.path / "more.csv").write_text("date,customer_id,price,quantity\n2026-11-03,C5,3.00,1\n", encoding="utf-8")
    (folder.path / "bad.csv").write_text("day;customer\n1;2\n", encoding="utf-8")
    [(days, summary)] = folder.catch_up()
    assert str(days) == "2026-11-02 to 2026-11-03"
    assert folder.revenue()[:3] == [("2026-11-01", "25.50"), ("2026-11-02", "64.00"), ("2026-11-03", "6.00")]
    restated = "select day::text, old_value::numeric(9,2)::text, new_value::numeric(9,2)::text from ops.restatements "
    assert folder.rows(f"{restated} where metric = 'gross_sales' and mart = 'daily_revenue' order by 1") == [
        ("2026-11-02", "58.00", "64.00"),
        ("2026-11-03", "3.00", "6.00"),
    ]
    assert any("every_file_is_taken_in" in doubt and "bad.csv" in doubt for doubt in summary.doubts)
    equal = next(one for one in summary.warnings if "no_equal_rows_lie_in_several_files" in one)
    assert "1 of more.csv and sales_raw.csv" in equal
    assert "unexplained_difference_exact 3.0000" in equal


@pytest.mark.real_shop
@pytest.mark.skipif(not (REAL_SHOP / "serve.py").exists(), reason=f"the real shop's year is not there: {REAL_SHOP}")
def test_days_of_a_real_shop_by_csv_equal_the_same_by_its_api(tmp_path: Path, database: Database) -> None:
    days = Days(date(2010, 12, 1), date(2010, 12, 5))
    with gzip.open(REAL_SHOP / "invoices.jsonl.gz", "rt", encoding="utf-8") as lines:
        records = [line for line, _ in zip(lines, range(2_000), strict=False)]
    invoices = [record for record in map(json.loads, records) if date.fromisoformat(record["created"][:10]) in days]
    head = [name for name in invoices[0] if name != "lines"]
    rows = [{name: one[name] for name in head} | line for one in invoices for line in one["lines"]]
    with (tmp_path / "lines.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    by_api = load_shop(DESCRIPTION)
    described = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    orders = {name: described["orders"][name] for name in ("exclude", "returns_when", "fields")}
    lines_of = {"fields": described["orders"]["lines"]["fields"]}
    by_csv = Shop.model_validate(
        {
            **{name: described[name] for name in ("name", "timezone", "currency", "times")},
            "first_day": "2010-12-01",
            "files": {"folder": str(tmp_path), "settle_seconds": 0},
            "orders": {**orders, "files": "*.csv", "lines": lines_of},
        }
    )
    open_warehouse(database, by_csv)
    assert look(database, by_csv, now=datetime.now(UTC) + timedelta(seconds=1)).rows == len(rows)
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    asked = [
        (one["number"], date.fromisoformat(one["created"][:10]), stamp, json.dumps(one, ensure_ascii=False))
        for one in invoices
    ]
    arrays = [
        pa.array(column, field.type) for column, field in zip(zip(*asked, strict=True), ORDERS_SCHEMA, strict=True)
    ]
    both = [
        _cleaned(pa.Table.from_arrays(arrays, schema=ORDERS_SCHEMA), by_api),
        _cleaned(pa.Table.from_batches([*StoreSource(by_csv, database).orders(days)]), by_csv),
    ]
    assert len(both[0].orders) > 300
    for name in ("orders", "order_lines", "sales", "exclusions"):
        one, other = (_sorted(getattr(cleaned, name)) for cleaned in both)
        pd.testing.assert_frame_equal(one, other)


def _cleaned(raw: pa.Table, shop: Shop) -> CleanOrders:
    frame: pd.DataFrame = raw.to_pandas(types_mapper=pd.ArrowDtype)
    return clean_orders(frame, shop, EmailKey(b"k" * 32))


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    kept = rows.drop(columns=[name for name in ("extracted_at", "payload") if name in rows])
    names = [str(name) for name in kept if str(name).endswith("_id") or name == "event_number"]
    return kept.sort_values(names).reset_index(drop=True)
