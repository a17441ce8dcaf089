"""Small damages to the product, one at a time, and the tests that have to notice: every survivor is a missing test.

    python -m analytics_pipeline_tests.trials.mutations                 all of them
    python -m analytics_pipeline_tests.trials.mutations --only incidents

A damage is a text of one file and what stands there instead. It is made in a copy of the project; the exit code is 1
when a damaged product passes its tests. That each text still stands in its file is a test of the suite.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from analytics_pipeline_tests.trials.damages import DAMAGES, Damage

PROJECT = Path(__file__).parent.parent.parent
COPIED = ("analytics_pipeline", "analytics_pipeline_tests", "benchmarks", "docs", "pyproject.toml", "README.md",
          "dagster.yaml", "workspace.yaml", "CHANGELOG.md", "constraints.txt", "make.py")  # fmt: skip
TESTS_FAILED = 1
"""pytest's exit code where tests failed; any other one but 0 says that they could not run."""


@dataclass(frozen=True)
class Outcome:
    """What the tests said of one damage: `noticed`, `SURVIVED`, or `broken` where they could not run."""

    damage: Damage
    verdict: str
    seconds: float


def main() -> int:
    """Make the damages that the command line names and tell of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only the damages of files whose path holds this text")
    only = parser.parse_args().only
    chosen = [damage for damage in DAMAGES if only in damage.path]
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="analytics-pipeline-mutations-") as folder:
        copy = Path(folder)
        for name in COPIED:
            source = PROJECT / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy / name)
        for damage in chosen:
            outcomes.append(_try(damage, copy))
            _show(outcomes[-1])
    survivors = [outcome for outcome in outcomes if outcome.verdict != "noticed"]
    print(f"{len(outcomes)} damages, {len(outcomes) - len(survivors)} noticed")
    return 1 if survivors else 0


def _try(damage: Damage, copy: Path) -> Outcome:
    """Damage the copy, run the tests there, and mend it."""
    file = copy / damage.path
    whole = file.read_text(encoding="utf-8")
    file.write_text(damage.applied_to(whole), encoding="utf-8")
    began = time.monotonic()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *damage.tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
        )
    finally:
        file.write_text(whole, encoding="utf-8")
    verdict = {0: "SURVIVED", TESTS_FAILED: "noticed"}.get(done.returncode, "broken")
    return Outcome(damage, verdict, time.monotonic() - began)


def _show(outcome: Outcome) -> None:
    damage = outcome.damage
    print(f"{outcome.verdict:9} {outcome.seconds:5.1f} s  {damage.path}: {damage.old!r} -> {damage.new!r}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
