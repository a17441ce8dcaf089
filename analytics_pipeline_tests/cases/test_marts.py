"""Marts, their numbers on record, and what noting changes costs when a history is long."""

from datetime import timedelta

import pytest

from analytics_pipeline.database.connection import Database
from analytics_pipeline.database.slices import query
from analytics_pipeline_tests.cases.long_history import FIRST, LongHistory

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
