"""A shop that is read from files, as a source that reads the files themselves: to look at what a description makes.

Nothing is stored, and nothing that was stored is known: runs read the store (`store`). All files are read for each
question.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.errors import FolderRefusedError
from analytics_pipeline.plain import counted
from analytics_pipeline.shop.endpoints import Records as Described
from analytics_pipeline.shop.files import ID, FileList, FileOrders
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.files.finding import Found
from analytics_pipeline.sources.files.opening import opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.records import FileBatches, file_lists, folder_of, found_files
from analytics_pipeline.sources.files.store import StoredRecords
from analytics_pipeline.sources.ranges import DaysRead, Part
from analytics_pipeline.sources.records import FILES_BASIS, Progress, Records
from analytics_pipeline.sources.source import OrdersRead, SourceCheck
from analytics_pipeline.sources.spool import spool
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.tables.files import CUSTOMERS, ORDERS, PRODUCTS
from analytics_pipeline.transforms.file_joins import Fragment, OrderJoins
from analytics_pipeline.transforms.file_records import FileRead
from analytics_pipeline.transforms.raw import (
    CUSTOMERS_SCHEMA,
    NO_ID,
    ORDERS_SCHEMA,
    PRODUCTS_SCHEMA,
    RecordRows,
    dimension_reading,
)


class DirectSource:
    """Reads the files of one shop; a `Source`.

    Attributes:
        shop: The description.
        statistics: It costs no request.
    """

    def __init__(self, shop: Shop, project: Path) -> None:
        """Take the description, and the folder that its own begins at."""
        self.shop, self.statistics = shop, Statistics()
        self._project = project

    def read_orders(self, days: Days, stack: ExitStack, *, is_over: bool, progress: Progress) -> OrdersRead:
        """Read the orders of business days, as `orders` does."""
        del is_over
        part = Part(days.first, days.last, stack.enter_context(spool(ORDERS_SCHEMA)), basis=FILES_BASIS)
        read = self.orders(days)
        for batch in read:
            part.take(batch)
            progress(read)
        part.count(read)
        return OrdersRead(DaysRead([part]))

    def orders(self, days: Days) -> Records:
        """Read the orders of business days, which all files have together; those of a few days.

        Raises:
            FileRefusedError, GrowingFileError: A file cannot be read.
            FolderRefusedError, FolderUnavailableError: The folder cannot be looked into.
        """
        if not isinstance(self.shop.orders, FileOrders):
            raise TypeError("only orders that are read from files can be read so")
        joins, has_ids = OrderJoins(self.shop.orders), self.shop.orders.has_ids
        wanted = frozenset(days)
        fragments: dict[str, list[Fragment]] = {}
        alone: dict[str, list[Fragment]] = {}
        for found, batch in self._batches(ORDERS):
            for row in batch.to_pylist():
                if row["day"] in wanted or row["record_key"] in fragments:
                    one = Fragment(found.path, found.modified, 0, row["line"], row["day"], row["payload"])
                    (alone if row["is_by_content"] else fragments).setdefault(row["record_key"], []).append(one)
        rows = [(key, day, text) for key, parts in fragments.items() for day, text in joins.join(parts).records]
        for key, parts in alone.items():
            for place, one in enumerate(parts, 1):
                name = f"{NO_ID}{key}:{place}" if has_ids else f"{key}-{place}"
                text = one.payload if has_ids else f'{one.payload[:-1]},"{ID}":"{name}"}}'
                rows.append((name, one.day, text))
        now = datetime.now(UTC)
        kept = [(name, day, now, text) for name, day, text in rows if day in wanted]
        columns = zip(*kept, strict=True) if kept else [()] * len(ORDERS_SCHEMA)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, ORDERS_SCHEMA, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=ORDERS_SCHEMA)
        read = StoredRecords(ORDERS_SCHEMA, iter([batch]), len({name for name, *_ in kept}))
        read.came.distinct = read.source_count
        return read

    def customers(self, changed_since: datetime | None = None) -> Records:
        """Read the customers of all files; raises as `orders`."""
        del changed_since
        fields = self.shop.customers.fields
        return self._dimension(
            CUSTOMERS, self.shop.customers, CUSTOMERS_SCHEMA, (fields.customer_id, fields.updated_at)
        )

    def products(self, changed_since: datetime | None = None) -> Records:
        """Read the products of all files; raises as `orders`."""
        del changed_since
        fields = self.shop.products.fields
        return self._dimension(PRODUCTS, self.shop.products, PRODUCTS_SCHEMA, (fields.product_id, fields.updated_at))

    def last_day_with_orders(self, until: date) -> date | None:
        """Return the last business day up to one on which a file has an order; raises as `orders`."""
        days = [
            day
            for _, batch in self._batches(ORDERS)
            for day in batch.column(batch.schema.get_field_index("day")).to_pylist()
            if day is not None and self.shop.first_day <= day <= until
        ]
        return max(days, default=None)

    def check(self) -> SourceCheck:
        """Look which files there are.

        Raises:
            FolderRefusedError, FolderUnavailableError: The folder cannot be looked into, or has no file of orders.
        """
        found = {name: self._found(name) for name in file_lists(self.shop)}
        folder = self.shop.files.folder if self.shop.files else ""
        if not found.get(ORDERS):
            patterns = ", ".join(self.shop.orders.files) if isinstance(self.shop.orders, FileList) else ""
            raise FolderRefusedError(f"the folder {folder} has no file of orders: none is called {patterns}")
        now, settle = datetime.now(UTC), self.shop.files.settle_seconds if self.shop.files else 0
        fresh = [one.path for files in found.values() for one in files if not one.is_settled(now, settle)]
        counts = ", ".join(f"{counted(len(files), 'file')} of {name}" for name, files in found.items())
        notes = (f"not complete yet, and left for the next look: {', '.join(fresh)}",) if fresh else ()
        absent = [f"no file of {name}" for name, files in found.items() if not files]
        return SourceCheck(f"{folder} has {counts}", (*notes, *absent))

    def _found(self, name: str) -> list[Found]:
        folder, listed = folder_of(self.shop, self._project), file_lists(self.shop).get(name)
        return [] if folder is None or listed is None else found_files(folder, listed)

    def _batches(self, name: str) -> Iterator[tuple[Found, pa.RecordBatch]]:
        """Yield the records of all files of a list, each with its file."""
        for outer in self._found(name):
            listed = file_lists(self.shop)[name]
            for found in members(outer, listed):
                with opened(found, listed) as content:
                    for batch in FileBatches(self.shop, listed, content, FileRead()):
                        yield found, batch

    def _dimension(self, name: str, listed: Described, schema: pa.Schema, paths: tuple[str, str | None]) -> Records:
        newest: dict[tuple[str, bool], tuple[datetime, str, int, str]] = {}
        for found, batch in self._batches(name):
            for row in batch.to_pylist():
                key, version = (row["record_key"], row["is_by_content"]), (found.modified, found.path, row["line"])
                newest[key] = max(newest.get(key, (*version, row["payload"])), (*version, row["payload"]))
        payloads = [payload.encode() for *_, payload in newest.values()]
        rows = RecordRows(dimension_reading(self.shop, listed, schema, paths))
        batch = rows.batch(payloads, rows.values(payloads), f"the files of {name}")
        read = StoredRecords(schema, iter([batch]), len(payloads))
        read.came.distinct, read.odd = len(payloads), rows.odd
        return read
