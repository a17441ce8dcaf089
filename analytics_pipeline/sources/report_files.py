"""The shop's own daily report as CSV files that a person downloads into the project folder.

Nothing outside of that folder is read, wherever links lead.
"""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics_pipeline.decoding.mapping import compile_path
from analytics_pipeline.errors import ITS_WORDS, AnswerError, DescriptionError
from analytics_pipeline.shop.report import CsvReport
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.report import ReportPart
from analytics_pipeline.transforms.report_rows import LookUp, read_rows

_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
_ENCODINGS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "windows-1252": "cp1252"}
_MEGABYTE = 1_000_000
_NUMBERS = {
    "point": re.compile(r"[+-]?(\d{1,3}([,' ]\d{3})+|\d+)(\.\d+)?", re.ASCII),
    "comma": re.compile(r"[+-]?(\d{1,3}([.' ]\d{3})+|\d+)(,\d+)?", re.ASCII),
}


def read_report_files(shop: Shop, report: CsvReport, project: Path) -> Iterator[ReportPart]:
    """Read the files, newest first; a part has the days between the first and the last of its file.

    A part is as of the time at which its file was written.

    Args:
        shop: The shop.
        report: Its description of the report.
        project: The user's own folder.

    Raises:
        DescriptionError: There is no such file, it lies outside of the folder, or lacks a column.
        AnswerError: A file cannot be read.
    """
    found = sorted(_files(report, project), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        name = path.relative_to(project.resolve())
        header, rows = _table(path, name, report, shop.limits.max_answer_mb * _MEGABYTE)
        fields = {ours: _column(theirs, header, name, ours) for ours, theirs in report.fields.items()}
        try:
            figures = read_rows(rows, fields, shop.currency, report.dates)
        except AnswerError as error:
            message = str(error).removesuffix(f" {ITS_WORDS}")
            raise AnswerError(f"{name}: {message}", excerpt=error.excerpt) from None
        if figures:
            first, last = min(day for day, _ in figures), max(day for day, _ in figures)
            days = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
            yield ReportPart(days, figures, datetime.fromtimestamp(path.stat().st_mtime, UTC))


def _files(report: CsvReport, project: Path) -> Iterator[Path]:
    root = project.resolve()
    found = [path for path in root.glob(report.csv) if path.is_file()]
    if not found:
        raise DescriptionError(f"report.csv: there is no file {report.csv} in {root}; put the shop's report there")
    for path in found:
        resolved = path.resolve()
        if not resolved.is_relative_to(root):
            raise DescriptionError(f"report.csv: {path} leads outside of {root}; put the file itself there")
        yield resolved


def _table(path: Path, name: Path, report: CsvReport, most: int) -> tuple[list[str], list[dict[str, str]]]:
    """Return the header and the rows of a file; numbers as JSON has them."""
    if path.stat().st_size > most:
        raise AnswerError(f"{name} is larger than {most // _MEGABYTE} MB (limits.max_answer_mb)")
    try:
        text = path.read_bytes().decode(_ENCODINGS[report.encoding])
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=_DELIMITERS[report.delimiter], strict=True))
    except (UnicodeError, csv.Error) as error:
        fault = f"{name} is no {report.delimiter}-separated text in {report.encoding} ({type(error).__name__})"
        raise AnswerError(f"{fault}; check report.delimiter and report.encoding") from None
    lines = [line for line in lines if any(cell.strip() for cell in line)]
    header = [cell.strip() for cell in lines[0]] if lines else []
    if uneven := [number for number, line in enumerate(lines, 1) if len(line) != len(header)]:
        raise AnswerError(f"{name}: row {uneven[0]} has another number of columns than the header; check delimiter")
    rows = [
        {title: _cell(cell, report.decimal) for title, cell in zip(header, line, strict=True)} for line in lines[1:]
    ]
    return header, rows


def _column(theirs: str, header: list[str], name: Path, ours: str) -> LookUp:
    """Return what finds a figure in a row: by the column's header, or by an expression."""
    if header.count(theirs) > 1:
        raise DescriptionError(f"report.fields.{ours}: {name} has several columns {theirs!r}; leave all but one out")
    if theirs in header:
        return lambda row: row.get(theirs) if isinstance(row, Mapping) else None
    if re.fullmatch(r"[\w -]+", theirs):
        columns = ", ".join(header)
        raise DescriptionError(f"report.fields.{ours}: {name} has no column {theirs!r}; it has: {columns}")
    try:
        return compile_path(theirs)
    except ValueError:
        raise DescriptionError(f"report.fields.{ours}: {theirs!r} is neither a column of {name} nor JMESPath") from None


def _cell(text: str, decimal: str) -> str:
    """Return a cell; an amount without its currency's sign and its separators of thousands."""
    bare = "".join(" " if unicodedata.category(one) == "Zs" else one for one in text if one != "\u2212").strip()
    bare = ("-" if "\u2212" in text else "") + "".join(one for one in bare if unicodedata.category(one) != "Sc").strip()
    if not _NUMBERS[decimal].fullmatch(bare):
        return text.strip()
    thousands = ",' " if decimal == "point" else ".' "
    return "".join(one for one in bare if one not in thousands).replace(",", ".")
