"""The commands that tell of alerts and send them: `alerts`, `doctor`, and `run` at its end."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import describe
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.receivers import PASSWORD, TOKEN, receiving
from analytics_pipeline_tests.integration.tables import execute


@pytest.fixture
def command(database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run a command in this process, in a folder without a .env file."""
    del database  # the settings name it
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_alerts_lists_what_is_open_and_what_is_over(command: Callable[..., Result], database: Database) -> None:
    assert command("alerts").output == "no incident yet\n"
    rows = [
        f"('k{number}', 'day_parked', 'day {number}', timestamptz '2026-11-{number:02} 04:00+00', 1, 'Do.', '{{}}'"
        for number in range(1, 14)
    ]
    closed = ", ".join(f"{row}, timestamptz '2026-11-20 {number:02}:00+00')" for number, row in enumerate(rows[1:]))
    execute(
        database,
        "insert into ops.incidents (key, kind, subject, opened_at, sends, text, unreached, closed_at) "
        f"values {rows[0]}, null), {closed}",
    )
    lines = command("alerts").output.splitlines()

    assert lines[:4] == [
        "open     1",
        "  day_parked day 1, since 2026-11-01 05:00 CET; sent once",
        "    Do.",
        "over     10, the newest first",
    ]
    assert lines[4] == "  day_parked day 13, 2026-11-13 05:00 CET to 2026-11-20 12:00 CET"
    assert len(lines) == 14


def test_a_trial_message_reaches_every_receiver_or_the_exit_code_reports_which_one_not(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    unset = command("alerts", "--test")
    with receiving() as receiver, receiving() as refusing:
        refusing.status = 404
        monkeypatch.setenv("ANALYTICS_ALERT_URLS", receiver.url)
        good = command("alerts", "--test")
        monkeypatch.setenv("ANALYTICS_ALERT_URLS", f"{receiver.url} {refusing.url} slack://{TOKEN}")
        bad = command("alerts", "--test")

    assert unset.exit_code == 1
    assert "ANALYTICS_ALERT_URLS is not set" in unset.output
    assert (good.exit_code, good.output) == (0, f"ok    URL 1 (json://127.0.0.1:{receiver.port})\n")
    assert receiver.titles == ["[demo] test", "[demo] test"]
    assert bad.exit_code == 1
    assert f"FAIL  URL 2 (json://127.0.0.1:{refusing.port}) could not be reached: it answered 404" in bad.output
    assert "FAIL  URL 3 (slack) of ANALYTICS_ALERT_URLS is none that Apprise can read" in bad.output
    assert "2 of 3 receivers could not be notified" in bad.output
    assert TOKEN not in bad.output
    assert PASSWORD not in bad.output


def test_the_doctor_reports_whether_receivers_are_set_and_well_formed(
    command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def line() -> str:
        return next(one for one in command("doctor").output.splitlines() if one[6:].startswith("alerts"))

    assert line().startswith("ok    alerts       ANALYTICS_ALERT_URLS is not set: incidents are kept and logged, and")
    monkeypatch.setenv("ANALYTICS_ALERT_URLS", f"json://h/{TOKEN} slack://aaa")
    assert line().startswith("FAIL  alerts       URL 2 (slack) of ANALYTICS_ALERT_URLS is none that Apprise can read")
    monkeypatch.setenv("ANALYTICS_ALERT_URLS", f"json://h/{TOKEN}")
    assert line().startswith("ok    alerts       URL 1 (json://h); not tried")
    monkeypatch.setenv("ANALYTICS_ALERT_REPEAT_HOURS", "x")
    assert line().startswith("FAIL  alerts       ANALYTICS_ALERT_REPEAT_HOURS has to be a number of hours")


def test_a_run_of_the_command_line_reports_its_failure_before_it_ends(
    start_shop: Callable[..., RunningShop], database: Database, tmp_path: Path
) -> None:
    shop = start_shop(now=datetime(2025, 1, 20, tzinfo=UTC), opened=date(2025, 1, 1), orders_per_day=(3, 4))
    description = describe(shop, tmp_path, orders={"path": "/no-orders"})
    settings = {
        "ANALYTICS_DATABASE_URL": database.url,
        "ANALYTICS_HOME": str(tmp_path / "home"),
        "ANALYTICS_SHOP": str(description),
    }
    with receiving() as receiver, receiving() as refusing:
        refusing.status = 500
        urls = f"{receiver.url} {refusing.url}"
        done = run("run", "--date", "2025-01-02", folder=tmp_path, ANALYTICS_ALERT_URLS=urls, **settings)

    title = "[demo] run failed: daily of 2025-01-02"
    assert done.returncode == 1
    assert receiver.titles.count(title) == 1
    assert f"alert sent: {title}" in done.stderr
    refused = f"URL 2 (json://127.0.0.1:{refusing.port}) could not be reached: it answered 500"
    assert f"warning: alert not sent: {refused}" in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
