"""A folder of the user's own, made and used by an installed wheel: its shop and its marts beside the packaged ones."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analytics_pipeline.cli.init import TEMPLATE, project_files
from analytics_pipeline.errors import SettingsError
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.settings import HOME, PROJECT, SHOP, Settings
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.command_line import environment, run
from analytics_pipeline_tests.integration.tables import execute


@pytest.fixture
def project(installed: Path, tmp_path: Path) -> Path:
    """A folder that the wheel's `init` has made."""
    made = run("init", "garden", "--shop", "garden-shop", folder=tmp_path, PYTHONPATH=str(installed))
    assert made.returncode == 0, made.stderr
    return tmp_path / "garden"


def test_a_new_folder_holds_all_that_the_template_does_under_the_shops_name(project: Path) -> None:
    wanted = {str(path.relative_to(TEMPLATE)) for path in TEMPLATE.rglob("*") if path.is_file()}
    held = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert held == {name.replace("my-shop", "garden-shop") for name in wanted} | {"dagster.yaml", "shop.schema.json"}
    assert load_shop(project / "shops" / "garden-shop.yaml").name == "garden-shop"
    assert "GARDEN_SHOP_TOKEN=" in (project / ".env.example").read_text(encoding="utf-8")
    assert len((project / "README.md").read_text(encoding="utf-8").splitlines()) <= 10
    texts = [path.read_text(encoding="utf-8") for path in project.rglob("*") if path.is_file()]
    assert not any("my-shop" in text or "MY_SHOP" in text for text in texts)


def test_what_is_there_is_not_written_over(project: Path, installed: Path) -> None:
    (project / "workspace.yaml").unlink()
    again = run("init", str(project), folder=project.parent, PYTHONPATH=str(installed))
    assert again.returncode == 1
    assert "exists already, and nothing was written" in again.stderr
    assert not (project / "workspace.yaml").exists()
    other = run("init", "other", "--shop", "Garden Shop", folder=project.parent, PYTHONPATH=str(installed))
    assert other.returncode == 1
    assert "'Garden Shop' is no name of a shop" in other.stderr


def test_a_packaged_shop_keeps_its_description_in_the_package() -> None:
    files = project_files("demo")
    assert [name for name in files if name.startswith("shops/")] == []
    assert "ANALYTICS_SHOP=demo" in files[".env.example"]
    assert "DEMO_TOKEN" not in files[".env.example"]
    assert "1. The shop is the packaged `demo`." in files["README.md"]
    assert "Describe" not in files["README.md"]


def test_dagster_loads_the_folder_with_its_shop_and_its_marts(project: Path, installed: Path) -> None:
    settings = {"PYTHONPATH": str(installed), "DAGSTER_HOME": str(project), "HOME": str(project)}

    def called(program: str, *arguments: str) -> str:
        line = [str(Path(sys.executable).parent / program), *arguments]
        ended = subprocess.run(
            line, cwd=project, env=environment(**settings), capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    called("dagster", "definitions", "validate")
    assert "All definitions loaded successfully." in called("dg", "check", "defs")
    keys = {asset["asset_key"] for asset in json.loads(called("dg", "list", "defs", "--json"))["assets"]}
    assert {f"marts/{mart.table.name}" for mart in load_marts()} | {"marts/daily_country_sales"} <= keys


AGAINST = """-- Net sales of each business day and country against the day's target and spend.
-- grain: event_date, country, currency
-- reads: sheets.spend
-- check: targets_are_there: select event_date from marts.daily_against_target where target is null
select
    sales.event_date, -- Business day of the events.
    sales.country, -- Country.
    sales.currency, -- Currency.
    sales.net_sales, -- Net sales.
    targets.target, -- Target of the day.
    spend.amount as spend -- Spend of the day.
from marts.daily_country_sales as sales
left join seeds.daily_targets as targets on targets.day = sales.event_date
left join sheets.spend on spend.day = sales.event_date
where sales.event_date between :first_day and :last_day
"""


def test_a_mart_with_a_check_a_seed_and_a_source_is_computed_beside_the_packaged_ones(
    project: Path, installed: Path, loaded: Pipeline, tmp_path: Path
) -> None:
    settings = {
        "PYTHONPATH": str(installed),
        "ANALYTICS_DATABASE_URL": loaded.database.url,
        "ANALYTICS_HOME": str(tmp_path / "home"),
    }
    (project / ".env").write_text(f"ANALYTICS_SHOP={loaded.description}\n", encoding="utf-8")
    (project / "marts" / "daily_against_target.sql").write_text(AGAINST, encoding="utf-8")
    execute(
        loaded.database,
        "create schema sheets",
        "create table sheets.spend as select date '2025-01-02' as day, 7 as amount",
    )
    for folder, more in ((project, {}), (tmp_path, {"ANALYTICS_PROJECT": str(project)})):
        execute(loaded.database, "drop table if exists marts.daily_country_sales")
        done = run(
            "run", "--from", "2025-01-01", "--to", "2025-01-03", "--job", "marts", folder=folder, **settings, **more
        )
        assert done.returncode == 0, done.stderr
        by_day = "select event_date, sum(net_sales)::text as net_sales from marts.{table} group by 1 order by 1"
        ours = loaded.rows(by_day.format(table="daily_country_sales"))
        assert ours == loaded.rows(by_day.format(table="daily_revenue"))
        assert len(ours) == 3
        against = (
            "select distinct event_date::text as day, target::text, spend from marts.daily_against_target order by 1"
        )
        assert [list(row.values()) for row in loaded.rows(against)] == [
            ["2025-01-01", "1000.0000", None],
            ["2025-01-02", "1000.0000", 7],
            ["2025-01-03", "1200.0000", None],
        ]
    (project / "marts" / "broken.sql").write_text(
        AGAINST.replace("targets.target,", "targets.no_such,"), encoding="utf-8"
    )
    doubtful = run("run", "--date", "2025-01-03", "--job", "marts", folder=project, **settings)
    assert doubtful.returncode == 3, doubtful.stderr
    assert "look at this: marts.broken is not computed: " in doubtful.stderr
    (project / "marts" / "broken.sql").unlink()
    (project / "seeds" / "daily_targets.csv").write_text("day:date key,target:numeric(19,4)\n", encoding="utf-8")
    failed = run("run", "--date", "2025-01-03", "--job", "marts", folder=project, **settings)
    assert failed.returncode == 1
    assert "check targets_are_there of marts/daily_against_target" in failed.stderr


def test_the_doctor_reports_a_seed_and_a_source_that_cannot_be_read(
    project: Path, installed: Path, database: Database, tmp_path: Path
) -> None:
    (project / "marts" / "daily_against_target.sql").write_text(AGAINST, encoding="utf-8")
    (project / "seeds" / "daily_targets.csv").write_text("day:date key\nsoon\n", encoding="utf-8")
    (tmp_path / ".env").write_text(f"ANALYTICS_PROJECT={project}\n", encoding="utf-8")
    settings = {
        "ANALYTICS_DATABASE_URL": database.url,
        "ANALYTICS_HOME": str(tmp_path / "home"),
        "ANALYTICS_SHOP": "demo",
    }
    messages = run("doctor", folder=tmp_path, PYTHONPATH=str(installed), **settings).stdout
    [line] = [line for line in messages.splitlines() if line.startswith("warn  marts")]
    assert "2 broken, not computed: " in line
    assert "daily_against_target.sql: reads sheets.spend: it is not in the database" in line
    assert "daily_targets.csv: line 2: day is no date such as 2026-11-22" in line


def test_the_shop_is_the_folders_only_one_or_the_named_one(tmp_path: Path) -> None:
    def shop(**named: str) -> str:
        return Settings.from_environment({PROJECT: str(tmp_path), **named}).shop

    assert shop() == "demo"
    (tmp_path / "shops").mkdir()
    one, two = (tmp_path / "shops" / name for name in ("one.yaml", "two.yaml"))
    one.touch()
    assert shop() == str(one)
    assert shop(**{SHOP: "demo"}) == "demo"
    two.touch()
    assert shop(**{SHOP: "two"}) == str(two)
    assert shop(**{SHOP: "elsewhere/two.yaml"}) == "elsewhere/two.yaml"
    with pytest.raises(SettingsError, match=r"several shops \(one, two\): choose one with --shop NAME"):
        shop()


def test_several_shops_are_chosen_by_commas_and_are_whole_when_none_beside_them_is_left_out(tmp_path: Path) -> None:
    def chosen(named: str = "") -> tuple[tuple[str, ...], bool]:
        variables = {PROJECT: str(tmp_path), HOME: str(tmp_path / "home"), SHOP: named}
        found = Settings.from_environment(variables)
        return found.names, found.is_whole

    of_demo, own = tmp_path / "home" / "demo_shops", tmp_path / "shops"
    for path in (of_demo / "demo-us.yaml", own / "one.yaml", own / "two.yaml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    assert chosen() == chosen("all") == chosen("one,two") == (("one", "two"), True)
    assert chosen("two") == (("two",), False)
    assert chosen("demo,demo-us") == (("demo", "demo-us"), True)
    assert chosen("demo") == (("demo",), False)
    assert chosen("elsewhere/two.yaml") == (("two",), False)
    shutil.rmtree(own)
    assert chosen() == (("demo", "demo-us"), True)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="which is no folder; `analytics-pipeline init"):
        Settings.from_environment({PROJECT: str(tmp_path / "missing")})
