"""Windows of business days and change stamps as queries, in the formats that shops ask for. Pure functions."""

from datetime import UTC, date, datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from analytics_pipeline.days import start_of_day
from analytics_pipeline.shop.protocol import StampFormat
from analytics_pipeline.shop.requests import ChangedSince, Query, Window, laid_over

ONE_DAY = timedelta(days=1)


def created_window_query(window: Window, first_day: date, last_day: date, zone: ZoneInfo) -> Query:
    """The query for orders of the business days first_day to last_day, both included.

    An inclusive upper bound is sent as the same midnight (one instant too far): a second less would lose the orders
    of the day's last second, and what lies outside the window is dropped by the extraction anyway. So is the second
    before the first midnight, which a shop needs whose lower bound is exclusive.
    """
    after = last_day + ONE_DAY
    if window.format == "date":
        begin = first_day - ONE_DAY if window.lower == "exclusive" else first_day
        end = last_day if window.to == "inclusive" else after
        return laid_over(window, {"from": begin.isoformat(), "to": end.isoformat()})
    return instants_query(window, start_of_day(first_day, zone), start_of_day(after, zone), zone)


def covering_query(window: Window, first_day: date, last_day: date, zone: ZoneInfo) -> Query:
    """The same where the shop may cut days by another zone: a format of days asks for one more on each side."""
    more = ONE_DAY if window.format == "date" else timedelta()
    return created_window_query(window, first_day - more, last_day + more, zone)


def instants_query(window: Window, start: datetime, end: datetime, zone: ZoneInfo) -> Query:
    """The query for orders created from `start` to before `end`, and perhaps for some beside them."""
    begin = start if window.lower == "inclusive" else start - timedelta(seconds=1)
    stamps = {"from": format_stamp(begin, window.format, zone), "to": format_stamp(end, window.format, zone)}
    return laid_over(window, stamps)


def changed_since_query(described: ChangedSince, since: datetime, zone: ZoneInfo) -> Query:
    """The query for records changed since an aware stamp, cut to whole seconds, which asks for a little more.

    As a day it is the one before: the shop may cut days by another zone, and leave out the day itself.
    """
    more = ONE_DAY if described.format == "date" else timedelta()
    return laid_over(described, {"since": format_stamp(since - more, described.format, zone)})


def format_stamp(stamp: datetime, stamp_format: StampFormat, zone: ZoneInfo) -> str | int:
    """Writes an aware stamp in a shop's format; seconds are a number.

    Raises:
        ValueError: The stamp has no time zone.
    """
    if stamp.tzinfo is None:
        raise ValueError("a stamp for a shop must know its time zone")
    utc = stamp.astimezone(UTC).replace(microsecond=0)
    match stamp_format:
        case "iso_utc":
            return utc.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "iso_utc_bare":
            return utc.replace(tzinfo=None).isoformat()
        case "iso_offset":
            return utc.astimezone(zone).isoformat()
        case "iso_local":
            return utc.astimezone(zone).replace(tzinfo=None).isoformat()
        case "date":
            return utc.astimezone(zone).date().isoformat()
        case "unix_seconds":
            return int(utc.timestamp())
        case _:
            assert_never(stamp_format)
