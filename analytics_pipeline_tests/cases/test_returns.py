"""A day that is loaded alone lacks what was given back of orders before it, and says so."""

from datetime import date
from pathlib import Path

import pytest

from analytics_pipeline.cli import typed_command
from analytics_pipeline.cli.returns import missing_returns
from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.cases.small_shop import Case

DAY = Days(date(2026, 11, 22), date(2026, 11, 22))


def test_a_day_loaded_alone_says_that_returns_of_older_orders_are_missing(case: Case) -> None:
    shop = load_shop(str(case.path))
    assert case.run("2026-11-22").succeeded
    messages = missing_returns(case.database, shop, DAY)
    assert messages is not None
    assert "orders placed before 2026-11-22 are not all in these figures: 21 of the 21 days before" in messages
    assert messages.endswith("analytics-pipeline run --from 2026-11-01")
    assert missing_returns(case.database, shop.model_copy(update={"first_day": date(2026, 11, 22)}), DAY) is None
    assert case.run("2026-11-01", "2026-11-21").succeeded
    assert missing_returns(case.database, shop, DAY) is None


def test_a_command_is_shown_as_a_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "a clone" / ".venv" / "bin"
    programs.mkdir(parents=True)
    script = programs / "analytics-pipeline"
    monkeypatch.setattr("sys.executable", str(programs / "python"))
    monkeypatch.setenv("PATH", "")
    assert typed_command() == f"'{programs / 'python'}' -m analytics_pipeline"
    script.write_text("#!/bin/sh\n", encoding="utf-8")
    script.chmod(0o755)
    assert typed_command() == f"'{script}'"
    monkeypatch.chdir(tmp_path / "a clone")
    assert typed_command() == ".venv/bin/analytics-pipeline"
    assert typed_command(Path("made/here")) == f"'{script}'"
    monkeypatch.setenv("PATH", str(programs))
    assert typed_command() == "analytics-pipeline"
