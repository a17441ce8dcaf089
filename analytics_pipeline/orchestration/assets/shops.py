"""Shops whose description is wrong: they stand in the lineage with the reason, and nothing loads them."""

from collections.abc import Iterable

import dagster as dg

from analytics_pipeline.catalogue import BrokenShop
from analytics_pipeline.orchestration.assets.describe import OWNER


def broken_shop_specs(broken: Iterable[BrokenShop]) -> list[dg.AssetSpec]:
    """Return one external asset per shop that is left out."""
    return [
        dg.AssetSpec(
            dg.AssetKey(["shops", one.name]),
            description=f"**Broken, and not loaded:** {one.reason}",
            group_name="shops",
            kinds={"yaml"},
            owners=[OWNER],
        )
        for one in broken
    ]
