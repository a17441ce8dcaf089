"""Which business days of a shop there are at a moment."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop


def last_complete_day(shop: Shop, now: datetime) -> date:
    """Return the last business day that is over at `now` (an aware stamp)."""
    return now.astimezone(ZoneInfo(shop.timezone)).date() - timedelta(days=1)


def last_awaited_day(shop: Shop, now: datetime) -> date:
    """Return the last business day that figures are awaited of: the last complete one, or the last one of a shop."""
    day = last_complete_day(shop, now)
    return min(day, shop.last_day or day)


def partition_days(shop: Shop, today: date) -> Days:
    """Return the business days that have a partition; the shop's first one alone before it is over."""
    last = today if shop.intraday else today - timedelta(days=1)
    return Days(shop.first_day, max(shop.first_day, last))


def loadable_days(shop: Shop, today: date) -> Days:
    """Return those of the days with a partition that the shop shows wholly, until the day after too.

    Of a day that it shows no more, or in part, missing orders are not deleted ones.
    """
    days, shown = partition_days(shop, today), shop.orders.shown_days
    first = days.first if shown is None else max(days.first, today - timedelta(days=shown - 2))
    return Days(min(first, days.last), days.last)
