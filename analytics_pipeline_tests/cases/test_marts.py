"""Marts, their numbers on record, and what noting changes costs when a history is long."""

import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.errors import MartError
from analytics_pipeline.history.publishing import MartDays, publish
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.orchestration.day_metadata import FEW, name_days
from analytics_pipeline.orchestration.running import range_tags
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.tables.shape import COUNT, MONEY
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.layout import ensure_schema, ensure_table
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline.warehouse.slices import query, read_table
from analytics_pipeline_tests.cases.long_history import FIRST, LongHistory

DAY = date(2026, 11, 20)
ORDERS, DAYS = 20_000, 3_650
FEW_SECONDS = 2.0
"""What comparing each order with each customer exceeds several times, and what is linear stays far below."""


@pytest.fixture
def history(database: Database) -> LongHistory:
    return LongHistory(database, ORDERS, DAYS)


def test_one_day_and_then_the_rest_of_ten_years_costs_seconds_not_the_square(history: LongHistory) -> None:
    middle = FIRST + timedelta(days=DAYS // 2)
    history.load(middle, middle)
    assert history.load(FIRST, history.last) < FEW_SECONDS
    # Customers of the middle day had bought before, as is known now: no first order of theirs is on that day any more.
    moved = query(
        history.database,
        "select event_date, cause, is_first_order, count(*) as n from ops.order_changes group by 1, 2, 3",
    )
    assert moved == [{"event_date": middle, "cause": "backfill", "is_first_order": True, "n": 6}]


def test_all_ten_years_again_with_other_customers_records_costs_seconds(history: LongHistory) -> None:
    history.load(FIRST, history.last)
    never_bought_before = f"date '{FIRST}' + {2 * DAYS}"
    assert history.load_customers(never_bought_before) < FEW_SECONDS
    assert query(history.database, "select count(*) as n from ops.order_changes") == [{"n": 0}]
    seven_on_the_first_day = f"date '{FIRST}' + case when n < 7 then 0 else {DAYS} end"
    assert history.load_customers(seven_on_the_first_day) < FEW_SECONDS
    moved = query(
        history.database,
        f"""
        select event_date = date '{FIRST}' as is_first_day, order_id is null as without_order, cause, count(*) as n
        from ops.order_changes where is_first_order group by 1, 2, 3 order by 1
        """,
    )
    # The seventh had bought on the first day anyway.
    assert moved == [
        {"is_first_day": False, "without_order": False, "cause": "customer_record", "n": 6},
        {"is_first_day": True, "without_order": True, "cause": "customer_record", "n": 6},
    ]


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("days", [FEW, FEW + 1])
def test_each_day_of_a_long_run_has_its_own_metadata_in_linear_time(days: int) -> None:
    spent = []

    class Telling(dg.IOManager):
        def handle_output(self, context: dg.OutputContext, obj: object) -> None:
            del obj
            began = time.process_time()
            figures = {day: {"number": place} for place, day in enumerate(context.asset_partition_keys)}
            name_days(context, figures)
            context.add_output_metadata({"of_all": 7})
            if days > FEW:
                name_days(context, figures | {f"day {number}": {"number": number} for number in range(50_000)})
            spent.append(time.process_time() - began)

        def load_input(self, context: dg.InputContext) -> None:
            raise NotImplementedError

    @dg.asset(
        partitions_def=dg.DailyPartitionsDefinition(str(FIRST)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        io_manager_key="telling",
    )
    def table() -> int:
        return 7

    last = FIRST + timedelta(days=days - 1)
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [table], instance=instance, resources={"telling": Telling()}, tags=range_tags(Days(FIRST, last))
        )
    messages = {
        event.partition: {name: value.value for name, value in event.metadata.items()}
        for event in result.asset_materializations_for_node("table")
    }
    assert messages == {str(FIRST + timedelta(days=place)): {"number": place, "of_all": 7} for place in range(days)}
    # Copying all earlier ones for each would take minutes.
    assert spent[0] < FEW_SECONDS


def mart_of(folder: Path, body: str, *, grain: str = "event_date", watched: str = "") -> Mart:
    """A mart of one file; each line of `body` is an output column, behind the day."""
    columns = ["event_date", *(line for line in body.splitlines() if line.strip())]
    listed = "\n".join(f"    {line}{',' if line != columns[-1] else ''} -- One." for line in columns)
    lines = ["-- One row.", f"-- grain: {grain}", *([f"-- restatements: {watched}"] if watched else [])]
    text = (
        "\n".join(lines)
        + f"""
with sums as (
    select event_date, product_id, sum(net_sales) as net_sales, sum(quantity) as quantity,
        max(cast(0.00004 as numeric(12, 8))) as fine, min(unit) as unit
    from (select *, 0.5 as unit from clean.sales) as sales group by event_date, product_id
)
select
{listed}
from sums where event_date between :first_day and :last_day group by event_date
"""
    )
    (folder / "probe.sql").write_text(text, encoding="utf-8")
    (mart,) = load_marts(folder)
    return mart


class Publisher:
    """Publishes the rows of a mart that a test names, day by day, as they are after a day of the shop is over."""

    def __init__(self, database: Database, mart: Mart) -> None:
        self.database, self.mart = database, mart
        prepare(database)
        ensure_schema(database, CLEAN_SALES.table.schema)
        with database.connect() as connection, closing(connection.cursor()) as cursor:
            ensure_table(connection, CLEAN_SALES.table)
            cursor.execute(
                f"insert into {MATERIALISED_DAYS.qualified_name} "
                "(table_name, day, first_written_at, written_at, run_id, as_of, code_version) "
                f"values ('clean.sales', '{DAY}', now(), now(), 'run', '{datetime(2026, 11, 22, tzinfo=UTC)}', 'd')"
            )
            connection.commit()

    def publish(self, *rows: str) -> None:
        names = ", ".join(column.name for column in self.mart.table.columns)
        types = ", ".join(f"null::{column.postgres_type}" for column in self.mart.table.columns)
        values = "".join(f" union all select {row}" for row in rows)
        statement = f"select {names} from (select {types} where false{values}) as rows ({names})"

        def of_slice(part: Days) -> str:
            return f"select * from ({statement}) as slice where {self.mart.table.where(part)}"

        days = MartDays(of_slice, Days(DAY, DAY), "d", "UTC", self.mart.watched)
        publish(self.database, self.mart.table, days, "run")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in query(self.database, sql)]


CITIES = (
    "event_date, region, city, currency",
    "product_id as region\nproduct_id as city\nproduct_id as currency\nnet_sales",
)


def test_c38_rows_whose_texts_meet_when_they_are_joined_are_both_published(database: Database, tmp_path: Path) -> None:
    mart = mart_of(tmp_path, CITIES[1], grain=CITIES[0], watched="all numbers")
    publisher = Publisher(database, mart)
    rows = [
        "'New York', 'City', 'EUR'",
        "'New', 'York City', 'EUR'",
        "'Bonn', 'Beuel', 'EUR'",
        r"'New\', 'York City', 'EUR'",
    ]

    publisher.publish(*(f"date '{DAY}', {row}, {amount}.00" for amount, row in enumerate(rows)))
    publisher.publish(*(f"date '{DAY}', {row}, {amount + 10}.00" for amount, row in enumerate(rows)))

    assert publisher.rows("select key, value::text from ops.publications order by value") == [
        (r"New\ York City EUR", "0.0000"),
        (r"New York\ City EUR", "1.0000"),
        ("Bonn Beuel EUR", "2.0000"),
        (r"New\\ York\ City EUR", "3.0000"),
    ]
    assert publisher.rows("select old_value::text, new_value::text from ops.restatements order by old_value") == [
        (f"{amount}.0000", f"{amount + 10}.0000") for amount in range(4)
    ]


def test_c38_keys_that_were_joined_without_escapes_go_on_as_the_same_numbers(
    database: Database, tmp_path: Path
) -> None:
    publisher = Publisher(database, mart_of(tmp_path, CITIES[1], grain=CITIES[0], watched="all numbers"))
    publisher.publish(f"date '{DAY}', 'New York', 'City', 'EUR', 1.00")
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("update ops.publications set key = 'New York City EUR'")
        connection.commit()

    publisher.publish(f"date '{DAY}', 'New York', 'City', 'EUR', 3.00")

    assert publisher.rows("select key from ops.publications") == [(r"New\ York City EUR",)]
    assert publisher.rows("select key, old_value::text, new_value::text from ops.restatements") == [
        (r"New\ York City EUR", "1.0000", "3.0000")
    ]


@pytest.mark.parametrize("currency", ["EUR", "not a code", r"back\slash", ""])
def test_c38_the_key_of_a_single_column_is_its_value(database: Database, tmp_path: Path, currency: str) -> None:
    mart = mart_of(tmp_path, "product_id as currency\nnet_sales", grain="event_date, currency", watched="all numbers")
    publisher = Publisher(database, mart)
    publisher.publish(f"date '{DAY}', '{currency}', 1.00")
    assert publisher.rows("select key from ops.publications") == [(currency,)]


@pytest.mark.parametrize(
    ("values", "restated"),
    [
        (["null", "0"], [(None, "0.0000")]),
        (["0", "null"], [("0.0000", None)]),
        (["null", "0", "null"], [(None, "0.0000"), ("0.0000", None)]),
        (["0", "gone"], [("0.0000", None)]),
        (["0", "gone", "0"], [("0.0000", None), (None, "0.0000")]),
        (["null", "null"], []),
        (["null", "gone"], []),
        (["0", "0.0000"], []),
        (["gone", "0"], []),
        (["gone", "5"], [(None, "5.0000")]),
    ],
    ids=lambda value: f"C40-{'-'.join(value)}" if value and isinstance(value[0], str) else "",
)
def test_c40_nothing_and_zero_are_different_published_numbers(
    database: Database, tmp_path: Path, values: Sequence[str], restated: list[tuple[str | None, str | None]]
) -> None:
    mart = mart_of(tmp_path, "product_id as currency\nnet_sales", grain="event_date, currency", watched="all numbers")
    publisher = Publisher(database, mart)
    for value in values:
        publisher.publish(*([] if value == "gone" else [f"date '{DAY}', 'EUR', {value}"]))

    changes = "select old_value::text, new_value::text from ops.restatements where key = 'EUR' order by restated_at"
    assert publisher.rows(changes) == restated
    now = publisher.rows("select value::text from ops.as_reported(now() + interval '1 minute') where key = 'EUR'")
    stored = publisher.rows("select net_sales::text from marts.probe where currency = 'EUR'") or [(None,)]
    assert now == (stored if restated or values[0] != "gone" else [])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cast(0.00004 as numeric(12, 8))", pa.decimal128(12, 8)),
        ("max(fine)", pa.decimal128(38, 8)),
        ("sum(fine)", pa.decimal128(38, 8)),
        ("sum(net_sales)", MONEY),
        ("sum(net_sales * quantity)", MONEY),
        ("sum(net_sales * net_sales)", pa.decimal128(38, 8)),
        ("sum(net_sales * unit)", pa.decimal128(38, 5)),
        ("sum(net_sales * 1.19)", pa.decimal128(38, 6)),
        ("coalesce(sum(net_sales), 0)", MONEY),
        ("coalesce(sum(net_sales), 0.000001)", pa.decimal128(38, 6)),
        ("case when count(*) > 0 then sum(net_sales) else max(fine) end", pa.decimal128(38, 8)),
        ("sum(net_sales) filter (where quantity > 0)", MONEY),
        ("cast(sum(net_sales) as numeric)", MONEY),
        ("cast(1.0 / 3 as numeric(19, 4))", MONEY),
        ("cast(1.0 / 3 as numeric(30, 20))", pa.decimal128(30, 20)),
        ("cast(1.0 / 3 as numeric(7, 2))", MONEY),
        ("cast(round(sum(net_sales) / 3, 6) as numeric)", pa.decimal128(38, 6)),
        ("cast(ceil(sum(net_sales) / 3) as numeric)", MONEY),
        ("nullif(abs(-sum(net_sales)), 0)", MONEY),
        ("(select max(fine) from sums)", pa.decimal128(38, 8)),
        ("sum(quantity)", COUNT),
        ("sum(net_sales) / count(*)", "has no fixed number of decimals"),
        ("cast(1.0 / 3 as numeric)", "has no fixed number of decimals"),
        ("cast('1.23' as numeric)", "has no fixed number of decimals"),
        ("coalesce(sum(net_sales) / 3, 0)", "has no fixed number of decimals"),
        ("cast(avg(net_sales) as numeric)", "has no fixed number of decimals"),
        ("cast(1 as numeric(60, 30))", "has more than 38 digits"),
        ("sum(fine * fine * fine * fine * fine)", "has more than 38 digits"),
        (
            "sum(extract(epoch from now() - event_date)) / 3600",
            r"cannot be derived; cast it, as in cast\(number as numeric",
        ),
        ("max(date_part('second', now()))", r"cannot be derived; cast it, as in cast\(number as numeric"),
        ("cast(max(extract(epoch from now())) / 3600 as numeric(19, 4))", MONEY),
        ("max(extract(year from event_date))", COUNT),
        ("1.0 / 3", r"cannot be derived; cast it, as in cast\(number as numeric\(19, 4\)\)"),
        ("array_agg(product_id)", r"cannot be derived; cast it, as in cast\(number as bigint\)"),
    ],
    ids=lambda value: f"C39-{value}" if isinstance(value, str) else "",
)
def test_c39_a_number_has_the_decimals_that_its_statement_gives_or_is_refused(
    tmp_path: Path, expression: str, expected: pa.DataType | str
) -> None:
    body = f"{expression} as number"
    if isinstance(expected, str):
        with pytest.raises(MartError, match=expected):
            mart_of(tmp_path, body)
        return
    assert mart_of(tmp_path, body).table.column("number").type == expected


def test_c39_decimals_arrive_in_postgres_and_come_back_as_they_were_computed(
    database: Database, tmp_path: Path
) -> None:
    mart = mart_of(tmp_path, "cast(0.00004 as numeric(12, 8)) as fine\ncast(1.0 / 3 as numeric(30, 20)) as third")
    publisher = Publisher(database, mart)
    publisher.publish(f"date '{DAY}', 0.00004, 1.0 / 3")
    publisher.publish(f"date '{DAY}', 0.00004, 1.0 / 3")
    assert publisher.rows("select fine::text, third::text from marts.probe") == [
        ("0.00004000", "0.33333333333333333333")
    ]
    stored = read_table(database, mart.table).to_pylist()
    assert [str(value) for row in stored for value in list(row.values())[1:]] == [
        "0.00004000",
        "0.33333333333333333333",
    ]


def test_c39_a_number_on_record_with_more_decimals_than_the_record_keeps_is_refused(tmp_path: Path) -> None:
    body = "net_sales\ncast(0.00004 as numeric(12, 8)) as fine"
    for watched in ("all numbers", "net_sales, fine"):
        with pytest.raises(MartError, match=r"fine has more; cast it to numeric\(19, 4\)"):
            mart_of(tmp_path, body, watched=watched)
    assert mart_of(tmp_path, body, watched="net_sales").watched == ("net_sales",)
