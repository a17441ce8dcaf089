"""The description of another shop on a database, and the same shop under another name or address."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.days import Days
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.orchestration.resources import DatabaseResource, ShopResource
from analytics_pipeline.orchestration.running import run_days
from analytics_pipeline_tests.cases.small_shop import Case, SmallShop, order
from analytics_pipeline_tests.fake_shop import FakeShop


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands put the shop into the environment, which is as before after the test."""
    monkeypatch.setenv("ANALYTICS_SHOP", "demo")
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))


@pytest.fixture
def other() -> Iterator[SmallShop]:
    """Another shop, whose orders have the same ids as the first one's and other moments."""
    fake = FakeShop()
    orders = [order(f"O{number}", f"2026-11-{19 + number}T09:00:00+01:00", "99.00") for number in (1, 2, 3)]
    yield SmallShop(fake, orders=orders)
    fake.close()


def command(case: Case, *arguments: str) -> Result:
    """A command of the command line on the case's description and database."""
    return CliRunner().invoke(main, [*arguments, "--shop", str(case.path)])


def written(case: Case) -> list[object]:
    """All that who is refused must not have touched."""
    tables = ("raw.orders", "clean.sales", "ops.polls", "ops.stale_days", "ops.incidents", "ops.installation")
    return [case.rows(f"select rows::text as row from {table} as rows order by 1") for table in tables]


def tick(case: Case, name: str) -> None:
    """A sensor's tick, as the daemon has it."""
    resources = {"database": DatabaseResource(shop=str(case.path)), "shop": ShopResource(reference=str(case.path))}
    sensor = case.definitions.resolve_sensor_def(name)
    repository = case.definitions.get_repository_def()
    needed = {key: resources[key] for key in sensor.required_resource_keys}
    sensor.evaluate_tick(dg.build_sensor_context(case.instance, repository_def=repository, resources=needed))


def test_c17_another_shops_description_is_refused_before_anything_is_written(case: Case, other: SmallShop) -> None:
    case.run("2026-11-20", "2026-11-22")
    case.poll()
    before, first = written(case), case.shop
    case.shop.orders[0] = order("O1", "2026-11-20", "99.00", updated_at="2026-11-23T08:00:00+01:00")
    case.shop = other
    case.describe(name="second")

    commands = (["catch-up"], ["run", "--date", "2026-11-22"], ["status"], ["quarantine", "replay"], ["alerts"])
    for arguments in commands:
        refused = command(case, *arguments)
        assert refused.exit_code == 1, refused.output
        assert "holds the shop small, not second" in refused.output
        assert "If small is meant, name its description with --shop." in refused.output
    doctor = command(case, "doctor")
    assert "FAIL  holds" in doctor.output
    assert doctor.exit_code == 1
    with pytest.raises(SettingsError, match="holds the shop small"):
        case.poll()
    for sensor in ("late_changes", "alerts", "yesterday_is_on_time"):
        with pytest.raises(SettingsError, match="holds the shop small"):
            tick(case, sensor)
    assert not case.run("2026-11-22").succeeded
    assert [asked for asked in other.fake.asked if "since" in asked.query] == []
    rebound = command(case, "rebind")
    assert rebound.exit_code == 1
    assert "has none of 3 orders" in rebound.output
    assert written(case) == before

    case.shop = first
    case.describe(name="small")
    assert all(run.succeeded for run in case.catch_up())
    assert case.revenue()["2026-11-20"] == "99.00"


def test_c17_the_same_shop_at_another_address_is_confirmed_by_its_stored_orders(case: Case, other: SmallShop) -> None:
    case.run("2026-11-20", "2026-11-22")
    other.orders = case.shop.orders
    case.shop = other
    case.describe(name="moved")
    refused = command(case, "catch-up")
    assert refused.exit_code == 1
    assert "rebind" in refused.output

    rebound = command(case, "rebind")

    assert rebound.exit_code == 0, rebound.output
    assert "3 of 3 stored orders are there" in rebound.output
    assert case.poll() is not None
    (identity,) = case.rows("select value from ops.installation where name = 'shop_id'")
    assert len(identity["value"]) == 36


def test_a_database_without_an_order_is_bound_to_a_mended_address_by_a_command_that_the_refusal_names(
    case: Case, other: SmallShop
) -> None:
    case.shop.fake.routes.clear()
    assert not case.run("2026-11-20").succeeded
    case.shop = other
    case.describe()

    refused = command(case, "status")
    assert refused.exit_code == 1
    assert "No order is stored yet: `analytics-pipeline rebind` binds it" in refused.output
    assert "no order is stored" in command(case, "rebind").output
    assert case.run("2026-11-20").succeeded


def test_steps_that_do_not_begin_after_a_failed_one_are_not_reported_one_by_one(case: Case) -> None:
    case.shop.fake.routes.clear()
    messages: list[str] = []
    days = Days(date(2026, 11, 20), date(2026, 11, 20))

    summary = run_days(case.definitions, case.instance, days, job_name="daily", report=messages.append)

    assert not summary.succeeded
    assert [line for line in messages if "FAILED" in line]
    assert not [line for line in messages if "Dependencies" in line]
