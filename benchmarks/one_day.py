"""Part c: one business day of the demo shop, cold from the command line and warm in one process, by step.

The installation has a month of days already, as a shop has in the morning when its schedule runs.
"""

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from typing import Any

from analytics_pipeline.warehouse.connection import Database
from benchmarks.laboratory import Laboratory, free_port
from benchmarks.measuring import Measured, Results, note, run_process, take_turns
from benchmarks.report import goal, megabytes, seconds, spread, table

MONTH = ("2025-03-01", "2025-03-30")
DAYS = ("2025-03-31", "2025-04-01", "2025-04-02")
GOAL_COLD, GOAL_WARM = 3.0, 1.2
COLD, FIRST, WARM = (
    "cold: `analytics-pipeline run --date ...`",
    "first run of a process",
    "warm: a later run of a process",
)
EMPTY = "Dagster alone: the same steps and checks, empty, warm"

Told = dict[str, Any]
"""What `one_day_process` prints."""


def run(laboratory: Laboratory, repeat: int) -> str:
    """Measure part c and return its results as markdown."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    message: list[Told] = []
    with (
        laboratory.serving(["-m", "analytics_pipeline", "shop", "--port", str(port)]),
        laboratory.fresh_database() as month,
    ):
        note("c: loading a month to start from")
        run_process(
            _command("--from", MONTH[0], "--to", MONTH[1]), _environment(laboratory, month, url), laboratory.home
        )
        results = take_turns(
            [lambda: _cold(laboratory, month, url), lambda: _warm(laboratory, month, url, message)],
            repeat,
        )
    return _report(results, message)


def _command(*options: str) -> list[str]:
    return [sys.executable, "-m", "analytics_pipeline", "run", *options]


def _environment(laboratory: Laboratory, database: Database, url: str) -> dict[str, str]:
    return laboratory.environment(database, ANALYTICS_DEMO_SHOP_URL=url)


def _cold(laboratory: Laboratory, month: Database, url: str) -> dict[str, Measured]:
    with laboratory.fresh_database(month) as database:
        laboratory.settle()
        return {
            COLD: run_process(_command("--date", DAYS[0]), _environment(laboratory, database, url), laboratory.home)
        }


def _warm(laboratory: Laboratory, month: Database, url: str, message: list[Told]) -> dict[str, Measured]:
    with laboratory.fresh_database(month) as database:
        laboratory.settle()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.one_day_process", *DAYS],
            env=_environment(laboratory, database, url),
            cwd=laboratory.home,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    message.append(json.loads(done.stdout.splitlines()[-1]))
    first, *later = message[-1]["runs"]
    return {
        FIRST: Measured(first),
        WARM: Measured(statistics.median(later)),
        EMPTY: Measured(statistics.median(message[-1]["empty"][1:])),
    }


def _report(results: Results, message: list[Told]) -> str:
    cold, warm = results[COLD].seconds, results[WARM].seconds
    listed = [
        [what, seconds(samples), spread(samples), f"{samples.seconds / warm:.2f}", megabytes(samples)]
        for what, samples in results.items()
    ]
    steps = _medians([_by_step(run) for run in message])
    return "\n".join(
        [
            f"### c. One day: 50 to 100 orders, {message[-1]['checks']} checks, a month of days stored before",
            "",
            table(["", "median", "spread", "time / warm", "peak memory"], listed),
            "",
            table(
                ["part of a warm run, or of a process", "median"],
                [[what, f"{took:.3f} s"] for what, took in _parts(message)],
            ),
            "",
            table(
                ["step of a warm run", "in all", "reading", "working", "writing"],
                [[step, *(f"{took:.3f} s" for took in times)] for step, times in steps.items()],
            ),
            "",
            goal(f"cold in {cold:.2f} s, at most {GOAL_COLD} s", is_met=cold <= GOAL_COLD),
            goal(f"warm in {warm:.2f} s, at most {GOAL_WARM} s", is_met=warm <= GOAL_WARM),
        ]
    )


def _by_step(message: Told) -> dict[str, tuple[float, ...]]:
    """Return total, reading, working and writing of each step."""
    return {
        step.replace("__", "/"): (
            times["total"],
            times["reading"],
            times["total"] - times["reading"] - times["writing"],
            times["writing"],
        )
        for step, times in message["steps"].items()
    }


def _medians(runs: list[dict[str, tuple[float, ...]]]) -> dict[str, list[float]]:
    return {
        step: [statistics.median(times) for times in zip(*(run[step] for run in runs), strict=True)]
        for step in runs[-1]
    }


def _parts(message: list[Told]) -> list[tuple[str, float]]:
    """Return what imports, instance and the kinds of work took."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in message:
        steps = _by_step(run)
        found["process: imports"].append(run["imports"])
        found["process: opening the instance"].append(run["instance"])
        for kind, prefix in (("extraction", "raw/"), ("cleaning", "clean"), ("checks after the write", "check_")):
            found[f"run: {kind}"].append(sum(times[2] for step, times in steps.items() if step.startswith(prefix)))
        found["run: reading"].append(sum(times[1] for times in steps.values()))
        found["run: marts, computed and written"].append(
            sum(times[0] for step, times in steps.items() if step.startswith("marts/"))
        )
        found["run: writing raw and clean"].append(
            sum(times[3] for step, times in steps.items() if not step.startswith("marts/"))
        )
        found["run: Dagster outside of the steps"].append(run["runs"][-1] - sum(times[0] for times in steps.values()))
    return [(what, statistics.median(times)) for what, times in found.items()]
