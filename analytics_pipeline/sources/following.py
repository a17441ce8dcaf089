"""Lists that are asked for order by order: a call for each order of which the description says so, once it has come.

An order is never half read: a call that fails refuses the order's day, and the other days go on.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from analytics_pipeline.days import Days
from analytics_pipeline.decoding.mapping import compile_path
from analytics_pipeline.errors import (
    ITS_WORDS,
    AnswerError,
    CountError,
    DataError,
    PipelineError,
    ShopRefusedError,
    ShopUnavailableError,
)
from analytics_pipeline.shop.related import Follow
from analytics_pipeline.shop.requests import Query
from analytics_pipeline.sources.came import mixed
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.sources.ranges import DaysRead, Part
from analytics_pipeline.sources.spool import Spool, spool
from analytics_pipeline.transforms.raw import NO_ID, RELATED_SCHEMA, followed_reading
from analytics_pipeline.transforms.records import decoded, is_true
from analytics_pipeline.transforms.values import means_nothing

ROWS_AT_A_TIME = 1_000
MOST_UNANSWERED = 3
"""Days in a row for which the shop did not answer, after which it counts as down."""


class Followed:
    """The rows of one list that is asked for order by order, on disk.

    Attributes:
        name: The list's name in the description.
        rows: The rows, as `RELATED_SCHEMA`.
    """

    def __init__(self, client: ShopClient, name: str, stack: ExitStack) -> None:
        self.name, self.rows = name, stack.enter_context(spool(RELATED_SCHEMA))
        self._calls = OrderCalls(client, client.shop.orders.follow[name])
        self._asked: set[tuple[str, date]] = set()
        self._waiting: list[tuple[str, date, datetime, str, str]] = []

    def ask(self, order_id: str, day: date, document: object) -> list[str]:
        """Ask for an order's records, if the description says so and nobody has, and keep them; returns them.

        Raises: As `OrderCalls.ask`.
        """
        if (order_id, day) in self._asked or not self._calls.is_asked(order_id, document):
            return []
        payloads = self._calls.ask(order_id, document)
        self._asked.add((order_id, day))
        now = datetime.now(UTC)
        self._waiting += [
            (f"{order_id}/{place}", day, now, payload, order_id) for place, payload in enumerate(payloads, 1)
        ]
        if len(self._waiting) >= ROWS_AT_A_TIME:
            self.end()
        return payloads

    def end(self) -> Spool:
        """Put what waits on disk, and return where it is."""
        if self._waiting:
            columns = [list(column) for column in zip(*self._waiting, strict=True)]
            self.rows.write(
                pa.RecordBatch.from_pydict(dict(zip(RELATED_SCHEMA.names, columns, strict=True)), RELATED_SCHEMA)
            )
            self._waiting = []
        return self.rows


def order_calls(client: ShopClient) -> "dict[str, OrderCalls]":
    """Return what asks for the records of the lists that are asked for order by order, by the list's name."""
    return {name: OrderCalls(client, follow) for name, follow in client.shop.orders.follow.items()}


class OrderCalls:
    """Asks for the records of a list by an order."""

    def __init__(self, client: ShopClient, follow: Follow) -> None:
        self._client, self._follow = client, follow
        self._reading = followed_reading(follow)
        self._when = compile_path(follow.when)
        self._cursor = compile_path(follow.cursor) if follow.cursor else None
        self._id = compile_path(client.shop.orders.fields.order_id)

    def is_asked(self, order_id: str, document: object) -> bool:
        """Whether the description says that an order is asked for; one without an id cannot be."""
        try:
            return not order_id.startswith(NO_ID) and is_true(self._when(document)) and self._start(document) != ""
        except ValueError:  # cleaning judges the record
            return False

    def ask(self, order_id: str, document: object) -> list[str]:
        """Ask for an order's records, all pages of them, and return them as they were sent.

        Raises:
            ShopUnavailableError, AnswerError, PaginationError: As `Extraction`.
            AnswerError: The shop refuses the request, or breaks the description.
            CountError: Another number came than the shop counts.
        """
        found = self._id(document)
        values = {"id": found if isinstance(found, int | str) else order_id}
        start = self._start(document)
        query = Query(values=values if start is None else {**values, "cursor": start})
        extraction = Extraction(self._client, self._reading, query)
        try:
            payloads = [payload for batch in extraction for payload in batch.column("payload").to_pylist()]
        except ShopRefusedError as error:
            raise AnswerError(str(error).removesuffix(f" {ITS_WORDS}"), excerpt=error.excerpt) from error
        counted = extraction.source_count if start is None else None  # else of the whole list, if at all
        if counted is not None and counted != len(payloads):
            message = f"{len(payloads)} records came, the shop counts {counted}"
            raise CountError(message, arrived=len(payloads), counted=counted)
        return payloads

    def _start(self, document: object) -> object:
        """Return where the list goes on: None from its beginning, an empty text where nothing follows."""
        if self._cursor is None:
            return None
        found = self._cursor(document)
        return "" if means_nothing(found) else found  # 0 is where a list may go on


def follow(client: ShopClient, read: DaysRead, stack: ExitStack) -> list[Followed]:
    """Ask for the lists of all orders that came; a day with a call that failed is refused in `read`.

    Args:
        client: Asks the shop.
        read: The orders that came.
        stack: Holds the rows on disk until it is closed.

    Raises:
        ShopUnavailableError: The shop answers no more.
        SettingsError: As `ShopClient.ask`.
    """
    lists = [Followed(client, name, stack) for name in client.shop.orders.follow]
    if not lists:
        return []
    unanswered = 0
    for part in read.parts:
        for batch in part.rows.reader():
            for row in batch.to_pylist():
                if row["order_date"] in read.refused:
                    continue
                try:
                    _ask_for(lists, part, row)
                    unanswered = 0
                except DataError as error:
                    read.refused[row["order_date"]] = _refusal(row["order_id"], error)
                except ShopUnavailableError as error:
                    unanswered += 1
                    read.refused[row["order_date"]] = _refusal(row["order_id"], error)
                    if unanswered == MOST_UNANSWERED or _is_last_day(read):
                        raise
    for one in lists:
        one.end()
    return lists


def _ask_for(lists: Sequence[Followed], part: Part, row: Mapping[str, Any]) -> None:
    document = decoded(row["payload"])
    for one in lists:
        for payload in one.ask(row["order_id"], row["order_date"], document):
            if part.source_count is None:  # what came with an order counts for the same answer, too
                part.marks[row["order_id"]] = mixed(part.marks.get(row["order_id"], 0), payload.encode())


def _refusal(order_id: str, error: PipelineError) -> DataError:
    message = f"what belongs to order {order_id} could not be read, so that the day is not: {error}"
    return AnswerError(message.removesuffix(f" {ITS_WORDS}"), excerpt=error.excerpt)


def _is_last_day(read: DaysRead) -> bool:
    """Whether no day is left that is not refused."""
    return all(day in read.refused for part in read.parts for day in Days(part.first, part.last))
