"""A few hundred hostile records in process; `trials/trial_hostile_records.py` takes a hundred thousand."""

import pytest

from analytics_pipeline_tests.hostile import (
    check,
    hostile_shop,
    judge_orders,
    judge_things,
    orders,
    pages,
    read_again,
    things,
)

SHOP = hostile_shop("http://127.0.0.1:1")


def test_each_hostile_order_is_clean_quarantined_or_left_out() -> None:
    check(pages(orders, 25), lambda records: judge_orders(records, SHOP), max_examples=10)


def test_hostile_orders_that_come_again_are_the_same_ones() -> None:
    check(pages(orders, 25), lambda records: read_again(records, SHOP), max_examples=4)


@pytest.mark.parametrize("name", ["customers", "products"])
def test_each_hostile_customer_or_product_with_an_id_is_clean_and_the_others_are_reported(name: str) -> None:
    check(pages(things, 10), lambda records: judge_things(records, SHOP, name), max_examples=10)
