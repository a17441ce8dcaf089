"""A list as the file of a job: started, watched until it is done, fetched, proved by the shop's own count of lines."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import msgspec

from analytics_pipeline.decoding.envelope import record_reader
from analytics_pipeline.decoding.expressions import LookUp
from analytics_pipeline.decoding.mapping import compile_path, decode
from analytics_pipeline.errors import AnswerError, ProofError, ShopRefusedError, ShopUnavailableError
from analytics_pipeline.shop.bulk import Bulk
from analytics_pipeline.shop.requests import EVERYTHING, Query, drafted
from analytics_pipeline.sources.client import Answer, ShopClient
from analytics_pipeline.sources.counting import count_of
from analytics_pipeline.sources.downloading import download
from analytics_pipeline.sources.json_lines import JsonLines
from analytics_pipeline.sources.pacing import date_of
from analytics_pipeline.sources.words import excerpt_of

WAITED_FOR = "job"
_ADDRESS = re.compile(rb"https?:[^\s\"]*")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True)
class BulkList:
    """The records of a job that is done.

    Attributes:
        records: The records; the file has as many lines as the shop counts.
        shown: The place of them for messages.
        shop_time: The shop's own time when the job was started; None where it gives none.
    """

    records: JsonLines
    shown: str
    shop_time: datetime | None


@contextmanager
def bulk_list(client: ShopClient, described: Bulk, query: Query) -> Iterator[BulkList]:
    """Runs a job for a window and opens its records, which lie on disk meanwhile.

    Raises:
        ShopRefusedError: The job was not started, or failed.
        ShopUnavailableError: It took too long, or its file did not come.
        ProofError: The file has another number of lines than the shop counts.
        AnswerError: The answers break the description.
    """
    started, job = _start(client, described, query)
    count, url = _wait(client, described, job)
    with tempfile.TemporaryFile(prefix="analytics-pipeline-") as file:
        shown = started.asked
        if url is not None:
            shown = download(client, url, file, most_mb=described.max_mb, seconds=described.max_minutes * 60)
        lines = JsonLines(file, described, shown)
        if lines.lines != count:
            raise ProofError(
                f"{shown}: the file has {lines.lines} lines, the shop counts {count}; nothing of it is used"
            )
        yield BulkList(lines, shown, date_of(started.headers))


def _start(client: ShopClient, described: Bulk, query: Query) -> tuple[Answer[bytes], str]:
    """Starts the job, once no other one is in the way."""
    start = described.start
    is_busy = compile_path(start.busy_when) if start.busy_when else None
    request = drafted(start, client.url(start.path), Query(values=query.values)).filled()
    until = client.clock() + described.max_minutes * 60
    while True:
        answer = client.ask(request, _checked)
        body = answer.body or b"{}"
        (job,) = record_reader([start.id])(body)
        if isinstance(job, str | int) and not isinstance(job, bool) and str(job).strip():
            return answer, str(job)
        excerpt = _words_of(body, client)
        if is_busy is None or not _is_told(is_busy, body):
            message = f"{answer.asked}: the shop started no job: no id at `{start.id}`; check bulk.start"
            raise ShopRefusedError(message, excerpt=excerpt, status=answer.status)
        if client.clock() >= until:
            raise ShopUnavailableError(f"{answer.asked}: another job was in the way all the time (bulk.max_minutes)")
        client.pause(WAITED_FOR, described.every_seconds)


def _is_told(is_busy: LookUp, body: bytes) -> bool:
    try:
        return is_busy(decode(body)) is True
    except ValueError:  # whatever the shop answers, it is no job, and shown as such
        return False


def _wait(client: ShopClient, described: Bulk, job: str) -> tuple[int, str | None]:
    """Waits for the end of a job: the number of lines, and the file's address."""
    poll = described.poll
    done, failed = ({state.lower() for state in states} for states in (poll.done, poll.failed))
    request = drafted(poll, client.url(poll.path), EVERYTHING).having(id=job).filled()
    read = record_reader([poll.state, poll.count, poll.url])
    until = client.clock() + described.max_minutes * 60
    while True:
        answer = client.ask(request, _checked)
        body = answer.body or b"{}"
        state, count, url = read(body)
        word = str(state).lower()
        if word in failed:
            message = f"{answer.asked}: the job failed, nothing of it is used; see what the shop says of it"
            raise ShopRefusedError(message, excerpt=_words_of(body, client), status=answer.status)
        if word in done:
            return _lines(count, url, answer, client)
        if client.clock() >= until:
            raise ShopUnavailableError(f"{answer.asked}: the job was not done in time (bulk.max_minutes)")
        client.pause(WAITED_FOR, described.every_seconds)


def _lines(count: object, url: object, answer: Answer[bytes], client: ShopClient) -> tuple[int, str | None]:
    lines = count_of(count, answer.asked, client.redact)
    if lines is None or (lines and not isinstance(url, str)):
        absent = "without a count of its lines" if lines is None else "without the address of its file"
        raise AnswerError(f"{answer.asked}: the job is done, {absent}; check bulk.poll")
    return lines, url if isinstance(url, str) and url else None


def _words_of(body: bytes, client: ShopClient) -> str | None:
    """An answer for an excerpt, without addresses: whoever has that of a file has the file."""
    return excerpt_of(_ADDRESS.sub(b"***", body), client.redact)


def _checked(body: bytes) -> bytes:
    """The body of an answer, if it is a JSON object; raises what `ShopClient.ask` knows."""
    _OBJECT.decode(body)
    return body
