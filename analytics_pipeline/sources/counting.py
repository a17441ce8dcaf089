"""The shop's own count of a query: reading the number, and the request of its own that some shops have for it."""

from collections.abc import Callable

from analytics_pipeline.decoding.envelope import record_reader
from analytics_pipeline.errors import AnswerError
from analytics_pipeline.shop.requests import CountRequest, Query, drafted
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.pagination import whole_number

_SHOWN_CHARACTERS = 80


def requested_count(client: ShopClient, described: CountRequest, query: Query) -> int | None:
    """Asks for the count of a query by a request of its own; None where the answer holds none.

    Raises:
        ShopUnavailableError, ShopRefusedError, SettingsError: As `ShopClient.ask`.
        AnswerError: The count is no number.
    """
    read = record_reader([described.at]) if described.at is not None else lambda _: ()
    answer = client.ask(drafted(described, client.url(described.path), query).filled(), read)
    value = (
        answer.headers.get(described.header) if described.header is not None else next(iter(answer.body or ()), None)
    )
    return count_of(value, answer.asked, client.redact)


def count_of(value: object, asked: str, redact: Callable[[str], str]) -> int | None:
    """A shop's count of records as a number, None where there is none.

    Raises:
        AnswerError: It is no number from 0 on.
    """
    if value is None:
        return None
    number = whole_number(value)
    if number is None:
        what = type(value).__name__
        fault = f"{asked}: the shop's count of records is no number from 0 on ({what})."
        raise AnswerError(fault, excerpt=redact(repr(value))[:_SHOWN_CHARACTERS])
    return number
