"""Part d: anomalies on years of demo shops that have unusual days: how many are found, how many ordinary days alarm.

The figures come from the shops' own truth instead of tables: a year takes seconds. Judged are the same series by the
same code as in a run; that tables hold the truth is what the tests show.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from analytics_pipeline.anomalies.expectation import LEAST_HISTORY
from analytics_pipeline.anomalies.figures import DailyFigures
from analytics_pipeline.anomalies.metrics import METRICS, Amounts, Source
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShop, DemoShopSettings, Happening, HappeningKind, Truth
from benchmarks.measuring import note
from benchmarks.report import goal, table

FIRST = date(2025, 1, 1)
DAYS, UNTOUCHED, EACH = 400, 42, 4
"""Days of a shop, how many of them are ordinary in any case, and how often each kind of happening comes."""
SEEDS = range(31, 39)
SOUGHT = tuple(kind for kind in HappeningKind if kind is not HappeningKind.PRICE_SLIP)
"""Kinds of which every one has to be found. A price slip changes one product, which the sums of a day hardly show."""
MOST_FALSE = 2.0
UNMEASURED = ("excluded_money", "orders_with_warnings")
"""Figures that the shops' truth does not have."""
_ZERO = Decimal(0)


@dataclass
class Score:
    """What was found in all years so far.

    Attributes:
        happened: Happenings by kind.
        found: Those of them whose day has an anomaly.
        found_by: Days by kind of happening and figure.
        ordinary: Ordinary days that were judged.
        alarming: Those of them with an anomaly.
        alarming_by: The same by figure.
    """

    happened: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    found_by: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ordinary: int = 0
    alarming: int = 0
    alarming_by: Counter[str] = field(default_factory=Counter)

    def add(self, figures: DailyFigures, happenings: tuple[Happening, ...]) -> None:
        """Judge a year."""
        kinds = {happening.day: str(happening.kind) for happening in happenings}
        for day in list(figures.days)[LEAST_HISTORY:]:
            alarms = [metric.name for metric in METRICS if figures.is_anomaly(metric, day)]
            kind = kinds.get(day)
            if kind is None:
                self.ordinary += 1
                self.alarming += bool(alarms)
                self.alarming_by.update(alarms)
            else:
                self.happened[kind] += 1
                self.found[kind] += bool(alarms)
                self.found_by[kind].update(alarms)


def run() -> str:
    """Measure part d and return its results as markdown."""
    score = Score()
    for seed in SEEDS:
        happenings = _happenings(seed)
        note(f"d: a year of the demo shop, seed {seed}")
        score.add(figures_of(DemoShopSettings(seed=seed, opened=FIRST, happenings=happenings), DAYS), happenings)
    return _report(score)


def _happenings(seed: int) -> tuple[Happening, ...]:
    """Return unusual days that are drawn evenly, each kind as often, a week or more apart."""
    weeks = list(range(UNTOUCHED // 7, DAYS // 7))
    draw = random.Random(seed)  # noqa: S311 - the same days in each run
    kinds = [kind for kind in HappeningKind for _ in range(EACH)]
    chosen = draw.sample(weeks, len(kinds))
    return tuple(
        Happening(FIRST + timedelta(days=7 * week + draw.randrange(7)), kind)
        for week, kind in zip(chosen, kinds, strict=True)
    )


def figures_of(settings: DemoShopSettings, days: int) -> DailyFigures:
    """Return the right figures of a shop's first days, in its own currency, once all later changes are known."""
    whole = Days(settings.opened, settings.opened + timedelta(days=days - 1))
    much_later = datetime.combine(whole.last + timedelta(days=60), datetime.min.time(), UTC)
    shop = DemoShop(settings, now=lambda: much_later)
    truths = {day: shop.truth(day) for day in whole}
    sums: dict[Source, dict[date, Amounts]] = {
        source: dict(_amounts(truths, source, settings.currency))
        for source in (Source.LEDGER, Source.QUARANTINE, Source.EXCLUSIONS)
    }
    open_days = frozenset(day for day, amounts in sums[Source.LEDGER].items() if amounts["orders"])
    return DailyFigures(settings.currency, whole, frozenset(whole), sums, open_days)


def _amounts(truths: dict[date, Truth], source: Source, currency: str) -> Iterator[tuple[date, Amounts]]:
    for day, true in truths.items():
        if source is Source.LEDGER:
            row = true.revenue[currency]
            yield (
                day,
                {
                    "orders": Decimal(row.orders),
                    "gross_sales": row.gross_sales,
                    "discounts": row.discounts,
                    "returns": row.returns,
                },
            )
        elif source is Source.QUARANTINE:
            yield (
                day,
                {"orders": Decimal(len(true.quarantined)), "money": sum(true.quarantined.values(), _ZERO)},
            )
        else:
            yield day, {"orders": Decimal(len(true.excluded))}


def _report(score: Score) -> str:
    kinds = list(HappeningKind)
    share = 100 * score.alarming / score.ordinary
    missed = {kind: score.happened[kind] - score.found[kind] for kind in kinds}
    return "\n".join(
        [
            f"### d. Anomalies: {len(SEEDS)} demo shops, {DAYS} days each, {EACH} unusual days of each kind",
            "",
            table(
                ["unusual day", "days", "found", "missed", "found by"],
                [
                    [
                        kind,
                        str(score.happened[kind]),
                        str(score.found[kind]),
                        str(missed[kind]),
                        ", ".join(f"{name} {count}" for name, count in score.found_by[kind].most_common(4)) or "-",
                    ]
                    for kind in kinds
                ],
            ),
            "",
            table(
                ["ordinary days", "days", "alarming", "of 100"],
                [
                    ["by any figure", f"{score.ordinary:,}", str(score.alarming), f"{share:.2f}"],
                    *(
                        [
                            metric.name,
                            f"{score.ordinary:,}",
                            str(score.alarming_by[metric.name]),
                            f"{100 * score.alarming_by[metric.name] / score.ordinary:.2f}",
                        ]
                        for metric in METRICS
                        if metric.name not in UNMEASURED
                    ),
                ],
            ),
            "",
            goal(f"{share:.2f} of 100 ordinary days alarm, fewer than {MOST_FALSE:.0f}", is_met=share < MOST_FALSE),
            goal(
                f"every {', '.join(SOUGHT[:-1])} and {SOUGHT[-1]} is found",
                is_met=not any(missed[kind] for kind in SOUGHT),
            ),
        ]
    )
