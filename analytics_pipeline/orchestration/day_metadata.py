"""Metadata of each business day that a step writes, handed to Dagster at once.

Dagster's public way (`add_asset_metadata` with a partition key) copies all that it was given before and lists all
partitions of the run at each call: a day of ten years' run costs as much as the ten years. Where Dagster keeps the
metadata as it does today, all days are put there by one step; where it does not, day by day.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

FEW = 100
"""Days that are reported one by one in the public way, whose cost is not felt."""


def name_days(context: dg.OutputContext, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Add metadata to the materialisations of some of the run's partitions, by their keys."""
    if len(figures) <= FEW or not _hand_over(context, figures):
        for day, found in figures.items():
            context.step_context.add_asset_metadata(found, asset_key=context.asset_key, partition_key=day)


def _hand_over(context: dg.OutputContext, figures: Mapping[str, Mapping[str, Any]]) -> bool:
    """Put the metadata where `add_asset_metadata` collects it; returns False where this Dagster keeps it elsewhere."""
    try:
        from dagster._core.execution.context.metadata_logging import (  # noqa: PLC0415 - may be gone in another version
            AssetMetadataHandle,
            OutputMetadataAccumulator,
        )

        step: Any = context.step_context
        metadata = dict(step._metadata_accumulator.per_output_metadata)  # noqa: SLF001 - see above
        for day, found in figures.items():
            handle = AssetMetadataHandle(asset_key=context.asset_key, partition_key=day)
            metadata[handle] = {**metadata.get(handle, {}), **found}
        step._metadata_accumulator = OutputMetadataAccumulator(per_output_metadata=metadata)  # noqa: SLF001
    except (ImportError, AttributeError, TypeError):
        return False
    return bool(step.get_asset_metadata(context.asset_key, next(iter(figures))))
