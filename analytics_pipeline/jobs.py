"""The jobs: `daily` for a business day of everything, and one per layer.

Their partitions are those of the assets that they select; which days a job runs for is the schedule's or the caller's.
"""

from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from analytics_pipeline.contracts import ANOMALIES

if TYPE_CHECKING:  # dagster gives these types no public name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"

DAILY = "daily"
LAYERS = ("raw", "clean", "marts")
_ANOMALIES = dg.AssetSelection.assets(dg.AssetKey(ANOMALIES.table.path))
"""Judged from the marts: what is in `ops` otherwise is made with the clean tables."""


def build_jobs() -> list[AssetJob]:
    """Return the jobs, the daily one first."""
    daily = dg.define_asset_job(
        DAILY,
        selection=dg.AssetSelection.all(),
        description="A business day from the shop's API to the marts, with every check.",
    )
    selections = (
        dg.AssetSelection.groups("raw"),
        dg.AssetSelection.groups("clean", "ops") - _ANOMALIES,
        dg.AssetSelection.groups("marts") | _ANOMALIES,
    )
    return [daily, *(_layer_job(name, selection) for name, selection in zip(LAYERS, selections, strict=True))]


def _layer_job(name: str, selection: dg.AssetSelection) -> AssetJob:
    return dg.define_asset_job(
        name,
        selection=selection,
        description=f"The {name} layer of a business day, with its checks.",
    )
