"""What a file seems to be, what is said to be unsure, and that the description made of it reads the file."""

import json
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import yaml

from analytics_pipeline.errors import DamagedFileError
from analytics_pipeline.shop.files import FileOrders
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.files.describing import description_text, expression_of, pattern_of
from analytics_pipeline.sources.files.finding import LocalFolder, name_matcher
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

SHOPIFY = """Name,Email,Financial Status,Paid at,Currency,Subtotal,Shipping,Taxes,Total,Discount Code,Discount Amount,\
Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku,Shipping Country,Cancelled at,Refunded Amount,\
Id,Lineitem discount
#1,a@x.example,paid,2026-01-03 14:22:10 +0100,EUR,47.48,4.90,8.36,52.38,WINTER,2.00,2026-01-03 14:22:09 +0100,2,Spade,\
19.99,S1,DE,,0.00,901,0
#1,a@x.example,,,,,,,,,,2026-01-03 14:22:09 +0100,1,Gloves,9.50,,,,,,0
#2,b@x.example,refunded,2026-01-04 09:00:00 +0100,EUR,19.99,0,3.19,19.99,,0.00,2026-01-04 09:00:00 +0100,1,Spade,\
19.99,S1,DE,,5.00,902,0
"""
WOO = """Order Number,Order Status,Order Date,Email (Billing),Cart Discount Amount,Order Shipping Amount,\
Order Total Amount,Order Total Tax Amount,SKU,Item #,Item Name,Quantity (- Refund),Item Cost,Discount Amount
501,completed,2026-01-03 10:11,a@x.example,0,5,65.45,10.45,S1,1,Spade,2,20,0
501,completed,2026-01-03 10:11,a@x.example,0,5,65.45,10.45,G1,2,Gloves,1,10,0
502,processing,2026-01-04 10:11,b@x.example,2,5,27.37,4.37,S1,1,Spade,1,20,2
"""
AMAZON = """order-id\torder-item-id\tpurchase-date\tbuyer-email\tsku\tproduct-name\tquantity-purchased\tcurrency\t\
item-price\titem-tax\tshipping-price
302-1\t111\t2026-01-03T14:22:10+00:00\ta@x.example\tS1\tSpade\t2\tEUR\t39.98\t6.38\t4.90
"""
ETSY = """Sale Date,Item Name,Buyer,Quantity,Price,Discount Amount,Order Shipping,Item Total,Currency,Transaction ID,\
Listing ID,Date Paid,Order ID
01/14/26,"Pot, blue",ann,2,12.00,0,4.20,24.00,EUR,281,953,01/14/26,2328
"""
EBAY = """Sales Record Number,Order Number,Buyer Username,Item Number,Item Title,Custom Label,Quantity,Sold For,\
Shipping And Handling,Total Price,Sale Date
101,12-1,ann,3344,Spade,S1,2,"€19,99","€4,90","€24,89",Jan-03-26
102,12-2,bob,3344,Spade,S1,1,"€1.019,99","€4,90","€1.024,89",Jan-14-26
"""
GERMAN = """Bestellnummer;Datum;Kundennummer;Artikelnummer;Artikelbezeichnung;Menge;Einzelpreis
2026-1;3. März 2026;K7;A1;Käse;2;1.234,56 €
2026-1;3. März 2026;K7;A2;Brot;1;4,00 €
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
    ("text", "order_fields", "line_fields"),
    [
        (
            SHOPIFY,
            """order_id: Name, created_at: Created at, cancelled_at: Cancelled at, currency: Currency, email: Email,
            shipping_country: Shipping Country, discount_codes: Discount Code, order_discount: Discount Amount,
            shipping: Shipping, taxes: Taxes, prices_include_tax: `true`, total: Total""",
            """product_id: Lineitem sku || Lineitem name, title: Lineitem name, quantity: Lineitem quantity,
            unit_price: Lineitem price""",
        ),
        (
            WOO,
            """order_id: Order Number, created_at: Order Date, email: Email (Billing),
            order_discount: Cart Discount Amount, shipping: Order Shipping Amount, taxes: Order Total Tax Amount,
            total: Order Total Amount""",
            "product_id: SKU, title: Item Name, quantity: Quantity (- Refund), unit_price: Item Cost",
        ),
        (
            AMAZON,
            "order_id: order-id, created_at: purchase-date, currency: currency, email: buyer-email",
            """line_id: order-item-id, product_id: sku, title: product-name, quantity: quantity-purchased,
            line_total: item-price""",
        ),
        (
            ETSY,
            "order_id: Order ID, created_at: Sale Date, currency: Currency, customer_id: Buyer",
            "line_id: Transaction ID, product_id: Listing ID, title: Item Name, quantity: Quantity, unit_price: Price",
        ),
        (
            EBAY,
            """order_id: Order Number, created_at: Sale Date, customer_id: Buyer Username,
            shipping: Shipping And Handling, total: Total Price""",
            "product_id: Custom Label, title: Item Title, quantity: Quantity, line_total: Sold For",
        ),
        (
            GERMAN,
            "order_id: Bestellnummer, created_at: Datum, customer_id: Kundennummer",
            "product_id: Artikelnummer, title: Artikelbezeichnung, quantity: Menge, unit_price: Einzelpreis",
        ),
    ],
    ids=["Shopify", "WooCommerce", "Amazon", "Etsy", "eBay", "German"],
)
def test_the_columns_of_usual_exports_are_known_and_amounts_where_orders_add_up_by_them(
    tmp_path: Path, text: str, order_fields: str, line_fields: str
) -> None:
    orders = described(guessed(tmp_path, text), tmp_path)
    for fields, expected in ((orders.fields, order_fields), (orders.lines.fields, line_fields)):
        said = {name: str(path).replace('"', "") for name, path in fields if path is not None}
        assert said == dict(one.split(": ", 1) for one in " ".join(expected.split()).split(", "))


def test_discounts_and_taxes_that_may_be_rates_are_said_and_not_read(tmp_path: Path) -> None:
    found = guessed(tmp_path, "Bestellnr;Datum;Menge;Preis;Rabatt;MwSt\n1;03.01.2026;2;9,99;0,15;19\n")
    fields = described(found, tmp_path).lines.fields
    assert (fields.unit_price, fields.discount, fields.tax) == ("Preis", None, None)
    assert [about for about, words in found.doubts if "proves it, and it may be a rate: not read" in words] == [
        "discount",
        "tax",
    ]


@pytest.mark.parametrize(("second", "is_said"), [("44.88", True), ("19.99", False)])
def test_a_total_that_is_the_same_in_all_rows_of_an_order_is_said_to_be_perhaps_the_orders(
    tmp_path: Path, second: str, is_said: bool
) -> None:
    rows = f"1,2026-01-03,x,44.88\n1,2026-01-03,y,{second}\n2,2026-01-04,x,19.99\n"
    found = guessed(tmp_path, f"Order ID,Order Date,SKU,Order Total\n{rows}")
    assert found.roles["line_total"] == "Order Total"
    assert (
        any("is the same in each row of an order (those of several rows: 1)" in words for _, words in found.doubts)
        == is_said
    )


def test_what_an_export_has_beside_that_is_said_and_not_read(tmp_path: Path) -> None:
    doubts = guessed(tmp_path, SHOPIFY).doubts
    assert ("", "Refunded Amount is not read, since it has no day: net sales are without these refunds") in doubts
    assert (
        "",
        "Financial Status is paid (1), refunded (1): all are read; leave out under orders.exclude what is no sale",
    ) in doubts
    assert (
        "shipping",
        "Order Shipping seems to be it; no total of the order proves it: not read",
    ) in guessed(tmp_path, ETSY).doubts
    wrong = guessed(tmp_path, WOO.replace("65.45", "66.45"))
    assert not {"total", "shipping", "taxes"} & wrong.roles.keys()
    assert (
        "total",
        "Order Total Amount seems to be it; in no way more than 1 of 2 orders add up to their total: not read",
    ) in wrong.doubts
    settlement = "settlement-id\torder-id\tamount-type\tamount\tposted-date\n1\t302\tItemFees\t-4.98\t2026-01-03\n"
    assert any("looks like a settlement" in words for _, words in guessed(tmp_path, settlement, "a.tsv").doubts)


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


def test_a_column_called_price_is_numbers_though_not_all_of_it_is_and_the_others_are_said(tmp_path: Path) -> None:
    found = guessed(tmp_path, "date,price\n2026-01-01,1.50\nsoon,2.50\n2026-01-03,twelve\n")
    assert found.reading["columns"] == {"date": "date", "price": "number"}
    assert ("numbers", "price: 1 row with no number that is written so: quarantine") in found.doubts
    assert ("dates", "date: 1 row with dates that are not iso: quarantine") in found.doubts


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
    ("name", "content"),
    [
        ("sales\n2026\u2028x.csv", b"date,price\n2026-01-01,1\n"),
        ("sales.csv", b"date,price,\x1b[31m,\x81x\x07\n2026-01-01,1,2,3\n"),
        ("sales.csv", "date,price,größe,pr".encode() + b"\xffice\n2026-01-01,1,2,3\n"),
        ("sales.csv", b"date,price,note\n2026-01-01,1," + b"x" * 200_000 + b"\n2026-01-02,1,2\n"),
    ],
)
def test_hostile_names_and_cells_make_a_description_that_loads(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    found = guess(tmp_path / name)
    assert (found.roles["created_at"], found.roles["unit_price"]) == ("date", "price")
    assert described(found, tmp_path).lines.fields.unit_price == "price"
    for row in rows_of(found, tmp_path):
        assert json.dumps(row, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("sales_raw.csv", "sales_raw.csv"),
        ("sales-2026-01-31.csv.gz", "sales-*.csv.gz"),
        ("2026_w05.csv", "*_w*.csv"),
        ("sales [1] *new.csv", "sales [[]*] [*]new.csv"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_digits_in_a_name_are_taken_for_a_day(name: str, pattern: str) -> None:
    assert pattern_of(name) == pattern
    assert name_matcher(pattern)(name)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="a page of the web"):
        guessed(tmp_path, "<html><body>please log in</body></html>\n")
