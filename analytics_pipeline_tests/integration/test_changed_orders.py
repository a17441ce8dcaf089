"""Late changes that are orders alone: what the shop is asked for, and when customers and products are read, too."""

from collections.abc import Mapping
from datetime import date

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import StaleDay, are_orders_alone, listed_days, mark
from analytics_pipeline.job_names import CHANGED_ORDERS, LATE_CHANGES
from analytics_pipeline.orchestration.jobs import job_of_stale_days
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.late import LOADED, OPENED, catch_up, look_at
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.truth import agrees

LATER_ORDER = "order_date > first_order_date"
FIRST_ORDER = "order_date = first_order_date"
Asked = list[tuple[str, Mapping[str, str]]]


@pytest.fixture
def current(later: Pipeline) -> Pipeline:
    """A pipeline that is as its shop, and a shop that has not been asked since."""
    catch_up(later)
    assert later.run(OPENED, LOADED).succeeded
    assert look_at(later).stale == []
    later.shop.shop.asked.clear()
    return later


def an_order(pipeline: Pipeline, condition: str) -> tuple[str, str, date]:
    """An order of a registered customer: its id, the customer's, and the business day."""
    [row] = pipeline.rows(
        "select order_id, customer_id, order_date from clean.orders join clean.customers using (customer_id) "
        f"where {condition} and order_id not in (select order_id from ops.quarantine) order by order_id limit 1"
    )
    return str(row["order_id"]), str(row["customer_id"]), row["order_date"]  # type: ignore[return-value]  # a date


def named_again(pipeline: Pipeline) -> None:
    """Have the next poll see every order that has changed since the shop opened."""
    execute(pipeline.database, f"update ops.polls set newest_change = '{OPENED}'")


def differs(pipeline: Pipeline, order_id: str) -> None:
    """As if an order had been stored before the shop edited it."""
    execute(
        pipeline.database,
        f"update raw.orders set payload = (payload::jsonb || '{{\"note\": 1}}')::json where order_id = '{order_id}'",
    )
    named_again(pipeline)


def is_unknown(pipeline: Pipeline, order_id: str, customer_id: str) -> None:
    """As if an order and its customer had come after the day was loaded."""
    execute(
        pipeline.database,
        f"delete from raw.orders where order_id = '{order_id}'",
        f"delete from raw.customers where customer_id = '{customer_id}'",
        f"delete from clean.customers where customer_id = '{customer_id}'",
        "update raw.customers set extracted_at = '2025-01-01'",
    )
    named_again(pipeline)


def lists(asked: Asked) -> set[str]:
    return {name for name, _ in asked}


def test_one_changed_day_asks_for_the_changes_and_that_day_and_for_nothing_of_customers_and_products(
    current: Pipeline,
) -> None:
    order_id, _, day = an_order(current, LATER_ORDER)
    differs(current, order_id)

    done = catch_up(current)

    assert done.days == {day}
    asked = list(current.shop.shop.asked)
    assert lists(asked) == {"orders"}
    changes = [query for _, query in asked if "updated_since" in query]
    counts = [query for _, query in asked if "created_from" in query and query["limit"] == "1"]
    read = [query for _, query in asked if "created_from" in query and query["limit"] != "1"]
    assert (len(changes), len(counts), len(read), len(asked)) == (1, 2, 1, 4), asked
    assert current.rows("select * from ops.stale_days") == []
    agrees(current, OPENED, LOADED)
    current.shop.shop.asked.clear()
    assert catch_up(current).days == set()
    assert lists(list(current.shop.shop.asked)) == {"orders"}


def test_a_late_order_of_a_new_customer_reads_the_customers(current: Pipeline) -> None:
    order_id, customer_id, day = an_order(current, "true")
    is_unknown(current, order_id, customer_id)

    done = catch_up(current)

    assert done.days == {day}
    assert lists(list(current.shop.shop.asked)) == {"orders", "customers", "products"}
    assert current.rows(f"select 1 as one from clean.customers where customer_id = '{customer_id}'")
    agrees(current, OPENED, LOADED)
    assert catch_up(current).days == set()


def test_an_order_of_a_new_product_reads_the_products(current: Pipeline) -> None:
    order_id, _, _ = an_order(current, LATER_ORDER)
    [line] = current.rows(f"select min(product_id) as id from clean.order_lines where order_id = '{order_id}'")
    execute(current.database, f"delete from raw.products where product_id = '{line['id']}'")
    differs(current, order_id)

    catch_up(current)

    assert "products" in lists(list(current.shop.shop.asked))
    assert current.rows(f"select 1 as one from raw.products where product_id = '{line['id']}'")


def test_an_edit_of_a_customers_first_order_reads_the_customers_since_their_record_may_name_another_day(
    current: Pipeline,
) -> None:
    order_id, _, _ = an_order(current, FIRST_ORDER)
    differs(current, order_id)

    catch_up(current)

    assert "customers" in lists(list(current.shop.shop.asked))
    agrees(current, OPENED, LOADED)


@pytest.mark.parametrize(
    ("known", "job"),
    [
        ([False], CHANGED_ORDERS),
        ([False, False], CHANGED_ORDERS),
        ([None], LATE_CHANGES),
        ([True], LATE_CHANGES),
        ([False, None], LATE_CHANGES),
        ([None, False], LATE_CHANGES),
        ([False, True], LATE_CHANGES),
        ([True, False], LATE_CHANGES),
    ],
)
def test_a_day_is_loaded_without_customers_only_if_everything_that_was_seen_of_it_allows_it(
    loaded: Pipeline, known: list[bool | None], job: str
) -> None:
    day = date(2025, 1, 2)
    for reason in ("edit", "refund"):
        for needs in known:
            listed(loaded, StaleDay(day, "edit", ("A",), needs_dimensions=needs))
        assert job_of_stale_days(loaded.database, Days(day, day)) == job
        listed(loaded, StaleDay(day, reason, ("B",), needs_dimensions=False))


def listed(pipeline: Pipeline, stale: StaleDay) -> None:
    with pipeline.database.connect() as connection, connection.cursor() as cursor:
        mark(cursor, [stale])
        connection.commit()


def test_days_of_which_one_is_not_on_the_list_are_loaded_with_customers(loaded: Pipeline) -> None:
    listed(loaded, StaleDay(date(2025, 1, 1), "edit", needs_dimensions=False))
    listed(loaded, StaleDay(date(2025, 1, 3), "edit", needs_dimensions=False))

    assert are_orders_alone(loaded.database, Days(date(2025, 1, 1), date(2025, 1, 1)))
    assert not are_orders_alone(loaded.database, Days(date(2025, 1, 1), date(2025, 1, 3)))
    assert not are_orders_alone(loaded.database, Days(date(2025, 1, 2), date(2025, 1, 2)))


def test_a_day_that_comes_to_need_customers_while_a_run_without_them_waits_stays_for_one_with_them(
    loaded: Pipeline,
) -> None:
    day = date(2025, 1, 2)
    listed(loaded, StaleDay(day, "edit", ("A",), needs_dimensions=False))
    job = job_of_stale_days(loaded.database, Days(day, day))
    listed(loaded, StaleDay(day, "late_order", ("B",), needs_dimensions=True))

    assert loaded.run(day, job=job).succeeded
    assert listed_days(loaded.database).keys() == {day}
    assert [row["reason"] for row in loaded.rows("select reason from ops.stale_days")] == ["late_order"]
    assert loaded.run(day, job=job_of_stale_days(loaded.database, Days(day, day))).succeeded
    assert listed_days(loaded.database) == {}


def test_a_first_order_that_went_unseen_while_its_day_was_loaded_for_another_has_the_customers_read_next(
    current: Pipeline,
) -> None:
    """The shop does not say that it deletes orders: only loading the day finds it."""
    order_id, _, day = an_order(current, LATER_ORDER)
    gone, customer_id, _ = an_order(current, f"{FIRST_ORDER} and order_date <> date '{day}'")
    # An order that the shop does not have, which was the first one of its customer.
    execute(
        current.database,
        *(
            f"insert into {table} select (jsonb_populate_record(stored, jsonb_build_object('order_id', 'GHOST', "
            f"'order_date', '{day}'))).* from {table} as stored where order_id = '{gone}'"
            for table in ("clean.orders", "clean.sales")
        ),
        f"update clean.customers set first_order_date = '{day}' where customer_id = '{customer_id}'",
    )
    listed(current, StaleDay(day, "edit", (order_id,), needs_dimensions=False))

    assert current.run(day, job=CHANGED_ORDERS).succeeded

    assert lists(list(current.shop.shop.asked)) == {"orders"}
    assert current.rows("select day, reason, order_ids from ops.stale_days") == [
        {"day": day, "reason": "dimensions", "order_ids": ["GHOST"]}
    ]
    assert catch_up(current).days == {day}
    assert "customers" in lists(list(current.shop.shop.asked))
    agrees(current, OPENED, LOADED)
    assert catch_up(current).days == set()
