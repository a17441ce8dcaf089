"""What a file seems to be, what is said to be unsure, and that the description made of it reads the file."""

from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from analytics_pipeline.errors import DamagedFileError
from analytics_pipeline.shop.files import FileOrders
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.files.describing import description_text, expression_of, pattern_of
from analytics_pipeline.sources.files.finding import LocalFolder
from analytics_pipeline.sources.files.guessing import Guess, guess
from analytics_pipeline.sources.files.opening import opened
from analytics_pipeline.sources.files.reading import read_rows

LESSON = """date, customer_id, price, quantity
2026-01-03, 17, 9.99, 2
2026-01-05, , 5.00, 1
2026-01-04, 18, , 1
"""
TILL = """Umsätze Januar

Datum;Bon-Nr;Kunde;Artikel;Menge;Einzelpreis
31.01.2026;7;;Käse;2;1.234,56 €
01.02.2026;8;3;Brot;1;4,00 €
;;;;3;1.238,56
"""
AMERICAN = """Invoice No,Invoice Date,Description,Unit Price,Quantity,Customer ID
A1,1/2/2026 8:26 AM,x,"$1,234",2,17850
A2,3/4/2026 9:26 PM,y,"$2,234",-2,17851
"""

SHORT = "date: years of two digits are taken for those from 2000 on"


def guessed(folder: Path, text: str, name: str = "sales.csv", encoding: str = "utf-8") -> Guess:
    (folder / name).write_bytes(text.encode(encoding))
    return guess(folder / name)


def described(found: Guess, folder: Path) -> FileOrders:
    """The orders of the description that is made of a guess."""
    path = folder / "shop.yaml"
    path.write_text(description_text(found, "a-shop", str(folder), found.path.name), encoding="utf-8")
    orders = load_shop(path).orders
    assert isinstance(orders, FileOrders)
    return orders


def rows_of(found: Guess, folder: Path) -> list[dict[str, Any]]:
    with opened(LocalFolder(folder).at(found.path.name), described(found, folder)) as content:
        return [record for chunk in read_rows(content) for record in chunk.records]


def test_the_lessons_file_is_known_as_it_stands(tmp_path: Path) -> None:
    found = guessed(tmp_path, LESSON)
    assert dict(found.roles) == {
        "created_at": "date",
        "customer_id": "customer_id",
        "unit_price": "price",
        "quantity": "quantity",
    }
    assert found.reading["columns"] == {"date": "date", "price": "number", "quantity": "number"}
    assert (found.rows, str(found.first_day), found.encoding) == (3, "2026-01-03", "UTF-8")
    assert [about for about, _ in found.doubts] == ["order_id", "product_id", "customer_id", "unit_price"]
    orders = described(found, tmp_path)
    assert not orders.has_ids
    assert [(rule.when, rule.reason) for rule in orders.exclude] == [
        ("customer_id == `null`", "without_customer"),
        ("price == `null`", "without_price"),
    ]
    assert (orders.lines.fields.unit_price, orders.lines.fields.product_id) == ("price", "'all'")
    assert [row["price"] for row in rows_of(found, tmp_path)] == ["9.99", "5.00", None]


def test_a_german_till_has_decimal_commas_a_title_above_its_header_and_a_total(tmp_path: Path) -> None:
    found = guessed(tmp_path, TILL, encoding="cp1252")
    assert found.reading["csv"] == {"delimiter": ";", "header_row": 3}
    assert found.reading["numbers"] == {"decimal": ",", "group": ".", "signs": ["€"]}
    assert (found.reading["dates"], found.currency, found.encoding) == ("dmy", "EUR", "Windows-1252")
    assert (found.roles["order_id"], found.roles["product_id"]) == ("Bon-Nr", "Artikel")
    rows = rows_of(found, tmp_path)
    assert [(row["Datum"], row["Einzelpreis"]) for row in rows] == [("2026-01-31", "1234.56"), ("2026-02-01", "4.00")]
    assert described(found, tmp_path).fields.order_id == '"Bon-Nr"'
    assert described(found, tmp_path).exclude == (), "with order ids, rows without a customer are sales to guests"


def test_dates_and_numbers_that_can_be_read_both_ways_are_said_to_be_unsure(tmp_path: Path) -> None:
    found = guessed(tmp_path, AMERICAN)
    assert (found.reading["dates"], found.currency) == ("mdy", "USD")
    assert ("dates", "Invoice Date: every date can be read day first, too") in found.doubts
    assert ("numbers", "Unit Price: numbers such as $1,234 may mean thousands or decimals") in found.doubts
    orders = described(found, tmp_path)
    assert orders.returns_when == "to_number(Quantity) < `0`"
    assert load_shop(tmp_path / "shop.yaml").times.without_offset == "local"
    assert rows_of(found, tmp_path)[1] | {"Description": None} == {
        "Invoice No": "A2",
        "Invoice Date": "2026-03-04T21:26:00",
        "Description": None,
        "Unit Price": "2234",
        "Quantity": "-2",
        "Customer ID": "17851",
    }


@pytest.mark.parametrize(
    ("dates", "order", "doubt"),
    [
        (["13/01/2026", "14/01/2026", "01/15/2026"], "dmy", "date: 1 row with dates that are not dmy: quarantine"),
        (["01/13/2026", "02/01/2026"], "mdy", None),
        (["01/02/2026", "03/02/2026"], "dmy", "date: every date can be read month first, too"),
        (["2026-01-13"], "iso", None),
        (["2026/1/13", "2026/1/14"], "ymd", None),
        (["13. Januar 2026", "2. März 2026"], "dmy", None),
        (["Mar 3, 2026 2:22 PM", "May 14, 2026"], "mdy", None),
        (["13/01/26", "02/01/26"], "dmy", f"{SHORT}: 2026-01-02 to 2026-01-13"),
        (["02-Jan-26", "03-Mar-26"], "dmy", f"{SHORT}: 2026-01-02 to 2026-03-03"),
    ],
)
def test_the_order_of_dates_is_judged_by_all_of_them(
    tmp_path: Path, dates: list[str], order: str, doubt: str | None
) -> None:
    found = guessed(tmp_path, "date;price\n" + "".join(f"{day};1\n" for day in dates))
    assert found.reading.get("dates", "iso") == order
    assert found.first_day is not None
    assert found.first_day.year == 2026
    assert [words for about, words in found.doubts if about == "dates"] == ([doubt] if doubt else [])


@pytest.mark.parametrize(
    ("prices", "numbers"),
    [
        (["2.550", "0.850"], {}),
        (["1.234", "12"], {"decimal": ",", "group": "."}),
        (["12,5", "3"], {"decimal": ","}),
        (["1 234,50", "3"], {"decimal": ",", "group": " "}),
        (["1,234.50", "3"], {"group": ","}),
    ],
)
def test_how_numbers_are_written_is_judged_by_all_of_them(
    tmp_path: Path, prices: list[str], numbers: dict[str, str]
) -> None:
    found = guessed(tmp_path, "date;price\n" + "".join(f"2026-01-01;{price}\n" for price in prices))
    assert found.reading.get("numbers", {}) == numbers


def test_a_file_without_header_or_without_a_price_says_so(tmp_path: Path) -> None:
    without = guessed(tmp_path, "2026-01-01,17,1.50\n2026-01-02,17,1.50\n")
    assert without.reading["csv"] == {"header": ["column_1", "column_2", "column_3"]}
    words = [words for _, words in without.doubts]
    assert "there is no line of names: name the columns under csv.header" in words
    assert "no column seems to be the price" in words
    assert [*rows_of(without, tmp_path)[0].values()] == ["2026-01-01", "17", "1.50"]


def test_sheets_and_json_lines_are_guessed_too_and_numbers_of_their_own_say_nothing_about_texts(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["Datum", "Preis", "Menge"], ["05.01.2026", 1234.5, 2], ["06.01.2026", "1.234,50", 1]):
        book.worksheets[0].append(row)
    book.save(tmp_path / "sales.xlsx")
    sheet = guess(tmp_path / "sales.xlsx")
    assert (sheet.reading["format"], sheet.reading["dates"], sheet.encoding) == ("excel", "dmy", None)
    assert sheet.reading["numbers"] == {"decimal": ",", "group": "."}
    assert [row["Preis"] for row in rows_of(sheet, tmp_path)] == ["1234.5", "1234.50"]
    lines = guessed(tmp_path, '{"id": 1, "created": "2026-01-01T10:00:00Z", "total": 12.5}\n', "sales.jsonl")
    assert lines.roles == {"order_id": "id", "created_at": "created", "line_total": "total"}
    assert not lines.has_times, "it says which zone it means"
    assert described(lines, tmp_path).lines.fields.line_total == "total"


def test_columns_of_any_name_make_a_description_that_loads(tmp_path: Path) -> None:
    names = ["date", "no", 'the "price": {x}', "# quantity", "parent", "Größe", "a: b", "price", "null"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    found = guessed(tmp_path, f"{header}\n2026-01-01,1,2,3,4,5,6,7,8\n")
    fields = described(found, tmp_path).lines.fields
    assert (fields.unit_price, fields.quantity) == ("price", '"# quantity"')
    text = (tmp_path / "shop.yaml").read_text(encoding="utf-8")
    assert '# Columns that nothing reads: no, the "price": {x}, parent, Größe, a: b, null' in text
    assert yaml.safe_load(text)["orders"]["columns"] == {
        "date": "date",
        "price": "number",
        "# quantity": "number",
    }
    assert [expression_of(name) for name in ("price", "parent", "Größe", "a b")] == [
        "price",
        '"parent"',
        '"Größe"',
        '"a b"',
    ]


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("sales_raw.csv", "sales_raw.csv"), ("sales-2026-01-31.csv.gz", "sales-*.csv.gz"), ("2026_w05.csv", "*_w*.csv")],
)
def test_digits_in_a_name_are_taken_for_a_day(name: str, pattern: str) -> None:
    assert pattern_of(name) == pattern


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="a page of the web"):
        guessed(tmp_path, "<html><body>please log in</body></html>\n")
