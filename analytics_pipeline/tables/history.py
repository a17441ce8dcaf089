"""The tables in which the pipeline keeps its own history: what it wrote, what changed, what is stale or published.

Shapes only. They are written by SQL in the transactions that they tell of (`history`), never by an asset, and nothing
in them is deleted but what is no longer stale, and what says of itself how long it is kept. Tables made of the shop's
records stand in `contracts`.
"""

from analytics_pipeline.shop.charges import ChargeKind
from analytics_pipeline.tables.files import FILE_TABLES
from analytics_pipeline.tables.operations import (
    ERROR_EXCERPTS,
    FIELD_CHANGES,
    FIELDS,
    INCIDENTS,
    INSTALLATION,
    RUN_ID,
)
from analytics_pipeline.tables.pages import PRODUCT_PAGES
from analytics_pipeline.tables.reports import HELD_BACK_SALES, SHOP_REPORTS
from analytics_pipeline.tables.shape import COUNT, DAY, DAYS, FLAG, MONEY, STAMP, TEXT, TEXTS, Column, Table
from analytics_pipeline.tables.webhooks import WEBHOOK_CALLS, WEBHOOK_REFUSALS

OF_KINDS: dict[str, tuple[str, int, tuple[ChargeKind, ...]]] = {
    "tips": ("charges", 1, ("tip",)),
    "fees": ("charges", 1, ("fee", "handling", "surcharge")),
    "duties": ("charges", 1, ("duty",)),
    "gift_cards_sold": ("outside_sales", 1, ("gift_card_sold",)),
    "gift_cards_redeemed": ("outside_sales", -1, ("gift_card_redeemed",)),
}
"""Measures of some kinds of charges: the column of the ledger, its sign, and the kinds whose events it sums up."""
LEDGER_MEASURES = (
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
    *OF_KINDS,
)
"""What an order adds to a business day, and to the columns of the same name in the marts."""

_COUNTED = ("orders", "units_sold", "units_returned")
_KEY = "The rest of the row's grain, such as the currency; several values are joined by blanks, those within escaped."
_CAUSE = (
    "Why: refund, cancellation, edit, late_order, deleted, left_out, quarantine_replay, backfill (history that was "
    "loaded later), customer_record, code_version_change, or unexplained."
)

MATERIALISED_DAYS = Table(
    schema="ops",
    name="materialised_days",
    description="Which business days of which table have been written, when, by which run, and as of when.",
    columns=(
        Column("table_name", TEXT, "The table, as in clean.sales."),
        Column("day", DAY, "The business day."),
        Column("first_written_at", STAMP, "When the day was written for the first time."),
        Column("written_at", STAMP, "When it was written last."),
        Column("run_id", TEXT, f"{RUN_ID} The one that wrote it last."),
        Column("as_of", STAMP, "The day is as the shop knew it then: when its extraction began.", is_nullable=True),
        Column("code_version", TEXT, "Hash of the description or statement that the rows were made with."),
        Column("through_change", COUNT, "Last row of ops.order_changes that a mart's day knows.", is_nullable=True),
        Column("published_at", STAMP, "When a mart's day was first published whole.", is_nullable=True),
    ),
    key=("table_name", "day"),
)

CODE_VERSIONS = Table(
    schema="ops",
    name="code_versions",
    description="What the hashes in ops.materialised_days stand for: the rules that days of orders were made by.",
    columns=(
        Column("hash", TEXT, "The hash."),
        Column("timezone", TEXT, "Time zone that bounded the days."),
        Column("currency", TEXT, "Currency of orders that name none."),
        Column("cut", TEXT, "Hash of all that decides on which day an order is."),
        Column("mapping", TEXT, "Hash of all that decides what becomes of a record."),
        Column("rules", TEXT, "These parts of the description.", is_json=True),
        Column("first_seen_at", STAMP, "When days were first made by them."),
    ),
    key=("hash",),
)

REPLACED_ORDERS = Table(
    schema="ops",
    name="replaced_orders",
    description="Records that an extraction replaced on days made by other rules, until the ledger is written: they "
    "tell apart what the shop changed and what the rules did.",
    columns=(
        Column("order_id", TEXT, "The order's id."),
        Column("order_date", DAY, "Its business day by the new rules."),
        Column("extracted_at", STAMP, "When the record was read."),
        Column("payload", TEXT, "The record as the shop sent it then.", is_json=True, is_personal=True),
    ),
    key=("order_id",),
)

EXTRACTIONS = Table(
    schema="ops",
    name="extractions",
    description="One row per extraction of orders that was written: what came, what the shop counts, what it cost.",
    columns=(
        Column("run_id", TEXT, RUN_ID),
        Column("first_day", DAY, "First business day asked for."),
        Column("last_day", DAY, "Last business day asked for, included."),
        Column("as_of", STAMP, "When the extraction began."),
        Column("records", COUNT, "Records of these days that came, repeated ones too."),
        Column("orders", COUNT, "Different orders among them."),
        Column(
            "records_of_other_days",
            COUNT,
            "Records that the shop sent although their day lies outside, or is not known.",
        ),
        Column("source_count", COUNT, "The shop's own count of the query, where it gives one.", is_nullable=True),
        Column("requests", COUNT, "Requests made."),
        Column("retries", COUNT, "Requests made again after an error, a cut or late answer, or 429."),
        Column("bytes", COUNT, "Bytes of all answers."),
        Column("milliseconds_waited", COUNT, "Time spent waiting for the shop's budget and between retries."),
    ),
    key=("run_id", "first_day"),
)

_PROOF_COLUMNS = (
    Column("day", DAY, "Business day of the orders."),
    Column(
        "state",
        TEXT,
        "proved; unproved (what came is odd and the shop gives no count: read again before it is believed); "
        "refused (a described proof was absent or broken: nothing was written, older rows stay).",
    ),
    Column(
        "basis",
        TEXT,
        "count (the shop's own count agreed), files (what files have of the day is all there), repeat (no count, the "
        "same answer on another day) or none (no count, and nothing odd: not compared).",
    ),
    Column("held_at", STAMP, "When the last reading of the day began."),
    Column("orders", COUNT, "Different orders that came."),
    Column("source_count", COUNT, "The shop's count of the day, where it was asked for alone.", is_nullable=True),
    Column("fingerprint", TEXT, "Hash of what came, to tell the same answer.", is_nullable=True),
    Column("since", STAMP, "Since when the day is in this state; of an unproved one, with this answer."),
    Column("again_at", STAMP, "From when on a poll has it read again.", is_nullable=True),
    Column("reason", TEXT, "What is missing or odd, in words.", is_nullable=True),
)

DAY_PROOFS = Table(
    schema="ops",
    name="day_proofs",
    description="What each business day of orders was last held against the shop by, and when.",
    columns=_PROOF_COLUMNS,
    key=("day",),
)

RELATED_PROOFS = Table(
    schema="ops",
    name="related_proofs",
    description="The same of each list that is related to orders; orders are its records.",
    columns=(Column("list_name", TEXT, "The list's raw table, as in raw.order_refunds."), *_PROOF_COLUMNS),
    key=("list_name", "day"),
)

CANCELLATIONS_SEEN = Table(
    schema="ops",
    name="cancellations_seen",
    description="Since when orders are cancelled, of a shop that says that they are and not since when "
    "(cancelled_when): first seen so, and kept until an order is seen uncancelled.",
    columns=(
        Column("order_id", TEXT, "The order's id."),
        Column(
            "cancelled_at",
            STAMP,
            "The change stamp of the version in which it was first seen cancelled, else when that was read; the shop's "
            "own moment where it gives one.",
        ),
        Column("seen_at", STAMP, "When that was written."),
    ),
    key=("order_id",),
)

DELETED_ORDERS = Table(
    schema="ops",
    name="deleted_orders",
    description="Orders that a later extraction of their business day no longer found: deleted, or moved, in the shop.",
    columns=(
        Column("order_id", TEXT, "The order's id."),
        Column("order_date", DAY, "Business day of the order."),
        Column("deleted_at", STAMP, "When the extraction without it was written."),
        Column("run_id", TEXT, RUN_ID),
        Column("extracted_at", STAMP, "When the order was read for the last time."),
        Column("payload", TEXT, "The record as the shop sent it last.", is_json=True, is_personal=True),
        Column("reappeared_at", STAMP, "When an extraction found it again.", is_nullable=True),
    ),
    key=("order_id", "order_date", "deleted_at"),
)

UNDATED_ORDERS = Table(
    schema="ops",
    name="undated_orders",
    description="Orders that belong to no business day, since theirs cannot be read: in quarantine or left out, beside "
    "the days. An order leaves when a day has it.",
    columns=(
        Column("order_id", TEXT, "The order's id; a key of its content where it has none."),
        Column("seen_on", DAY, "Business day on which it was first seen."),
        Column("first_seen_at", STAMP, "When it was first seen."),
        Column("last_seen_at", STAMP, "When it was last seen."),
        Column("is_excluded", FLAG, "Whether a rule of the description leaves it out."),
        Column("reason", TEXT, "The first rule that it broke, or the reason of the rule that leaves it out."),
        Column("column_name", TEXT, "The field of the description that broke it.", is_nullable=True),
        Column("value", TEXT, "The offending value as text, cut at 200 characters.", is_nullable=True),
        Column("currency", TEXT, "ISO 4217 code of the amount, where the record has one.", is_nullable=True),
        Column("money_at_risk", MONEY, "What it claims to add up to, where that can be read.", is_nullable=True),
        Column("payload", TEXT, "The record as the shop sent it last.", is_json=True, is_personal=True),
    ),
    key=("order_id",),
)

POLLS = Table(
    schema="ops",
    name="polls",
    description="One row per successful poll of the shop for late changes; the newest one holds the cursor.",
    columns=(
        Column("polled_at", STAMP, "When the poll was over."),
        Column("asked_since", STAMP, "Changes since then were asked for.", is_nullable=True),
        Column("newest_change", STAMP, "The cursor: all changes up to then have been seen.", is_nullable=True),
        Column("orders_seen", COUNT, "Different orders that the shop named as changed."),
        Column("orders_changed", COUNT, "Those of them that differ from what is stored."),
        Column("days_marked", COUNT, "Business days marked as stale."),
        Column("as_of", STAMP, "What counted as now for what was due.", is_nullable=True),
        Column("requests", COUNT, "Requests made.", is_nullable=True),
        Column("requests_again", COUNT, "Those that held loaded days against the shop again.", is_nullable=True),
        Column("days_held", COUNT, "Loaded days that were read again and had not changed.", is_nullable=True),
        Column("related", TEXT, "The cursors of related lists, by name.", is_nullable=True, is_json=True),
    ),
    key=("polled_at",),
)

STALE_DAYS = Table(
    schema="ops",
    name="stale_days",
    description="Business days to be loaded again; a day leaves when its ledger is written, an unfinished one that has "
    "failed when it is whole.",
    columns=(
        Column("day", DAY, "Business day of the orders."),
        Column(
            "reason",
            TEXT,
            "Why: late_order, edit, refund, cancellation, deleted (in the shop), count (the shop has another number), "
            "reread (it could not be compared), replay, today, moved (to or from another day), rules (made by others "
            "than those of now), file (the rows of a file differ), unfinished (a run was killed or failed between two "
            "layers), missing (a run was to load it and did not, or it lies between loaded days), related (a stored "
            "record of a related list is new, changed or gone: the orders are to be cleaned with it), related_list (a "
            "related list of the day has other records in the shop), unproved (to be held against the shop again), "
            "webhook (the shop has called: ops.webhook_calls), "
            "dimensions (loading it without customers and products has found a change that needs them).",
        ),
        Column("order_ids", TEXTS, "The orders that changed; empty for a day that is read again as a whole."),
        Column("event_days", DAYS, "Business days whose figures these orders affect, before and after."),
        Column(
            "needs_dimensions",
            FLAG,
            "Whether customers and products are read with it: an order names one that is not stored, or was its "
            "customer's first one. Null, which counts as yes, where orders were not compared.",
            is_nullable=True,
        ),
        Column("first_seen_at", STAMP, "When the day went stale."),
        Column(
            "seen_at",
            STAMP,
            "When it was last seen to be stale; an extraction that begins later is of what was seen then.",
        ),
        Column("failures", COUNT, "Runs of the day that failed since."),
        Column("failed_run_id", TEXT, "The last of these runs.", is_nullable=True),
        Column("parked_at", STAMP, "When it was given up: no longer retried by itself.", is_nullable=True),
        Column("again_at", STAMP, "Not to be tried before, since the shop did not answer.", is_nullable=True),
    ),
    key=("day", "reason"),
)

ORDER_CHANGES = Table(
    schema="ops",
    name="order_changes",
    description="What a rewritten order changed on a business day that a mart already has: one row per order and day.",
    columns=(
        Column("change_id", COUNT, "Number of the change, ascending."),
        Column("changed_at", STAMP, "When the change was written."),
        Column("run_id", TEXT, RUN_ID),
        Column("order_id", TEXT, "The order; null where a customer's record moved a first order.", is_nullable=True),
        Column("order_date", DAY, "Business day of the order.", is_nullable=True),
        Column("event_date", DAY, "Business day whose figures change."),
        Column("currency", TEXT, "ISO 4217 code of the amounts; null for a first order that moved.", is_nullable=True),
        Column("cause", TEXT, _CAUSE),
        Column("is_first_order", FLAG, "Whether only the day of a customer's first order moved."),
        *(
            Column(
                name,
                COUNT if name in _COUNTED else MONEY,
                f"Change of {name}: new less old.",
                filler="0" if name == "charges" or name in OF_KINDS else None,
            )
            for name in LEDGER_MEASURES
        ),
    ),
    key=("change_id",),
    indexes=("event_date",),
)

PUBLICATIONS = Table(
    schema="ops",
    name="publications",
    description="Every number of a watched mart as it was first published, once its business day was over.",
    columns=(
        Column("mart", TEXT, "Name of the mart."),
        Column("day", DAY, "Business day."),
        Column("key", TEXT, _KEY),
        Column("metric", TEXT, "Column of the mart."),
        Column("value", MONEY, "The number; null where the mart has none.", is_nullable=True),
        Column("published_at", STAMP, "When."),
        Column("run_id", TEXT, RUN_ID),
    ),
    key=("mart", "day", "key", "metric"),
)

RESTATEMENTS = Table(
    schema="ops",
    name="restatements",
    description="Every published number that changed later: from what to what, when, why, and which orders did it.",
    columns=(
        Column("mart", TEXT, "Name of the mart."),
        Column("day", DAY, "Business day of the number."),
        Column("key", TEXT, _KEY),
        Column("metric", TEXT, "Column of the mart."),
        Column("old_value", MONEY, "As it stood; null where there was none.", is_nullable=True),
        Column("new_value", MONEY, "As it stands since; null where there is none.", is_nullable=True),
        Column("difference", MONEY, "New less old, where none counts as zero."),
        Column("explained", MONEY, "Sum of the orders' own changes, where they have this metric.", is_nullable=True),
        Column("restated_at", STAMP, "When."),
        Column("run_id", TEXT, RUN_ID),
        Column("cause", TEXT, f"{_CAUSE} Several are joined with a comma."),
        Column("order_ids", TEXTS, "The orders that did it."),
        Column("is_of_closed_day", FLAG, "Whether the day was closed (closed_until) when the number changed."),
    ),
    key=("mart", "day", "key", "metric", "restated_at"),
)

BLOCKED_ORDERS = Table(
    schema="ops",
    name="blocked_orders",
    description="What quarantine would hold of the days that were not written for it, as of the last run that tried.",
    columns=(
        Column("order_date", DAY, "Business day of the order."),
        Column("order_id", TEXT, "The order's id, as the shop gives it."),
        Column("kind", TEXT, "The order, or a refund or the cancellation of one that is well."),
        Column("event_id", TEXT, "Which refund; empty for an order and for a cancellation."),
        Column("table_name", TEXT, "The table that the record was meant for."),
        Column("reason", TEXT, "The first rule that it broke."),
        Column("column_name", TEXT, "The field of the description that broke it, or the column made of it."),
        Column("value", TEXT, "The offending value as text, cut at 200 characters.", is_nullable=True),
        Column("currency", TEXT, "ISO 4217 code of the money at risk.", is_nullable=True),
        Column("money_at_risk", MONEY, "What it claims to add up to, or gives back.", is_nullable=True),
        Column("contract_version", TEXT, "Version of the rules that judged it.", is_nullable=True),
        Column("run_id", TEXT, RUN_ID),
        Column("blocked_at", STAMP, "When."),
    ),
    key=("order_date", "order_id", "kind", "event_id"),
    day_column="order_date",
)

OPS_TABLES = (
    MATERIALISED_DAYS,
    CODE_VERSIONS,
    EXTRACTIONS,
    REPLACED_ORDERS,
    DAY_PROOFS,
    RELATED_PROOFS,
    CANCELLATIONS_SEEN,
    DELETED_ORDERS,
    UNDATED_ORDERS,
    POLLS,
    STALE_DAYS,
    ORDER_CHANGES,
    PUBLICATIONS,
    RESTATEMENTS,
    SHOP_REPORTS.table,
    HELD_BACK_SALES,
    INCIDENTS,
    BLOCKED_ORDERS,
    FIELDS,
    FIELD_CHANGES,
    ERROR_EXCERPTS,
    *FILE_TABLES,
    PRODUCT_PAGES,
    WEBHOOK_CALLS,
    WEBHOOK_REFUSALS,
    INSTALLATION,
)
"""All tables of the pipeline's own history; `warehouse.schema` makes them."""
