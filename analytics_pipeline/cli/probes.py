"""Subjects that are looked at one after the other, each told in a line: what `doctor` and `shop check` share."""

from collections.abc import Callable, Iterable

import click

from analytics_pipeline.errors import PipelineError

Probe = tuple[str, Callable[[], str]]
"""A subject, and what says how it is."""


class Warned(str):
    """A line that is worth reading though nothing failed."""

    __slots__ = ()


def all_pass(probes: Iterable[Probe], on_failure: Callable[[PipelineError], None] = lambda _: None) -> bool:
    """Report each subject in a line; what stands on one that failed is not looked at.

    Args:
        probes: The subjects, each standing on those before it.
        on_failure: Is given the error of a subject that fails, once it is told.
    """
    failed = ""
    for subject, probe in probes:
        if failed:
            click.echo(f"-     {subject:12} not looked at, since it needs the {failed}")
            continue
        try:
            message = probe()
            click.echo(f"{'warn' if isinstance(message, Warned) else 'ok':5} {subject:12} {message}")
        except PipelineError as error:
            failed = subject
            click.echo(f"FAIL  {subject:12} {error}")
            on_failure(error)
    return not failed
