"""What is encoded here is what the server makes of the same value's text, byte by byte, whatever Arrow keeps it in."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from pathlib import Path
from typing import TypeVar, cast

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_pipeline.errors import ContractError
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.shape import MONEY
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.copying import copy_rows
from analytics_pipeline.warehouse.layout import create_statements, ensure_schema
from analytics_pipeline.warehouse.numerics import asked, typed
from analytics_pipeline.warehouse.slices import query, read_table, write
from analytics_pipeline_tests.integration.tables import THINGS, execute, stream_that_breaks, things
from benchmarks.ledger import make_ledger

DRAWN = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=80)
DATES = st.dates(min_value=date(1, 1, 1))
STAMPS = st.datetimes(timezones=st.just(UTC))
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBERS = st.floats(allow_nan=False) | st.just(float("nan"))
CONTEXT = Context(prec=60)
EXTREMES = (date(1, 1, 1), date(1999, 12, 31), date(2000, 1, 1), date(9999, 12, 31))


Test = TypeVar("Test", bound=Callable[..., None])


def drawn(**strategies: object) -> Callable[[Test], Test]:
    """Let a test be called with drawn values."""
    return cast("Callable[[Test], Test]", lambda test: DRAWN(given(**strategies)(test)))


@pytest.fixture(scope="module")
def cursor(server: Database) -> Iterator[psycopg.Cursor[tuple[object, ...]]]:
    """A cursor in a transaction of its own, which makes only temporary tables."""
    with server.named("postgres").connect() as connection, closing(connection.cursor()) as cursor:
        yield cursor


Cursor = psycopg.Cursor[tuple[object, ...]]
SENT = {
    "text[]": "array_send",
    "date[]": "array_send",
    "text": "textsend",
    "json": "json_send",
    "bytea": "byteasend",
    "date": "date_send",
    "timestamptz": "timestamptz_send",
    "bigint": "int8send",
    "int": "int4send",
    "smallint": "int2send",
    "boolean": "boolsend",
    "double precision": "float8send",
    "real": "float4send",
}


def hold(cursor: Cursor, kind: str, texts: Sequence[str | None], *arrays: pa.Array | pa.ChunkedArray) -> None:
    """Copy values and hold what is stored against the server's own reading of their texts, as the bytes it sends.

    Args:
        cursor: Where to; what was done there before is undone.
        kind: Postgres' type.
        texts: The values as Postgres reads them.
        arrays: The same values, in as many ways.
    """
    cursor.connection.rollback()
    names = [f"given_{number}" for number in range(len(arrays))]
    cursor.execute(f"create temporary table probe (place bigint, {', '.join(f'{name} {kind}' for name in names)})")
    copied = pa.table({"place": range(len(texts)), **dict(zip(names, arrays, strict=True))})
    assert copy_rows(cursor, "probe", copied) == len(texts)
    send = SENT.get(kind, "numeric_send")
    differs = " or ".join(f"{send}(p.{name}) is distinct from {send}(w.wanted::{kind})" for name in names)
    cursor.execute(
        "select w.place, w.wanted, p.* from probe as p full join (select wanted, place - 1 as place "
        "from unnest($1::text[]) with ordinality as w (wanted, place)) as w using (place) where " + differs,
        (list(texts),),
    )
    assert cursor.fetchall() == []


def hold_all(
    cursor: Cursor, kind: str, texts: Sequence[str | None], values: Sequence[object], arrow: pa.DataType
) -> None:
    """Hold values as Arrow may have them: whole, as a piece of a longer array, in chunks."""
    whole = pa.array(values, arrow)
    piece = pa.concat_arrays([pa.array([values[0], None], arrow), whole, whole])[2 : 2 + len(values)]
    hold(cursor, kind, texts, whole, piece)
    hold(cursor, kind, texts, pa.chunked_array([whole[:1], whole[1:1], whole[1:]]), piece)


def lists(drawn: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
    return st.lists(st.none() | drawn, min_size=1, max_size=12)


@st.composite  # type: ignore[untyped-decorator]
def decimals(draw: Callable[..., object]) -> tuple[int, int, list[Decimal | None]]:
    precision = draw(st.integers(1, 38))
    assert isinstance(precision, int)
    scale = draw(st.integers(0, precision))
    assert isinstance(scale, int)
    largest = 10**precision - 1
    digits = st.sampled_from([0, 1, -1, largest, -largest, largest // 2, 10 ** (precision // 2)]) | st.integers(
        -largest, largest
    )
    found = draw(lists(digits))
    assert isinstance(found, list)
    return precision, scale, [None if one is None else Decimal(one).scaleb(-scale, CONTEXT) for one in found]


@drawn(drawn=decimals())
def test_decimals_of_every_precision_and_scale_are_the_numbers_that_they_print(
    cursor: Cursor, drawn: tuple[int, int, list[Decimal | None]]
) -> None:
    precision, scale, values = drawn
    texts = [None if one is None else f"{one:f}" for one in values]
    hold_all(cursor, f"numeric({precision},{scale})", texts, values, pa.decimal128(precision, scale))


def test_amounts_around_every_power_of_ten_are_exact(cursor: Cursor) -> None:
    places = [sign * (10**power + more) for power in range(19) for more in (-1, 0, 1) for sign in (1, -1)]
    values = [Decimal(one).scaleb(-4) for one in places]
    hold(cursor, "numeric(19,4)", [f"{one:f}" for one in values], pa.array(values, MONEY))
    # The halves of a decimal meet at 64 bits, of a number in Arrow at 63.
    edges = [sign * (2**power + more) for power in (31, 32, 63, 64, 96, 126) for more in (-1, 0, 1) for sign in (1, -1)]
    for edge in edges:  # each alone, too: whether all fit into one word is asked of a whole batch
        hold(cursor, "numeric(38,0)", [str(edge)], pa.array([Decimal(edge)], pa.decimal128(38, 0)))
    hold(cursor, "numeric(38,0)", list(map(str, edges)), pa.array(list(map(Decimal, edges)), pa.decimal128(38, 0)))


@drawn(values=lists(TEXTS | st.text("ab", min_size=70, max_size=200)))
def test_texts_arrive_whole_however_arrow_keeps_them(cursor: Cursor, values: list[str | None]) -> None:
    for kind in (pa.string(), pa.large_string()):
        hold_all(cursor, "text", values, values, kind)
    whole = pa.array(values, pa.string())
    hold(cursor, "text", values, whole.dictionary_encode(), whole.cast(pa.string_view()))


@drawn(values=lists(DATES | st.sampled_from(EXTREMES)))
def test_days_arrive(cursor: Cursor, values: list[date | None]) -> None:
    hold_all(cursor, "date", [one.isoformat() if one else None for one in values], values, pa.date32())


@drawn(values=lists(STAMPS))
def test_stamps_arrive_to_the_microsecond_or_as_exact_as_they_were(
    cursor: Cursor, values: list[datetime | None]
) -> None:
    hold_all(
        cursor,
        "timestamptz",
        [one.isoformat() if one else None for one in values],
        values,
        pa.timestamp("us", tz="UTC"),
    )
    seconds = [one and one.replace(microsecond=0) for one in values]
    abroad = pa.array(seconds, pa.timestamp("s", tz="Europe/Berlin"))
    hold(cursor, "timestamptz", [one.isoformat() if one else None for one in seconds], abroad)


@drawn(values=lists(WHOLE), flags=lists(st.booleans()), numbers=lists(NUMBERS))
def test_numbers_and_flags_arrive(
    cursor: Cursor, values: list[int | None], flags: list[bool | None], numbers: list[float | None]
) -> None:
    hold_all(cursor, "bigint", [None if one is None else str(one) for one in values], values, pa.int64())
    hold_all(cursor, "boolean", [None if one is None else str(one) for one in flags], flags, pa.bool_())
    hold_all(cursor, "double precision", [None if one is None else repr(one) for one in numbers], numbers, pa.float64())


@drawn(values=lists(st.lists(st.none() | TEXTS, max_size=4)), days=lists(st.lists(st.none() | DATES, max_size=4)))
def test_arrays_arrive(
    cursor: Cursor, values: list[list[str | None] | None], days: list[list[date | None] | None]
) -> None:
    hold_all(cursor, "text[]", [one if one is None else literal(one) for one in values], values, pa.list_(pa.string()))
    dates = [None if one is None else [day.isoformat() if day else None for day in one] for one in days]
    hold_all(cursor, "date[]", [one if one is None else literal(one) for one in dates], days, pa.list_(pa.date32()))


def literal(values: Sequence[object]) -> str:
    """An array as its text has it."""
    quoted = [
        "null" if one is None else '"' + str(one).replace("\\", "\\\\").replace('"', '\\"') + '"' for one in values
    ]
    return "{" + ",".join(quoted) + "}"


@pytest.mark.parametrize(
    ("kind", "postgres", "values"),
    [
        (pa.int32(), "int", [-(2**31), 2**31 - 1, None]),
        (pa.int16(), "smallint", [-(2**15), 2**15 - 1, None]),
        (pa.float32(), "real", [0.5, -0.25, None]),
        (pa.binary(), "bytea", [b"\x00\xff", b"", None]),
    ],
    ids=str,
)
def test_what_only_temporary_tables_have_arrives(
    cursor: Cursor, kind: pa.DataType, postgres: str, values: list[object]
) -> None:
    texts = [one if one is None else f"\\x{one.hex()}" if isinstance(one, bytes) else str(one) for one in values]
    hold_all(cursor, postgres, texts, values, kind)


def test_what_lies_behind_a_null_is_not_sent(cursor: Cursor) -> None:
    validity = pa.py_buffer(bytes([0b101]))
    texts = pa.array(["one", "hidden", "three"])
    hold(cursor, "text", ["one", None, "three"], pa.StringArray.from_buffers(3, *texts.buffers()[1:], validity))
    amounts = pa.array([Decimal("1.5000"), Decimal(10) ** 14, Decimal(-3)], MONEY)
    hidden = pa.Array.from_buffers(MONEY, 3, [validity, amounts.buffers()[1]])
    hold(cursor, "numeric(19,4)", ["1.5000", None, "-3"], hidden)
    several = pa.array([["a"], ["hidden", "too"], ["b", "c"]])
    covered = pa.Array.from_buffers(several.type, 3, [validity, several.buffers()[1]], children=[several.values])
    hold(cursor, "text[]", ["{a}", None, "{b,c}"], covered)


def test_long_and_short_records_arrive_in_pieces(cursor: Cursor) -> None:
    long = [f'{{"note": "{"x" * (length * 1_000)}"}}' for length in range(0, 120, 3)]
    hold(cursor, "json", [*long, None, "1"], pa.array([*long, None, "1"]))
    many = [str(number % 977) if number % 3 else None for number in range(50_000)]
    hold(cursor, "text", many, pa.array(many))


def test_nothing_is_a_table_without_rows(cursor: Cursor) -> None:
    for kind, postgres in ((pa.string(), "text"), (MONEY, "numeric(19,4)"), (pa.list_(pa.string()), "text[]")):
        hold(cursor, postgres, [], pa.array([], kind), pa.chunked_array([], kind))


def test_a_ledger_adds_up_in_the_server_to_the_cent(database: Database) -> None:
    ledger, table = make_ledger(50_000), CLEAN_SALES.table
    ensure_schema(database, table.schema)
    execute(database, *create_statements(table))
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        assert copy_rows(cursor, table.qualified_name, ledger) == len(ledger)
        connection.commit()
    money = [column.name for column in table.columns if column.type == MONEY]
    [stored] = query(database, f"select {', '.join(f'sum({name}) as {name}' for name in money)} from clean.sales")
    assert stored == {name: str(pa.compute.sum(ledger[name]).as_py()) for name in money}


@pytest.mark.parametrize(
    "array",
    [
        pa.array([-(2**31)], pa.int32()).view(pa.date32()),
        pa.array([-(2**31) + 10_957], pa.int32()).view(pa.date32()),
        pa.array([-(2**63)], pa.int64()).view(pa.timestamp("us", tz="UTC")),
        pa.array([-(2**63) + 946_684_800_000_000], pa.int64()).view(pa.timestamp("us", tz="UTC")),
    ],
    ids=["before days", "infinite day", "before stamps", "infinite stamp"],
)
def test_a_time_that_postgres_does_not_have_is_refused_by_name(cursor: Cursor, array: pa.Array) -> None:
    cursor.connection.rollback()
    cursor.execute("create temporary table times (day date, at timestamptz)")
    name = "day" if pa.types.is_date(array.type) else "at"
    with pytest.raises(ContractError, match=f"the column {name} holds"):
        copy_rows(cursor, "times", pa.table({name: array}))


@pytest.mark.parametrize("array", [pa.array([1], pa.uint64()), pa.array([[1]]), pa.array([{"a": 1}])], ids=str)
def test_a_type_that_no_column_has_is_refused_by_name(cursor: Cursor, array: pa.Array) -> None:
    cursor.connection.rollback()
    cursor.execute("create temporary table odd (thing text)")
    with pytest.raises(TypeError, match=r"the column thing is"):
        copy_rows(cursor, "odd", pa.table({"thing": array}))


def test_a_zero_byte_is_refused_by_the_server_and_not_quoted(database: Database) -> None:
    execute(database, "create table notes (note text)")
    with (
        pytest.raises(psycopg.DataError, match=r'invalid byte sequence for encoding "\.\.\."') as raised,
        database.connect() as connection,
        closing(connection.cursor()) as cursor,
    ):
        copy_rows(cursor, "notes", pa.table({"note": ["Jo\x00e"]}))
    assert "Jo" not in str(raised.value)


@drawn(drawn=decimals())
def test_decimals_are_read_as_they_were_written(
    cursor: Cursor, server: Database, drawn: tuple[int, int, list[Decimal | None]]
) -> None:
    precision, scale, values = drawn
    kind = pa.decimal128(precision, scale)
    cursor.connection.rollback()
    literals = ", ".join("(null)" if one is None else f"({one:f})" for one in values)
    with server.named("postgres").reading() as reader:
        reader.execute(
            f"select {asked('given', kind)} from (values {literals}) as v (one), "
            f"lateral (select one::numeric({precision},{scale}) as given) as w"
        )
        found = reader.fetch_arrow_table().to_batches()
    read = pa.Table.from_batches([typed(batch, pa.schema([("given", kind)])) for batch in found])
    read.validate(full=True)
    assert read["given"].to_pylist() == values


def test_what_is_no_amount_is_not_read_as_one(database: Database) -> None:
    write(database, THINGS, things((1, "a"), (2, "b")), None)
    execute(database, "update probe.things set amount = 'NaN' where name = 'b'")
    with pytest.raises(ContractError, match="the column amount holds NaN"):
        read_table(database, THINGS)


def test_a_stream_that_breaks_is_told_to_nobody_but_its_reader(database: Database, server: Database) -> None:
    ensure_schema(database, THINGS.schema)
    execute(database, *create_statements(THINGS))
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        with pytest.raises(ConnectionResetError, match="hung up"):
            copy_rows(cursor, THINGS.qualified_name, stream_that_breaks((1, "a")))
        connection.rollback()
        assert copy_rows(cursor, THINGS.qualified_name, things((1, "a"))) == 1
    [folder] = query(server.named("postgres"), "select current_setting('data_directory') as data")
    messages = Path(f"{folder['data']}.log").read_text(encoding="utf-8", errors="replace")
    assert "COPY from stdin failed" in messages
    assert "hung up" not in messages
