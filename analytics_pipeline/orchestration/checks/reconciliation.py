"""Steps of the reconciliation that nothing else asserts: the shop's count, raw money, and the history of numbers.

Each gives one figure for the run's days, which is 0 where they add up. All steps are columns of
marts/daily_reconciliation, which `status` reads; what the others compare is asserted in `orders` and `marts`, by order
and by day.
"""

from analytics_pipeline.orchestration.checks.stored import StoredCheck
from analytics_pipeline.tables.shape import in_sql

RECONCILIATION = "marts/daily_reconciliation"
_IN_SQL = in_sql(*RECONCILIATION.split("/"))
STEPS = {
    "source_orders_difference": (
        "the_shops_count_equals_raw",
        "As many orders came as the shop counts, on the days that it gave a count of.",
    ),
    "raw_money_difference": (
        "raw_money_equals_clean_quarantined_and_excluded",
        "What the orders claim to add up to is clean, in quarantine or left out.",
    ),
    "history_difference": (
        "history_equals_what_was_reported_and_restated",
        "daily_revenue is what was published first and every restatement since.",
    ),
}
"""Name and description of the check by column of the mart."""

_WITNESS = StoredCheck(
    "the_shops_report_equals_ours",
    "marts/daily_witness",
    "Each figure of the shop's own daily report is ours, or the difference has a name; figures that it lacks are null.",
    "select concat(business_day, ' ', metric, ' ', currency, ': the shop says ', coalesce(shop_says::text, 'nothing'), "
    "', ours by its rules ', by_its_rules) as example, coalesce(unexplained, -by_its_rules) as difference "
    'from "@marts".daily_witness where business_day {slice} '
    "and (unexplained <> 0 or (shop_says is null and by_its_rules <> 0))",
    is_blocking=False,
    compared='select count(distinct business_day) as compared from "@marts".daily_witness where business_day {slice} '
    "and unexplained is not null and not is_late",
)

RECONCILIATION_CHECKS = (
    *(
        StoredCheck(
            name,
            RECONCILIATION,
            description,
            f"select business_day::text as example, {column} as difference "
            f"from {_IN_SQL} where business_day {{slice}} and {column} <> 0",
            compared=f"select count({column}) as compared from {_IN_SQL} where business_day {{slice}}",
        )
        for column, (name, description) in STEPS.items()
    ),
    _WITNESS,
)
