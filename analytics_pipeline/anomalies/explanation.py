"""Which segment carries the difference between a figure and what was expected of it. Pure: rows come from `segments`.

A segment (one country, one order, ...) is held against its own median over comparable earlier days. It carries a
difference if most of it is the segment's, and clearly more than the segment has of the figure anyway: of a day that is
half as good as others in everything, the largest country says nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from statistics import median

from analytics_pipeline.anomalies.metrics import Amounts, Metric, Source, Unit

MOST, CLEARLY_MORE = Decimal("0.5"), Decimal("0.2")
"""Share of the difference that a segment has to carry, and by how much that has to exceed its usual share."""
KINDS = ("order", "customer", "product", "reason", "country", "customer kind", "discount")
"""Kinds of segments, the narrowest first: the first one that carries a difference is reported."""
_WIDE = frozenset({"country", "customer kind", "discount"})
"""Kinds of which each order has one: a single one of them may be the whole shop."""
_KINDS_OF = {
    Source.LEDGER: "order, customer, product, country or discount",
    Source.QUARANTINE: "order or reason",
    Source.EXCLUSIONS: "order or reason",
    Source.WARNINGS: "reason",
}
_ZERO = Decimal(0)


@dataclass(frozen=True)
class Part:
    """Some amounts of one day, and the segments that they belong to, by kind."""

    day: date
    segments: Mapping[str, str]
    amounts: Amounts


@dataclass(frozen=True)
class Difference:
    """A figure of one day beside what was expected of it."""

    metric: Metric
    day: date
    value: Decimal
    expected: Decimal

    @property
    def size(self) -> Decimal:
        """Value less expectation."""
        return self.value - self.expected

    @property
    def direction(self) -> str:
        """Whether the value lies above or below."""
        return "above" if self.size > 0 else "below"


@dataclass(frozen=True)
class Segment:
    """A segment that carries a difference.

    Attributes:
        kind: One of `KINDS`.
        name: Which one.
        change: What it contributes more or less than usual; of a ratio, in the amount that the ratio is made of.
        share: Its share of the whole difference.
    """

    kind: str
    name: str
    change: Decimal
    share: Decimal


def carrier(difference: Difference, parts: Sequence[Part], comparable: Iterable[date]) -> Segment | None:
    """Return the narrowest segment that carries a difference, None if it is spread over all of them.

    Args:
        difference: The figure.
        parts: Rows of its day and of the comparable days.
        comparable: Earlier days to compare with.
    """
    days = list(comparable)
    metric, ratio = difference.metric, difference.expected
    whole = difference.size
    if metric.per:
        today = [part for part in parts if part.day == difference.day and _is_of_orders(part)]
        whole = sum((metric.measure(part.amounts, ratio) for part in today), _ZERO)
    if not whole:
        return None
    for kind in KINDS:
        by_segment = _by_segment(parts, kind, metric, ratio)
        now = {name: by_day.get(difference.day, _ZERO) for name, by_day in by_segment.items()}
        usual = {
            name: median([by_day.get(day, _ZERO) for day in days]) if days else _ZERO
            for name, by_day in by_segment.items()
        }
        name = max(by_segment, key=lambda one: ((now[one] - usual[one]) / whole, one), default=None)
        if name is None or (kind in _WIDE and _is_the_whole_shop(parts, kind, name)):
            continue
        change = now[name] - usual[name]
        share = change / whole
        if share >= MOST and share - _weight(difference, parts, days, (kind, name), usual[name]) >= CLEARLY_MORE:
            return Segment(kind, name, change, share)
    return None


def _is_the_whole_shop(parts: Iterable[Part], kind: str, name: str) -> bool:
    """Return whether no order of these days lies outside of a segment: the only country of a shop explains nothing."""
    others = (part for part in parts if _is_of_orders(part) and part.segments.get(kind) != name)
    return not any(any(part.amounts.values()) for part in others)


def _by_segment(parts: Iterable[Part], kind: str, metric: Metric, ratio: Decimal) -> dict[str, dict[date, Decimal]]:
    found: dict[str, dict[date, Decimal]] = defaultdict(dict)
    for part in parts:
        name = part.segments.get(kind)
        if name is not None:
            by_day = found[name]
            by_day[part.day] = by_day.get(part.day, _ZERO) + metric.measure(part.amounts, ratio)
    return found


def _weight(
    difference: Difference, parts: Iterable[Part], days: Sequence[date], segment: tuple[str, str], usual: Decimal
) -> Decimal:
    """Return the share that a segment usually has of a figure; of a ratio, of what it is divided by."""
    metric = difference.metric
    if metric.per is None:
        return max(usual / difference.expected, _ZERO) if difference.expected > 0 else _ZERO
    kind, name = segment
    earlier = [part for part in parts if part.day in days]
    own = sum((part.amounts.get(metric.per, _ZERO) for part in earlier if part.segments.get(kind) == name), _ZERO)
    whole = sum((part.amounts.get(metric.per, _ZERO) for part in earlier if _is_of_orders(part)), _ZERO)
    return own / whole if whole else _ZERO


def _is_of_orders(part: Part) -> bool:
    """Return whether a row is of an order; rows of products are the same money once more."""
    return "order" in part.segments


def figure(unit: Unit, value: Decimal) -> str:
    """Write a figure as a person reads it."""
    if unit is Unit.COUNT:
        return f"{value:,.0f}"
    return f"{100 * value:.1f} %" if unit is Unit.SHARE else f"{value:,.2f}"


def is_inside(unit: Unit, value: Decimal, low: Decimal, high: Decimal) -> bool:
    """Return whether a figure lies within a range as a person reads the three."""
    lowest, highest = _as_read(unit, low, high)
    return lowest <= value.quantize(_step(unit)) <= highest


def _as_read(unit: Unit, low: Decimal, high: Decimal) -> tuple[Decimal, Decimal]:
    """Return the ends of a range as they are printed: rounded inwards, since 7 orders are more than 6.5."""
    step = _step(unit)
    lowest, highest = low.quantize(step, ROUND_CEILING) + 0, high.quantize(step, ROUND_FLOOR) + 0  # no minus before 0
    return (lowest, highest) if lowest <= highest else (low.quantize(step), high.quantize(step))


def _step(unit: Unit) -> Decimal:
    return {Unit.COUNT: Decimal(1), Unit.SHARE: Decimal("0.001")}.get(unit, Decimal("0.01"))


def headline(difference: Difference, low: Decimal, high: Decimal) -> str:
    """Describe the difference without its cause."""
    unit = difference.metric.unit
    low, high = _as_read(unit, low, high)
    size = figure(unit, abs(difference.size)).replace(" %", " points")
    return (
        f"{difference.metric.name} {size} {difference.direction} expectation ({figure(unit, difference.value)}; "
        f"{figure(unit, difference.expected)} expected, {figure(unit, low)} to {figure(unit, high)} usual)"
    )


def cause(difference: Difference, segment: Segment | None, detail: str = "") -> str:
    """Say what carries a difference.

    Args:
        difference: The figure.
        segment: What carries it, if anything does.
        detail: What else is known of the segment.
    """
    if segment is None:
        return f"spread over all: no single {_KINDS_OF[difference.metric.source]} carries it"
    unit = Unit.COUNT if difference.metric.unit is Unit.COUNT else Unit.MONEY
    sign = "+" if segment.change > 0 else "-"
    words = {"customer kind": f"{segment.name} customers", "discount": f"orders with {segment.name}"}
    if segment.kind == "customer" and segment.name.startswith("email:"):
        words["customer"] = "a guest"
    named = words.get(segment.kind, f"{segment.kind} {segment.name}")
    subject = f"returns of {named}" if difference.metric.name == "returns" else named
    share = f"{100 * segment.share:.0f} % of the difference"
    return f"{subject} ({sign}{figure(unit, abs(segment.change))}, {share}){', ' if detail else ''}{detail}"
