"""The tables of what the installation notes of itself: incidents, fields of records, what errors quote, facts.

Shapes only, as in `history`, which has those of business days, orders and published numbers.
"""

from analytics_pipeline.tables.shape import COUNT, SHARE, STAMP, TEXT, TEXTS, Column, Table

RUN_ID = "Dagster's id of the run."
"""What the column of a run says."""

INCIDENTS = Table(
    schema="ops",
    name="incidents",
    description="Everything that went wrong and that somebody is notified of: since when, notified when, over when.",
    columns=(
        Column("key", TEXT, "What went wrong, as a name: at most one incident of a key is open."),
        Column("kind", TEXT, "run_failed, check_failed, day_parked, day_late or no_poll."),
        Column("subject", TEXT, "The run's job and days, the check, or the business day."),
        Column("opened_at", STAMP, "Since when."),
        Column("last_sent_at", STAMP, "When it was last sent to a receiver; null while none has it.", is_nullable=True),
        Column("sends", COUNT, "How often it was sent: at first, again, and that it is over."),
        Column("closed_at", STAMP, "When it was seen to be over.", is_nullable=True),
        Column("text", TEXT, "What happened, and what to do."),
        Column("run_id", TEXT, f"{RUN_ID} The last one it happened in.", is_nullable=True),
        Column("over_sent_at", STAMP, "When its end was sent; logged where no receiver is set.", is_nullable=True),
        Column("unreached", TEXTS, "Receivers that lack the last message, by their place in ANALYTICS_ALERT_URLS."),
    ),
    key=("key", "opened_at"),
)

_ENDPOINT = "The shop's list: orders, customers or products."
_PATH = "The field; [] stands for the entries of a list, * for the keys of a map."

FIELDS = Table(
    schema="ops",
    name="fields",
    description="The fields of the shop's records and their types, as all profiles so far have seen them.",
    columns=(
        Column("endpoint", TEXT, _ENDPOINT),
        Column("path", TEXT, _PATH),
        Column("json_type", TEXT, "string, number, boolean, null, object or list."),
        Column("first_seen_at", STAMP, "When it was seen first."),
        Column("last_seen_at", STAMP, "When it was seen last."),
        Column("records", COUNT, "Records that had it, of those looked at."),
        Column("holders", COUNT, "Records that had the object or list that it lies in, since it was first seen."),
        Column("share", SHARE, "Share of these that had it in the last profile."),
        Column("example", TEXT, "A value, or its length where it may tell of a person.", is_nullable=True),
        Column("missing_since", STAMP, "When it was first missed; null while it is there.", is_nullable=True),
    ),
    key=("endpoint", "path", "json_type"),
)

FIELD_CHANGES = Table(
    schema="ops",
    name="field_changes",
    description="Every change of the fields of the shop's records since the first profile.",
    columns=(
        Column("endpoint", TEXT, _ENDPOINT),
        Column("path", TEXT, _PATH),
        Column("change", TEXT, "new, missing, retyped or back."),
        Column("seen_at", STAMP, "When it was seen."),
        Column("run_id", TEXT, RUN_ID),
        Column("role", TEXT, "Key of the description that reads the field, where one does.", is_nullable=True),
        Column("message", TEXT, "The change in words."),
        Column("example", TEXT, "A value, or its length where it may tell of a person.", is_nullable=True),
    ),
    key=("endpoint", "path", "change", "seen_at"),
)

ERROR_EXCERPTS = Table(
    schema="ops",
    name="error_excerpts",
    description=(
        "What errors quote: the shop's own words, values that broke a rule, texts of drivers. Personal data: it is in "
        "no message, log or alert. Kept for 30 days, the newest 200."
    ),
    columns=(
        Column("at", STAMP, "When it was kept."),
        Column("run_id", TEXT, f"{RUN_ID} Null outside of runs.", is_nullable=True),
        Column("place", TEXT, "Where it happened: the step, or the command."),
        Column("message", TEXT, "The error's message, which quotes nothing."),
        Column("excerpt", TEXT, "What it would have quoted, cut at 2,000 characters.", is_personal=True),
    ),
    key=(),
    indexes=("at",),
)

INSTALLATION = Table(
    schema="ops",
    name="installation",
    description="Facts about this database that every process holds itself against, one row each.",
    columns=(
        Column(
            "name",
            TEXT,
            "Which fact: shop_... is whose it is, schema_version the version of these tables, email_key a fingerprint.",
        ),
        Column("value", TEXT, "The fact; no secret."),
        Column("set_at", STAMP, "When it was set."),
    ),
    key=("name",),
)
