"""A shop that is read from files, as a source: its records come out of the store that files were taken into.

Nothing is read from a file here, and nothing is written. Everything is read from one state of the store, whatever is
taken in meanwhile.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import chain, groupby
from operator import itemgetter

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.errors import CountError, ProofError
from analytics_pipeline.shop.endpoints import Records as Described
from analytics_pipeline.shop.files import ID, FileList, FileOrders
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.ranges import DaysRead, Part
from analytics_pipeline.sources.records import FILES_BASIS, Progress, Records
from analytics_pipeline.sources.source import OrdersRead, SourceCheck
from analytics_pipeline.sources.spool import spool
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.tables.files import CUSTOMERS, FILE_RECORDS, FILES, ORDERS, PRODUCTS
from analytics_pipeline.transforms.file_joins import Fragment, JoinsMade, OrderJoins
from analytics_pipeline.transforms.raw import (
    CUSTOMERS_SCHEMA,
    NO_ID,
    ORDERS_SCHEMA,
    PRODUCTS_SCHEMA,
    OddRecords,
    RecordRows,
    UndatedRecord,
    dimension_reading,
)
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection, in_schemas

RECORDS, BOOK = FILE_RECORDS.sql_name, FILES.sql_name
ORDERS_AT_A_TIME = 1_000
MOST_NAMED = 3
Ask = Callable[[str], Connection]
_NEWEST_DAY = "(array_agg(day order by day is null, modified_at desc, path desc, file_id desc))[1]"


@dataclass
class Counts:
    """How many records came."""

    distinct: int = 0
    shifted: int = 0


class StoredRecords(Iterator[pa.RecordBatch]):
    """Batches out of the store; a `Records`.

    Attributes:
        schema: Arrow schema of the batches.
        came: How many records came.
        source_count: How many there are, by a count of its own.
        count_fault: Nothing is wrong with that.
        outside_window: Nothing comes that was not asked for.
        undated: Records without a day are kept when they are taken in.
        odd: What was not as described so far.
        statistics: It costs no request.
        records: Rows given so far.
    """

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch], source_count: int) -> None:
        self.schema, self.source_count = schema, source_count
        self.came, self.odd, self.statistics = Counts(), OddRecords(), Statistics()
        self.count_fault: str | None = None
        self.outside_window = self.records = 0
        self.undated: Sequence[UndatedRecord] = ()
        self._batches = batches

    def __next__(self) -> pa.RecordBatch:
        batch = next(self._batches)
        self.records += batch.num_rows
        return batch

    @property
    def agrees(self) -> bool:
        """Whether as many came as there are."""
        return self.came.distinct == self.source_count


class StoreSource:
    """Reads the records of one shop out of the store; a `Source`.

    Attributes:
        shop: The description.
        statistics: It costs no request.
    """

    def __init__(self, shop: Shop, database: Database) -> None:
        """Take the description, and where the store lies."""
        self.shop, self.statistics = shop, Statistics()
        self._database = database

    def read_orders(self, days: Days, stack: ExitStack, *, is_over: bool, progress: Progress) -> OrdersRead:
        """Read the orders of business days, and hold them against the store's own count.

        Raises:
            CountError: Others came than are there.
        """
        del is_over  # what comes in meanwhile marks its days
        days = Days(days.first, days.last)
        part = Part(days.first, days.last, stack.enter_context(spool(ORDERS_SCHEMA)), basis=FILES_BASIS)
        with self._reading() as ask:
            orders = _Orders(self.shop, ask, days)
            read = orders.records()
            for batch in read:
                part.take(batch)
                progress(read)
            part.covered = _covered(ask, days)
            missing = _not_taken(ask)
        read.came.distinct = len(part.days)
        if not read.agrees or orders.rows_given != orders.rows:
            raise CountError(
                f"{read.came.distinct} orders of {orders.rows_given} rows came out of the store of files, which has "
                f"{read.source_count} of {orders.rows} rows",
                arrived=read.came.distinct,
                counted=read.source_count,
            )
        part.count(read)
        reason = f"no file has rows of it, and what {missing} has is not known yet"
        unknown = [day for day in days if day not in part.covered] if missing else []
        return OrdersRead(DaysRead([part], {day: ProofError(reason) for day in unknown}), joined=orders.joined)

    def orders(self, days: Days) -> Records:
        """Read the orders of business days, all of them into memory: those of a few days."""
        with self._reading() as ask:
            orders = _Orders(self.shop, ask, days)
            read = orders.records()
            batches = list(read)
        read = StoredRecords(ORDERS_SCHEMA, iter(batches), read.source_count)
        read.came.distinct = len({name for batch in batches for name in batch.column(0).to_pylist()})
        return read

    def customers(self, changed_since: datetime | None = None) -> Records:
        """Read all customers, of each the newest row."""
        del changed_since
        listed = self.shop.customers
        paths = (listed.fields.customer_id, listed.fields.updated_at)
        return self._dimension(CUSTOMERS, listed, CUSTOMERS_SCHEMA, paths)

    def products(self, changed_since: datetime | None = None) -> Records:
        """Read all products, of each the newest row."""
        del changed_since
        listed = self.shop.products
        paths = (listed.fields.product_id, listed.fields.updated_at)
        return self._dimension(PRODUCTS, listed, PRODUCTS_SCHEMA, paths)

    def last_day_with_orders(self, until: date) -> date | None:
        """Return the last business day with an order in the store."""
        within = f"list_name = '{ORDERS}' and day between date '{self.shop.first_day}' and date '{until}'"
        with self._reading() as ask:
            day: date | None = ask(f"select max(day) from {RECORDS} where {within}").fetchone()[0]
        return day

    def check(self) -> SourceCheck:
        """Say what is in the store."""
        with self._reading() as ask:
            of_files = f"select count(*), count(*) filter (where state = 'refused') from {BOOK}"
            files, refused = ask(of_files).fetchone()
        return SourceCheck(f"{files} files are known, {refused} of them refused")

    @contextmanager
    def _reading(self) -> Iterator[Ask]:
        """Give what answers a statement by a cursor, each out of the same state of the store."""

        def ask(statement: str) -> Connection:
            cursor.execute(in_schemas(statement, self._database.namespace))
            return cursor

        with self._database.reading() as cursor:
            cursor.execute("set transaction isolation level repeatable read, read only")
            yield ask

    def _dimension(self, name: str, listed: Described, schema: pa.Schema, paths: tuple[str, str | None]) -> Records:
        rows = RecordRows(dimension_reading(self.shop, listed, schema, paths))
        whole = isinstance(listed, FileList) and getattr(listed, "whole", False)
        of_newest = (
            f"and (path, file_id) = (select path, file_id from {BOOK} where list_name = '{name}' "
            "and file_id is not null order by modified_at desc, path desc limit 1)"
        )
        with self._reading() as ask:
            found = ask(
                f"select distinct on (record_key, is_by_content) payload from {RECORDS} where list_name = '{name}' "
                f"{of_newest if whole else ''} "
                "order by record_key, is_by_content, modified_at desc, path desc, file_id desc, line desc"
            )
            payloads = [payload.encode() for payload in found.fetch_arrow_table().column(0).to_pylist()]
        read = StoredRecords(schema, iter([rows.batch(payloads, rows.values(payloads), f"the files of {name}")]), 0)
        read.source_count = read.came.distinct = len(payloads)
        read.odd = rows.odd
        return read


class _Orders:
    """The orders of some business days, out of one state of the store.

    Attributes:
        joined: What has come of orders of which several files have something.
        rows: How many rows of files they are made of, by a count of its own.
        rows_given: Rows that came so far, those that newer ones have replaced too.
    """

    def __init__(self, shop: Shop, ask: Ask, days: Days) -> None:
        if not isinstance(shop.orders, FileOrders):
            raise TypeError("only orders that are read from files are in the store")
        self._joins, self.joined = OrderJoins(shop.orders), JoinsMade()
        self.rows = self.rows_given = 0
        self._has_ids, self._ask, self._days = shop.orders.has_ids, ask, days
        self._now = datetime.now(UTC)
        within = f"list_name = '{ORDERS}' and {days.where('day')}"
        # Of an order of these days all that any file has.
        self._wanted = f"""
            with wanted as materialized (
                select record_key, is_by_content, count(*) as fragments from {RECORDS}
                where list_name = '{ORDERS}' and (record_key, is_by_content) in (
                    select record_key, is_by_content from {RECORDS} where {within}
                )
                group by record_key, is_by_content
            ),
            records as (
                select * from {RECORDS} join wanted using (record_key, is_by_content) where list_name = '{ORDERS}'
            )
        """

    def records(self) -> StoredRecords:
        """Return the records, which are read as they are taken."""
        return StoredRecords(ORDERS_SCHEMA, self._batches(), self._count())

    def _count(self) -> int:
        counted = self._ask(
            f"""
            {self._wanted},
            joined as (
                select record_key, {_NEWEST_DAY} as day, sum(rows)::bigint as rows from records
                where not is_by_content group by record_key
            ),
            counted as (select day, rows from joined union all select day, rows from records where is_by_content)
            select count(*), coalesce(sum(rows), 0)::bigint from counted where {self._days.where("day")}
            """
        )
        orders: int
        orders, self.rows = counted.fetchone()
        return orders

    def _batches(self) -> Iterator[pa.RecordBatch]:
        yield from self._streamed(
            "select record_key, day, payload, rows from records where not is_by_content and fragments = 1"
        )
        place = "row_number() over (partition by record_key order by path, line, file_id)"
        named = f"'{NO_ID}' || record_key || ':' || {place}" if self._has_ids else f"record_key || '-' || {place}"
        text = "payload" if self._has_ids else f"left(payload, -1) || ',\"{ID}\":\"' || name || '\"}}'"
        yield from self._streamed(
            f"select name, day, {text}, rows from (select {named} as name, day, payload, rows from records "
            f"where is_by_content) as named where {self._days.where('day')}"
        )
        yield from self._joined_orders()

    def _streamed(self, select: str) -> Iterator[pa.RecordBatch]:
        for batch in self._ask(f"{self._wanted} {select}").fetch_record_batch():
            self.rows_given += sum(batch.column(3).to_pylist())
            yield self._of(batch.column(0), batch.column(1), batch.column(2))

    def _joined_orders(self) -> Iterator[pa.RecordBatch]:
        """Yield the orders of which several files, or several places of one, have something."""
        fragments = self._ask(
            f"{self._wanted} select record_key, path, modified_at, file_id, line, day, payload from records "
            "where not is_by_content and fragments > 1 order by record_key"
        )
        batches = (zip(*batch.to_pydict().values(), strict=True) for batch in fragments.fetch_record_batch())
        found: list[tuple[str, date, str]] = []
        for key, parts in groupby(chain.from_iterable(batches), key=itemgetter(0)):
            order = self._joins.join([Fragment(*one[1:]) for one in parts])
            inside = [(key, day, payload) for day, payload in order.records if day is not None and day in self._days]
            if inside:
                found += inside
                self.rows_given += order.rows + order.replaced
                self.joined.note(key, order)
            if len(found) >= ORDERS_AT_A_TIME:
                yield self._of(*map(pa.array, zip(*found, strict=True)))
                found = []
        if found:
            yield self._of(*map(pa.array, zip(*found, strict=True)))

    def _of(self, ids: pa.Array, days: pa.Array, payloads: pa.Array) -> pa.RecordBatch:
        stamps = pa.array([self._now] * len(ids), ORDERS_SCHEMA.field("extracted_at").type)
        columns = [ids.cast(pa.string()), days.cast(pa.date32()), stamps, payloads.cast(pa.string())]
        return pa.RecordBatch.from_arrays(columns, schema=ORDERS_SCHEMA)


def _not_taken(ask: Ask) -> str:
    """Return the files of orders that are there and of which nothing was ever taken in; an empty text for none."""
    found = ask(
        f"select path || ' (' || state || ')' from {BOOK} where list_name = '{ORDERS}' and is_there "
        "and file_id is null and state in ('refused', 'waiting') order by path"
    ).fetchall()
    names = [name for (name,) in found]
    return ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} others" if len(names) > MOST_NAMED else "")


def _covered(ask: Ask, days: Days) -> set[date]:
    """Return those of some days of which files have something, or lie between days of which one file does."""
    found = ask(
        f"select distinct day from {RECORDS} where list_name = '{ORDERS}' and {days.where('day')} "
        "union select series::date from "
        f"(select first_day, last_day from {BOOK} where list_name = '{ORDERS}' and file_id is not null "
        f"and first_day <= date '{days.last}' and last_day >= date '{days.first}') as files, "
        "generate_series(first_day::timestamp, last_day::timestamp, interval '1 day') as series"
    )
    return {day for (day,) in found.fetchall() if day in days}
