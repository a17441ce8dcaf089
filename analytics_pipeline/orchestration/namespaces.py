"""Whose an asset is: keys, groups, pools and names of one shop among several, as its description's `namespace` says.

Builders and steps speak of layers and tables, as `clean/orders`, whichever shop they are for. Here, where they meet
Dagster, these become the shop's own, as `de/clean/orders`; the shop without a namespace keeps the plain ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from analytics_pipeline.job_names import JOBS
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.shape import LAYERS

SHOP = "shop"
"""Tag of assets and jobs: the shop's name."""
TABLE_NAME, LINEAGE = "dagster/table_name", "dagster/column_lineage"


def named(name: str, namespace: str | None) -> str:
    """Return the shop's own name of a job, sensor, step, group or pool."""
    return f"{namespace}_{name}" if namespace else name


def key_in(key: dg.AssetKey | Sequence[str], namespace: str | None) -> dg.AssetKey:
    """Return the shop's own key; tables from outside, which are in no layer, are nobody's."""
    path = list(key.path if isinstance(key, dg.AssetKey) else key)
    return dg.AssetKey([namespace, *path] if namespace and path[0] in LAYERS else path)


def relative(key: dg.AssetKey, namespace: str | None) -> dg.AssetKey:
    """Return the key of layer and table that is meant by a shop's own key."""
    path = key.path
    return dg.AssetKey(path[1:]) if namespace and path[0] == namespace else key


def is_of(key: dg.AssetKey, namespace: str | None) -> bool:
    """Return whether a key is the shop's own."""
    return key.path[0] == namespace if namespace else key.path[0] in LAYERS


def runs_for(run: dg.DagsterRun, namespace: str | None) -> bool:
    """Return whether a run is for the shop: by its job, or by the assets that somebody has chosen in the UI."""
    if run.asset_selection:
        return any(is_of(key, namespace) for key in run.asset_selection)
    return job_of(run.job_name, namespace) is not None


def job_of(name: str, namespace: str | None) -> str | None:
    """Return which of `job_names.JOBS` the name of a job means; None where it is none of the shop's."""
    return next((job for job in JOBS if named(job, namespace) == name), None)


def check_in(spec: dg.AssetCheckSpec, namespace: str | None) -> dg.AssetCheckSpec:
    """Return a check of the shop's own assets."""
    return dg.AssetCheckSpec(
        spec.name,
        asset=key_in(spec.asset_key, namespace),
        additional_deps=[key_in(dep.asset_key, namespace) for dep in spec.additional_deps],
        description=spec.description,
        blocking=spec.blocking,
        metadata=spec.metadata,
    )


def spec_in(spec: dg.AssetSpec, shop: Shop) -> dg.AssetSpec:
    """Return an external asset as the shop's own."""
    namespace = shop.namespace
    if spec.key == key_in(spec.key, namespace) and namespace:  # from outside
        return spec
    return spec.replace_attributes(
        key=key_in(spec.key, namespace),
        deps=[key_in(dep.asset_key, namespace) for dep in spec.deps],
        group_name=named(spec.group_name or "", namespace),
        metadata=metadata_in(spec.metadata, namespace),
        tags={**spec.tags, SHOP: shop.name},
    )


def metadata_in(metadata: Mapping[str, Any], namespace: str | None) -> dict[str, Any]:
    """Return what is said of a table, with the name that it has in the database, and the assets it is made of."""
    found = dict(metadata)
    if TABLE_NAME in found and namespace:
        found[TABLE_NAME] = f"{namespace}_{found[TABLE_NAME]}"
    if LINEAGE in found:
        columns: Mapping[str, Iterable[dg.TableColumnDep]] = found[LINEAGE].deps_by_column
        found[LINEAGE] = dg.TableColumnLineage(
            {
                name: [dg.TableColumnDep(key_in(dep.asset_key, namespace), dep.column_name) for dep in deps]
                for name, deps in columns.items()
            }
        )
    return found


def settings_in(settings: Mapping[str, Any], shop: Shop) -> dict[str, Any]:
    """Return arguments of `dagster.asset`, `multi_asset` or `AssetOut` for one shop."""
    namespace = shop.namespace
    found = dict(settings)
    turned: dict[str, Callable[[Any], Any]] = {
        "key": lambda key: key_in(key, namespace),
        "deps": lambda deps: [key_in(dep, namespace) for dep in deps],
        "ins": lambda ins: {
            name: dg.AssetIn(key=key_in(one.key, namespace), metadata=one.metadata) for name, one in ins.items()
        },
        "check_specs": lambda specs: [check_in(spec, namespace) for spec in specs],
        "group_name": lambda name: named(name, namespace),
        "pool": lambda name: named(name, namespace),
        "name": lambda name: named(name, namespace),
        "metadata": lambda metadata: metadata_in(metadata, namespace),
    }
    for argument in turned.keys() & found.keys():
        found[argument] = turned[argument](found[argument])
    return found


def result_in(result: Any, namespace: str | None) -> Any:  # noqa: ANN401 - whatever a step gives
    """Return a check's result as one of the shop's own assets; anything else as it is."""
    if namespace and isinstance(result, dg.AssetCheckResult) and result.asset_key is not None:
        return result._replace(asset_key=key_in(result.asset_key, namespace))
    return result
