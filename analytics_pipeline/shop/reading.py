"""How files are read, in a shop's description: format, encoding, header, and how numbers and dates are written.

Which files there are and what their columns mean is described beside it; the reading itself is in sources/files.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from analytics_pipeline.shop.protocol import Model, Text

Format = Literal["csv", "tsv", "json_lines", "parquet", "excel"]
Encoding = Literal["auto", "utf-8", "utf-16", "windows-1252", "latin-1"]
DateOrder = Literal["iso", "dmy", "mdy", "ymd"]
ColumnType = Literal["text", "number", "date"]
OWN_COLUMNS = frozenset({"rows", "_file", "_line", "_id", "_unreadable"})
"""Names that no column can have: the project adds them to what it reads."""


def _one_character(text: str) -> str:
    if len(text) != 1 or text in '\r\n"' or text.isalnum():
        raise ValueError(r'must be one character between columns, such as "," or ";" or "\t"')
    return text


def _sign(text: str) -> str:
    if not text.strip() or re.search(r"[\d\s.,()+-]", text):
        raise ValueError("must be a currency's sign or code, such as € or EUR")
    return text


def _not_our_own(text: str) -> str:
    if text in OWN_COLUMNS:
        raise ValueError(f"{text} is a name that the project adds itself; name the column otherwise under renamed")
    return text


Column = Annotated[str, Field(min_length=1), AfterValidator(_not_our_own)]


class Csv(Model):
    """How a CSV or TSV file is written.

    Attributes:
        delimiter: What stands between columns; of TSV a tab, whatever stands here.
        encoding: How text is written; `auto` is judged over the whole file.
        quote: What surrounds texts that hold delimiters or line breaks; `none` where a quote is a letter like others.
        header_row: Line of the names of columns, from 1; blank lines after it are passed over.
        header: Names of the columns, of a file without such a line.
    """

    delimiter: Annotated[str, AfterValidator(_one_character)] = ","
    encoding: Encoding = "auto"
    quote: Literal['"', "'", "none"] = '"'
    header_row: int = Field(default=1, ge=1, le=1_000)
    header: Annotated[tuple[Text, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _has_one_header(self) -> "Csv":
        if self.header and self.header_row != 1:
            raise ValueError("give header, of files without a line of names, or header_row, the line; not both")
        return self


class Excel(Model):
    """Where in a workbook the table is.

    Attributes:
        sheet: Name of the sheet; by default the only one that has cells.
        header_row: Row of the names of columns, from 1.
    """

    sheet: Text | None = None
    header_row: int = Field(default=1, ge=1, le=1_000)


class Numbers(Model):
    """How numbers are written as text.

    Attributes:
        decimal: What stands before the decimals.
        group: What stands between thousands; without it a number with such a sign is unreadable.
        signs: Currency signs or codes that may stand beside a number; any other one makes it unreadable.
    """

    decimal: Literal[".", ","] = "."
    group: Literal[".", ",", " ", "'"] | None = None
    signs: Annotated[tuple[Annotated[str, AfterValidator(_sign)], ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _tells_decimals_from_thousands(self) -> "Numbers":
        if self.decimal == self.group:
            raise ValueError(f"decimal and group are both {self.decimal!r}; they have to differ")
        return self


class Reading(Model):
    """How the files of a list are read; a base of the models that say which files, and what their columns mean.

    Attributes:
        format: What the files are; by default by their names. Gzip and zip are seen by content.
        csv: How CSV and TSV files are written.
        excel: Where in a workbook the table is.
        columns: Columns that are read as numbers or dates, and brought into one form.
        numbers: How numbers are written as text.
        dates: In which order day, month and year stand in dates; months by number, or by their English or German name.
        short_years: Whether years of two digits are read, as those of this century.
        renamed: Names that a column has in some files, and the name that it has here.
        optional: Columns that a file may lack: null then. Without it a file that lacks a column is refused.
        largest_gb: Most gigabytes of a file, unpacked.
    """

    format: Format | None = None
    csv: Csv = Csv()
    excel: Excel = Excel()
    columns: dict[Column, ColumnType] = Field(default_factory=dict)
    numbers: Numbers = Numbers()
    dates: DateOrder = "iso"
    short_years: bool = Field(default=False, exclude_if=lambda given: not given)
    renamed: dict[Text, Column] = Field(default_factory=dict)
    optional: Annotated[tuple[Column, ...], Field(strict=False)] = ()
    largest_gb: float = Field(default=10, gt=0, le=1_000)

    @model_validator(mode="after")
    def _has_short_years_where_they_are_no_days(self) -> "Reading":
        if self.short_years and self.dates not in {"dmy", "mdy"}:
            raise ValueError(f"short_years goes with dates: dmy or mdy, and not with {self.dates}")
        return self

    @model_validator(mode="after")
    def _renames_to_something_else(self) -> "Reading":
        for theirs, ours in self.renamed.items():
            if theirs in self.columns:
                raise ValueError(f"columns names {theirs}, which renamed calls {ours}: write {ours} under columns")
            if ours in self.renamed:
                raise ValueError(f"renamed leads from {theirs} over {ours} to {self.renamed[ours]}; name the last one")
        return self
