"""Extraction: a shop's orders, customers and products as Arrow record batches, one for each page.

A record is kept as the text that the API sent, beside its id and day or change stamp; reading anything else out of
it belongs to the transforms. Memory is one page, whatever the range.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain, islice

import pyarrow as pa

from analytics_pipeline.decoding.envelope import envelope_reader, record_reader
from analytics_pipeline.errors import ITS_WORDS, AnswerError, PaginationError, ShopRefusedError
from analytics_pipeline.shop.bulk import Bulk
from analytics_pipeline.shop.endpoints import Endpoint
from analytics_pipeline.shop.paging import Offset
from analytics_pipeline.shop.placeholders import Draft, PageRequest
from analytics_pipeline.shop.requests import EVERYTHING, Query, drafted
from analytics_pipeline.sources.bulk import bulk_list
from analytics_pipeline.sources.came import Came, SourceCount
from analytics_pipeline.sources.client import Answer, ShopClient
from analytics_pipeline.sources.counting import count_of, requested_count
from analytics_pipeline.sources.pacing import date_of
from analytics_pipeline.sources.pagination import (
    CIRCLE,
    MOST_EMPTY_PAGES,
    REMEDY,
    REPEATED,
    LoopGuard,
    Page,
    first_request,
    following_request,
    page_number_reached,
    promises_more,
)
from analytics_pipeline.sources.statistics import Statistics
from analytics_pipeline.sources.words import error_words, excerpt_of, lists_in, may_be_failure
from analytics_pipeline.transforms.raw import (
    OddRecords,
    Reading,
    RecordRows,
    UndatedRecord,
)

_BULK_RECORDS = 500
_Body = tuple[Sequence[object], bytes]
"""The values of an answer, and its text."""
_ENDS_OF_A_PROVED_LIST = {204, 404}
"""Statuses that end a list without being described so, once as many came as the shop counts."""
_PERHAPS_AN_END = {400, 404, 410, 416, 422}
_PERHAPS_NOTHING = {404, 410}


Locate = Callable[[Sequence[UndatedRecord]], tuple[list[tuple[date, UndatedRecord]], list[UndatedRecord]]]
"""Returns records with their days, and those that belong to the range and whose day is not found."""


class Extraction(Iterator[pa.RecordBatch]):
    """The batches of one extraction, read from the shop as they are taken: one batch a page, empty pages give none.

    The attributes are whole once the batches are exhausted. `came.distinct` is what the shop served, and equals
    `source_count` where the shop counts right.

    Attributes:
        schema: Arrow schema of the batches.
        came: The ids that came, of the records left out too.
        shop_time: The shop's own time at its first answer (the header `Date`), None where it gives none.
    """

    def __init__(
        self,
        client: ShopClient,
        reading: Reading,
        query: Query = EVERYTHING,
        locate: Locate | None = None,
        bulk: Bulk | None = None,
    ) -> None:
        """Prepares the extraction; the first request is made when the first batch is taken.

        Args:
            client: The shop's client.
            reading: How records become rows.
            query: What is asked of the list.
            locate: Finds the days of records that have none, after the last page.
            bulk: The job whose file has the records; None: they come page by page.
        """
        self.schema = reading.schema
        self.came = Came(reading.volatile)
        self._counted = SourceCount()
        self.shop_time: datetime | None = None
        self._client = client
        self._reading = reading
        self._before = client.statistics.copy()
        self._rows = RecordRows(reading)
        if not isinstance(reading.endpoint, Endpoint):
            raise TypeError("only a list that is asked for by requests has pages")
        self._endpoint = endpoint = reading.endpoint
        read = envelope_reader(endpoint.records, tuple(endpoint.body_paths.values()))
        self._read_answer: Callable[[bytes], _Body] = lambda body: (read(body), body)
        last = getattr(endpoint.pagination, "last", None)
        self._read_last = None if last is None else record_reader((last,))
        self._locate = locate
        self._query = query
        start = drafted(endpoint, client.url(endpoint.path), query)
        pages = self._pages(start) if bulk is None else self._in_bulk(bulk)
        self._batches = chain(pages, self._located())

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)

    @property
    def source_count(self) -> int | None:
        """The shop's own count of the query, as its last page says; None when it gives none, or none of the query."""
        return self._counted.value

    @property
    def count_fault(self) -> str | None:
        """Why the shop's count is none of the query, in words."""
        return self._counted.fault

    @property
    def agrees(self) -> bool:
        """Whether as many records came as the shop counts."""
        versions = self.came.distinct + self.came.versions_beside
        return self.source_count is not None and self.source_count in {self.came.distinct, versions}

    @property
    def records(self) -> int:
        """Rows given so far."""
        return self._rows.kept

    @property
    def outside_window(self) -> int:
        """Records left out so far, since their business day lies outside the range asked for."""
        return self._rows.left_out

    @property
    def undated(self) -> Sequence[UndatedRecord]:
        """Records that belong to no day, so far: their own cannot be read, and was not found otherwise."""
        return self._rows.undated

    @property
    def odd(self) -> OddRecords:
        """What was not as described so far."""
        return self._rows.odd

    @property
    def statistics(self) -> Statistics:
        """What this extraction cost so far."""
        return self._client.statistics.since(self._before)

    def _pages(self, start: Draft) -> Iterator[pa.RecordBatch]:
        style = self._endpoint.pagination
        guard = LoopGuard(self._client.shop.limits.max_pages)
        draft: Draft | None = first_request(style, start)
        page: Page | None = None
        largest = empty = 0
        while draft is not None:
            request = draft.filled()
            shown = self._client.shown(request)
            if guard.was_asked(request):
                if self._repeats_at_the_end(page, largest):
                    return
                raise PaginationError(f"{shown}: {CIRCLE}. {REMEDY}")
            guard.check_number(shown)
            answer = self._ask(request, page)
            self.shop_time = date_of(answer.headers) if page is None else self.shop_time
            records, beside = self._take_apart(answer)
            if guard.is_repeated(hash(tuple(records)) if records else None):
                if self._repeats_at_the_end(page, largest):
                    return
                raise PaginationError(f"{answer.shown}: {REPEATED}. {REMEDY}")
            count = self._count(answer, beside, is_first=page is None)
            self._check_count(count, answer, is_first=page is None)
            before = self.came.distinct
            values = self._rows.values(records)
            self.came.look_at(records, values)
            self._counted.look_at(count, records=len(records), before=before, after=self.came.distinct)
            if answer.body is None:
                return
            batch = self._rows.batch(records, values, answer.shown)
            if batch.num_rows:
                yield batch
            largest, empty = max(largest, len(records)), 0 if records else empty + 1
            if empty and self._is_empty_end(empty, count, answer.shown):
                return
            page = self._page(draft, answer, beside, records=records, largest=largest)
            draft = following_request(style, page)

    def _in_bulk(self, described: Bulk) -> Iterator[pa.RecordBatch]:
        with bulk_list(self._client, described, self._query) as found:
            self.shop_time = found.shop_time
            rest = iter(found.records)
            while records := list(islice(rest, _BULK_RECORDS)):
                values = self._rows.values(records)
                self.came.look_at(records, values)
                batch = self._rows.batch(records, values, found.shown)
                if batch.num_rows:
                    yield batch
            self._counted.said = found.records.records

    def _page(
        self,
        request: Draft,
        answer: "Answer[_Body]",
        beside: Mapping[str, object],
        *,
        records: Sequence[bytes],
        largest: int,
    ) -> Page:
        header = getattr(self._endpoint.pagination, "pages_header", None)
        return Page(
            request,
            url=answer.url,
            shown=answer.shown,
            records=len(records),
            largest=largest,
            next=beside.get("next") if self._read_last is None else self._last_of(records),
            pages=beside.get("pages") if header is None else answer.headers.get(header),
            more=beside.get("more"),
            link=answer.headers.get("Link"),
        )

    def _last_of(self, records: Sequence[bytes]) -> object:
        """What the last record of a page holds as the next one's cursor; None without one that can be read."""
        try:
            return self._read_last(records[-1])[0] if self._read_last and records else None
        except (ValueError, ArithmeticError, RecursionError):
            return None

    def _ask(self, request: PageRequest, before: Page | None) -> "Answer[_Body]":
        """One page; its body is None where the answer is the end of the list."""
        style = self._endpoint.pagination
        ends = set(style.ends_at_status)
        if before is not None and (self._is_counted or page_number_reached(style, before)):
            ends |= _ENDS_OF_A_PROVED_LIST
        try:
            answer = self._client.ask(request, self._read_answer, ends)
        except ShopRefusedError as error:
            if error.status not in _PERHAPS_AN_END or (before is None and error.status not in _PERHAPS_NOTHING):
                raise
            message, status, excerpt = str(error).removesuffix(f" {ITS_WORDS}"), error.status, error.excerpt
        else:
            if answer.body is None and before is not None and not self._is_counted and promises_more(style, before):
                raise AnswerError(f"{answer.asked}: HTTP {answer.status}, where the page before says that more follow")
            if answer.body is not None or answer.status in ends:
                return answer
            message = f"{answer.asked}: HTTP {answer.status} where a list is described"
            raise AnswerError(f"{message}. {_status_remedy(answer.status, is_first=before is None)}")
        remedy = _status_remedy(status, is_first=before is None)
        raise ShopRefusedError(f"{message} {remedy}", status=status, excerpt=excerpt)

    @property
    def _is_counted(self) -> bool:
        """Whether as many records came as the shop counts, or more."""
        return self.source_count is not None and self.came.distinct >= self.source_count

    def _repeats_at_the_end(self, page: Page | None, largest: int) -> bool:
        """Whether a page that comes again is the last one: described so, all counted ones are here, or it was empty."""
        style = self._endpoint.pagination
        if getattr(style, "repeated_page_ends", False) or (page is not None and not page.records and largest):
            return True
        # A full first page that comes again and is all that is counted: the shop may not know the paging, and count
        # what is on the page.
        size = getattr(style, "size", None)
        return self._is_counted and (self.came.pages > 1 or (size is not None and largest < size))

    def _is_empty_end(self, empty: int, count: int | None, shown: str) -> bool:
        """Whether an empty page, with the count on it, ends a list that may go on behind it.

        A count that the empty page does not repeat may be that of the page before alone.
        """
        style = self._endpoint.pagination
        if isinstance(style, Offset):
            return False
        is_counted = self._is_counted and count == self.source_count and self.came.pages > 0
        if getattr(style, "empty_page_ends", False) or is_counted:
            return True
        if empty > MOST_EMPTY_PAGES:
            raise PaginationError(f"{shown}: {MOST_EMPTY_PAGES} empty pages in a row. {REMEDY}")
        return False

    def _located(self) -> Iterator[pa.RecordBatch]:
        if self._locate is None or not self.undated:
            return
        batch = self._rows.located(*self._locate(self.undated))
        if batch.num_rows:
            yield batch

    def _take_apart(self, answer: "Answer[_Body]") -> tuple[list[bytes], dict[str, object]]:
        """The texts of an answer's records, and the values beside them by what they are for."""
        if answer.body is None:
            return [], {}
        (records, *values), body = answer.body
        if not isinstance(records, list):
            path = self._endpoint.records
            what = "nothing or null" if records is None else type(records).__name__
            there = " and ".join(f"`{found}`" for found in lists_in(body))
            hint = f"; the answer has a list at {there}" if there else ""
            words = error_words(body, self._client.redact)[1]
            fault = f"{answer.asked}: no list of records at `{path}`, but {what}; check `records`{hint}.{words}"
            raise AnswerError(fault, excerpt=excerpt_of(body, self._client.redact))
        return records, dict(zip(self._endpoint.body_paths, values, strict=True))

    def _check_count(self, count: int | None, answer: "Answer[_Body]", *, is_first: bool) -> None:
        """Refuses an answer without the count that is described, and one that says itself that it failed."""
        place = self._endpoint.count_place if is_first and count is None else None
        body = answer.body[1] if answer.body else b""
        if place is None and not may_be_failure(body):
            return
        has_error, words = error_words(body, self._client.redact)
        excerpt = excerpt_of(body, self._client.redact) if has_error else None
        if place is not None:
            raise AnswerError(
                f"{answer.asked}: HTTP {answer.status} without the shop's count of records, described {place}: "
                f"nothing proves that the list is whole, so nothing of it is used.{words}",
                excerpt=excerpt,
            )
        if has_error:
            fault = f"{answer.asked}: HTTP {answer.status} with an error beside the list.{words}"
            raise AnswerError(fault, excerpt=excerpt)

    def _count(self, answer: "Answer[_Body]", beside: Mapping[str, object], *, is_first: bool) -> int | None:
        endpoint = self._endpoint
        if endpoint.count_request is not None:
            return requested_count(self._client, endpoint.count_request, self._query) if is_first else None
        value = answer.headers.get(endpoint.count_header) if endpoint.count_header else beside.get("count")
        return count_of(value, answer.asked, self._client.redact)


def _status_remedy(status: int | None, *, is_first: bool) -> str:
    when = "nothing to list" if is_first else "no further page"
    return f"If the shop answers so when there is {when}, add `ends_at_status: [{status}]` to its `pagination`"
