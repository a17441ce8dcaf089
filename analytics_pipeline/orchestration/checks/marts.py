"""Checks about the marts: they agree with the ledger and with each other, and no day is missing."""

from collections.abc import Collection

from analytics_pipeline.history.outside import DIFFERENCES
from analytics_pipeline.orchestration.checks.stored import StoredCheck

_ADDITIVE = ("units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales")
"""Columns that daily_revenue and daily_product_sales share and that sum up over products."""


def _sums(columns: tuple[str, ...], source: str) -> str:
    sums = "".join(f", sum({name}) as {name}" for name in columns)
    return f"select event_date, currency{sums} from {source} group by 1, 2"


def _differences(left: str, right: str, columns: tuple[str, ...]) -> str:
    """Select the days and currencies in which two sums differ; a row that only one has is zeros on the other."""
    pairs = [f"coalesce(one.{name}, 0) - coalesce(other.{name}, 0)" for name in columns] or ["0"]
    return f"""
        select
            coalesce(one.event_date, other.event_date) || ' ' || coalesce(one.currency, other.currency) as example,
            {" + ".join(f"abs({pair})" for pair in pairs)} as difference
        from ({left}) as one
        full join ({right}) as other on other.event_date = one.event_date and other.currency = one.currency
        where {" or ".join(f"{pair} <> 0" for pair in pairs)}
    """


_GOODS_MONEY = ("gross_sales", "discounts", "returns", "net_sales")
_LEDGER_MONEY = (*_GOODS_MONEY, "shipping", "charges", "taxes", "total_sales")


def mart_checks(cannot_tell: Collection[str] = ()) -> tuple[StoredCheck, ...]:
    """Return the checks of a shop's marts.

    Args:
        cannot_tell: Columns that are null, since the shop's records do not tell them: they are not compared.
    """
    money, goods, additive = (
        tuple(name for name in columns if name not in cannot_tell)
        for columns in (_LEDGER_MONEY, _GOODS_MONEY, _ADDITIVE)
    )
    return (
        StoredCheck(
            "daily_revenue_equals_the_ledger",
            "marts/daily_revenue",
            "Each money column of a day and currency equals the sum of the ledger's events of that day.",
            _differences(
                _sums(money, '"@marts".daily_revenue where event_date {slice}'),
                _sums(money, '"@clean".sales where event_date {slice}'),
                money,
            ),
        ),
        StoredCheck(
            "daily_revenue_has_every_day",
            "marts/daily_revenue",
            "Every business day of the slice that is loaded has a row, days without a sale too.",
            """
            select day::date::text as example, 1 as difference
            from generate_series(timestamp '{first_day}', timestamp '{last_day}', interval '1 day') as series(day)
            where not exists (select from "@marts".daily_revenue where event_date = day::date)
            and exists (
                select from "@ops".materialised_days as days
                where table_name = 'clean.sales' and days.day = series.day::date
            )
            """,
        ),
        StoredCheck(
            "daily_product_sales_equal_the_ledger",
            "marts/daily_product_sales",
            "Gross sales, discounts, returns and net sales of a day equal the sums of the ledger's events of that day.",
            _differences(
                _sums(goods, '"@marts".daily_product_sales where event_date {slice}'),
                _sums(goods, '"@clean".sales where event_date {slice}'),
                goods,
            ),
        ),
        # On daily_revenue, since a backfill of the UI writes it last, in a later run than daily_product_sales: it also
        # reads clean/customers, which has no partitions.
        StoredCheck(
            "daily_product_sales_equal_daily_revenue",
            "marts/daily_revenue",
            "Units, gross sales, discounts, returns and net sales of all products sum up to daily_revenue's.",
            _differences(
                _sums(additive, '"@marts".daily_product_sales where event_date {slice}'),
                _sums(additive, '"@marts".daily_revenue where event_date {slice}'),
                additive,
            ),
            compared_with=("marts/daily_product_sales",),
        ),
        StoredCheck(
            "the_ledger_is_all_days_and_what_lies_outside",
            "marts/daily_revenue",
            "All money of the ledger is in daily_revenue's days or on days outside them, which status names; of all "
            "days.",
            DIFFERENCES,
            is_blocking=False,
        ),
    )
