"""CSV and TSV: rows with their lines, what is no row, and what one broken quote may cost."""

import csv
import io
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_pipeline.errors import DamagedFileError, MissingColumnError
from analytics_pipeline.sources.files import delimited
from analytics_pipeline_tests.unit.sources.files.reader import read_text

LESSON = "date,customer_id,price,quantity\n2026-01-01,17,9.99,2\n2026-01-02,,5.00,1\n2026-01-03,18,,1\n"
TYPES = {"date": "date", "price": "number", "quantity": "number"}


def test_rows_are_records_with_their_lines_and_an_empty_cell_is_null(tmp_path: Path) -> None:
    found = read_text(tmp_path, LESSON, columns=TYPES)
    assert found.records[0] == {"date": "2026-01-01", "customer_id": "17", "price": "9.99", "quantity": "2"}
    assert [record["customer_id"] for record in found.records] == ["17", None, "18"]
    assert [record["price"] for record in found.records] == ["9.99", "5.00", None]
    assert found.lines == [2, 3, 4]
    assert (found.faults, found.unreadable, found.excluded) == ([], [], [])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_break_within_quotes_belongs_to_the_row_and_lines_are_those_of_the_file(
    tmp_path: Path, end: str
) -> None:
    text = end.join(["a,b", '1,"two', 'lines"', "", "3,x"])
    found = read_text(tmp_path, text)
    assert [record["a"] for record in found.records] == ["1", "3"]
    assert found.records[0]["b"] == f"two{end}lines"
    assert found.lines == [2, 5]
    assert [(one.line, one.reason) for one in found.excluded] == [(4, "blank_row")]


def test_a_header_with_blanks_after_its_commas_is_read_like_the_rows_below_it(tmp_path: Path) -> None:
    found = read_text(tmp_path, 'date, customer id, note\n2026-01-01, 17, "a, b"\n')
    assert found.records == [{"date": "2026-01-01", "customer id": "17", "note": "a, b"}]


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ('2,"abc,2026-01-02,1.00', [(3, "broken_quote")]),
        ('2,"12" ruler",2026-01-02,1.00', [(3, "broken_quote")]),
        ('2,"two\nlines,2026-01-02,1.00', [(3, "broken_quote"), (4, "broken_quote")]),
    ],
)
def test_a_broken_quote_costs_its_own_row_and_no_other(
    tmp_path: Path, broken: str, expected: list[tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = "".join(f'{number},"text, {number}",2026-01-{number:02},1.00\n' for number in range(3, 29))
    text = f"id,title,date,price\n1,x,2026-01-01,1.00\n{broken}\n{rows}"
    for size in (delimited.CHUNK, 40):  # in one chunk, and with the broken row over the border of two
        monkeypatch.setattr(delimited, "CHUNK", size)
        found = read_text(tmp_path, text, columns={"date": "date", "price": "number"})
        assert [record["id"] for record in found.records] == ["1", *map(str, range(3, 29))]
        assert found.reasons == expected
        assert found.lines[1] == expected[-1][0] + 1


def test_a_quote_that_runs_on_to_another_stray_quote_swallows_no_rows(tmp_path: Path) -> None:
    text = 'id,title,price\n1,"abc,2.00\n2,x,3.00\n3,y,4.00\n4,12",5.00\n5,z,6.00\n'
    found = read_text(tmp_path, text, columns={"price": "number"})
    assert [record["id"] for record in found.records] == ["2", "3", "4", "5"]
    assert found.reasons == [(2, "broken_quote")]


def test_a_quote_that_is_open_at_the_end_of_the_file_costs_its_row(tmp_path: Path) -> None:
    found = read_text(tmp_path, 'id,title\n1,x\n2,"abc\n')
    assert ([record["id"] for record in found.records], found.reasons) == (["1"], [(3, "broken_quote")])


def test_rows_with_other_numbers_of_columns_are_faults_with_what_they_hold(tmp_path: Path) -> None:
    found = read_text(tmp_path, "a,b,c\n1,2\n1,2,3,4\n1,2,3,,\n1,2,3\n")
    assert found.reasons == [(2, "too_few_columns"), (3, "too_many_columns")]
    assert [fault.record for fault in found.faults] == [{"a": "1", "b": "2"}, {"a": "1", "b": "2", "c": "3"}]
    assert [fault.text for fault in found.faults] == ["1,2", "1,2,3,4"]
    assert found.lines == [4, 5]


def test_a_delimiter_at_the_end_of_all_lines_makes_no_column(tmp_path: Path) -> None:
    found = read_text(tmp_path, "a,b,\n1,2,\n3,4,\n")
    assert (found.records, found.faults) == ([{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], [])
    assert read_text(tmp_path, "a,b,\n1,2,x\n").reasons == [(2, "too_many_columns")]


def test_a_nul_byte_is_a_fault_of_its_row(tmp_path: Path) -> None:
    found = read_text(tmp_path, "a,b\n1,x\n2,\x00y\n3,z\n")
    assert (found.reasons, found.lines) == ([(3, "nul_byte")], [2, 4])
    assert "\x00" not in found.faults[0].text


def test_repeated_headers_blank_rows_and_totals_are_left_out_with_their_reason(tmp_path: Path) -> None:
    text = "date,price,quantity\n2026-01-01,1.50,1\n,,\ndate,price,quantity\n2026-01-02,2.50,2\nTotal,4.00,\n"
    found = read_text(tmp_path, text, columns=TYPES)
    assert [record["price"] for record in found.records] == ["1.50", "2.50"]
    assert [(one.line, one.reason) for one in found.excluded] == [
        (3, "blank_row"),
        (4, "repeated_header"),
        (6, "total_row"),
    ]
    assert found.faults == []


@pytest.mark.parametrize(("last", "is_total"), [(",4.00,3", True), (",4.00,", True), (",9.00,7", False)])
def test_a_last_row_of_nothing_but_sums_is_a_total_and_one_of_other_numbers_is_a_row(
    tmp_path: Path, last: str, is_total: bool
) -> None:
    found = read_text(tmp_path, f"date,price,quantity\n2026-01-01,1.50,1\n2026-01-02,2.50,2\n{last}\n", columns=TYPES)
    assert (len(found.records), len(found.excluded)) == ((2, 1) if is_total else (3, 0))


def test_a_product_called_total_is_a_row(tmp_path: Path) -> None:
    found = read_text(tmp_path, "product,price\nTotal,1.00\nSum,2.00\n", columns={"price": "number"})
    assert len(found.records) == 2
    text = "customer,product,date,price\n,Total,2026-01-01,1.00\n17,x,2026-01-01,2.00\n,Total,,3.00\n"
    dated = read_text(tmp_path, text, columns={"date": "date", "price": "number"})
    assert [record["product"] for record in dated.records] == ["Total", "x"]
    assert [(one.line, one.reason) for one in dated.excluded] == [(4, "total_row")]


@pytest.mark.parametrize(
    ("row", "is_total"),
    [
        ("2026-01-01,Zwischensumme,,3.00,2", True),
        ("2026-01-01,,Subtotal:,3.00,2", True),
        ("Summe,,,3.00,2", True),
        (",Grand Total,,3.00,", True),
        ("2026-01-01,17,Summe,3.00,2", False),
        ("2026-01-01,,Total,3.00,2", False),
        ("2026-01-01,Summer,,3.00,2", False),
        ("2026-01-01,Subtotal,,,", False),
    ],
)
def test_a_subtotal_among_the_rows_is_left_out_where_a_word_says_so_that_nothing_is_called(
    tmp_path: Path, row: str, is_total: bool
) -> None:
    text = f"date,customer,product,price,quantity\n2026-01-01,1,x,1.00,1\n{row}\n2026-01-02,2,y,2.00,1\n"
    found = read_text(tmp_path, text, columns=TYPES)
    assert [(one.line, one.reason) for one in found.excluded] == ([(3, "total_row")] if is_total else [])
    assert len(found.records) == (2 if is_total else 3)


@pytest.mark.parametrize("again", ["Date,PRICE, quantity", "\ufeffdate,price,quantity", "date,price,quantity,"])
def test_a_header_in_other_letters_is_a_repeated_one(tmp_path: Path, again: str) -> None:
    found = read_text(tmp_path, f"date,price,quantity\n2026-01-01,1.50,1\n{again}\n2026-01-02,2.50,2\n", columns=TYPES)
    assert [(one.line, one.reason) for one in found.excluded] == [(3, "repeated_header")]
    assert len(found.records) == 2


@pytest.mark.parametrize(
    "other", ["date,quantity,price", "date,unit_price,quantity", "quantity,date", "Date,price,qty,x"]
)
def test_a_file_in_which_another_header_begins_is_refused_with_its_line(tmp_path: Path, other: str) -> None:
    with pytest.raises(DamagedFileError, match=r"sales.csv, line 3: holds names of columns .* split it there"):
        read_text(tmp_path, f"date,price,quantity\n2026-01-01,1.50,1\n{other}\n2026-01-02,2,2.50\n", columns=TYPES)


def test_a_column_that_is_called_otherwise_is_refused_with_the_name_and_the_remedy(tmp_path: Path) -> None:
    text = LESSON.replace("price", "unit_price")
    with pytest.raises(MissingColumnError) as refused:
        read_text(tmp_path, text, columns=TYPES)
    assert str(refused.value).startswith("sales.csv, line 1: has no column price; it has: date, customer_id, ")
    assert "write `renamed: {unit_price: price}`" in str(refused.value)
    found = read_text(tmp_path, text, columns=TYPES, renamed={"unit_price": "price"})
    assert [record["price"] for record in found.records] == ["9.99", "5.00", None]


def test_a_column_that_is_there_twice_under_both_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match="has 2 columns price"):
        read_text(tmp_path, "price,unit_price\n1,2\n", ["price"], renamed={"unit_price": "price"})
    assert read_text(tmp_path, "a,a,b\n1,2,3\n", ["b"]).records == [{"a": "1", "a_2": "2", "b": "3"}]


def test_a_hundred_thousand_columns_cost_no_square_and_no_endless_message(tmp_path: Path) -> None:
    text = "date,price,x,x_2,rows," + "x," * 100_000 + "quantity\n" + "2026-01-01,1.50,1,2,3," + "7," * 100_000 + "2\n"
    began = perf_counter()
    [record] = read_text(tmp_path, text, ["quantity"], columns=TYPES).records
    assert [record[name] for name in ("x", "x_2", "rows_2", "x_3", "quantity")] == ["1", "2", "3", "7", "2"]
    assert len(record) == 100_006
    with pytest.raises(MissingColumnError) as refused:
        read_text(tmp_path, text.replace("price,", "cost,"), columns=TYPES)
    assert len(str(refused.value)) < 2_000
    assert perf_counter() - began < 10


def test_an_optional_column_may_be_missing(tmp_path: Path) -> None:
    assert read_text(tmp_path, LESSON, ["discount"], optional=["discount"]).lines == [2, 3, 4]
    with pytest.raises(MissingColumnError, match="no column discount"):
        read_text(tmp_path, LESSON, ["discount"])


def test_another_delimiter_is_named_as_the_reason_of_a_missing_column(tmp_path: Path) -> None:
    with pytest.raises(MissingColumnError, match=r"only one at all .*check csv\.delimiter"):
        read_text(tmp_path, LESSON.replace(",", ";"), columns=TYPES)
    assert len(read_text(tmp_path, LESSON.replace(",", ";"), columns=TYPES, csv={"delimiter": ";"}).records) == 3


def test_a_header_may_stand_lower_be_given_or_be_all_there_is(tmp_path: Path) -> None:
    below = read_text(tmp_path, f"Sales of January\n\n{LESSON}", csv={"header_row": 3})
    assert below.lines == [4, 5, 6]
    given = read_text(tmp_path, "1,2\n3,4\n", csv={"header": ["a", "b"]})
    assert (given.records, given.lines) == ([{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], [1, 2])
    assert read_text(tmp_path, "sep=,\na,b\n1,2\n").lines == [3]
    alone = read_text(tmp_path, "a,b\n")
    assert (alone.records, alone.faults) == ([], [])
    with pytest.raises(DamagedFileError, match="has no header"):
        read_text(tmp_path, "\n \n")


DRAWN = settings(max_examples=80, deadline=None, derandomize=True, database=None)


CELLS = st.text(st.sampled_from("ab1,;\"'\n\r\t =|ü€\u2028\x0b"), max_size=8)


def test_what_the_csv_module_writes_is_read_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "CHUNK", 32)

    def is_read(rows: list[list[str]], end: str) -> None:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
        writer.writerows([["first", "second", "third"], *rows])
        found = read_text(tmp_path, out.getvalue())
        kept = [row for row in rows if any(cell.strip() for cell in row)]
        assert [[value or "" for value in record.values()] for record in found.records] == kept
        assert (found.faults, len(found.lines)) == ([], len(kept))

    rows = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=12)
    DRAWN(given(rows=rows, end=st.sampled_from(["\n", "\r\n"]))(is_read))()


def test_broken_lines_anywhere_cost_no_other_row_and_none_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_read(broken: dict[int, str], size: int) -> None:
        monkeypatch.setattr(delimited, "CHUNK", size)
        lines = [f'{number},"t, {number}",2026-01-01,{number}.50' for number in range(20)]
        for place, line in sorted(broken.items(), reverse=True):
            lines.insert(place, line)
        text = "id,title,date,price\n" + "".join(f"{line}\n" for line in lines)
        found = read_text(tmp_path, text, columns={"date": "date", "price": "number"})
        assert [record["id"] for record in found.records] == [str(number) for number in range(20)]
        assert {fault.line for fault in found.faults} == {at + 2 for at, line in enumerate(lines) if "bad" in line}

    lines = [
        'bad,"x,2026-01-01,1',
        '"bad',
        'bad"',
        'bad,"x" y",2026-01-01,1',
        "bad,1",
        "bad,1,2026-01-01,2,3",
        '"bad,""',
    ]
    places = st.dictionaries(st.integers(0, 20), st.sampled_from(lines), max_size=5)
    DRAWN(given(broken=places, size=st.sampled_from([1, 60, 10**6]))(is_read))()
