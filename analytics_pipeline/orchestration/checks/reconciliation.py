"""The steps of the reconciliation: a check each, from the shop's count to the history (marts/daily_reconciliation).

Each gives one figure for the run's days, which is 0 where they add up. Checks about single orders stand in `orders`.
"""

from analytics_pipeline.orchestration.checks.stored import StoredCheck

RECONCILIATION = "marts/daily_reconciliation"
STEPS = {
    "source_orders_difference": (
        "the_shops_count_equals_raw",
        "As many orders came as the shop counts, on the days that it gave a count of.",
    ),
    "raw_orders_difference": (
        "raw_orders_equal_clean_quarantined_and_excluded",
        "Every order that came is clean, in quarantine or left out.",
    ),
    "raw_money_difference": (
        "raw_money_equals_clean_quarantined_and_excluded",
        "What the orders claim to add up to is clean, in quarantine or left out.",
    ),
    "order_difference": ("orders_equal_their_parts", "Totals of orders are the sums of their parts."),
    "line_difference": ("lines_equal_orders", "Lines add up to their orders."),
    "ledger_difference": ("the_ledger_equals_orders", "Events of the ledger add up to the orders."),
    "revenue_difference": ("daily_revenue_equals_the_ledgers_days", "daily_revenue is the ledger's events of the day."),
    "product_difference": ("daily_product_sales_equal_daily_revenues_days", "All products add up to daily_revenue."),
    "history_difference": (
        "history_equals_what_was_reported_and_restated",
        "daily_revenue is what was published first and every restatement since.",
    ),
}
"""Name and description of the check by column of the mart, from the bottom to the top."""

RECONCILIATION_CHECKS = tuple(
    StoredCheck(
        name,
        RECONCILIATION,
        description,
        f"select business_day::text as example, {column} as difference "
        f"from {RECONCILIATION.replace('/', '.')} where business_day {{slice}} and {column} <> 0",
        compared=f"select count({column}) as compared from {RECONCILIATION.replace('/', '.')} "
        "where business_day {slice}",
    )
    for column, (name, description) in STEPS.items()
)
