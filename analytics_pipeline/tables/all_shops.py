"""Tables about all shops of an installation, for marts that read every one of them; they lie with the plain names."""

from analytics_pipeline.tables.shape import DAY, STAMP, TEXT, Column, Table

SHOP_DAYS = Table(
    schema="ops",
    name="shop_days",
    description="Each shop's business days that are over, and which of them are not loaded. Only marts of all shops "
    "read it: it is made within their statements.",
    columns=(
        Column("shop", TEXT, "The shop."),
        Column("day", DAY, "The business day, in the shop's zone."),
        Column("currency", TEXT, "The shop's currency."),
        Column("as_of", STAMP, "The day is as the shop knew it then; null where it is not loaded.", is_nullable=True),
        Column("gap", TEXT, "`not loaded` where the shop has no figures of the day, else null.", is_nullable=True),
    ),
)

SHOP_DAYS_READ = Table(
    schema="ops",
    name="shop_days_read",
    description="Which writing of each shop's day a day of a mart over all shops was made from.",
    columns=(
        Column("mart", TEXT, "The mart, as in daily_revenue_of_shops."),
        Column("day", DAY, "The business day."),
        Column("shop", TEXT, "The shop."),
        Column(
            "written_at",
            STAMP,
            "When the last of the shop's tables that the mart reads was written for the day; null where it is a gap.",
            is_nullable=True,
        ),
    ),
    key=("mart", "day", "shop"),
)
