"""The table of a shop's product pages: what was read when, and what became of it.

Its shape, and a row of it as a value. What is written in it is decided by `sources.pages`, and when by `history.pages`.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from analytics_pipeline.tables.shape import COUNT, STAMP, TEXT, TEXTS, Column, Table

PageState = Literal["waiting", "read", "faulty", "gone", "forbidden", "failed"]

PRODUCT_PAGES = Table(
    schema="ops",
    name="product_pages",
    description="One row per product page that a sitemap of the shop has listed: when it was read, and what came of "
    "it. No row is deleted: the products of a page that is gone are kept.",
    columns=(
        Column("url", TEXT, "The page, as it is asked for."),
        Column(
            "state",
            TEXT,
            "waiting (not read yet), read, faulty (something on it could not be read: see reason), gone (the shop says "
            "that it is no more), forbidden (by robots.txt: not asked for) or failed (no answer that is a page).",
        ),
        Column("first_listed_at", STAMP, "When a sitemap was first seen to list it."),
        Column("listed_at", STAMP, "When a sitemap was last seen to list it."),
        Column("changed_at", STAMP, "When it was changed, as the sitemap says; a day's end.", is_nullable=True),
        Column("tried_at", STAMP, "When it was last asked for.", is_nullable=True),
        Column("read_at", STAMP, "When it last answered, or said that it is unchanged or gone.", is_nullable=True),
        Column("status", COUNT, "HTTP status of the last answer.", is_nullable=True),
        Column("reason", TEXT, "What is wrong with it, in words.", is_nullable=True),
        Column("product_ids", TEXTS, "Products that it had when it was last read."),
        Column("etag", TEXT, "Its version, as the shop names it.", is_nullable=True),
        Column("last_modified", TEXT, "Its last change, as the answer's header says.", is_nullable=True),
        Column("read_by", TEXT, "Hash of the rules that its records were made by.", is_nullable=True),
    ),
    key=("url",),
)


@dataclass(frozen=True, slots=True)
class Page:
    """A row of `ops.product_pages`, whose columns these are."""

    url: str
    first_listed_at: datetime
    listed_at: datetime
    state: PageState = "waiting"
    changed_at: datetime | None = None
    tried_at: datetime | None = None
    read_at: datetime | None = None
    status: int | None = None
    reason: str | None = None
    product_ids: tuple[str, ...] = ()
    etag: str | None = None
    last_modified: str | None = None
    read_by: str | None = None

    @property
    def row(self) -> dict[str, Any]:
        """Its values by column."""
        return asdict(self)
