"""Steps fail by errors that quote nothing: Dagster keeps their texts, and alerts and the terminal tell them.

What they would have quoted is kept by `history.excerpts`.
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import dagster as dg

from analytics_pipeline.database.connection import Database
from analytics_pipeline.history.excerpts import excerpts_apart

OF_DAGSTER = (dg.Failure, dg.RetryRequested, dg.DagsterError)
"""Dagster's own errors: those that steps raise have descriptions written here."""


def guarded(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of a step with a `context` and the resource `database`, failing as this module says."""

    @wraps(step)
    def run(context: Any, **arguments: Any) -> Any:  # noqa: ANN401 - of whatever kind the step takes and gives
        with step_guard(arguments["database"].database(), step.__name__, context.run.run_id):
            return step(context, **arguments)

    @wraps(step)
    def run_on(context: Any, **arguments: Any) -> Iterator[Any]:  # noqa: ANN401 - as above
        with step_guard(arguments["database"].database(), step.__name__, context.run.run_id):
            yield from step(context, **arguments)

    return run_on if inspect.isgeneratorfunction(step) else run


def step_guard(database: Database, place: str, run_id: str | None) -> AbstractContextManager[None]:
    """Return the block in which a part of a step fails as this module says."""
    return excerpts_apart(database, place, run_id, passing=OF_DAGSTER)
