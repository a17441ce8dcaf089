"""Steps fail by errors that quote nothing: Dagster keeps their texts, and alerts and the terminal tell them.

What they would have quoted is kept by `history.excerpts`.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Any

import dagster as dg

from analytics_pipeline.days import business_day
from analytics_pipeline.errors import DaysRefusedError, MissingSecretError
from analytics_pipeline.history.excerpts import excerpts_apart
from analytics_pipeline.orchestration.namespaces import relative, result_in
from analytics_pipeline.orchestration.resources import OfShops
from analytics_pipeline.orchestration.running import REFUSED, days_of_run
from analytics_pipeline.shop.calendar import loadable_days, partition_days
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.warehouse.connection import Database

OF_DAGSTER = (dg.Failure, dg.RetryRequested, dg.DagsterError)
"""Dagster's own errors: those that steps raise have descriptions written here."""


def guarded(step: Callable[..., Any], namespace: str | None = None) -> Callable[..., Any]:
    """Return the function of a step with a `context` and the resource `database`, failing as this module says.

    It is given the resources of its shop, and what it says of tables is said of the shop's own.
    """

    @wraps(step)
    def run(context: Any, **arguments: Any) -> Any:  # noqa: ANN401 - of whatever kind the step takes and gives
        given = _of_shop(arguments, namespace)
        with _refusals_marked(context), step_guard(given["database"].database(), step.__name__, context.run.run_id):
            _refuse_other_days(context, given, namespace)
            return result_in(step(context, **given), namespace)

    @wraps(step)
    def run_on(context: Any, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        given = _of_shop(arguments, namespace)
        with _refusals_marked(context), step_guard(given["database"].database(), step.__name__, context.run.run_id):
            _refuse_other_days(context, given, namespace)
            for result in step(context, **given):
                yield result_in(result, namespace)

    return run_on if inspect.isgeneratorfunction(step) else run


def step_guard(database: Database, place: str, run_id: str | None) -> AbstractContextManager[None]:
    """Return the block in which a part of a step fails as this module says."""
    return excerpts_apart(database, place, run_id, passing=OF_DAGSTER)


def _of_shop(arguments: dict[str, Any], namespace: str | None) -> dict[str, Any]:
    return {name: value.of(namespace) if isinstance(value, OfShops) else value for name, value in arguments.items()}


@contextmanager
def _refusals_marked(context: Any) -> Iterator[None]:  # noqa: ANN401 - of an asset or a check
    """Mark the run that is refused for what it was asked: whoever asked sees it, nobody else is notified."""
    try:
        yield
    except (DaysRefusedError, MissingSecretError) as error:
        context.instance.add_run_tags(context.run.run_id, {REFUSED: type(error).__name__})
        raise


def _refuse_other_days(context: Any, arguments: dict[str, Any], namespace: str | None) -> None:  # noqa: ANN401 - as above
    """Refuse a run of days that have no partition: Dagster's GraphQL takes whatever it is given.

    Raises:
        DaysRefusedError: The run's days are none, before the shop's first one, or not over yet.
    """
    if "shop" not in arguments:
        return
    shop: Shop = arguments["shop"].description
    keys = getattr(context, "selected_asset_keys", ())  # a check has none
    of_shop = (
        loadable_days
        if any(relative(key, namespace).path[0] == RAW_ORDERS.table.path[0] for key in keys)
        else partition_days
    )
    loadable = of_shop(shop, business_day(datetime.now(UTC), shop.zone))
    days = days_of_run(context.run)
    if days is None:
        if context.assets_def.partitions_def is not None:
            raise DaysRefusedError(f"this run names no business days; those that can be loaded are {loadable}.")
    elif days.first not in loadable or days.last not in loadable:
        raise DaysRefusedError(
            f"this run is for {days}, and the business days that can be loaded are {loadable}: from first_day of the "
            f"shop {shop.name}, or the first one that it shows (orders.shown_days), to the last one that is "
            f"over in {shop.timezone}" + (", and today." if shop.intraday else ".")
        )
