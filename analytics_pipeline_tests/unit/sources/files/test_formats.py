"""JSON lines, Parquet and Excel: the same rows as by CSV, each with its own faults."""

import json
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904

from analytics_pipeline.errors import DamagedFileError, MissingColumnError, UnsafeFileError
from analytics_pipeline.sources.files import excel_rows
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline_tests.unit.sources.files.reader import read
from analytics_pipeline_tests.unit.sources.files.test_opening import READING, bomb, found_in

LOCAL = datetime(2026, 1, 5, 8, 26)  # noqa: DTZ001  # as files have it
TYPES = {"date": "date", "price": "number"}


def workbook(path: Path, rows: list[Any], *merged: str, is_1904: bool = False) -> Path:
    book = openpyxl.Workbook()
    if is_1904:
        book.epoch = CALENDAR_MAC_1904
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    for place in merged:
        sheet.merge_cells(place)
    book.save(path)
    return path


def test_json_lines_are_rows_or_whole_orders_and_numbers_keep_their_digits(tmp_path: Path) -> None:
    path = tmp_path / "sales.jsonl"
    path.write_text(
        '\ufeff{"price": 12.50, "date": "2026-01-01", "lines": [{"qty": 1.10}]}\n'
        "\n"
        '{"price": "7,00", "date": "2026-01-02", "id": 12345678901234567890123}\n'
        '{"price": 1e400, "other": NaN, "date": null}\n'
        '{"price": true, "date": "2026-01-03"}\n'
    )
    found = read(path, columns=TYPES, numbers={"decimal": ","})
    assert [record["price"] for record in found.records] == ["12.50", "7.00", "1" + "0" * 400, {"_unreadable": "True"}]
    assert found.records[0]["lines"] == [{"qty": Decimal("1.10")}]
    assert found.records[1]["id"] == Decimal(12345678901234567890123)
    assert found.records[2]["other"] == {"_unreadable": "NaN"}
    assert found.lines == [1, 3, 4, 5]
    assert [(one.line, one.reason, one.column) for one in found.unreadable] == [(5, "unreadable_number", "price")]


def test_a_line_that_is_no_object_is_a_fault_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "sales.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2\n[3]\n{"a": "\xff", "b": "\xc3\xbc\xc3\xbc"}\n{"a": 5}')
    found = read(path)
    assert ([record["a"] for record in found.records], found.lines) == ([1, 5], [1, 5])
    assert found.reasons == [(2, "no_json_object"), (3, "no_json_object"), (4, "wrong_encoding")]


def test_a_list_of_json_is_refused_since_it_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "sales.json").write_text(json.dumps([{"a": 1}, {"a": 2}], indent=1))
    with pytest.raises(DamagedFileError, match=r"sales\.json: is one list of JSON.*one object a line"):
        read(tmp_path / "sales.json")
    (tmp_path / "sales.json").write_text('{"a": 1}\n{"a": 2}\n')
    assert read(tmp_path / "sales.json").records == [{"a": 1}, {"a": 2}]


def test_a_column_that_no_line_has_is_refused_and_one_that_some_lack_is_not(tmp_path: Path) -> None:
    path = tmp_path / "sales.jsonl"
    path.write_text('{"id": 1, "unit_price": 2}\n{"id": 2}\n')
    with pytest.raises(MissingColumnError, match=r"no column price.*`renamed: \{unit_price: price\}`"):
        read(path, ["id", "price"])
    assert read(path, ["id", "price"], renamed={"unit_price": "price"}).records[0] == {"id": 1, "price": 2}
    assert len(read(path, ["id", "price"], optional=["price"]).records) == 2


def test_days_that_no_calendar_has_are_unreadable_values_of_their_rows(tmp_path: Path) -> None:
    days = pa.array([20_456, 10**9, -(10**9)], pa.date32())
    stamps = pa.array([0, 2**62, None], pa.timestamp("us"))
    pq.write_table(pa.table({"day": days, "at": stamps}), tmp_path / "sales.parquet")
    found = read(tmp_path / "sales.parquet", columns={"day": "date"})
    assert [record["day"] for record in found.records] == [
        "2026-01-03",
        {"_unreadable": "date32[day] 1000000000"},
        {"_unreadable": "date32[day] -1000000000"},
    ]
    assert [record["at"] for record in found.records] == ["1970-01-01T00:00:00", f"timestamp[us] {2**62}", None]


def test_parquet_gives_exact_values_and_ids_without_decimals(tmp_path: Path) -> None:
    table = pa.table(
        {
            "date": pa.array([LOCAL, None]),
            "price": pa.array([2.55, 3.0]),
            "small": pa.array([2.55, None], pa.float32()),
            "exact": pa.array([Decimal("1.50"), None]),
            "customer": pa.array([17850.0, float("nan")]),
            "stamp": pa.array([datetime(2026, 1, 5, 8, 26, tzinfo=UTC)] * 2, pa.timestamp("ns", "Europe/Berlin")),
            "tags": [["a"], None],
            "text": pa.array(["x", ""]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "sales.parquet")
    found = read(tmp_path / "sales.parquet", columns=TYPES)
    assert found.records == [
        {
            "date": "2026-01-05T08:26:00",
            "price": "2.55",
            "small": Decimal("2.55"),
            "exact": Decimal("1.50"),
            "customer": 17850,
            "stamp": "2026-01-05T08:26:00Z",
            "tags": ["a"],
            "text": "x",
        },
        dict.fromkeys(table.column_names) | {"price": "3", "stamp": "2026-01-05T08:26:00Z"},
    ]
    assert found.lines == [1, 2]
    with pytest.raises(MissingColumnError, match="no column quantity"):
        read(tmp_path / "sales.parquet", ["quantity"])
    (tmp_path / "sales.parquet").write_bytes((tmp_path / "sales.parquet").read_bytes()[:-20])
    with pytest.raises(DamagedFileError, match=r"sales\.parquet: is no whole Parquet file"):
        read(tmp_path / "sales.parquet")


def test_a_sheet_gives_days_serial_days_and_the_digits_that_excel_shows(tmp_path: Path) -> None:
    rows = [
        ["date", "price", "customer", "at"],
        [LOCAL.replace(hour=0, minute=0), 0.1 + 0.2, 17850, time(8, 26)],
        [46027.351388888889, "1.234,50", "A-1", None],
        ["07.01.2026", 3, 1.5, "#N/A"],
        ["2026-01-08", "1,234.50", None, True],
    ]
    path = workbook(tmp_path / "sales.xlsx", rows)
    found = read(path, columns=TYPES, numbers={"decimal": ",", "group": "."}, dates="dmy")
    assert [record["date"] for record in found.records] == [
        "2026-01-05",
        "2026-01-05T08:26:00",
        "2026-01-07",
        {"_unreadable": "2026-01-08"},
    ]
    assert [record["price"] for record in found.records] == ["0.3", "1234.50", "3", {"_unreadable": "1,234.50"}]
    assert [record["customer"] for record in found.records] == [17850, "A-1", Decimal("1.5"), None]
    assert [record["at"] for record in found.records] == ["08:26:00", None, {"_unreadable": "#N/A"}, True]
    assert [(one.line, one.column, one.reason) for one in found.unreadable] == [
        (5, "date", "unreadable_date"),
        (5, "price", "unreadable_number"),
        (4, "at", "formula_error"),
    ]


def test_days_of_a_workbook_of_1904_are_those(tmp_path: Path) -> None:
    path = workbook(tmp_path / "sales.xlsx", [["date"], [44565], [date(2026, 1, 5)]], is_1904=True)
    assert [record["date"] for record in read(path, columns={"date": "date"}).records] == ["2026-01-05", "2026-01-05"]


def test_merged_cells_are_faults_in_rows_are_read_down_a_header_and_refused_across_it(tmp_path: Path) -> None:
    rows = [["Sales of January"], ["order", "date", "price"], ["1", "2026-01-01", 5], [None, "2026-01-01", 6]]
    path = workbook(tmp_path / "sales.xlsx", [*rows, ["2", "2026-01-02", 7]], "A1:C1", "A3:A4")
    found = read(path, columns=TYPES, excel={"header_row": 2})
    assert found.records == [{"order": "2", "date": "2026-01-02", "price": "7"}]
    assert found.reasons == [(3, "merged_cells"), (4, "merged_cells")]
    assert found.faults[0].record == {"order": "1", "date": "2026-01-01", "price": 5}
    down = [["order", "when", None], [None, "date", "price"], ["1", "2026-01-01", 5]]
    below = read(workbook(path, down, "A1:A2"), ["order"], columns=TYPES, excel={"header_row": 2})
    assert below.records == [{"order": "1", "date": "2026-01-01", "price": "5"}]
    with pytest.raises(DamagedFileError, match=r"sales\.xlsx, line 1: a cell of the header spans columns 2 to 3"):
        read(workbook(path, down, "B1:C1"))


def test_totals_blank_rows_and_repeated_headers_of_a_sheet_are_left_out(tmp_path: Path) -> None:
    rows = [
        ["date", "price"],
        ["2026-01-01", 5],
        [],
        [],
        ["date", "price"],
        ["2026-01-02", 6],
        ["Summe:", 11],
        [1, 2, 3],
    ]
    found = read(workbook(tmp_path / "sales.xlsx", [row or [None] for row in rows]), columns={"price": "number"})
    assert [record["price"] for record in found.records] == ["5", "6"]
    assert [(one.line, one.last_line, one.reason) for one in found.excluded] == [
        (3, 4, "blank_row"),
        (5, 5, "repeated_header"),
        (7, 7, "total_row"),
    ]
    assert found.reasons == [(8, "too_many_columns")]


def test_a_sheet_in_which_another_header_begins_is_refused_with_its_row(tmp_path: Path) -> None:
    rows = [["date", "price", "quantity"], ["2026-01-01", 5, 1], ["date", "quantity", "price"], ["2026-01-02", 1, 5]]
    with pytest.raises(DamagedFileError, match=r"sales.xlsx, line 3: holds names of columns"):
        read(workbook(tmp_path / "sales.xlsx", rows), columns={"price": "number"})


@pytest.mark.parametrize(
    ("row", "fault"), [(60_000, None), (2_000_000_000, "names rows after row 60000, the last that Excel has")]
)
def test_a_cell_far_below_costs_little_and_one_below_all_rows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: int, fault: str | None
) -> None:
    monkeypatch.setattr(excel_rows, "MOST_ROWS", 60_000)
    path = workbook(tmp_path / "made.xlsx", [["price"], [5], [6]])
    with zipfile.ZipFile(path) as made, zipfile.ZipFile(tmp_path / "sales.xlsx", "w") as sales:
        for part in made.namelist():
            text = made.read(part).replace(b'<row r="3"', b'<row r="%d"' % row).replace(b'r="A3"', b'r="A%d"' % row)
            sales.writestr(part, text)
    if fault is None:
        found = read(tmp_path / "sales.xlsx")
        assert (found.lines, found.excluded[0].line, found.excluded[-1].last_line) == ([2, row], 3, row - 1)
        assert len(found.excluded) < 20
        return
    with pytest.raises(DamagedFileError, match=fault):
        read(tmp_path / "sales.xlsx")


def test_a_formula_without_its_value_is_no_empty_cell(tmp_path: Path) -> None:
    path = workbook(tmp_path / "sales.xlsx", [["date", "price"], ["2026-01-01", 5], ["2026-01-02", "=2*3"]])
    with pytest.raises(DamagedFileError, match=r"cell B3 holds a formula without its value: open it .* and save it"):
        read(path, columns={"price": "number"})


def test_a_workbook_with_several_sheets_has_to_say_which(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for name in ("January", "February"):
        book.create_sheet(name).append(["price"])
        book[name].append([name])
    book.save(tmp_path / "sales.xlsx")
    with pytest.raises(DamagedFileError, match=r"several sheets; name one of .*'January', 'February' as excel\.sheet"):
        read(tmp_path / "sales.xlsx")
    assert read(tmp_path / "sales.xlsx", excel={"sheet": "February"}).records == [{"price": "February"}]
    with pytest.raises(DamagedFileError, match="has no sheet 'March'"):
        read(tmp_path / "sales.xlsx", excel={"sheet": "March"})
    del book["February"]
    book.save(tmp_path / "sales.xlsx")
    assert read(tmp_path / "sales.xlsx").records == [{"price": "January"}]


def test_a_damaged_workbook_is_refused_and_a_whole_one_is_no_zip_of_files(tmp_path: Path) -> None:
    path = workbook(tmp_path / "sales.xlsx", [["a"], [1]])
    assert members(found_in(tmp_path)[0], READING) == found_in(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DamagedFileError, match=r"sales\.xlsx: is no whole zip"):
        read(path)


def test_faults_have_words_for_people_without_the_content(tmp_path: Path) -> None:
    path = tmp_path / "sales.jsonl"
    path.write_text(json.dumps({"price": "secret"}))
    (fault,) = read(path, columns={"price": "number"}).unreadable
    assert fault.message == "line 1, column price: the value is no number as `numbers` describes it"
    path.write_bytes(bomb(10**9, b"\0" * (1 << 20)))
    with pytest.raises(UnsafeFileError):
        read(path)
