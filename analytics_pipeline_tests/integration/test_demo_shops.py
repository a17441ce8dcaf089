"""The second demo shop: described in the state folder, in another zone and currency, and in no real shop's database."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from analytics_pipeline.cli import main
from analytics_pipeline.cli.demo_shops import describe_second, refuse_real_shops, serving_demo_shops, url_variable
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.binding import bind
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.doctor import check_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query

OTHERWISE = {"name", "namespace", "base_url", "timezone", "currency"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ANALYTICS_PROJECT", str(tmp_path))
    for variable in ("ANALYTICS_SHOP", "ANALYTICS_DEMO_SHOP_URL", "ANALYTICS_DEMO_US_SHOP_URL"):
        monkeypatch.setenv(variable, "")  # what a command sets is as before after the test
    return Settings.from_environment()


def test_two_demo_shops_are_served_in_two_zones_and_currencies(settings: Settings) -> None:
    second = str(describe_second(settings))

    assert Settings.from_environment().shops == ("demo", second)
    shops = {reference: load_shop(reference) for reference in ("demo", second)}
    german, american = shops.values()
    assert (american.timezone, american.currency, american.namespace) == ("America/New_York", "USD", "demo_us")
    assert american.model_dump(exclude=OTHERWISE) == german.model_dump(exclude=OTHERWISE)
    assert [url_variable(shop) for shop in shops.values()] == ["ANALYTICS_DEMO_SHOP_URL", "ANALYTICS_DEMO_US_SHOP_URL"]
    with serving_demo_shops(settings, shops, is_usual=False) as running:
        for shop in shops.values():
            assert running[shop.name].shop.settings.currency == shop.currency
            with ShopClient(shop) as client:
                assert running[shop.name].url in check_shop(client).summary


@pytest.mark.parametrize("namespace", [None, "us"])
def test_the_demo_is_kept_out_of_a_database_of_real_shops(
    settings: Settings, database: Database, namespace: str | None
) -> None:
    bind(database.of(namespace), load_shop("demo").model_copy(update={"name": "garden", "namespace": namespace}))
    there = query(database, "select nspname as name from pg_namespace order by 1")

    refused = CliRunner().invoke(main, ["demo", "--shops", "2"])

    assert refused.exit_code == FAILED
    assert "holds the shop garden, not the demo; nothing was written" in refused.output
    assert query(database, "select nspname as name from pg_namespace order by 1") == there
    assert not (settings.home / "dagster").exists()


def test_a_file_that_was_loaded_before_is_no_real_shop_and_keeps_the_demo_out_of_nothing(
    settings: Settings, database: Database
) -> None:
    (settings.home / "from-file" / "file_1").mkdir(parents=True)
    file = load_shop("demo").model_copy(update={"name": "file_1", "namespace": "file_1"})
    bind(database.of("file_1"), file)
    of_the_database = Settings.from_environment()

    refuse_real_shops(of_the_database)
    bind(database.of("us"), file.model_copy(update={"name": "garden", "namespace": "us"}))
    with pytest.raises(SettingsError, match="holds the shop garden, not the demo"):
        refuse_real_shops(of_the_database)
