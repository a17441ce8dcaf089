"""The command line: what each command prints and returns, as a process where that can make a difference."""

import importlib
import os
import re
import shlex
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from unittest.mock import patch

import click
import pytest
import requests
from click.testing import CliRunner, Result

from analytics_pipeline.cli import COMMANDS, EXAMPLES, main
from analytics_pipeline.cli.run import chosen_days
from analytics_pipeline.cli.up import only_one
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.settings import Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION, Pipeline, at, describe, with_login
from analytics_pipeline_tests.integration.command_line import run, running
from analytics_pipeline_tests.integration.truth import agrees

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

OPENED = date(2025, 1, 1)
NOW = "2025-02-01T12:00:00+01:00"
KEY = "a-key-that-nobody-may-see"
PASSWORD = "a-password-that-nobody-may-see"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Call the command line within this process, in an empty folder; what it puts into the environment is forgotten."""
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ):
        yield lambda *arguments: CliRunner().invoke(main, arguments)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])


def settings_of(database: Database, folder: Path) -> dict[str, str]:
    return {"ANALYTICS_DATABASE_URL": database.url, "ANALYTICS_HOME": str(folder / "home")}


# Help


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_ends_with_examples_that_it_understands(
    name: str, call: Callable[..., Result]
) -> None:
    command = importlib.import_module(f"analytics_pipeline.cli.{name.replace('-', '_')}").command
    shown = call(name, "--help")
    assert shown.exit_code == 0
    assert command.examples
    for example in command.examples:
        program, asked, *options = shlex.split(example)
        assert (program, asked) == ("analytics-pipeline", name)
        assert f"  {example}\n" in shown.output
        command.make_context(name, options)


def test_the_help_of_the_whole_names_every_command_setting_and_example(call: Callable[..., Result]) -> None:
    shown = call("--help").output
    for word in (*COMMANDS, "ANALYTICS_DATABASE_URL", "ANALYTICS_HOME", *EXAMPLES):
        assert f"  {word}" in shown
    for example in EXAMPLES:
        _, name, *options = shlex.split(example)
        importlib.import_module(f"analytics_pipeline.cli.{name.replace('-', '_')}").command.make_context(name, options)


def test_a_commands_first_sentence_is_the_one_of_the_list() -> None:
    for name, messages in COMMANDS.items():
        command = importlib.import_module(f"analytics_pipeline.cli.{name.replace('-', '_')}").command
        assert messages.split()[0] == (command.help or "").split()[0]


def test_an_unknown_command_is_refused(call: Callable[..., Result]) -> None:
    refused = call("nonsense")
    assert refused.exit_code == 2
    assert "No such command 'nonsense'" in refused.output


# Which days


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--date", "yesterday"], "'yesterday' is no day such as 2026-11-22"),
        (["--date", "2026-11-31"], "'2026-11-31' is no day"),
        (["--date", "2026-11-01", "--from", "2026-11-01"], "give --date, or --from and --to"),
        (["--date", "2026-11-01", "--to", "2026-11-01"], "give --date, or --from and --to"),
        (["--to", "2026-11-01"], "--to needs --from"),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "--from 2026-11-02 is after --to 2026-11-01"),
        (["--job", "nonsense"], "'nonsense' is not one of 'daily', 'raw', 'clean', 'marts'"),
        (["--days", "3"], "No such option '--days'"),
    ],
)
def test_options_that_make_no_sense_are_refused_with_exit_code_2(
    options: list[str], messages: str, call: Callable[..., Result]
) -> None:
    refused = call("run", *options)
    assert refused.exit_code == 2
    assert messages in refused.output


@pytest.mark.parametrize(
    ("day", "messages"),
    [
        ("2024-12-31", "2024-12-31 lies before 2025-01-01, the first_day of the shop demo"),
        ("2999-01-01", "2999-01-01 is not over yet in Europe/Berlin; the last complete business day is "),
    ],
)
def test_days_that_the_shop_cannot_have_are_refused_with_exit_code_1(
    day: str, messages: str, call: Callable[..., Result]
) -> None:
    refused = call("run", "--date", day)
    assert refused.exit_code == 1
    assert messages in refused.output


def test_the_days_that_options_mean() -> None:
    shop = load_shop("demo")
    first, last, yesterday = date(2026, 11, 1), date(2026, 11, 3), date(2026, 11, 22)
    assert chosen_days(shop, None, None, None, NOON) == Days(yesterday, yesterday)
    ended = shop.model_copy(update={"last_day": date(2025, 1, 5)})
    assert chosen_days(ended, None, None, None, NOON) == Days(date(2025, 1, 5), date(2025, 1, 5))
    assert chosen_days(shop, first, None, None, NOON) == Days(first, first)
    assert chosen_days(shop, None, first, last, NOON) == Days(first, last)
    assert chosen_days(shop, None, first, None, NOON) == Days(first, yesterday)


def test_a_range_without_an_end_ends_with_the_shops_last_day() -> None:
    first, last, yesterday = date(2026, 11, 1), date(2026, 11, 3), date(2026, 11, 22)
    shop = load_shop("demo").model_copy(update={"last_day": last})
    assert chosen_days(shop, None, first, None, NOON) == Days(first, last)
    assert chosen_days(shop, None, first, yesterday, NOON) == Days(first, yesterday)
    assert chosen_days(shop, None, yesterday, None, NOON) == Days(yesterday, yesterday)


def test_a_day_is_over_at_the_shops_midnight_and_not_at_utcs() -> None:
    shop = load_shop("demo")
    day = date(2026, 11, 22)
    assert chosen_days(shop, day, None, None, datetime(2026, 11, 22, 23, 0, tzinfo=UTC)) == Days(day, day)
    with pytest.raises(SettingsError, match="is not over yet in Europe/Berlin"):
        chosen_days(shop, day, None, None, datetime(2026, 11, 22, 22, 59, tzinfo=UTC))


# Loading


def test_run_loads_a_day_and_a_range_that_equal_the_truth_and_status_reports_them(
    start_shop: StartShop, pipeline_of: PipelineOf, tmp_path: Path, call: Callable[..., Result]
) -> None:
    shop = start_shop(now=at(NOW), opened=OPENED, orders_per_day=(8, 12), bad_share=0.1, key=KEY)
    pipeline = pipeline_of(shop, auth={"type": "bearer", "token": "${SHOP_KEY}"})
    settings = settings_of(pipeline.database, tmp_path) | {"SHOP_KEY": KEY}
    chosen = ["--shop", str(pipeline.description)]
    assert "loaded       nothing yet: analytics-pipeline run\n" in call("status", *chosen).output

    # By a relative path and with settings from .env, as the README says it.
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    one_day = run("run", "--shop", f"./{pipeline.description.name}", "--date", "2025-01-01", folder=tmp_path)
    assert one_day.returncode == 0, one_day.stderr
    assert one_day.stdout.startswith("2025-01-01: done in ")
    assert "raw/orders done in" in one_day.stderr
    agrees(pipeline, OPENED, OPENED)
    after_one = call("status", *chosen).output
    assert "loaded       2025-01-01 to 2025-01-01, no day between them is missing\n" in after_one
    assert " days behind: the last complete business day is " in after_one

    range_of_days = ("--from", "2025-01-03", "--to", "2025-01-05")
    planned = run("run", *chosen, *range_of_days, "--plan", folder=tmp_path, **settings)
    assert planned.returncode == 0, planned.stderr
    calls = re.search(r"^2025-01-03 to 2025-01-05: (\d+) requests, ", planned.stdout, re.MULTILINE)
    assert calls is not None, planned.stdout
    more = run("run", *chosen, *range_of_days, folder=tmp_path, **settings)
    assert f"{calls[1]} requests to the shop in " in more.stdout, (planned.stdout, more.stdout)
    assert f"(planned: {calls[1]}, " in more.stdout
    assert more.returncode == 0, more.stderr
    assert more.stdout.startswith("2025-01-03 to 2025-01-05: done in ")
    agrees(pipeline, date(2025, 1, 3), date(2025, 1, 5))
    after_both = call("status", *chosen).output
    assert "loaded       2025-01-01 to 2025-01-05, 1 day between them is missing\n" in after_both
    held = pipeline.rows("select count(*) as orders from ops.quarantine where currency = 'EUR'")
    assert f"quarantine   {held[0]['orders']} orders, " in after_both
    assert KEY not in one_day.stdout + one_day.stderr + more.stdout + more.stderr


def test_a_shop_that_refuses_ends_with_exit_code_1_the_reason_and_the_run(
    start_shop: StartShop, pipeline_of: PipelineOf, tmp_path: Path
) -> None:
    shop = start_shop(now=at(NOW), opened=OPENED, orders_per_day=(1, 1), key="another-key")
    pipeline = pipeline_of(shop, auth={"type": "bearer", "token": "${SHOP_KEY}"})
    settings = settings_of(pipeline.database, tmp_path) | {"SHOP_KEY": KEY}
    failed = run("run", "--shop", str(pipeline.description), "--date", "2025-01-01", folder=tmp_path, **settings)
    assert failed.returncode == 1
    assert "Error: run " in failed.stderr
    assert " of 2025-01-01 failed:\n  raw/" in failed.stderr
    assert "HTTP 401: the shop does not accept the credentials; check ${SHOP_KEY}" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert KEY not in failed.stderr
    assert failed.stdout == ""


# Doctor


RECORDS = ("orders", "customers", "products")


def told_of(output: str) -> dict[str, str]:
    """What the doctor says of each subject: ok, warn, FAIL or -."""
    return {
        line[6:18].strip(): line[:5].strip()
        for line in output.splitlines()
        if line[:5].strip() in {"ok", "warn", "FAIL", "-"}
    }


def test_the_doctor_finds_a_healthy_shop_and_database_healthy(
    start_shop: StartShop, database: Database, tmp_path: Path
) -> None:
    shop = start_shop(opened=OPENED, orders_per_day=(3, 3), key=KEY)
    description = describe(shop, tmp_path, auth={"type": "bearer", "token": "${SHOP_KEY}"})
    found = run("doctor", "--shop", str(description), folder=tmp_path, SHOP_KEY=KEY, **settings_of(database, tmp_path))
    assert found.returncode == 0, found.stdout
    of_shop = ("marts", "description", "time zone", "credentials", "shop")
    of_database = ("database", "rights", "schema", "e-mail key")
    subjects = ("versions", *of_shop, *RECORDS, *of_database, "instance", "schemas", "holds", "webhooks", "alerts")
    # Whether a record of that day is a bad one is a matter of chance.
    assert told_of(found.stdout) | {"orders": "ok"} == dict.fromkeys(subjects, "ok")
    assert "PostgreSQL 18" in found.stdout
    assert "Europe/Berlin: it is " in found.stdout
    assert f"{shop.url}/orders answers: " in found.stdout
    assert KEY not in found.stdout + found.stderr


def test_the_doctor_reports_every_failure_at_once_and_shows_no_secret(
    start_shop: StartShop, tmp_path: Path, unused_port: int
) -> None:
    shop = start_shop(opened=OPENED, orders_per_day=(3, 3), key="another-key")
    description = describe(shop, tmp_path, auth={"type": "bearer", "token": "${SHOP_KEY}"})
    url = f"postgresql://someone:{PASSWORD}@127.0.0.1:{unused_port}/analytics"
    found = run("doctor", "--shop", str(description), folder=tmp_path, SHOP_KEY=KEY, ANALYTICS_DATABASE_URL=url)
    assert found.returncode == 1
    messages = told_of(found.stdout)
    assert [subject for subject, how in messages.items() if how == "FAIL"] == ["shop", "database"]
    not_looked_at = [*RECORDS, "rights", "schema", "e-mail key", "instance", "schemas", "holds", "webhooks"]
    assert [subject for subject, how in messages.items() if how == "-"] == not_looked_at
    assert "HTTP 401: the shop does not accept the credentials; check ${SHOP_KEY}" in found.stdout
    assert f"no Postgres server answers at postgresql://someone@127.0.0.1:{unused_port}/analytics" in found.stdout
    assert KEY not in found.stdout + found.stderr
    assert PASSWORD not in found.stdout + found.stderr


@pytest.mark.usefixtures("database")
def test_the_doctor_reports_that_the_shop_is_down(
    start_shop: StartShop, tmp_path: Path, call: Callable[..., Result]
) -> None:
    shop = start_shop(opened=OPENED)
    description = describe(shop, tmp_path)
    shop.stop()
    found = call("doctor", "--shop", str(description))
    assert found.exit_code == 1
    assert [subject for subject, how in told_of(found.output).items() if how != "ok"] == ["shop", *RECORDS]
    assert f"GET {shop.url}/orders" in found.output
    assert "gave no whole answer in 2 attempts; the last: no connection" in found.output


@pytest.mark.usefixtures("database")
def test_the_doctor_reports_which_secret_is_missing(
    start_shop: StartShop, tmp_path: Path, call: Callable[..., Result]
) -> None:
    description = describe(start_shop(opened=OPENED), tmp_path, auth={"type": "bearer", "token": "${SHOP_KEY}"})
    found = call("doctor", "--shop", str(description))
    assert found.exit_code == 1
    assert told_of(found.output)["credentials"] == "FAIL"
    assert "auth.token refers to the environment variable SHOP_KEY, which is not set or empty" in found.output
    assert "-     shop         not looked at, since it needs the credentials" in found.output


@pytest.mark.usefixtures("database")
def test_the_doctor_reports_what_is_wrong_with_a_description(tmp_path: Path, call: Callable[..., Result]) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(DEMO_DESCRIPTION.read_text(encoding="utf-8").replace("Europe/Berlin", "Europe/Berlim"))
    found = call("doctor", "--shop", "wrong.yaml")
    assert found.exit_code == 1
    assert "timezone: is no IANA time zone; did you mean Europe/Berlin?" in found.output
    messages = told_of(found.output)
    assert [subject for subject, how in messages.items() if how == "-"] == [
        "time zone",
        "credentials",
        "shop",
        *RECORDS,
    ]
    assert messages["database"] == "ok"


def test_the_doctor_reports_that_the_database_refuses_the_login(
    start_shop: StartShop,
    server: Database,
    tmp_path: Path,
    call: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    description = describe(start_shop(opened=OPENED, orders_per_day=(1, 1)), tmp_path)
    url = with_login(server.named("postgres").url, f"nobody:{PASSWORD}")
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", url)
    found = call("doctor", "--shop", str(description))
    assert found.exit_code == 1
    refusal = 'refuses the login: password authentication failed for user "nobody". Check user, password and database'
    assert refusal in found.output
    assert PASSWORD not in found.output


# Shop


@pytest.mark.parametrize("form", [["demo", "--serve"], ["shop"]], ids=["demo", "old form"])
def test_the_demo_shop_is_served_until_it_is_interrupted(tmp_path: Path, form: list[str]) -> None:
    with running([*form, "--port", "0"], folder=tmp_path) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split("answers at ")[1].split()[0]
        assert requests.get(f"{url}/shop", timeout=10).json()["currency"] == "EUR"
        with pytest.raises(requests.ConnectionError):
            requests.get(url.replace("127.0.0.1", "127.0.0.2"), timeout=10)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/shop", timeout=10)


def test_a_port_that_is_taken_is_reported(
    start_shop: StartShop, call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    port = start_shop().url.rpartition(":")[2]
    refused = call("demo", "--serve", "--port", port)
    assert refused.exit_code == 1
    assert f"port {port} of 127.0.0.1 cannot be used (Address already in use); give another one" in refused.output
    refused = call("up", "--port", port)
    assert refused.exit_code == 1
    assert f"port {port} of 127.0.0.1 cannot be used" in refused.output


def test_a_second_up_of_one_state_folder_is_refused(
    call: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ANALYTICS_HOME", str(home))
    with only_one(Settings(home, None, ("demo",)), 3001):
        refused = call("up", "--port", "3002")
    assert refused.exit_code == 1
    assert (
        f"another `up` works in {home} already: process {os.getpid()}, http://127.0.0.1:3001. End it" in refused.output
    )
    with only_one(Settings(home, None, ("demo",)), 3001):
        pass


def test_an_allowed_host_that_is_none_is_reported(call: Callable[..., Result]) -> None:
    refused = call("up", "--allowed-host", "https://ui.example.com/")
    assert refused.exit_code == 2
    assert "'https://ui.example.com/' is no name of a host, such as ui.example.com" in refused.output


def test_a_settings_error_is_reported_in_one_line(call: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", f"mysql://someone:{PASSWORD}@127.0.0.1/x")
    refused = call("status")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: ANALYTICS_DATABASE_URL has to begin with postgresql://")
    assert PASSWORD not in refused.output
    assert isinstance(refused.exception, SystemExit | click.ClickException)
