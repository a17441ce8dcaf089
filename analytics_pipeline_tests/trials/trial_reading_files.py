"""The real shop's year as one file of each format: every line is read, to the data set's known total; how fast.

Reads the year that may lie beside the checkout, see integration/test_real_shop.py.
"""

import csv
import gzip
import json
import resource
import time
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openpyxl
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files.finding import LocalFolder
from analytics_pipeline.sources.files.opening import opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.reading import read_rows
from analytics_pipeline_tests.integration.test_real_shop import REAL_SHOP

LINES, TOTAL = 541_909, Decimal("9747747.934")
LINES_OF_A_SHEET = 50_000
READING = Reading.model_validate({"columns": {"unit_price": "number", "quantity": "number", "created": "date"}})
OF_INVOICE = ("number", "type", "created", "customer_id", "country", "currency")
OF_LINE = ("line", "stock_code", "description", "quantity", "unit_price")


def _rows() -> Iterator[dict[str, object]]:
    with gzip.open(REAL_SHOP / "invoices.jsonl.gz") as file:
        for text in file:
            invoice = json.loads(text)
            for line in invoice["lines"]:
                yield {**{name: invoice[name] for name in OF_INVOICE}, **{name: line[name] for name in OF_LINE}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The year's lines in each format."""
    made = tmp_path_factory.mktemp("files")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("lines")
    sheet.append([*OF_INVOICE, *OF_LINE])
    with (made / "a.csv").open("w", newline="", encoding="utf-8") as table, (made / "b.jsonl").open("w") as lines:
        writer = csv.DictWriter(table, [*OF_INVOICE, *OF_LINE])
        writer.writeheader()
        for number, row in enumerate(_rows()):
            writer.writerow(row)
            lines.write(json.dumps(row) + "\n")
            if number < LINES_OF_A_SHEET:
                sheet.append([*row.values()])
    book.save(made / "f.xlsx")
    content = (made / "a.csv").read_bytes()
    (made / "c.csv.gz").write_bytes(gzip.compress(content, 1))
    with zipfile.ZipFile(made / "d.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("lines.csv", content)
    texts = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys([*OF_INVOICE, *OF_LINE], pyarrow.string()))
    pq.write_table(pyarrow.csv.read_csv(made / "a.csv", convert_options=texts), made / "e.parquet")
    return made


@pytest.mark.parametrize("name", ["a.csv", "b.jsonl", "c.csv.gz", "d.zip", "e.parquet", "f.xlsx"])
def test_every_line_of_the_year_is_read(folder: Path, name: str) -> None:
    (found,) = members(LocalFolder(folder).at(name), READING)
    count, total, bad = 0, Decimal(0), 0
    began = time.process_time()
    with opened(found, READING) as content:
        known = time.process_time() - began
        for rows in read_rows(content):
            began_sum = time.process_time()
            total += sum(Decimal(row["quantity"]) * Decimal(row["unit_price"]) for row in rows.records)
            count += len(rows.records)
            bad += len(rows.faults) + len(rows.unreadable) + len(rows.excluded)
            began += time.process_time() - began_sum
    seconds = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"\n{name}: {count} rows in {seconds:.2f} CPU s, {known:.2f} of them for hash and encoding; {memory} MB so far"
    )
    assert bad == 0
    assert count == (LINES_OF_A_SHEET if name == "f.xlsx" else LINES)
    assert name == "f.xlsx" or total == TOTAL
