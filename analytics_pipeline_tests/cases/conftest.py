"""The small shop that every case begins with."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.cases.small_shop import Case, SmallShop
from analytics_pipeline_tests.fake_shop import FakeShop


@pytest.fixture
def small_shop() -> Iterator[SmallShop]:
    """Three orders of 10.00 EUR on 2026-11-20 to 22."""
    fake = FakeShop()
    yield SmallShop(fake)
    fake.close()


@pytest.fixture
def case(database: Database, small_shop: SmallShop, tmp_path: Path) -> Iterator[Case]:
    """The pipeline on the small shop, with an empty database."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Case(small_shop, database, instance, tmp_path)
