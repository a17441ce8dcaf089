"""One process that runs several business days, one after the other, and prints what took how long, as JSON.

    python -m benchmarks.one_day_process DAY [DAY ...]

The first run is the first of its process, the others are warm; the last one is shown by step. Then the same graph with
empty steps runs as often: what Dagster itself takes for its steps, events and checks.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

    from analytics_pipeline.orchestration.running import RunSummary


def main(days: Sequence[date]) -> None:
    """Run the days, and print the times."""
    started = time.perf_counter()
    from analytics_pipeline.days import Days  # noqa: PLC0415
    from analytics_pipeline.definitions import defs  # noqa: PLC0415 - imports are part of what is measured
    from analytics_pipeline.job_names import DAILY  # noqa: PLC0415
    from analytics_pipeline.orchestration.running import open_instance, run_days  # noqa: PLC0415
    from analytics_pipeline.settings import Settings  # noqa: PLC0415

    imported = time.perf_counter()
    with open_instance(Settings.from_environment()) as instance:
        opened = time.perf_counter()

        def timed(definitions: "dg.Definitions", day: date) -> "tuple[RunSummary, float]":
            begun = time.perf_counter()
            summary = run_days(definitions, instance, Days(day, day), job_name=DAILY)
            if not summary.succeeded:
                message = f"run of {day} failed: {summary.failures}"
                raise RuntimeError(message)
            return summary, time.perf_counter() - begun

        runs = [timed(defs, day) for day in days]
        empty = emptied(defs)
        message = {
            "imports": imported - started,
            "instance": opened - imported,
            "runs": [seconds for _, seconds in runs],
            "empty": [timed(empty, day)[1] for day in days],
            "steps": step_times(instance.all_logs(runs[-1][0].run_id)),
            "checks": runs[-1][0].checks,
        }
    print(json.dumps(message))


def step_times(entries: "Sequence[dg.EventLogEntry]") -> dict[str, dict[str, float]]:
    """Return the seconds of each step: in all, until its inputs were loaded, and while its outputs were written.

    A stream that a step takes as its input is read while the step works, and counts as its work.
    """
    times: dict[str, dict[str, float]] = defaultdict(lambda: {"total": 0.0, "reading": 0.0, "writing": 0.0})
    latest: dict[str, float] = {}
    for entry in entries:
        event = entry.dagster_event
        if event is None or event.step_key is None:
            continue
        since = entry.timestamp - latest.get(event.step_key, entry.timestamp)
        step = times[event.step_key]
        if event.event_type_value == "LOADED_INPUT":
            step["reading"] += since
        elif event.event_type_value in {"ASSET_MATERIALIZATION", "HANDLED_OUTPUT"}:
            step["writing"] += since
        elif event.is_step_success:
            step["total"] = event.step_success_data.duration_ms / 1000
        latest[event.step_key] = entry.timestamp
    return dict(times)


def emptied(definitions: "dg.Definitions") -> "dg.Definitions":
    """Return the same assets and checks, each of which does nothing and succeeds."""
    import dagster as dg  # noqa: PLC0415

    assets = [_empty_asset(asset) for asset in definitions.assets or [] if isinstance(asset, dg.AssetsDefinition)]
    checks = [_empty_check(check) for check in definitions.asset_checks or []]
    daily = [job for job in definitions.jobs or [] if job.name == "daily"]
    return dg.Definitions(
        assets, jobs=daily, asset_checks=checks, resources=definitions.resources, executor=definitions.executor
    )


def _empty_asset(asset: "dg.AssetsDefinition") -> "dg.AssetsDefinition":
    import dagster as dg  # noqa: PLC0415

    specs = [
        dg.AssetSpec(spec.key, deps=spec.deps, group_name=spec.group_name, partitions_def=spec.partitions_def)
        for spec in asset.specs
    ]

    @dg.multi_asset(name=asset.op.name, specs=specs, check_specs=list(asset.check_specs), pool=asset.op.pool)
    def empty() -> Iterator[Any]:
        for check in asset.check_specs:
            yield dg.AssetCheckResult(passed=True, asset_key=check.asset_key, check_name=check.name)
        for spec in specs:
            yield dg.MaterializeResult(spec.key)

    return empty


def _empty_check(check: "dg.AssetsDefinition") -> "dg.AssetChecksDefinition":
    import dagster as dg  # noqa: PLC0415

    @dg.multi_asset_check(name=check.op.name, specs=list(check.check_specs))
    def empty() -> Iterator[dg.AssetCheckResult]:
        for spec in check.check_specs:
            yield dg.AssetCheckResult(passed=True, asset_key=spec.asset_key, check_name=spec.name)

    return empty


if __name__ == "__main__":
    main([date.fromisoformat(argument) for argument in sys.argv[1:]])
