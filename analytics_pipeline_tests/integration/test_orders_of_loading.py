"""The order in which days are loaded does not matter: the tables end the same."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings, RunningShop, serve
from analytics_pipeline.warehouse.connection import Database, create_database, instance_database
from analytics_pipeline_tests.conftest import content_hash, describe
from analytics_pipeline_tests.integration.loaded import MUCH_LATER, drop
from analytics_pipeline_tests.integration.processes import start_runs
from analytics_pipeline_tests.integration.truth import DERIVED_TABLES

FIRST = date(2025, 1, 1)
DAYS = [FIRST + timedelta(days=number) for number in range(6)]
SHOP = DemoShopSettings(
    opened=FIRST, orders_per_day=(8, 14), refund_share=0.4, cancel_share=0.1, edit_share=0.2, bad_share=0.05,
    foreign_currency="USD", guest_share=0.4, longest_refund_days=12,
)  # fmt: skip
TABLES = [table for table in DERIVED_TABLES if not table.startswith("ops.")]


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningShop]:
    with serve(SHOP, now=lambda: MUCH_LATER) as running:
        yield running


@pytest.fixture
def load(
    server: Database, shop: RunningShop, instance_template: str, tmp_path: Path
) -> Iterator[Callable[[str, list[list[Days]]], dict[str, str]]]:
    """Load ranges into a new database, and return the hash of each table: `load("name", [ranges, ranges at once])`."""
    databases: list[Database] = []
    # New customers are reported by the loaded orders alone: the hardest case.
    description = describe(shop, tmp_path, customers={"fields": {"customer_id": "id", "updated_at": "updated_at"}})

    def run_all(name: str, lanes: list[list[Days]]) -> dict[str, str]:
        database = server.named(f"order_{name}")
        databases.append(database)
        create_database(database)
        with server.named("postgres").connect(autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(f'create database "{instance_database(database).name}" template {instance_template}')

        processes = [
            start_runs(
                {
                    "ANALYTICS_HOME": str(tmp_path / f"{name}-{number}"),
                    "ANALYTICS_DATABASE_URL": database.url,
                    "ANALYTICS_SHOP": str(description),
                },
                lane,
            )
            for number, lane in enumerate(lanes)
        ]
        for process in processes:
            process.join(120)
        assert [process.exitcode for process in processes] == [0] * len(lanes)
        return {table: content_hash(database, table) for table in TABLES}

    yield run_all
    for database in databases:
        drop(server, database)
        drop(server, instance_database(database))


def test_forwards_backwards_and_in_shuffled_chunks_of_which_two_run_at_once_give_the_same_tables(
    load: Callable[[str, list[list[Days]]], dict[str, str]],
) -> None:
    forwards = load("forwards", [[Days(DAYS[0], DAYS[-1])]])
    backwards = load("backwards", [[Days(day, day) for day in reversed(DAYS)]])
    chunks = [Days(DAYS[start], DAYS[start + 1]) for start in range(0, len(DAYS), 2)]
    Random(5).shuffle(chunks)  # noqa: S311 - no secret
    shuffled = load("shuffled", [chunks[::2], chunks[1::2]])

    assert backwards == forwards
    assert shuffled == forwards
