"""Replaying quarantined orders: their days are loaded again, and what became of them is reported."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from analytics_pipeline.cli.figures import counted_kinds, money_by_currency
from analytics_pipeline.days import Days
from analytics_pipeline.history.quarantine import (
    CLEAN,
    EXCLUDED,
    GONE,
    QUARANTINED,
    Outcome,
    Row,
    Selection,
    key_of,
    orders,
    outcomes,
)
from analytics_pipeline.job_names import DAILY
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline.plain import plain
from analytics_pipeline.tables.contracts import EXAMPLES
from analytics_pipeline.warehouse.connection import Database

Run = Callable[[Days, str], RunSummary]
"""Runs a job, given by name, over some days."""


@dataclass
class Replayed:
    """What a replay did.

    Attributes:
        outcomes: Where each of the chosen orders is now.
        newly: Orders of the same days that were not in quarantine before and are now.
        failures: Why runs failed, a text each.
        is_doubtful: Whether something that was written has to be looked at.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    newly: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    is_doubtful: bool = False

    def lines(self) -> list[str]:
        """Describe it to a person."""
        messages = [
            _describe("came back", [one for one in self.outcomes if one.place == CLEAN]),
            _describe("still in quarantine", [one for one in self.outcomes if one.place == QUARANTINED]),
            *_by_reason([one for one in self.outcomes if one.place == QUARANTINED]),
        ]
        for place, words in ((EXCLUDED, "now left out"), (GONE, "no longer given by the shop for this day")):
            found = [one for one in self.outcomes if one.place == place]
            if found:
                messages += [_describe(words, found), *_by_reason(found)]
        if self.newly:
            ids = ", ".join(plain(row["order_id"]) for row in self.newly[:EXAMPLES])
            counts = counted_kinds(row["kind"] for row in self.newly)
            messages.append(f"newly in quarantine: {counts}, such as {ids}")
        return messages


def replay(database: Database, held: Sequence[Row], run: Run, *, is_stored: bool) -> Replayed:
    """Load the days of quarantined orders again, contiguous days in one run.

    Args:
        database: Where the tables lie.
        held: The chosen orders, as `orders` gives them; at least one.
        run: Runs a job over some days.
        is_stored: Whether the stored answers are cleaned again; else the shop is asked for its present ones.
    """
    ranges = Days.of({row["order_date"] for row in held}).ranges
    before = _quarantined(database, ranges)
    replayed = Replayed()
    for days in ranges:
        # Marts of other days that the orders affect, by a refund say, are computed with the run's own.
        if not is_stored:
            _ran(replayed, run, days, DAILY)
        elif _ran(replayed, run, days, "clean"):
            _ran(replayed, run, days, "marts")
    replayed.outcomes = outcomes(database, held)
    replayed.newly = [row for key, row in _quarantined(database, ranges).items() if key not in before]
    return replayed


def _ran(replayed: Replayed, run: Run, days: Days, job: str) -> bool:
    summary = run(days, job)
    replayed.is_doubtful = replayed.is_doubtful or bool(summary.doubts)
    if not summary.succeeded:
        reasons = "\n".join(f"  {reason}" for reason in summary.failures)
        replayed.failures.append(f"run {summary.run_id} of {days} ({job}) failed:\n{reasons}")
    return summary.succeeded


def _quarantined(database: Database, ranges: Iterable[Days]) -> dict[tuple[object, ...], Row]:
    found = (orders(database, Selection(first_day=days.first, last_day=days.last)) for days in ranges)
    return {key_of(row): row for rows in found for row in rows}


def _describe(words: str, found: Sequence[Outcome]) -> str:
    money = money_by_currency((one.currency, one.money) for one in found)
    return f"{words}: {counted_kinds(one.kind for one in found)}" + (f", {money}" if money else "")


def _by_reason(found: Sequence[Outcome]) -> list[str]:
    ids: dict[str, list[str]] = {}
    for one in found:
        if one.reason:
            ids.setdefault(one.reason, []).append(one.order_id)
    return [
        f"  {plain(reason)}: {len(held)}, such as {', '.join(map(plain, held[:EXAMPLES]))}"
        for reason, held in sorted(ids.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]
