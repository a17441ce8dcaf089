"""The tables of the second witness: what the shop's own report says, and what it may count that is held back here.

Shapes only, as in `history`; the comparison is marts/daily_witness.
"""

from analytics_pipeline.tables.contract import CURRENCY_CODE, column, contract, rule
from analytics_pipeline.tables.shape import DAY, FLAG, MONEY, STAMP, TEXT, Column, Table

REPORTED = (
    "orders",
    "units_sold",
    "units_returned",
    "gross_sales",
    "discounts",
    "returns",
    "net_sales",
    "shipping",
    "taxes",
    "total_sales",
    "charges",
    "tips",
    "fees",
    "duties",
    "gift_cards_sold",
    "gift_cards_redeemed",
)
"""Columns of daily_revenue that a shop's own report may have."""

KNOWN_METRIC = rule("is a figure of daily_revenue that reports have", lambda values: values.isin(REPORTED))

SHOP_REPORTS = contract(
    "ops/shop_reports",
    "What the shop's own daily report says, figure by figure: the second witness beside daily_revenue.",
    {
        "day": column(DAY, "Business day, in the shop's time zone."),
        "currency": column(TEXT, "ISO 4217 code; the shop's where the report names none.", CURRENCY_CODE),
        "metric": column(TEXT, "The figure, a column of daily_revenue.", KNOWN_METRIC),
        "value": column(MONEY, "What the report says; null where it does not mention it: absent.", nullable=True),
        "as_of": column(STAMP, "The report is as the shop knew it then; of a file, when that was written."),
        "read_at": column(STAMP, "When it was read."),
        "run_id": column(TEXT, "Dagster's id of the run."),
    },
    key=("day", "currency", "metric"),
    day_column="day",
)

HELD_BACK_SALES = Table(
    schema="ops",
    name="held_back_sales",
    description="What orders that are in quarantine or left out would add to each figure of a day, as far as that can "
    "be read: a shop's own report may count them. Kept where such a report is described.",
    columns=(
        Column("order_date", DAY, "Business day of the order."),
        Column("order_id", TEXT, "The order's id."),
        Column("rule", TEXT, "quarantine, or the reason for which the order is left out."),
        Column("event_date", DAY, "Business day on which it would count."),
        Column("is_given_back", FLAG, "Whether it is given back rather than sold."),
        Column("is_cancelled", FLAG, "Whether the order is cancelled."),
        Column("currency", TEXT, "ISO 4217 code; null where the record's cannot be read.", is_nullable=True),
        Column("metric", TEXT, "The figure; zero_orders and free_units are those without a price."),
        Column("value", MONEY, "What it would add to it; null where that cannot be read.", is_nullable=True),
        Column("made_at", STAMP, "When the record was judged so."),
    ),
    key=("order_date", "order_id", "rule", "event_date", "is_given_back", "metric"),
    day_column="order_date",
    indexes=("event_date",),
)
