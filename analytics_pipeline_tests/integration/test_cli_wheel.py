"""The installed package: a wheel holds all that a clone does, and runs without the checkout."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from analytics_pipeline.cli import COMMANDS
from analytics_pipeline.marts.engine import load_marts
from analytics_pipeline.tables.contracts import CONTRACTS
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.integration.command_line import environment, run

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "analytics_pipeline"
DG_PROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "marts"
defs_module = "marts"
code_location_target_module = "analytics_pipeline.definitions"
"""
"""`dg` wants a module of the project's own in its folder, and is content with a folder."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which a wheel of this checkout lies unpacked, as an installer would leave it."""
    folder = tmp_path_factory.mktemp("wheel")
    pins = str(CHECKOUT / "constraints.txt")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", str(CHECKOUT), "--no-deps", "--quiet", "--wheel-dir", str(folder)],
        env={**os.environ, "PIP_CONSTRAINT": pins, "PIP_BUILD_CONSTRAINT": pins, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        check=True,
    )
    [wheel] = folder.glob("analytics_pipeline-*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(folder / "unpacked")
    return folder / "unpacked"


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
    assets = len(CONTRACTS) + len(load_marts()) + len(OPS_TABLES)
    assert loaded.stdout.split() == [str(installed / "analytics_pipeline" / "dagster.yaml"), str(assets)]


def test_dg_checks_and_lists_an_installed_wheel_from_a_folder_of_marts(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "pyproject.toml").write_text(DG_PROJECT, encoding="utf-8")
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    settings = {"PYTHONPATH": str(installed), "DAGSTER_HOME": str(tmp_path), "HOME": str(tmp_path)}

    def dg(*arguments: str) -> str:
        program = [str(Path(sys.executable).parent / "dg"), *arguments]
        return subprocess.run(
            program, cwd=tmp_path, env=environment(**settings), capture_output=True, text=True, check=True
        ).stdout

    assert "All definitions loaded successfully." in dg("check", "defs")
    keys = {asset["asset_key"] for asset in json.loads(dg("list", "defs", "--json"))["assets"]}
    assert {f"marts/{mart.table.name}" for mart in load_marts()} <= keys
