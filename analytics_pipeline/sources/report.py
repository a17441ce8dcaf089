"""The shop's own daily report, asked for by ranges of days; as a file it is read in `report_files`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from analytics_pipeline.decoding.mapping import compile_path, decode
from analytics_pipeline.shop.report import Report
from analytics_pipeline.shop.windows import created_window_query
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.extraction import Extraction
from analytics_pipeline.transforms.raw import dimension_reading
from analytics_pipeline.transforms.report_rows import Figures, read_rows

_SCHEMA = pa.schema(
    {
        "day": pa.string(),
        "at": pa.timestamp("us", tz="UTC"),
        "extracted_at": pa.timestamp("us", tz="UTC"),
        "payload": pa.string(),
    }
)


@dataclass(frozen=True)
class ReportPart:
    """What the report says of some days.

    Attributes:
        days: The days that it was asked for; one that `figures` lacks is not mentioned.
        figures: What it says of them.
        as_of: It is as the shop knew it then.
    """

    days: tuple[date, ...]
    figures: Figures
    as_of: datetime


def grouped(days: Sequence[date], most: int) -> list[list[date]]:
    """Return days, newest first, in groups whose first and last day lie in `most` days, each in order."""
    groups: list[list[date]] = []
    for day in sorted(days, reverse=True):
        if not groups or groups[-1][0] - day >= timedelta(days=most):
            groups.append([])
        groups[-1].append(day)
    return [group[::-1] for group in groups]


def read_report(
    client: ShopClient, report: Report, days: Sequence[date], clock: Callable[[], datetime]
) -> Iterator[ReportPart]:
    """Read the report of some days, newest first, a request for each 31 days at most (`report.days_per_request`).

    Args:
        client: The shop's client.
        report: Its description.
        days: The days; those that lie between them are asked for, too, and left out.
        clock: The time by which answers are dated.

    Raises:
        ShopUnavailableError, ShopRefusedError, SettingsError, AnswerError, PaginationError: As `extract_orders`; what
            has been given by then is whole.
    """
    shop = client.shop
    fields = {name: compile_path(path) for name, path in report.fields if path is not None}
    reading = dimension_reading(shop, report, _SCHEMA, (report.fields.date, None))
    for group in grouped(days, report.days_per_request):
        as_of = clock()
        query = created_window_query(report.created_window, group[0], group[-1], shop.zone)
        batches = Extraction(client, reading, query)
        records = [decode(payload) for batch in batches for payload in batch["payload"].to_pylist()]
        figures = read_rows(records, fields, shop.currency, report.dates)
        wanted = {key: found for key, found in figures.items() if key[0] in set(group)}
        yield ReportPart(tuple(group), wanted, as_of)
