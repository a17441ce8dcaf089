"""The installed package: a wheel holds all that a clone does, and runs without the checkout."""

import os
import subprocess
import sys
from pathlib import Path

from analytics_pipeline.cli import COMMANDS
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.files import FILE_TABLES
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.conftest import CHECKOUT

PACKAGE = CHECKOUT / "analytics_pipeline"


def test_a_wheel_holds_every_file_of_the_package_and_dagsters_instance_file(installed: Path) -> None:
    wanted = {path.relative_to(CHECKOUT) for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    held = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    held = {path for path in held if path.parts[0] == "analytics_pipeline"}
    assert held == wanted | {Path("analytics_pipeline/dagster.yaml")}
    for name in ("marts/daily_revenue.sql", "shop/packaged/demo.yaml", "py.typed"):
        assert Path("analytics_pipeline", name) in held
    assert (installed / "analytics_pipeline" / "dagster.yaml").read_bytes() == (CHECKOUT / "dagster.yaml").read_bytes()


def test_an_installed_wheel_works_from_any_folder(installed: Path, database: Database, tmp_path: Path) -> None:
    settings = {
        "PYTHONPATH": str(installed),
        "ANALYTICS_DATABASE_URL": database.url,
        "ANALYTICS_HOME": str(tmp_path / "home"),
    }
    shown = run("--help", folder=tmp_path, **settings)
    assert shown.returncode == 0
    assert all(f"  {name}" in shown.stdout for name in COMMANDS)
    # The shop is down: the rest is all right.
    found = run("doctor", folder=tmp_path, ANALYTICS_DEMO_SHOP_URL="http://127.0.0.1:1", **settings)
    not_ok = [line.split()[:2] for line in found.stdout.splitlines() if not line.startswith("ok")]
    assert not_ok == [["FAIL", "shop"], ["-", "orders"], ["-", "customers"], ["-", "products"]]
    imported = (
        "from analytics_pipeline import definitions\n"
        "from analytics_pipeline.orchestration import running\n"
        "with running.open_instance(running.Settings.from_environment()) as instance: instance.get_runs_count()\n"
        "print(running.instance_file(), len(list(definitions.defs.resolve_all_asset_specs())))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", imported],
        cwd=tmp_path,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assets = len(CONTRACTS) + len(load_marts()) + len(OPS_TABLES) - len(FILE_TABLES)
    assert loaded.stdout.split() == [str(installed / "analytics_pipeline" / "dagster.yaml"), str(assets)]
