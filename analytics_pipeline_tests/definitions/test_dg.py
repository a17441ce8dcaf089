"""Dagster's command `dg` takes the checkout for a project: it checks and lists what `definitions` holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).parent / "dg"


def run_dg(*arguments: str, home: Path) -> "subprocess.CompletedProcess[str]":
    """Run `dg` in the checkout, with nothing set but where Dagster may write and that it calls nobody."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    settings = {"HOME": str(home), "DAGSTER_HOME": str(home), "VIRTUAL_ENV": sys.prefix, "PATH": os.environ["PATH"]}
    return subprocess.run(
        [PROGRAM, *arguments], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=240, check=False
    )


def test_dg_finds_the_definitions_of_a_clone_valid(tmp_path: Path) -> None:
    checked = run_dg("check", "defs", home=tmp_path / "home")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "All definitions loaded successfully." in checked.stdout
    assert "warning" not in checked.stderr.lower()


def test_dg_lists_what_a_clone_holds(tmp_path: Path, definitions: dg.Definitions) -> None:
    listed = run_dg("list", "defs", "--json", home=tmp_path / "home")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    found = json.loads(listed.stdout)

    assert {asset["asset_key"] for asset in found["assets"]} == {
        spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()
    }
    assert all(asset["owners"] == [{"team": "data"}] for asset in found["assets"])
    assert {job["name"] for job in found["jobs"]} >= {"daily", "late_changes", "replay_quarantine"}
