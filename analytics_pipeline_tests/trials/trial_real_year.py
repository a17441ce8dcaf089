"""The real shop's year: forwards in one go, in shuffled chunks of which two run at once, and backwards day by day."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.warehouse.connection import Database, create_database, instance_database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import content_hash
from analytics_pipeline_tests.integration.loaded import drop
from analytics_pipeline_tests.integration.processes import start_runs
from analytics_pipeline_tests.integration.test_real_shop import DESCRIPTION, KEY, YEAR, serve
from analytics_pipeline_tests.integration.truth import DERIVED_TABLES

CHUNK_DAYS = 11
TABLES = [table for table in DERIVED_TABLES if not table.startswith("ops.")]


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    with serve() as url:
        yield url


@dataclass(frozen=True)
class Place:
    """Where the year is loaded from and to."""

    server: Database
    template: str
    url: str
    folder: Path


def _load(place: Place, name: str, lanes: list[list[Days]]) -> tuple[dict[str, str], str]:
    """Load ranges into a new database, each lane at once; return the hash of each table, and causes of restatements."""
    database = place.server.named(f"year_{name}")
    create_database(database)
    with place.server.named("postgres").connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f'create database "{instance_database(database).name}" template {place.template}')
    processes = [
        start_runs(
            {
                "ANALYTICS_HOME": str(place.folder / f"{name}-{number}"),
                "ANALYTICS_DATABASE_URL": database.url,
                "ANALYTICS_SHOP": str(DESCRIPTION),
                "ONLINE_RETAIL_URL": place.url,
                "ONLINE_RETAIL_KEY": KEY,
            },
            lane,
        )
        for number, lane in enumerate(lanes)
    ]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(lanes)
    hashes = {table: content_hash(database, table) for table in TABLES}
    found = query(database, "select coalesce(string_agg(distinct cause, ', '), 'none') as causes from ops.restatements")
    drop(place.server, database)
    drop(place.server, instance_database(database))
    return hashes, str(found[0]["causes"])


def test_the_order_of_loading_does_not_matter(
    server: Database, instance_template: str, shop_url: str, tmp_path: Path
) -> None:
    days, place = list(YEAR), Place(server, instance_template, shop_url, tmp_path)
    starts = range(0, len(days), CHUNK_DAYS)
    chunks = [Days(days[start], days[min(start + CHUNK_DAYS, len(days)) - 1]) for start in starts]
    Random(11).shuffle(chunks)  # noqa: S311 - no secret
    forwards, restated = _load(place, "forwards", [[YEAR]])
    assert restated == "none"
    for name, lanes in {
        "shuffled": [chunks[::2], chunks[1::2]],
        "backwards": [[Days(day, day) for day in reversed(days)]],
    }.items():
        hashes, restated = _load(place, name, lanes)
        print(f"{name}: {sum(map(len, lanes))} runs, restated by {restated}", flush=True)
        assert restated in {"none", "backfill"}
        assert hashes == forwards, name
