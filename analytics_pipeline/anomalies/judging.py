"""The findings of some business days: figures that are not as expected, each with its cause and the pipeline's part."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from zoneinfo import ZoneInfo

from analytics_pipeline.anomalies.explanation import (
    Difference,
    Part,
    Segment,
    carrier,
    cause,
    figure,
    headline,
    is_inside,
)
from analytics_pipeline.anomalies.figures import DailyFigures, read_figures
from analytics_pipeline.anomalies.metrics import METRICS, ORDERS, Metric, Source, Unit
from analytics_pipeline.anomalies.segments import cancelled_at_once, order_detail, parts
from analytics_pipeline.anomalies.suspicion import suspicions
from analytics_pipeline.days import Days
from analytics_pipeline.warehouse.connection import Database

COMPARABLE, WEEK, LONGEST_AGO = 6, 7, 84
"""A day's segments are held against as many days of the same weekday, of the last twelve weeks."""
MUCH = Decimal("0.25")
"""Share of a missing amount from which on what is in quarantine may be the cause."""
_LEAP_DAY = (2, 29)
_ZERO, _FINE = Decimal(0), Decimal("0.0001")


@dataclass(frozen=True)
class Finding:
    """A row of ops/anomalies; see its contract."""

    day: date
    currency: str
    metric: str
    value: Decimal
    expected: Decimal
    low: Decimal
    high: Decimal
    score: Decimal
    direction: str
    segment_kind: str | None
    segment: str | None
    share_explained: Decimal | None
    explanation: str
    is_pipeline_suspect: bool
    suspicion: str | None


@dataclass(frozen=True)
class _Judged:
    difference: Difference
    low: Decimal
    high: Decimal
    score: Decimal


def judge(database: Database, shop_currency: str, zone: ZoneInfo, days: Days) -> list[Finding]:
    """Return the findings of some days, each judged from the days before it.

    Args:
        database: Where the tables lie.
        shop_currency: Currency of what names none.
        zone: The shop's time zone.
        days: The days to judge.
    """
    judged = {
        (figures, day): found
        for figures in read_figures(database, shop_currency, days)
        for day in days
        if (found := _judged(figures, day))
    }
    if not judged:
        return []
    suspected = suspicions(database, sorted({day for _, day in judged}), zone)
    return [
        finding
        for (figures, day), found in sorted(judged.items(), key=lambda item: (item[0][1], item[0][0].currency))
        for finding in _Day(database, figures, day, shop_currency, suspected.get(day, [])).findings(found)
    ]


def _judged(figures: DailyFigures, day: date) -> list[_Judged]:
    """Return the day's figures that are not as expected; of a day without an order only that it had none."""
    position = figures.position(day)
    found = []
    for metric in METRICS:
        value = figures.value(metric, day)
        if value is None or not figures.is_anomaly(metric, day):
            continue
        expectations = figures.expectations[metric]
        expected, low, high, score = (
            Decimal(float(numbers[position])).quantize(_FINE) + _ZERO  # no minus before a zero
            for numbers in (expectations.expected, expectations.low, expectations.high, expectations.score)
        )
        if not is_inside(metric.unit, value, low, high):
            found.append(_Judged(Difference(metric, day, value.quantize(_FINE), expected), low, high, score))
    if day in figures.open_days:
        return found
    return [] if _was_closed_last_year(figures, day) else [one for one in found if one.difference.metric is ORDERS]


def _was_closed_last_year(figures: DailyFigures, day: date) -> bool:
    """Return whether the same date of last year is loaded and had no order either: a holiday."""
    if (day.month, day.day) == _LEAP_DAY:
        return False
    then = day.replace(year=day.year - 1)
    return then in figures.loaded and then not in figures.open_days


class _Day:
    """One day's findings in one currency, with the rows that explain them read once."""

    def __init__(
        self, database: Database, figures: DailyFigures, day: date, shop_currency: str, suspected: list[str]
    ) -> None:
        self._database = database
        self._figures = figures
        self._day = day
        self._shop_currency = shop_currency
        self._suspected = suspected
        self._parts: dict[tuple[Source, tuple[date, ...]], list[Part]] = {}

    def findings(self, judged: list[_Judged]) -> Iterator[Finding]:
        """Yield a finding for each of the day's figures."""
        for one in judged:
            difference = one.difference
            segment, why = self._cause(difference)
            suspected = [*self._suspected, *self._quarantine(difference)]
            yield Finding(
                day=self._day,
                currency=self._figures.currency,
                metric=difference.metric.name,
                value=difference.value,
                expected=difference.expected,
                low=one.low,
                high=one.high,
                score=one.score,
                direction=difference.direction,
                segment_kind=segment.kind if segment else None,
                segment=segment.name if segment else None,
                share_explained=segment.share.quantize(_FINE) if segment else None,
                explanation=f"{headline(difference, one.low, one.high)}: {why}",
                is_pipeline_suspect=bool(suspected),
                suspicion="; ".join(suspected) or None,
            )

    def _cause(self, difference: Difference) -> tuple[Segment | None, str]:
        if difference.metric is ORDERS and not difference.value:
            return None, "no order at all: closed, or nothing came in"
        comparable = self._comparable(difference.metric)
        segment = carrier(difference, self._rows(difference.metric.source, comparable), comparable)
        detail = ""
        if segment and segment.kind == "order" and difference.metric.source is Source.LEDGER:
            detail = cancelled_at_once(self._database, segment.name, self._day) or order_detail(
                self._database, segment.name, self._day
            )
        return segment, cause(difference, segment, detail)

    def _comparable(self, metric: Metric) -> tuple[date, ...]:
        """Return the latest days that are like this one: same weekday, open, and as expected."""
        figures = self._figures
        earlier = [
            day
            for day in reversed(list(figures.days))
            if 0 < (self._day - day).days <= LONGEST_AGO
            and day in figures.open_days
            and not figures.is_anomaly(metric, day)
        ]
        same = [day for day in earlier if (self._day - day).days % WEEK == 0]
        return tuple((same if len(same) >= COMPARABLE // 2 else earlier)[:COMPARABLE])

    def _rows(self, source: Source, comparable: tuple[date, ...]) -> list[Part]:
        if (source, comparable) not in self._parts:
            days = (self._day, *comparable)
            self._parts[source, comparable] = parts(
                self._database, source, self._figures.currency, days, self._shop_currency
            )
        return self._parts[source, comparable]

    def _quarantine(self, difference: Difference) -> list[str]:
        """Suspect the pipeline of what is missing in the figures and lies in quarantine."""
        amounts: Mapping[str, Decimal] = self._figures.sums.get(Source.QUARANTINE, {}).get(self._day, {})
        if difference.metric.source is not Source.LEDGER or difference.size >= 0 or not amounts:
            return []
        is_count = difference.metric.unit is Unit.COUNT
        held_back = amounts["orders"] if is_count else amounts["money"]
        if held_back < MUCH * abs(difference.size) or difference.metric.per:
            return []
        money = figure(Unit.MONEY, amounts["money"])
        return [f"{figure(Unit.COUNT, amounts['orders'])} orders of the day, {money}, lie in quarantine"]
