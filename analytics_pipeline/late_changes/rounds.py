"""Which loaded days are held against the shop again, and how long a round of all of them takes. Pure functions.

A round follows from what may be asked: within the budget the day whose proof is oldest comes first, and neighbours that
fit into the same answers come with it. Days that still move have the shorter round.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil

from analytics_pipeline.days import Days
from analytics_pipeline.plain import counted

SETTLING, OTHERS = timedelta(days=4), timedelta(days=70)
"""The shortest rounds: a change is found within a week, or within 90 days, though a reading may come late."""
HASTE = 1.5
"""By which the pace is faster than the rounds need: answers are not full, and some days have to be read alone."""
SHARE_OF_SETTLING = 0.75
"""Of a budget that is too small for both."""
NEVER = timedelta(days=1_000_000)
"""Age of a proof of which nobody knows when it was made."""
LATE = timedelta(days=1)
"""By which a proof may be older than its round."""


@dataclass(frozen=True)
class HeldDay:
    """A loaded business day.

    Attributes:
        held_at: When it was last held against the shop; None where nobody knows.
        orders: Its orders.
        is_settling: Whether its figures can still move.
        is_proved: Whether it is not waiting for a proof anyhow.
    """

    held_at: datetime | None
    orders: int
    is_settling: bool
    is_proved: bool = True

    def age(self, now: datetime) -> timedelta:
        """Return how old its proof is."""
        return NEVER if self.held_at is None else max(now - self.held_at, timedelta(0))


@dataclass(frozen=True)
class Pages:
    """What reading days costs.

    Attributes:
        size: Records of one answer.
        beyond: Answers beyond those with records: one where an empty one ends the list.
        is_whole: Whether the shop can only be asked for all orders at once.
    """

    size: int
    beyond: int = 0
    is_whole: bool = False

    def of(self, orders: int) -> int:
        """Return the requests for some orders in one list."""
        return max(1, ceil(orders / self.size)) + self.beyond

    def share(self, day: HeldDay) -> float:
        """Return what a day adds to a list of many."""
        return max(day.orders, 1) / self.size


@dataclass(frozen=True)
class Rounds:
    """How long it takes until each day has been held against the shop again."""

    settling: timedelta
    others: timedelta

    def of(self, day: HeldDay) -> timedelta:
        """Return the round that a day belongs to."""
        return self.settling if day.is_settling else self.others

    def __str__(self) -> str:
        return f"each settling day every {_days(self.settling)}, every other within {_days(self.others)}"


def _days(length: timedelta) -> str:
    return counted(ceil(length / timedelta(days=1)), "day")


def shortest_rounds(sweep_days: int | None) -> Rounds:
    """Return the rounds where the budget is large enough."""
    others = min(OTHERS, timedelta(days=sweep_days or OTHERS.days))
    return Rounds(min(SETTLING, others), others)


@dataclass(frozen=True)
class Budget:
    """Requests for holding days against the shop again.

    Attributes:
        a_day: How many a day.
        left: How many now.
        largest: How many now for a single day that costs more than that.
    """

    a_day: float
    left: int
    largest: int


def rounds_of(days: Iterable[HeldDay], pages: Pages, requests_a_day: float, shortest: Rounds) -> Rounds:
    """Return how long the rounds take within a budget.

    Args:
        days: All loaded days.
        pages: What reading costs.
        requests_a_day: The budget.
        shortest: The rounds where it is large enough.
    """
    listed = list(days)
    paces = _paces(listed, pages, requests_a_day, shortest)
    settling, others = (
        max(round_, timedelta(days=_cost(listed, pages, is_settling=is_settling) / pace)) if pace else round_
        for is_settling, round_, pace in (
            (True, shortest.settling, paces[True]),
            (False, shortest.others, paces[False]),
        )
    )
    return Rounds(settling, others)


def _cost(days: Iterable[HeldDay], pages: Pages, *, is_settling: bool) -> float:
    """Return the requests for a round of the days of one kind, in full answers."""
    return sum(pages.share(day) for day in days if day.is_settling is is_settling)


def _paces(days: Sequence[HeldDay], pages: Pages, requests_a_day: float, shortest: Rounds) -> dict[bool, float]:
    """Return the requests a day for settling days (True) and for others, somewhat more than the rounds need."""
    wanted = {
        is_settling: HASTE * _cost(days, pages, is_settling=is_settling) / (length / timedelta(days=1))
        for is_settling, length in ((True, shortest.settling), (False, shortest.others))
    }
    most = requests_a_day * (SHARE_OF_SETTLING if wanted[False] else 1)
    settling = min(wanted[True], max(most, requests_a_day - wanted[False]))
    return {True: settling, False: min(wanted[False], requests_a_day - settling)}


def days_to_hold(
    days: Mapping[date, HeldDay], now: datetime, *, budget: Budget, pages: Pages, shortest: Rounds
) -> list[Days]:
    """Return the days to read again now, contiguous ones together, those whose proof is oldest first.

    So many are read that the others can follow in time at an even pace: days that were loaded together do not all
    become due together.

    Args:
        days: The loaded days that may be read.
        now: An aware stamp.
        budget: How many requests may be made.
        pages: What reading costs.
        shortest: The rounds.
    """
    if pages.is_whole:
        is_due = any(held.age(now) >= shortest.of(held) for held in days.values())
        cost = pages.of(sum(held.orders for held in days.values()))
        return [Days(min(days), max(days))] if is_due and cost <= max(budget.left, budget.largest) else []
    paces = _paces(list(days.values()), pages, budget.a_day, shortest)
    oldest_first = sorted(days, key=lambda day: (-days[day].age(now), day))
    settling, others = ([day for day in oldest_first if days[day].is_settling is kind] for kind in (True, False))
    needed = {
        kind: _needed([days[day] for day in chosen], now, pages, paces[kind], shortest)
        for kind, chosen in ((True, settling), (False, others))
    }
    plan = _Plan(days, now, pages, shortest, budget)
    plan.take(settling, needed[True], ceil(budget.left * SHARE_OF_SETTLING) if needed[False] else budget.left)
    plan.take(others, needed[False], budget.left)
    plan.take(settling, needed[True], budget.left)
    return plan.ranges


def _needed(days: Iterable[HeldDay], now: datetime, pages: Pages, pace: float, shortest: Rounds) -> float:
    """Return how much to read now, in full answers, so that at a pace from now on no proof outlives its round.

    Nothing, as long as it is less than one answer and no proof has outlived its round.

    Args:
        days: Days of one kind, those whose proof is oldest first.
        now: An aware stamp.
        pages: What reading costs.
        pace: Requests a day.
        shortest: The rounds.
    """
    needed = cost = 0.0
    is_late = False
    for day in days:
        cost += pages.share(day)
        left = shortest.of(day) - day.age(now)
        is_late = is_late or left <= timedelta(0)
        needed = max(needed, cost - pace * (max(left, timedelta(0)) / timedelta(days=1)))
    return needed if is_late or needed >= 1 else 0.0


class _Plan:
    """The ranges chosen so far, and what they cost."""

    def __init__(
        self, days: Mapping[date, HeldDay], now: datetime, pages: Pages, shortest: Rounds, budget: Budget
    ) -> None:
        self.ranges: list[Days] = []
        self.spent = 0
        self._taken: set[date] = set()
        self._days, self._now, self._pages, self._shortest, self._budget = days, now, pages, shortest, budget

    def take(self, wanted: Sequence[date], share: float, most: int) -> None:
        """Choose among some days, in order.

        Args:
            wanted: The days.
            share: How much of them is to be read, those that are chosen already included, in full answers.
            most: Requests that all that is chosen may cost.
        """
        left = share - sum(self._pages.share(self._days[day]) for day in self._taken.intersection(wanted))
        for day in wanted:
            if left <= 0:
                return
            cost = self._pages.of(self._days[day].orders)
            is_large = not self.spent and most < cost <= self._budget.largest
            if day not in self._taken and (cost <= most - self.spent or is_large):
                before = self._taken.copy()
                self._take_around(day, cost if is_large else most)
                left -= sum(self._pages.share(self._days[one]) for one in self._taken - before)

    def _take_around(self, day: date, most: int) -> None:
        ends, orders = [day, day], self._days[day].orders
        for end, step in ((1, timedelta(days=1)), (0, timedelta(days=-1))):
            while (near := ends[end] + step) in self._days and near not in self._taken:
                more = orders + self._days[near].orders
                if self._pages.of(more) > (most - self.spent if self._is_old(near) else self._pages.of(orders)):
                    break
                ends[end], orders = near, more
        self.spent += self._pages.of(orders)
        self.ranges.append(Days(*ends))
        self._taken.update(Days(*ends))

    def _is_old(self, day: date) -> bool:
        """Whether reading a neighbour is worth a request of its own."""
        held = self._days[day]
        return held.age(self._now) >= self._shortest.of(held) / 2
