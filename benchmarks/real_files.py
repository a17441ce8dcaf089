"""The real year as CSVs, as somebody would export them, and the description by which they are read.

Made of the server's own records, which are not part of the project. What the columns mean is said as it is of the API.
"""

import csv
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

Row = dict[str, Any]
INCOMING = "incoming"
"""Name of the folder of the files, beside the description."""


def records(real_shop: Path, name: str) -> Iterator[Row]:
    """Yield the records of one list: `invoices`, `customers` or `products`."""
    with gzip.open(real_shop / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def invoice_lines(real_shop: Path) -> Iterator[Row]:
    """Yield the lines of all invoices, each with every field of its invoice."""
    for invoice in records(real_shop, "invoices"):
        head = {name: value for name, value in invoice.items() if name != "lines"}
        yield from (head | line for line in invoice["lines"])


def write_csv(path: Path, rows: Iterable[Row], names: Iterable[str] | None = None) -> None:
    """Write a file of rows; its columns are those of the first one where no names are given."""
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*(names or rows[0])])
        writer.writeheader()
        writer.writerows(rows)


def write_dimensions(real_shop: Path, folder: Path) -> None:
    """Write the files of customers and products into the folder of the files."""
    for name in ("customers", "products"):
        write_csv(folder / INCOMING / f"{name}.csv", records(real_shop, name))


def describe(by_api: Path, folder: Path) -> Path:
    """Write the description of the year as files, and return its path.

    Args:
        by_api: The description of the API.
        folder: Where it is written to, and the folder of the files is made.
    """
    said = yaml.safe_load(by_api.read_text(encoding="utf-8"))
    orders = {name: said["orders"][name] for name in ("exclude", "returns_when", "fields")}
    described = {
        **{name: said[name] for name in ("timezone", "currency", "times", "first_day", "last_day")},
        "name": "online-retail-files",
        "files": {"folder": str(folder / INCOMING), "settle_seconds": 0},
        "orders": {**orders, "files": "lines*.csv", "lines": {"fields": said["orders"]["lines"]["fields"]}},
        "customers": {"files": "customers.csv", "fields": said["customers"]["fields"]},
        "products": {"files": "products.csv", "fields": said["products"]["fields"]},
    }
    (folder / INCOMING).mkdir()
    path = folder / "shop.yaml"
    path.write_text(yaml.safe_dump(described), encoding="utf-8")
    return path
