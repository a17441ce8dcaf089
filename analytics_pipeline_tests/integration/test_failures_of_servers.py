"""A shop that fails, a database that restarts: what the run says, and that no table is left between old and new."""

import atexit
import shutil
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.errors import DatabaseUnavailableError
from analytics_pipeline.orchestration.running import open_instance, run_days
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.placeholders import PageRequest
from analytics_pipeline.sources import client
from analytics_pipeline.warehouse.connection import data_database
from analytics_pipeline_tests.conftest import Pipeline, content_hash, describe
from analytics_pipeline_tests.integration.loaded import (
    FIRST,
    LAST,
    hashes,
    materialised,
    postmaster_of,
    redescribed,
    stop_server,
)
from analytics_pipeline_tests.integration.tables import execute

SMALL_PAGES: dict[str, object] = {
    "pagination": {"type": "cursor", "param": "cursor", "next": "next_cursor", "size_param": "limit", "size": 4}
}


@pytest.fixture
def shop(start_shop: Callable[..., RunningShop]) -> RunningShop:
    return start_shop(now=datetime(2025, 2, 1, tzinfo=UTC), opened=FIRST, orders_per_day=(5, 8))


@pytest.mark.parametrize("retries", [0, 2])
def test_a_shop_that_fails_for_ever_is_reported_with_url_and_remedy(
    shop: RunningShop, pipeline_of: Callable[..., Pipeline], monkeypatch: pytest.MonkeyPatch, retries: int
) -> None:
    monkeypatch.setattr(client, "retry_wait", lambda *_: 0.0)
    pipeline = pipeline_of(shop, limits={"retries": retries})
    shop.shop.misbehave("error_500", share=1.0, path="/orders")
    summary = pipeline.run(FIRST, LAST)

    assert not summary.succeeded
    (failure,) = summary.failures
    assert failure.startswith(f"raw/orders: GET {shop.url}/orders?")
    assert f"gave no whole answer in {retries + 1} attempts" in failure
    assert "500" in failure
    assert "raise limits.retries" in failure
    assert "\n" not in failure
    assert materialised(pipeline, summary.run_id) <= {
        "raw/customers",
        "raw/products",
        "clean/customers",
        "clean/products",
    }
    assert pipeline.instance.event_log_storage.get_concurrency_info("shop_api").claimed_slots == []


def test_a_shop_whose_port_is_closed_is_reported_with_url_and_remedy(
    start_shop: Callable[..., RunningShop], pipeline_of: Callable[..., Pipeline]
) -> None:
    shop = start_shop()
    pipeline = pipeline_of(shop, limits={"retries": 0})
    shop.stop()
    summary = pipeline.run(FIRST)

    assert not summary.succeeded
    assert {text.partition(":")[0] for text in summary.failures} == {"raw/customers", "raw/orders", "raw/products"}
    for failure in summary.failures:
        assert f"GET {shop.url}/" in failure
        assert "see whether base_url is right and the shop is up" in failure


def test_a_shop_that_breaks_off_in_the_middle_leaves_the_old_rows_everywhere(
    loaded: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = redescribed(loaded, tmp_path, limits={"retries": 0}, orders=SMALL_PAGES)
    execute(pipeline.database, "update raw.orders set payload = '{}' where order_date = '2025-01-02'")
    before = hashes(pipeline.database)
    asked = 0
    sound = client.ShopClient.ask

    def ask(self: client.ShopClient, request: PageRequest, *arguments: Any) -> object:  # noqa: ANN401  # as they come
        nonlocal asked
        asks_for_orders = request.url.endswith("/orders")
        asked += asks_for_orders
        if asks_for_orders and asked == 3:
            loaded.shop.shop.misbehave("cut_answer", next_requests=1, path="/orders")
        return sound(self, request, *arguments)

    monkeypatch.setattr(client.ShopClient, "ask", ask)
    summary = pipeline.run(FIRST, LAST)

    assert not summary.succeeded
    assert asked == 3
    assert hashes(pipeline.database) == before
    assert pipeline.run(FIRST, LAST).succeeded
    assert hashes(pipeline.database) != before


def test_a_table_that_cannot_be_written_keeps_its_rows_and_a_rerun_puts_all_right(loaded: Pipeline) -> None:
    before = hashes(loaded.database)
    execute(
        loaded.database,
        "create function refuse() returns trigger language plpgsql as $$ begin raise 'the disk is full'; end $$",
        "create trigger refuse after insert on clean.sales for each row execute function refuse()",
    )
    summary = loaded.run(FIRST, LAST)

    assert not summary.succeeded
    assert "the disk is full" in summary.failures[0]
    assert hashes(loaded.database) == before
    assert {name for name in materialised(loaded, summary.run_id) if name.startswith("marts/")} == set()
    execute(loaded.database, "drop trigger refuse on clean.sales")
    assert loaded.run(FIRST, LAST).succeeded
    assert hashes(loaded.database) == before


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The state folder of an embedded server that may be restarted, which the settings name."""
    home = Path(tempfile.mkdtemp(prefix="analytics-pipeline-restarted-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    monkeypatch.setenv("ANALYTICS_HOME", str(home))
    yield home
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    stop_server(home)


def restart(home: Path) -> None:
    """Restart the server as its administrator does: open connections end, after their transactions were rolled back."""
    data, running = home / "postgres", postmaster_of(home)
    assert running is not None
    control = Path(running.exe()).with_name("pg_ctl")
    command: list[str | Path] = [control, "-D", data, "-l", data / "log", "-m", "fast", "-w", "restart"]
    subprocess.run(command, check=True, capture_output=True, user=data.owner(), cwd="/")


def test_a_database_that_restarts_between_steps_and_between_runs_is_no_obstacle(
    own_server: Path, shop: RunningShop, tmp_path: Path
) -> None:
    definitions = build_definitions(str(describe(shop, tmp_path)))
    restarts = []

    def restart_after(line: str) -> None:
        if any(line.startswith(f"  {step} done") for step in ("raw/orders", "clean_orders")):
            restart(own_server)
            restarts.append(line)

    settings = Settings.from_environment()
    with open_instance(settings) as instance:
        first = run_days(definitions, instance, Days(FIRST, LAST), job_name="daily", report=restart_after)
        assert first.succeeded, first.failures
        assert len(restarts) == 2
        database = data_database(settings)
        before = content_hash(database, "marts.daily_revenue")
        restart(own_server)
        second = run_days(definitions, instance, Days(FIRST, LAST), job_name="daily")
        assert second.succeeded, second.failures
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        assert content_hash(database, "marts.daily_revenue") == before


def test_a_database_that_is_away_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"ANALYTICS_HOME": str(tmp_path), "ANALYTICS_DATABASE_URL": "postgresql://joe:s3cr3t@127.0.0.1:1/x"}
    for name, setting in environment.items():
        monkeypatch.setenv(name, setting)
    with pytest.raises(DatabaseUnavailableError) as raised, open_instance(Settings.from_environment()):
        pass
    monkeypatch.delenv("DAGSTER_HOME")

    assert str(raised.value).startswith("no Postgres server answers at postgresql://joe@127.0.0.1:1/x_dagster.")
    assert "s3cr3t" not in "".join(traceback.format_exception(raised.value))
