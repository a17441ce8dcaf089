"""What earlier days let a day's figure be: pure arithmetic on one series of daily figures, nothing of shops or tables.

Figures are compared by their square roots: a count then scatters alike at every level, and amounts nearly so. What is
expected is the level of the last three weeks, moved by what the weekday usually differs from it. Everything is a
median or a quantile of the last twelve weeks, so that a few odd days among them move nothing.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

LEAST_HISTORY = 28
"""Open days that have to lie before a day for it to be judged: a shop that has just begun has days without orders."""
WINDOW, RECENT, WEEK, YEAR, NEARBY = 84, 21, 7, 364, 3
LIMIT = 4.0
"""Score from which on a figure is an anomaly: how many usual deviations it lies away."""
LEAST_OF_A_WEEKDAY = 3
"""Earlier days of a weekday that it takes to call it closed."""
_TAIL, _TAIL_OF_A_NORMAL = 0.1, 1.2816
_MEDIAN_DEVIATION_OF_A_NORMAL = 0.6745
_SHIFT = 1.5
"""Times the square of what chance makes, added before the root: three eighths of a count, as Anscombe does it."""
_DOUBT = 7.0
"""Divided by the number of days: the share by which what is usual is widened, since it is learnt from so few."""
_CLEAR_SEASON = 1.5
"""Usual deviations that last year's season has to make for it to count: less is chance."""

Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Expectations:
    """What each day of a series was expected to be; NaN where it cannot be judged.

    Attributes:
        expected: The expected figure.
        low: Lowest figure that is no anomaly.
        high: Highest figure that is none.
        score: By how many usual deviations the figure lies away, with its sign.
    """

    expected: Floats
    low: Floats
    high: Floats
    score: Floats

    def is_anomaly(self) -> Flags:
        """Return which days lie outside of what was expected."""
        return np.abs(np.nan_to_num(self.score)) > LIMIT


def expect(
    values: Floats, is_open: Flags, least_deviation: Floats, *, is_signed: bool = False, has_rhythm: bool = True
) -> Expectations:
    """Return what each day lets expect, from the days before it alone.

    Args:
        values: The figure of consecutive days; NaN where a day has none.
        is_open: Which days are like most others; the rest is judged, and is no example for later days.
        least_deviation: Each day's deviation, of square roots, that chance alone makes: 0.5 of a count.
        is_signed: Whether the figure can be negative.
        has_rhythm: Whether weekday and season matter.
    """
    chance = np.zeros(len(values)) if is_signed else _SHIFT * least_deviation**2
    roots = np.copysign(np.sqrt(np.abs(values) + chance), values)
    weeks = _windows(np.where(is_open, roots, np.nan))
    level, effects = _level(weeks, has_rhythm=has_rhythm)
    below, above = _usual_deviations(weeks - effects[:, None, :], least_deviation)
    season, before = _season(roots, is_open) if has_rhythm else (np.zeros(len(values)), level)
    is_clear = np.abs(season) > _CLEAR_SEASON * np.where(season < 0, below, above)
    # A shop that has grown since makes a larger step of the same season: as large a share of its level.
    is_scaled = (before > 0) & (level > 0)
    scale = np.divide(level, before, out=np.ones(len(values)), where=is_scaled)
    centre = level + np.where(is_clear, season * scale, 0) + effects[:, 0]

    lowest = -np.inf if is_signed else np.sqrt(chance)
    centre = np.where(_is_closed(values, is_open), np.sqrt(chance), np.maximum(centre, lowest))
    centre = np.where(_count(_windows(np.where(is_open, values, np.nan))) >= LEAST_HISTORY, centre, np.nan)
    away = roots - centre
    return Expectations(
        expected=_squared(centre) - chance,
        low=_squared(np.maximum(centre - LIMIT * below, lowest)) - chance,
        high=_squared(centre + LIMIT * above) - chance,
        score=away / np.where(away < 0, below, above),
    )


def typical(values: Floats, is_open: Flags) -> Floats:
    """Return the median of the open days before each day."""
    weeks = _windows(np.where(is_open, values, np.nan))
    return _quantile(weeks.reshape(len(values), WINDOW), 0.5)


def _windows(values: Floats) -> Floats:
    """Return the days before each day as weeks, oldest first; a week begins with the judged day's weekday."""
    before = np.concatenate([np.full(WINDOW, np.nan), values[:-1]])
    return np.lib.stride_tricks.sliding_window_view(before, WINDOW).reshape(len(values), WINDOW // WEEK, WEEK)


def _level(weeks: Floats, *, has_rhythm: bool) -> tuple[Floats, Floats]:
    """Return the level of the last weeks before each day, and by how much each weekday differs from it."""
    weekdays = _quantile(np.moveaxis(weeks, 1, 2), 0.5)
    effects = np.nan_to_num(weekdays - _quantile(weekdays, 0.5)[:, None]) * has_rhythm
    without = (weeks - effects[:, None, :]).reshape(len(weeks), WINDOW)
    return _quantile(without[:, -RECENT:], 0.5), effects


def _usual_deviations(weeks: Floats, least: Floats) -> tuple[Floats, Floats]:
    """Return the usual deviation downwards and upwards: by the median of all, and by the outer tenth on each side.

    A day of the window is held against the level of its own three weeks: a level that has moved since is no deviation.
    """
    days = weeks.reshape(len(weeks), WINDOW // RECENT, RECENT)
    deviations = (days - _quantile(days, 0.5)[:, :, None]).reshape(len(weeks), WINDOW)
    usual = _quantile(np.abs(deviations), 0.5) / _MEDIAN_DEVIATION_OF_A_NORMAL
    downwards = np.fmax(usual, -_quantile(deviations, _TAIL) / _TAIL_OF_A_NORMAL)
    upwards = np.fmax(usual, _quantile(deviations, 1 - _TAIL) / _TAIL_OF_A_NORMAL)
    doubt = 1 + _DOUBT / np.maximum(_count(days), 1)
    return np.fmax(doubt * downwards, least), np.fmax(doubt * upwards, least)


def _season(roots: Floats, is_open: Flags) -> tuple[Floats, Floats]:
    """Return by how much the week around the same day of last year lay above the weeks before it, and these weeks.

    Both are zero where they are not known.
    """
    season, level = np.zeros(len(roots)), np.zeros(len(roots))
    judged = len(roots) - YEAR - RECENT
    if judged > 0:
        known = np.where(is_open, roots, np.nan)
        around = np.lib.stride_tricks.sliding_window_view(known[RECENT - NEARBY :], 2 * NEARBY + 1)[:judged]
        before = np.lib.stride_tricks.sliding_window_view(known, RECENT)[:judged]
        level[YEAR + RECENT :] = np.nan_to_num(_quantile(before, 0.5))
        season[YEAR + RECENT :] = np.nan_to_num(_quantile(around, 0.5) - _quantile(before, 0.5))
    return season, level


def _is_closed(values: Floats, is_open: Flags) -> Flags:
    """Return which days are of a weekday that never was open in the window."""
    same = _windows(np.where(np.isnan(values), np.nan, is_open.astype(float)))[:, :, 0]
    closed: Flags = (_count(same[:, None, :]) >= LEAST_OF_A_WEEKDAY) & (np.nansum(same, axis=1) == 0)
    return closed


def _count(weeks: Floats) -> npt.NDArray[np.int64]:
    counted: npt.NDArray[np.int64] = np.isfinite(weeks).sum(axis=(1, 2))
    return counted


def _quantile(values: Floats, share: float) -> Floats:
    """Return a quantile along the last axis, of what is not NaN there; NaN where all is."""
    ordered = np.sort(values, axis=-1)
    counts = np.isfinite(ordered).sum(axis=-1)
    place = share * np.maximum(counts - 1, 0)
    lower = np.floor(place).astype(int)
    upper = np.ceil(place).astype(int)
    below = np.take_along_axis(ordered, lower[..., None], -1)[..., 0]
    above = np.take_along_axis(ordered, upper[..., None], -1)[..., 0]
    found: Floats = below + (above - below) * (place - lower)
    return found


def _squared(roots: Floats) -> Floats:
    return np.sign(roots) * roots**2
