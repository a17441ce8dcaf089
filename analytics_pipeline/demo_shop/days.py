"""When the demo shop is open, how many orders a business day has, and at what moments they are placed."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from math import cos, pi
from random import Random
from zoneinfo import ZoneInfo

from analytics_pipeline.demo_shop.chance import happens
from analytics_pipeline.demo_shop.settings import DemoShopSettings

ONE_DAY = timedelta(days=1)
_WEEK = (-0.08, -0.04, 0.0, 0.02, 0.06, 0.14, 0.10)
_SEASON_PEAKS_ON = 340
_ELAPSED_HOURS_AROUND_A_CLOCK_CHANGE = range(5)


@cache
def starts_at(day: date, zone: ZoneInfo) -> datetime:
    """The first moment of a business day, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def business_day(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day of a moment in the shop's zone."""
    return moment.astimezone(zone).date()


def is_open(settings: DemoShopSettings, day: date) -> bool:
    """Whether a business day has orders at all."""
    return day >= settings.opened and day not in settings.closed_days


@cache
def order_count(settings: DemoShopSettings, day: date) -> int:
    """How many orders a business day has: within the band by week, season, growth and chance; none when closed."""
    if not is_open(settings, day):
        return 0
    years = (day - settings.opened).days / 365
    season = 0.15 * cos(2 * pi * (day.timetuple().tm_yday - _SEASON_PEAKS_ON) / 365)
    chance = Random(f"{settings.seed}:{day}:count").gauss(0, 0.05)
    position = 0.33 + 0.06 * years + _WEEK[day.weekday()] + season + chance
    fewest, most = settings.orders_per_day
    return fewest + round(min(max(position, 0.0), 1.0) * (most - fewest))


def order_times(settings: DemoShopSettings, day: date, rng: Random) -> list[datetime]:
    """The moments of a day's orders in UTC, ascending, whole seconds.

    One lies in the first minute of the business day and one in its last; on a day of 23 or 25 hours one lies in each of
    the first hours, so that the repeated hour is met on both its passes.
    """
    start = starts_at(day, settings.zone)
    length = int((starts_at(day + ONE_DAY, settings.zone) - start).total_seconds())
    seconds = [rng.randrange(60), length - 1 - rng.randrange(60)]
    if length != ONE_DAY.total_seconds():
        seconds += [3600 * hour + rng.randrange(3600) for hour in _ELAPSED_HOURS_AROUND_A_CLOCK_CHANGE]
    count = order_count(settings, day)
    while len(seconds) < count:
        seconds.append(int(length * (rng.random() if happens(rng, 0.3) else rng.betavariate(2.6, 1.7))))
    return sorted(start + timedelta(seconds=second) for second in seconds[:count])
