"""The key of the e-mail hashes: made once, kept by its database, and taken by what was hashed without one."""

import hashlib
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.history.email_hashes import describe_key, email_key
from analytics_pipeline.history.email_key import key_file, make_key, read_key
from analytics_pipeline.settings import EMAIL_KEY, Settings
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline_tests.cases.small_shop import Case, SmallShop, order
from analytics_pipeline_tests.fake_shop import FakeShop
from analytics_pipeline_tests.integration.tables import execute

OTHER = "another key of the e-mail hashes of tests"
HASHED = "customer_key, email_hash from clean.orders order by 1, 2"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "home", None, ("demo",))


def test_processes_that_start_at_once_make_one_key_that_only_its_owner_reads(settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda _: make_key(settings), range(8)))
    assert set(keys) == {read_key(settings)}
    assert stat.S_IMODE(key_file(settings).stat().st_mode) == 0o600
    assert [path.name for path in settings.home.iterdir()] == ["email.key"]
    by_environment = replace(settings, home=settings.home / "none", email_key=key_file(settings).read_text())
    assert read_key(by_environment) == keys[0]


@pytest.mark.parametrize("text", ["", "short", "k\xe9" * 40])
def test_what_is_no_key_is_refused_with_its_place(settings: Settings, text: str) -> None:
    settings.home.mkdir()
    key_file(settings).write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingsError, match=r"email\.key") as raised:
        read_key(settings)
    assert text == "" or text not in str(raised.value)
    with pytest.raises(SettingsError, match=EMAIL_KEY):
        read_key(replace(settings, email_key="short"))


def test_a_database_keeps_to_its_key(database: Database, settings: Settings) -> None:
    assert "none yet: the first run makes it" in describe_key(database, settings)
    prepare(database)
    key = email_key(database, settings)
    assert email_key(database, settings) == key
    assert f"fingerprint {key.fingerprint}, in {key_file(settings)}" == describe_key(database, settings)
    assert key.secret.decode() not in describe_key(database, settings)
    for other, why in (
        (replace(settings, email_key=OTHER), f"not with the one in {EMAIL_KEY}"),
        (replace(settings, home=settings.home / "lost"), r"email\.key is missing"),
    ):
        for refusing in (email_key, describe_key):
            with pytest.raises(SettingsError, match=why) as raised:
                refusing(database, other)
            assert f"fingerprint {key.fingerprint}" in str(raised.value)
    assert not (settings.home / "lost").exists()


def test_plain_hashes_of_an_older_version_take_the_key_and_no_figure_changes(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeShop()
    with dg.DagsterInstance.ephemeral() as instance:
        shop = SmallShop(fake)
        shop.orders = [order(f"O{number}", "2026-11-20", email=f"ada{number // 2}@example.com") for number in range(4)]
        shop.customers = [{"id": "C1", "email": "ada0@example.com", "name": "Ada", "country": "DE"}]
        case = Case(shop, database, instance, tmp_path)
        assert case.run("2026-11-20").succeeded
        keyed = case.rows(f"select {HASHED}")
        plain = {str(number): hashlib.sha256(f"ada{number}@example.com".encode()).hexdigest() for number in (0, 1)}
        key = email_key(database, Settings.from_environment())
        for old in plain.values():
            new = key.rehash(old)
            for table in ("clean.orders", "clean.customers"):
                execute(database, f"update {table} set email_hash = '{old}' where email_hash = '{new}'")
            for table in ("clean.orders", "clean.sales"):
                execute(database, f"update {table} set customer_key = 'email:{old}' where customer_key = 'email:{new}'")
        execute(database, "delete from ops.installation where name = 'email_key'")
        assert case.rows(f"select {HASHED}") != keyed

        with ThreadPoolExecutor(3) as pool:
            keys = set(pool.map(lambda _: email_key(database, Settings.from_environment()), range(3)))
        assert keys == {key}
        assert case.rows(f"select {HASHED}") == keyed
        assert {row["email_hash"] for row in case.rows("select email_hash from clean.customers")} == {
            key.rehash(plain["0"])
        }
        assert case.rows("select distinct customer_key from clean.sales order by 1") == [
            {"customer_key": row} for row in sorted({row["customer_key"] for row in keyed})
        ]
        assert case.run("2026-11-20").succeeded
        assert case.rows(f"select {HASHED}") == keyed
        assert case.rows("select count(*) as restated from ops.restatements") == [{"restated": 0}]

        monkeypatch.setenv(EMAIL_KEY, OTHER)
        refused = case.run("2026-11-20")
        assert any("guests would be counted anew" in text for text in refused.failures)
        assert case.rows(f"select {HASHED}") == keyed
    fake.close()
