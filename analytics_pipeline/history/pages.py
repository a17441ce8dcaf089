"""What is known of a shop's product pages, and keeping what a crawl found, in the write of its products."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.tables.pages import PRODUCT_PAGES, Page
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import query

_PAGES = PRODUCT_PAGES.sql_name


def known_pages(database: Database) -> dict[str, Page]:
    """Return all pages that a sitemap has ever listed, by URL."""
    names = ", ".join(column.name for column in PRODUCT_PAGES.columns)
    rows = query(database, f"select {names} from {_PAGES}")
    return {row["url"]: Page(**{**row, "product_ids": tuple(row["product_ids"])}) for row in rows}


def pages_line(database: Database, zone: ZoneInfo) -> str:
    """Say how far the shop's product pages are read, in a line for `status`."""
    row = query(
        database,
        f"""
        select
            count(*) filter (where state <> 'forbidden') as listed,
            count(read_at) as read,
            min(read_at) as oldest,
            count(*) filter (where state = 'faulty') as faulty,
            count(*) filter (where state = 'failed') as failed
        from {_PAGES} where listed_at = (select max(listed_at) from {_PAGES})
        """,
    )[0]
    if not row["listed"]:
        return "pages        no product page is listed: analytics-pipeline shop check"
    oldest = f", the oldest reading of {row['oldest'].astimezone(zone):%Y-%m-%d %H:%M %Z}" if row["oldest"] else ""
    odd = "".join(f", {row[name]} {name}" for name in ("faulty", "failed") if row[name])
    where = " (ops.product_pages says why)" if odd else ""
    return f"pages        {row['read']} of {row['listed']} product pages read{oldest}{odd}{where}"


@dataclass(frozen=True)
class ExtractedPages:
    """Products of some pages of the shop, and what became of its pages.

    Attributes:
        rows: Rows of `raw.products`, which replace those of the same products; others stay.
        pages: All pages that are listed, by URL.
    """

    rows: pa.RecordBatchReader
    pages: Mapping[str, Page]


@dataclass(frozen=True)
class PagesKept:
    """Keeps the pages in the transaction that writes their products: none counts as read whose products are not in."""

    pages: Mapping[str, Page]

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Nothing of the old rows matters."""

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
        """Put the pages in the place of what was known of them."""
        del table, part
        rows = pa.Table.from_pylist([page.row for page in self.pages.values()], schema=PRODUCT_PAGES.arrow_schema)
        cursor.execute(f"create temporary table pages_found (like {_PAGES}) on commit drop")
        copy_rows(cursor, "pages_found", rows)
        cursor.execute(f"delete from {_PAGES} where url in (select url from pages_found)")
        cursor.execute(f"insert into {_PAGES} select * from pages_found")
