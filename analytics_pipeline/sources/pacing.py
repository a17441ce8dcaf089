"""When the next request may go out: the request budget, and the waits between retries.

The budget is one client's own; runs that share a shop are kept apart by the Dagster pool. What counts as a failure
is decided in client.py.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from math import isfinite

from analytics_pipeline.decoding.envelope import record_reader
from analytics_pipeline.shop.protocol import RequestBudget

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_WAIT_WITHOUT_RESET = 1.0


def retry_wait(failures: int, retry_after: float | None, longest_retry_after: float, share: float) -> float:
    """Seconds to wait after the given number of failures in a row (1, 2, ...).

    What the shop asks for in `Retry-After` is obeyed up to a cap; else capped exponential back-off with full jitter.

    Args:
        failures: Failures so far, at least 1.
        retry_after: Seconds that the shop asked for.
        longest_retry_after: Cap on those.
        share: Random share between 0 and 1.
    """
    if retry_after is not None:
        return min(retry_after, longest_retry_after)
    return share * min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (failures - 1))


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds asked for by `Retry-After` (a number or an HTTP date), None when it is absent or unreadable.

    A date is counted from the answer's own `Date`, so that a wrong clock on either side does no harm.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The shop's own time at an answer, by its `Date`; None where it says none."""
    return _http_date(headers.get("Date", ""))


def _http_date(text: str) -> datetime | None:
    try:
        stamp = parsedate_to_datetime(text)
    except (IndexError, OverflowError, TypeError, ValueError):
        return None
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


class Pace:
    """Holds requests back: so many a second, and none while the shop says that none are left.

    Attributes:
        reason: Why the last wait was made, or the next one will be: `pace`, `budget` or `points`.
    """

    def __init__(
        self,
        budget: RequestBudget,
        longest_wait: float,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        """Takes the described budget, a cap in seconds on what the shop may ask for, and the time."""
        self.reason = "pace"
        self._budget = budget
        self._longest_wait = longest_wait
        self._sleep = sleep
        self._clock = clock
        self._next_at: float | None = None
        self._gap = 1 / budget.per_second if budget.per_second is not None else 0.0
        cost = budget.cost
        self._read_points = record_reader([cost.available, cost.restore_rate, cost.requested]) if cost else None

    def wait(self) -> tuple[str, float]:
        """Waits for the turn of the next request; returns the reason and the seconds waited."""
        now = self._clock()
        seconds = max(0.0, self._next_at - now) if self._next_at is not None else 0.0
        reason, self.reason = self.reason, "pace"
        if seconds:
            self._sleep(seconds)
        if self._gap:
            self._next_at = now + seconds + self._gap
        return reason, seconds

    def rest(self, least: float = 0.0) -> None:
        """Counts the time to the next request from now, the end of an answer, and lets it be at least so long."""
        self._gap = max(self._gap, least)
        self._next_at = max(self._next_at or 0.0, self._clock() + self._gap)

    def learn(self, headers: Mapping[str, str]) -> None:
        """Takes notice of the shop's own rate headers."""
        if self._left(headers) == 0:
            reset = self._seconds_to_reset(headers)
            self._hold("budget", _WAIT_WITHOUT_RESET if reset is None else reset)

    def learn_points(self, body: bytes) -> None:
        """Takes notice of the points that an answer tells of: the next request waits until it can be paid."""
        if self._read_points is None:
            return
        try:
            available, rate, requested = map(_amount, self._read_points(body))
        except (ValueError, ArithmeticError, RecursionError):
            return
        if available is not None and requested is not None and rate and requested > available:
            self._hold("points", (requested - available) / rate)

    def _hold(self, reason: str, seconds: float) -> None:
        until = self._clock() + min(seconds, self._longest_wait)
        if until > (self._next_at or 0.0):
            self._next_at, self.reason = until, reason

    def _left(self, headers: Mapping[str, str]) -> float | None:
        if self._budget.used_header is not None:
            used, _, most = headers.get(self._budget.used_header, "").partition("/")
            so_far, limit = _number(used), _number(most)
            return max(0.0, limit - so_far) if so_far is not None and limit is not None else None
        return _number(headers.get(self._budget.remaining_header)) if self._budget.remaining_header else None

    def _seconds_to_reset(self, headers: Mapping[str, str]) -> float | None:
        number = _number(headers.get(self._budget.reset_header)) if self._budget.reset_header else None
        if number is None or self._budget.reset_in == "seconds":
            return number
        if self._budget.reset_in == "milliseconds":
            return number / 1000
        now = _http_date(headers.get("Date", "")) or datetime.now(UTC)
        return max(0.0, number - now.timestamp())


def _number(text: str | None) -> float | None:
    """A header's number; below zero counts as zero."""
    try:
        number = float(text) if text is not None else None
    except ValueError:
        return None
    return None if number is None or not isfinite(number) else max(0.0, number)


def _amount(value: object) -> float | None:
    """A number within an answer."""
    is_number = isinstance(value, int | float | Decimal | str) and not isinstance(value, bool)
    return _number(str(value)) if is_number else None
