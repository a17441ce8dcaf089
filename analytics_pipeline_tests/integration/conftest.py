"""Pipelines whose days are loaded once a session, in a copy for each test; the package as a wheel."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration import late
from analytics_pipeline_tests.integration.late import Clock
from analytics_pipeline_tests.integration.loaded import FIRST, LAST, copy_of, loaded_pipeline

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a wheel of this checkout lies unpacked, as an installer would leave it."""
    folder = tmp_path_factory.mktemp("wheel")
    pins = str(CHECKOUT / "constraints.txt")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(CHECKOUT), "--no-deps", "--quiet", "--wheel-dir", str(folder)],
        env={**os.environ, "PIP_CONSTRAINT": pins, "PIP_BUILD_CONSTRAINT": pins, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    [wheel] = folder.glob("analytics_pipeline-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture(scope="session")
def loaded_once(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The pipeline of `loaded`, not to be changed."""
    shop = DemoShopSettings(opened=FIRST, orders_per_day=(5, 8), refund_share=0.3)
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), shop, Days(FIRST, LAST)) as pipeline:
        yield pipeline


@pytest.fixture
def loaded(server: Database, loaded_once: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """A pipeline into which three days were loaded, with a database of this test, which the settings name."""
    with copy_of(server, loaded_once.database) as database:
        monkeypatch.setenv("ANALYTICS_DATABASE_URL", database.url)
        yield replace(loaded_once, database=database)
    loaded_once.shop.shop.misbehaviour.stop()


@pytest.fixture(scope="session")
def followed_once(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pipeline, Clock]]:
    """The pipeline of `later` as it was loaded, and the shop's clock; not to be changed."""
    clock = Clock(late.MORNING)
    days = Days(late.OPENED, late.LOADED)
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), late.SMALL, days, clock) as pipeline:
        yield pipeline, clock


@pytest.fixture
def later(
    server: Database, followed_once: tuple[Pipeline, Clock], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pipeline]:
    """A pipeline whose shop is two days ahead of it, with a database and an instance of this test."""
    pipeline, clock = followed_once
    with copy_of(server, pipeline.database) as database, dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.setenv("ANALYTICS_DATABASE_URL", database.url)
        clock.now = late.MORNING + timedelta(days=2)
        yield replace(pipeline, database=database, instance=instance)
    clock.now = late.MORNING
    pipeline.shop.shop.misbehaviour.stop()
