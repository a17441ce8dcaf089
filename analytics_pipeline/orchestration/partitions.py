"""Dagster's daily partitions of a shop's business days: the only place that turns partition keys into days and back."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import dagster as dg

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import Shop

DAY_FORMAT = "%Y-%m-%d"


class BusinessDays(dg.DailyPartitionsDefinition):
    """Daily partitions whose keys are listed once a day.

    Dagster lists them all for each input of a check, by the calendar's rules one day after the other.
    """

    def get_partition_keys(
        self,
        current_time: datetime | None = None,
        dynamic_partitions_store: Any = None,  # noqa: ANN401 - Dagster's; days have none
    ) -> list[str]:
        """Return the keys of all business days that can be loaded at a moment, now when none is given."""
        with dg.partition_loading_context(current_time, dynamic_partitions_store):
            last = self.get_last_partition_key()
            known: tuple[str | None, list[str]] | None = self.__dict__.get("known")
            if known is None or known[0] != last:
                known = last, [*super().get_partition_keys(current_time, dynamic_partitions_store)]
                self.__dict__["known"] = known
            return [*known[1]]


def daily_partitions(shop: Shop) -> dg.DailyPartitionsDefinition:
    """Return one partition per business day, from the shop's first one to yesterday, or to today where it is loaded."""
    return BusinessDays(
        start_date=shop.first_day.isoformat(),
        timezone=shop.timezone,
        fmt=DAY_FORMAT,
        end_offset=1 if shop.intraday else 0,
    )


def partitions_of_all_shops(shops: Sequence[Shop]) -> dg.DailyPartitionsDefinition:
    """Return one partition per day that one of the shops may have: the first one to today, by UTC.

    No zone is more than a day ahead of UTC, so that each shop's yesterday is among them; and its today with a day more,
    where one of them loads that.
    """
    first = min(shop.first_day for shop in shops)
    return BusinessDays(
        start_date=first.isoformat(),
        timezone="UTC",
        fmt=DAY_FORMAT,
        end_offset=2 if any(shop.intraday for shop in shops) else 1,
    )


def days_of(partition_keys: Sequence[str]) -> Days:
    """Return the range of days of a run's partition keys, which Dagster gives in order and without gaps."""
    return Days(date.fromisoformat(partition_keys[0]), date.fromisoformat(partition_keys[-1]))
