"""Which days are believed without a count, when, and when they are asked for again."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from analytics_pipeline.history.proofs import DayProof
from analytics_pipeline.history.proving import DayCame, Stored, is_kept, judge, refusal

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def judged(
    came: int,
    had: int | None,
    *,
    lost: int = 0,
    began: datetime = NOON,
    before: DayProof | None = None,
    print_: str = "x",
) -> DayProof:
    written = set() if had is None else {DAY}
    stored = Stored(written, {DAY: had or 0}, {DAY: lost}, {DAY: before} if before else {})
    return judge([DayCame(DAY, came, is_counted=False, fingerprint=print_)], stored, began, BERLIN)[0]


@pytest.mark.parametrize(
    ("came", "had", "lost", "state"),
    [
        (0, 1, 1, "unproved"),
        (4, 10, 6, "unproved"),
        (5, 10, 5, "proved"),
        (10, 10, 6, "unproved"),
        (1, 3, 2, "unproved"),
        (0, 0, 0, "proved"),
        (0, None, 0, "proved"),
        (3, None, 0, "proved"),
        (12, 10, 0, "proved"),
    ],
)
def test_a_day_that_nobody_counts_is_unproved_when_it_lost_most_of_its_orders(
    came: int, had: int | None, lost: int, state: str
) -> None:
    proof = judged(came, had, lost=lost)
    assert (proof.state, proof.basis) == (state, "none")
    assert is_kept(proof, set() if had is None else {DAY}) == (state == "proved")


def test_the_same_answer_is_believed_after_an_hour_on_another_calendar_day_of_the_shop() -> None:
    late = datetime(2026, 11, 22, 22, 30, tzinfo=UTC)  # half an hour before the shop's midnight
    first = judged(0, 3, lost=3, began=late)
    assert (first.state, first.since, first.again_at) == ("unproved", late, late + HOUR)
    soon = judged(0, 3, lost=3, began=late + timedelta(minutes=45), before=first)
    assert (soon.state, soon.since) == ("unproved", late)
    later = judged(0, 3, lost=3, began=late + HOUR, before=soon)
    assert (later.state, later.basis) == ("proved", "repeat")
    assert "3 orders are stored" in str(later.reason)


def test_on_the_same_calendar_day_it_is_asked_for_again_on_the_next() -> None:
    first = judged(0, 3, lost=3)
    second = judged(0, 3, lost=3, began=NOON + HOUR, before=first)
    assert (second.state, second.since, second.again_at) == (
        "unproved",
        NOON,
        datetime(2026, 11, 22, 23, tzinfo=UTC),
    )


def test_another_answer_starts_anew_and_a_right_one_ends_it() -> None:
    first = judged(0, 10, lost=10)
    other = judged(2, 10, lost=8, began=NOON + timedelta(days=1), before=first, print_="y")
    assert (other.state, other.since) == ("unproved", NOON + timedelta(days=1))
    right = judged(10, 10, began=NOON + timedelta(days=1), before=first, print_="z")
    assert (right.state, right.basis, right.again_at) == ("proved", "none", None)


@pytest.mark.parametrize("weeks", [3, 4])
def test_a_new_day_is_odd_where_the_four_same_weekdays_before_all_had_orders(weeks: int) -> None:
    before = {DAY - timedelta(weeks=week): 5 for week in range(1, weeks + 1)}
    stored = Stored(set(before), before, {}, {})
    proof = judge([DayCame(DAY, 0, is_counted=False)], stored, NOON, BERLIN)[0]
    assert proof.state == ("unproved" if weeks == 4 else "proved")
    assert is_kept(proof, stored.written)  # written, and marked


def test_the_weekdays_before_may_come_with_the_same_reading() -> None:
    days = [DAY - timedelta(days=days) for days in range(28, 0, -1)]
    came = [*(DayCame(day, 2, is_counted=False) for day in days), DayCame(DAY, 0, is_counted=False)]
    states = [proof.state for proof in judge(came, Stored(set(), {}, {}, {}), NOON, BERLIN)]
    assert states == ["proved"] * 28 + ["unproved"]


def test_the_shops_count_settles_every_doubt() -> None:
    stored = Stored({DAY}, {DAY: 9}, {DAY: 9}, {})
    proof = judge([DayCame(DAY, 0, is_counted=True, source_count=0)], stored, NOON, BERLIN)[0]
    assert (proof.state, proof.basis, proof.source_count) == ("proved", "count", 0)


def test_a_refused_day_waits_an_hour_at_first_and_a_day_at_last() -> None:
    proof = refusal(DAY, "no list", Stored(set(), {}, {}, {}), NOON)
    assert (proof.state, proof.again_at) == ("refused", NOON + HOUR)
    for hours, wait in ((1, 1), (5, 5), (50, 24)):
        began = NOON + timedelta(hours=hours)
        again = refusal(DAY, "no list", Stored(set(), {}, {}, {DAY: proof}), began)
        assert (again.since, again.again_at) == (NOON, began + timedelta(hours=wait))
