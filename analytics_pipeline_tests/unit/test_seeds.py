"""A seed is a CSV file whose first line is its contract: what follows from it, and what is wrong with a bad one."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from analytics_pipeline.errors import ContractError
from analytics_pipeline.seeds import Seed, read_seeds, rows_of
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT

ALL = "day:date key,shop:text key,target:numeric(19,4),orders: bigint ,is_final:boolean,at:timestamptz,note\n"


def seed_of(folder: Path, text: str) -> Seed:
    (folder / "targets.csv").write_text(text, encoding="utf-8")
    ([seed], faults) = read_seeds(folder)
    assert faults == {}
    return seed


def test_the_first_line_gives_columns_types_and_key(tmp_path: Path) -> None:
    table = seed_of(tmp_path, ALL).table
    assert table.qualified_name == "seeds.targets"
    assert table.key == ("day", "shop")
    assert [(column.name, column.type, column.is_nullable) for column in table.columns] == [
        ("day", DAY, False),
        ("shop", TEXT, False),
        ("target", MONEY, True),
        ("orders", COUNT, True),
        ("is_final", FLAG, True),
        ("at", STAMP, True),
        ("note", TEXT, True),
    ]


def test_values_have_the_types_of_their_columns_and_what_is_empty_is_null(tmp_path: Path) -> None:
    lines = '2026-01-31,north,-12.5000,-3,true,2026-01-31T08:00:00+01:00,"a, ""b"""\n\n2026-02-01,north,,,,,\n'
    rows = rows_of(seed_of(tmp_path, ALL + lines)).to_pylist()
    assert list(rows[0].values()) == [
        date(2026, 1, 31),
        "north",
        Decimal("-12.5"),
        -3,
        True,
        datetime(2026, 1, 31, 7, tzinfo=UTC),
        'a, "b"',
    ]
    assert list(rows[1].values()) == [date(2026, 2, 1), "north", None, None, None, None, None]


def test_a_file_as_a_spreadsheet_saves_it_reads_the_same(tmp_path: Path) -> None:
    seed = seed_of(tmp_path, '\ufeff"day:date key","target:numeric(7,2)"\r\n2026-01-31,1.5\r\n')
    assert seed.table.column("target").type == pa.decimal128(7, 2)
    assert rows_of(seed).to_pylist() == [{"day": date(2026, 1, 31), "target": Decimal("1.50")}]
    assert rows_of(seed_of(tmp_path, "day:date key\n")).num_rows == 0


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        ("2026-01-31,a,x,,,,", r"line 2: target is no numeric\(19,4\) such as 12.50"),
        ("2026-01-31,a,1.23456,,,,", "line 2: target is no numeric"),
        ('2026-01-31,a,"1,50",,,,', "line 2: target is no numeric"),
        ("2026-01-31,a,NaN,,,,", "line 2: target is no numeric"),
        ("2026-01-31,a,1234567890123456,,,,", "line 2: target is no numeric"),
        ("31.01.2026,a,,,,,", "line 2: day is no date such as 2026-11-22"),
        ("20260131,a,,,,,", "line 2: day is no date"),
        ("2026-02-30,a,,,,,", "line 2: day is no date"),
        ("2026-01-31,a,,1.0,,,", "line 2: orders is no bigint"),
        ("2026-01-31,a,,9223372036854775808,,,", "line 2: orders is no bigint"),
        ("2026-01-31,a,,,yes,,", "line 2: is_final is no boolean such as true"),
        ("2026-01-31,a,,,,2026-01-31T08:00:00,", "line 2: at is no timestamp with time zone such as"),
        (",a,,,,,", "line 2: day is in the key and empty"),
        ("2026-01-31,a", "line 2: has 2 values, and there are 7 columns"),
        ("2026-01-31,a,,,,,\n2026-01-31,a,1,,,,", "line 3: has the same day, shop as line 2"),
        ('2026-01-31,"a', "no CSV in UTF-8 that can be read"),
    ],
)
def test_a_value_that_is_none_of_its_type_is_reported_with_its_line_and_not_quoted(
    tmp_path: Path, line: str, messages: str
) -> None:
    with pytest.raises(ContractError, match=messages) as raised:
        rows_of(seed_of(tmp_path, ALL + line + "\n"))
    assert str(raised.value).startswith(f"{tmp_path / 'targets.csv'}: ")
    assert "31.01.2026" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "first", "messages"),
    [
        ("targets", "Day,target", "line 1: 'Day' is no column; write name:type"),
        ("targets", "day:datum", "line 1: 'day:datum' is no column"),
        ("targets", "day:numeric", "line 1: 'day:numeric' is no column"),
        ("targets", "day:numeric(40,2)", "is no column"),
        ("targets", "day:numeric(2,4)", "is no column"),
        ("targets", "day:date;target:text", "is no column"),
        ("targets", "day:date,day:text", "line 1: two columns have the same name"),
        ("targets", "", "line 1: '' is no column"),
        ("targets", "user:text", "line 1: user is a word of Postgres' own, which no column can have"),
        ("Targets", "day:date", "the file's name becomes the table's"),
    ],
)
def test_a_first_line_that_is_no_contract_is_reported_and_stops_no_other_file(
    tmp_path: Path, name: str, first: str, messages: str
) -> None:
    (tmp_path / "other.csv").write_text("day:date\n", encoding="utf-8")
    (tmp_path / f"{name}.csv").write_text(first + "\n", encoding="utf-8")
    seeds, faults = read_seeds(tmp_path)
    assert [seed.table.name for seed in seeds] == ["other"]
    assert faults.keys() == {name}
    assert messages in faults[name]
