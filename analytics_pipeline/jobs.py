"""The jobs: `daily` for a business day of everything, and one per layer.

Their partitions are those of the assets that they select; which days a job runs for is the schedule's or the caller's.
"""

from typing import TYPE_CHECKING, TypeAlias

import dagster as dg

from analytics_pipeline.checks.landing import LANDED

if TYPE_CHECKING:  # dagster gives these types no public name
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

AssetJob: TypeAlias = "UnresolvedAssetJobDefinition"

DAILY = "daily"
LAYERS = {"raw": ("raw",), "clean": ("clean", "ops"), "marts": ("marts",)}
"""Asset groups of each layer's job."""
_BETWEEN_RUNS = dg.AssetSelection.checks(LANDED)


def build_jobs() -> list[AssetJob]:
    """Return the jobs, the daily one first."""
    daily = dg.define_asset_job(
        DAILY,
        selection=dg.AssetSelection.all() - _BETWEEN_RUNS,
        description="A business day from the shop's API to the marts, with every check.",
    )
    return [daily, *(_layer_job(name, groups) for name, groups in LAYERS.items())]


def _layer_job(name: str, groups: tuple[str, ...]) -> AssetJob:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.groups(*groups) - _BETWEEN_RUNS,
        description=f"The {name} layer of a business day, with its checks.",
    )
