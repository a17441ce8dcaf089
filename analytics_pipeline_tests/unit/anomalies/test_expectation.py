"""What a series of figures lets expect of its next day, and what it does not."""

import numpy as np
import pytest

from analytics_pipeline.anomalies.expectation import LEAST_HISTORY, Expectations, Flags, Floats, expect

DAYS = 140
WEEK = np.array([60.0, 64.0, 70.0, 72.0, 80.0, 95.0, 90.0])
"""A usual week of orders, Monday first."""
CHANCE = 0.5


def usual(days: int = DAYS, seed: int = 7) -> Floats:
    """Orders of consecutive days, which scatter around their weekday."""
    return np.random.default_rng(seed).poisson(np.resize(WEEK, days)).astype(float)


def judged(
    values: Floats, is_open: Flags | None = None, *, chance: float = CHANCE, is_signed: bool = False
) -> Expectations:
    return expect(
        values,
        values > 0 if is_open is None else is_open,
        np.full(len(values), chance),
        is_signed=is_signed,
    )


def changed(values: Floats, day: int, value: float) -> Floats:
    copy = values.copy()
    copy[day] = value
    return copy


def test_usual_days_are_no_anomalies_and_lie_around_what_was_expected() -> None:
    values = usual()
    found = judged(values)
    assert not found.is_anomaly().any()
    known = slice(LEAST_HISTORY, None)
    assert np.median(np.abs(values[known] - found.expected[known])) < np.sqrt(WEEK.mean())
    assert (found.low[known] <= found.expected[known]).all()
    assert (found.expected[known] <= found.high[known]).all()


def test_a_day_is_judged_once_21_days_lie_before_it_and_not_earlier() -> None:
    values = usual(30)
    assert judged(changed(values, LEAST_HISTORY, 0.0), np.ones(30, bool)).is_anomaly()[LEAST_HISTORY]
    assert not judged(changed(values, LEAST_HISTORY - 1, 0.0), np.ones(30, bool)).is_anomaly().any()
    early = judged(values)
    assert np.isnan(early.score[:LEAST_HISTORY]).all()
    assert np.isfinite(early.score[LEAST_HISTORY:]).all()


def test_days_that_are_not_known_are_no_history() -> None:
    values = usual(40)
    values[5:15] = np.nan
    found = judged(values, np.isfinite(values))
    assert np.isnan(found.score[:38]).all()
    assert np.isfinite(found.score[38:]).all()


@pytest.mark.parametrize(("value", "sign"), [(18.0, -1), (150.0, 1)])
def test_a_day_far_off_is_found_with_its_side_and_one_a_little_off_is_not(value: float, sign: int) -> None:
    found = judged(changed(usual(), 120, value))
    assert np.flatnonzero(found.is_anomaly()).tolist() == [120]
    assert np.sign(found.score[120]) == sign
    assert (value < found.low[120]) == (sign < 0)
    assert (value > found.high[120]) == (sign > 0)
    assert not judged(changed(usual(), 120, 75.0)).is_anomaly().any()


def test_a_usual_saturday_is_an_unusual_tuesday() -> None:
    week = np.array([20.0, 20.0, 20.0, 20.0, 20.0, 120.0, 120.0])
    values = np.random.default_rng(3).poisson(np.resize(week, DAYS)).astype(float)
    saturday, tuesday = 124, 120
    assert not judged(changed(values, saturday, 120.0)).is_anomaly()[saturday]
    assert judged(changed(values, tuesday, 120.0)).is_anomaly()[tuesday]


def test_a_day_is_judged_by_the_days_before_it_alone() -> None:
    values = usual()
    later = values.copy()
    later[100:] = 1000.0
    assert np.array_equal(judged(values).score[:100], judged(later).score[:100], equal_nan=True)
    longer = judged(np.concatenate([values, values]))
    assert np.array_equal(judged(values).high, longer.high[:DAYS], equal_nan=True)


def test_earlier_anomalies_do_not_move_what_is_expected() -> None:
    values = usual()
    spoilt = values.copy()
    spoilt[[90, 97, 104, 108, 115]] = 5000.0
    quiet, loud = judged(values), judged(spoilt)
    assert loud.expected[120] == pytest.approx(quiet.expected[120], rel=0.1)
    assert loud.is_anomaly()[[90, 97, 104, 108, 115]].all()
    assert judged(changed(spoilt, 120, 160.0)).is_anomaly()[120]


def test_a_weekday_that_never_has_an_order_is_expected_to_have_none_and_an_order_on_it_is_found() -> None:
    values = np.where(np.arange(DAYS) % 7 == 5, 0.0, usual())
    found = judged(values)
    closed = np.arange(28, DAYS)[np.arange(28, DAYS) % 7 == 5]
    assert not found.is_anomaly().any()
    assert np.allclose(found.expected[closed], 0)
    assert judged(changed(values, int(closed[-1]), 40.0)).is_anomaly()[closed[-1]]


def test_a_day_without_an_order_is_found_and_is_no_example_for_the_days_after() -> None:
    values = usual()
    holidays = values.copy()
    holidays[100:112] = 0.0
    found = judged(holidays)
    assert found.is_anomaly()[100:112].all()
    assert not found.is_anomaly()[112:].any()
    assert np.allclose(found.expected[112:120], judged(values).expected[112:120], rtol=0.15)


def test_growth_is_no_anomaly_and_a_new_level_is_expected_after_some_weeks() -> None:
    growing = np.random.default_rng(5).poisson(np.resize(WEEK, DAYS) * np.linspace(1, 1.6, DAYS)).astype(float)
    assert not judged(growing).is_anomaly().any()
    values = usual()
    values[70:] *= 2.5
    found = judged(values).is_anomaly()
    assert found[70]
    assert not found[70 + 21 :].any()


def test_a_rare_count_may_vary_by_chance_and_a_heap_of_it_is_found() -> None:
    values = (np.random.default_rng(2).random(DAYS) < 0.3).astype(float)
    is_open = np.ones(DAYS, bool)
    few, many = changed(values, 120, 3.0), changed(values, 120, 12.0)
    assert not judged(few, is_open).is_anomaly().any()
    assert np.flatnonzero(judged(many, is_open).is_anomaly()).tolist() == [120]


def test_last_years_season_is_expected_again_where_it_was_clear() -> None:
    values = usual(364 + 120)
    last, this = slice(60, 67), slice(60 + 364, 67 + 364)
    values[this] *= 3
    surprised = judged(values)
    values[last] *= 3
    expected = judged(values)
    assert surprised.is_anomaly()[this].all()
    assert expected.is_anomaly()[last].all()
    assert not expected.is_anomaly()[63 + 364]
    assert expected.expected[63 + 364] > 2 * surprised.expected[63 + 364]


def test_a_figure_that_can_be_negative_is_judged_on_both_sides_of_zero() -> None:
    values = usual() * 100
    loss = judged(changed(values, 120, -90_000.0), np.ones(DAYS, bool), chance=5.0, is_signed=True)
    assert np.flatnonzero(loss.is_anomaly()).tolist() == [120]
    assert loss.score[120] < 0
    assert (judged(values, chance=5.0).low[LEAST_HISTORY:] >= 0).all()


def test_last_years_season_grows_with_the_shop() -> None:
    values = usual(364 + 120)
    last, this = slice(60, 67), slice(60 + 364, 67 + 364)
    values[last] *= 3
    values[200:] = np.random.default_rng(9).poisson(np.resize(WEEK, len(values))[200:] * 9)
    values[this] *= 3
    found = judged(values)
    assert not found.is_anomaly()[63 + 364]
    assert found.expected[63 + 364] == pytest.approx(values[63 + 364], rel=0.15)


def test_a_shop_that_has_just_begun_is_judged_once_it_had_orders_on_enough_days() -> None:
    values = usual(80)
    values[:40] = 0.0
    values[3:40:9] = 1.0
    found = judged(values)
    open_days = np.cumsum(values > 0)
    judged_first = int(np.flatnonzero(np.isfinite(found.score))[0])
    assert open_days[judged_first - 1] == LEAST_HISTORY
    assert not found.is_anomaly().any()
