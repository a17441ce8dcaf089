"""A year of a real shop, when it lies beside the checkout: every figure right to the last decimal, whatever fails.

The shop's own server is started; it knows nothing of this project. `expected_daily.csv` is what the year must add up
to.
"""

import csv
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.warehouse.connection import Database, create_database, instance_database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import content_hash
from analytics_pipeline_tests.integration.command_line import run

CHECKOUT = Path(__file__).parents[2]
DESCRIPTION = CHECKOUT / "docs" / "examples" / "online-retail.yaml"
REAL_SHOP = CHECKOUT.parent / "shared" / "real_shop"
KEY = "the-real-shops-key"
YEAR = Days(date(2010, 12, 1), date(2011, 12, 9))
ZERO = Decimal(0)
TABLES = [contract.table for contract in CONTRACTS] + [mart.table for mart in load_marts()]

pytestmark = [
    pytest.mark.real_shop,
    pytest.mark.skipif(
        not (REAL_SHOP / "serve.py").exists(), reason=f"the real shop's year is not there: {REAL_SHOP / 'serve.py'}"
    ),
]


@dataclass(frozen=True)
class Year:
    """The database of one load, and the hash of each table after it."""

    database: Database
    hashes: dict[str, str]
    output: str


@pytest.fixture(scope="module")
def quiet_shop() -> Iterator[str]:
    """The URL of the shop when nothing fails."""
    with serve() as url:
        yield url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands run and keep their state."""
    return tmp_path_factory.mktemp("real_shop")


@pytest.fixture(scope="module")
def year(server: Database, quiet_shop: str, folder: Path) -> Iterator[Year]:
    """The year, loaded by the command line in one run."""
    with new_database(server, "real_shop") as database:
        yield load(database, quiet_shop, folder)


@pytest.fixture(scope="module")
def again(server: Database, year: Year, quiet_shop: str, folder: Path) -> Iterator[tuple[Year, Year]]:
    """The year once more into the same database; meanwhile into another one, from a shop that fails all the time."""
    with (
        new_database(server, "real_shop_flaky") as other,
        serve("--flaky", "0.05") as flaky_shop,
        ThreadPoolExecutor(max_workers=2) as workers,
    ):
        flaky = workers.submit(load, other, flaky_shop, folder)
        rerun = workers.submit(load, year.database, quiet_shop, folder)
        yield rerun.result(), flaky.result()


@contextmanager
def serve(*options: str) -> Iterator[str]:
    """Start the shop's own server on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, str(REAL_SHOP / "serve.py"), "--port", port, "--key", KEY, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextmanager
def new_database(server: Database, name: str) -> Iterator[Database]:
    database = server.named(name)
    create_database(database)
    yield database
    with server.named("postgres").connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        for doomed in (database, instance_database(database)):
            cursor.execute(f'drop database if exists "{doomed.name}" with (force)')


def load(database: Database, url: str, folder: Path) -> Year:
    """Run the whole year as a user does, and hash every table; of raw ones all but when they were read."""
    days = ["--from", YEAR.first.isoformat(), "--to", YEAR.last.isoformat()]
    settings = {
        "ANALYTICS_HOME": str(folder / database.name),
        "ANALYTICS_DATABASE_URL": database.url,
        "ONLINE_RETAIL_URL": url,
        "ONLINE_RETAIL_KEY": KEY,
    }
    loaded = run("run", "--shop", str(DESCRIPTION), *days, folder=folder, **settings)
    assert loaded.returncode == 0, loaded.stderr
    hashes = {table.qualified_name: content_hash(database, table.qualified_name) for table in TABLES}
    return Year(database, hashes, loaded.stdout + loaded.stderr)


def expected() -> dict[date, dict[str, Decimal]]:
    """The shop's own figures by business day."""
    with (REAL_SHOP / "expected_daily.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {date.fromisoformat(row.pop("day")): {name: Decimal(value) for name, value in row.items()} for row in rows}


def stored(year: Year, columns: str) -> dict[date, dict[str, Any]]:
    rows = query(year.database, f"select event_date, currency, {columns} from marts.daily_revenue")
    assert {row.pop("currency") for row in rows} == {"GBP"}
    return {row.pop("event_date"): row for row in rows}


@pytest.mark.parametrize("column", ["gross_sales", "returns", "net_sales", "orders", "customers", "units_sold"])
def test_a_figure_of_every_day_is_the_shops_own(year: Year, column: str) -> None:
    figures = {day: Decimal(row[column]) for day, row in stored(year, column).items()}
    true = expected()
    assert len(true) == 305
    assert figures == {day: true.get(day, {}).get(column, ZERO) for day in YEAR}


def test_nothing_is_charged_beside_the_goods(year: Year) -> None:
    for row in stored(year, "discounts, shipping, taxes, total_sales - net_sales as other").values():
        assert {Decimal(value) for value in row.values()} == {ZERO}


def test_the_year_adds_up_to_the_data_sets_known_total(year: Year) -> None:
    [sums] = query(
        year.database,
        "select sum(gross_sales) as gross, sum(returns) as returned, sum(net_sales) as net from marts.daily_revenue",
    )
    assert {name: Decimal(value) for name, value in sums.items()} == {
        "gross": Decimal("10655622.484"),
        "returned": Decimal("896812.490"),
        "net": Decimal("9758809.994"),
    }
    excluded = query(year.database, "select reason, currency, order_total from ops.exclusions")
    assert [(row["reason"], row["currency"]) for row in excluded] == [("bad_debt_adjustment", "GBP")] * 3
    left_out = sum((Decimal(row["order_total"]) for row in excluded), ZERO)
    assert left_out == Decimal("-11062.0600")
    assert Decimal(sums["net"]) + left_out == Decimal("9747747.934")


def test_every_invoice_is_clean_or_excluded_and_none_quarantined(year: Year) -> None:
    [counts] = query(
        year.database,
        "select (select count(*) from raw.orders) as raw, (select count(*) from clean.orders) as clean, "
        "(select count(*) from clean.order_lines) as lines, (select count(*) from ops.quarantine) as quarantined",
    )
    assert counts == {"raw": 25_900, "clean": 25_897, "lines": 541_906, "quarantined": 0}
    warnings = [line for line in year.output.splitlines() if line.startswith("warning: ")]
    assert [line.split()[2] for line in warnings] == ["figures_are_as_expected"]


def test_every_check_of_the_year_passed_and_nothing_is_left_unexplained(year: Year) -> None:
    written = query(instance_database(year.database), "select evaluation_event as event from asset_check_executions")
    evaluations = [json.loads(row["event"])["dagster_event"]["event_specific_data"] for row in written]
    assert {found["check_name"] for found in evaluations if not found["success"]} == {"figures_are_as_expected"}
    differences = {
        found["check_name"]: found["metadata"]["unexplained_difference"]["value"]
        for found in evaluations
        if "unexplained_difference" in found["metadata"]
    }
    assert {"raw_orders_are_clean_quarantined_or_excluded", "daily_revenue_equals_the_ledger"} <= differences.keys()
    assert set(differences.values()) == {0}


@pytest.mark.parametrize(
    ("day", "sold", "returned", "cancellation"),
    [
        (
            date(2011, 1, 18),
            "541431",
            "C541433",
            "customer 12346 bought and returned 74,215 units of 23166 the same day (541431 and C541433)",
        ),
        (
            date(2011, 12, 9),
            "581483",
            "C581484",
            "customer 16446 bought and returned 80,995 units of 23843 the same day (581483 and C581484)",
        ),
    ],
)
def test_the_years_largest_orders_are_found_though_they_were_cancelled_at_once(
    year: Year, day: date, sold: str, returned: str, cancellation: str
) -> None:
    found = {row["metric"]: row for row in anomalies(year) if row["day"] == day}
    assert found.keys() == {"gross_sales", "returns", "average_order_value"}
    carriers = {metric: (row["direction"], row["segment_kind"], row["segment"]) for metric, row in found.items()}
    assert carriers["gross_sales"] == ("above", "order", sold)
    assert carriers["returns"] == ("above", "order", returned)
    for row in found.values():
        assert f"cancelled at once: {cancellation}" in row["explanation"]
        assert Decimal(row["share_explained"]) > Decimal("0.9")
        assert not row["is_pipeline_suspect"]


def test_the_anomalies_of_the_year_are_a_list_that_a_person_can_read(year: Year) -> None:
    found = anomalies(year)
    without_orders = {row["day"] for row in found if row["metric"] == "orders" and not Decimal(row["value"])}
    bank_holidays = {date(2011, month, day) for month, day in ((4, 22), (4, 25), (4, 29), (5, 2), (5, 30), (8, 29))}
    assert bank_holidays <= without_orders
    assert not {day for day in without_orders if day.weekday() == 5}, "the shop is closed on Saturdays"
    others = {row["day"] for row in found} - without_orders
    assert len(others) <= 20
    [fee] = [row for row in found if row["day"] == date(2011, 2, 21)]
    assert (fee["metric"], fee["segment_kind"], fee["segment"]) == ("returns", "product", "AMAZONFEE")
    first = min(row["day"] for row in found)
    ground = f"select count(*) as days from marts.daily_revenue where orders > 0 and event_date < date '{first}'"
    assert query(year.database, ground)[0]["days"] >= 28, "a shop that has just begun is not judged yet"


def anomalies(year: Year) -> list[dict[str, Any]]:
    return query(year.database, "select * from ops.anomalies order by day, metric")


def test_nothing_of_the_year_is_restated_and_every_number_stands_as_it_was_reported(
    year: Year, again: tuple[Year, Year]
) -> None:
    assert again[0].database == year.database  # it has been loaded twice
    assert query(year.database, "select count(*) as restated from ops.restatements") == [{"restated": 0}]
    compared = query(
        year.database,
        "select count(*) as days, count(*) filter (where value = net_sales) as same from marts.daily_revenue "
        "join ops.as_reported(now()) on mart = 'daily_revenue' and metric = 'net_sales' and day = event_date "
        "and key = currency",
    )
    assert compared == [{"days": len(YEAR), "same": len(YEAR)}]
    sums = "select sum(unexplained_difference)::text as money, sum(unexplained_orders)::text as orders"
    assert query(year.database, f"{sums} from marts.daily_reconciliation") == [{"money": "0.0000", "orders": "0"}]


def test_loading_the_year_again_changes_nothing(year: Year, again: tuple[Year, Year]) -> None:
    assert again[0].hashes == year.hashes


def test_a_shop_that_fails_all_the_time_gives_the_same_tables(year: Year, again: tuple[Year, Year]) -> None:
    assert "asking again in" in again[1].output
    assert again[1].hashes == year.hashes
