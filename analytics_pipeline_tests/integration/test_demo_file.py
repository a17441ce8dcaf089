"""`demo --from-file`: a file of orders to revenue by day in one command, and what of it is left out, with its money."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from analytics_pipeline.cli import main
from analytics_pipeline.cli.exit_codes import FAILED
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query

LESSON = """date,customer_id,price,quantity
2024-01-01,1,19.99,2
2024-01-01,2,5.00,1
2024-01-01,,7.50,3
2024-01-02,3,,1
2024-01-02,1,12.00,1
2024-01-02,1,12.00,1
no day
"""


@pytest.mark.usefixtures("instance")
def test_the_lessons_file_is_revenue_by_day_in_one_command(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sales_raw.csv"
    file.write_text(LESSON, encoding="utf-8")
    for name in ("ANALYTICS_PROJECT", "ANALYTICS_SHOP"):  # set by the command
        monkeypatch.setenv(name, "")
    # The definitions are read once a process, with the shop that the command chooses; in a test that is too early.
    monkeypatch.setattr("analytics_pipeline.definitions.defs", _Later())

    done = CliRunner().invoke(main, ["demo", "--from-file", str(file)])

    assert done.exit_code == 0, done.output
    [namespace] = [folder.name for folder in (Settings.from_environment().home / "from-file").iterdir()]
    rows = query(database.of(namespace), 'select event_date::text, orders, net_sales from "@marts".daily_revenue')
    assert sorted(tuple(row.values()) for row in rows) == [
        ("2024-01-01", 2, "44.9800"),
        ("2024-01-02", 2, "24.0000"),
    ]
    left_out = "excluded     1 order, 22.50 EUR; 1 order of unknown amount\n"
    assert f"{left_out}             without_customer: 1\n             without_price: 1\n" in done.stdout
    assert "quarantine   no orders\nno day       in no figure, since their day cannot be read\n" in done.stdout
    reason = "rows: of a row of a file: the row has fewer columns than the header"
    assert f"{'':13}{reason}: 1, such as sales_raw.csv line 8\n" in done.stdout
    assert "no column seems to be an order's id: each row is an order of its own" in done.stdout
    lines = done.stdout.splitlines()
    assert any(line.split()[:2] == ["2024-01-01", "2"] and "44.98" in line for line in lines)


def test_a_file_that_is_not_there_or_no_table_is_refused(tmp_path: Path) -> None:
    missing = CliRunner().invoke(main, ["demo", "--from-file", str(tmp_path / "none.csv")])
    (tmp_path / "empty.csv").touch()
    empty = CliRunner().invoke(main, ["demo", "--from-file", str(tmp_path / "empty.csv")])

    assert (missing.exit_code, empty.exit_code) == (FAILED, FAILED)
    assert "none.csv: there is no such file" in missing.output
    assert "empty.csv" in empty.output


class _Later:
    """The definitions of the shop that is chosen when they are asked for."""

    def __getattr__(self, name: str) -> object:
        return getattr(build_definitions(os.environ["ANALYTICS_SHOP"]), name)
