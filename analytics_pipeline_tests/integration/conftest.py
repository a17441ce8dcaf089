"""A pipeline whose days are loaded once a session, in a copy for each test."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from analytics_pipeline.database.connection import Database
from analytics_pipeline.demo_shop import DemoShopSettings
from analytics_pipeline.partitions import DayRange
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import FIRST, LAST, copy_of, loaded_pipeline


@pytest.fixture(scope="session")
def loaded_once(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline of `loaded`, not to be changed."""
    shop = DemoShopSettings(opened=FIRST, orders_per_day=(5, 8), refund_share=0.3)
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), shop, DayRange(FIRST, LAST)) as pipeline:
        yield pipeline


@pytest.fixture
def loaded(server: Database, loaded_once: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A pipeline into which three days were loaded, with a database of this test, which the settings name."""
    with copy_of(server, loaded_once.database) as database:
        monkeypatch.setenv("ANALYTICS_DATABASE_URL", database.url)
        yield replace(loaded_once, database=database)
    loaded_once.shop.shop.misbehaviour.stop()
