"""The tables of a shop's calls: those that were taken, and how many were refused. Shapes only."""

from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, STAMP, TEXT, Column, Table

WEBHOOK_CALLS = Table(
    schema="ops",
    name="webhook_calls",
    description="Calls of the shop that were signed and taken, of 30 days: which order they are of, and what they did. "
    "What they held is not kept, and no figure is made of it.",
    columns=(
        Column(
            "call_id",
            TEXT,
            "The call's id, the same when it comes again; with a hash of what it held where the shop's is not signed.",
        ),
        Column("content", TEXT, "SHA-256 of what it held: the same under another id says nothing new."),
        Column("topic", TEXT, "What it is about, as the shop names it."),
        Column("order_id", TEXT, "The order, as `raw.orders` names it.", is_nullable=True),
        Column(
            "order_date", DAY, "Business day of the order, where the call says when it was placed.", is_nullable=True
        ),
        Column("changed_at", STAMP, "The order's change stamp, where the call has it.", is_nullable=True),
        Column("happened_at", STAMP, "When that happened which it reports, by the shop.", is_nullable=True),
        Column("is_deletion", FLAG, "Whether it reports that the order is gone."),
        Column("received_at", STAMP, "When it was taken."),
        Column(
            "outcome",
            TEXT,
            "What it did: marked (days that it affects are in ops.stale_days), known (the order is stored as new), "
            "not_loaded (its day is not loaded, so that nothing is stale), poll (the shop is asked what changed, since "
            "the day is not known), unknown (nor can the shop be asked), other (it is of no order), waiting (it is not "
            "judged yet).",
        ),
        Column("repeats", COUNT, "How often it came again."),
    ),
    key=("call_id",),
    indexes=("content", "received_at"),
)

WEBHOOK_REFUSALS = Table(
    schema="ops",
    name="webhook_refusals",
    description="How many calls were refused, of 30 days: nothing else of them is kept.",
    columns=(
        Column("day", DAY, "Day in UTC."),
        Column(
            "reason",
            TEXT,
            "unsigned, wrong_signature, late (signed too long ago, or in the future), too_large, too_many_headers, "
            "too_slow, cut, unreadable, busy, no_database.",
        ),
        Column("calls", COUNT, "How many."),
        Column("last_at", STAMP, "When the last of them came."),
    ),
    key=("day", "reason"),
)
