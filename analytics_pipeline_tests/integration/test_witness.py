"""The shop's own daily report as a second witness: what is explained, and what is found once something is damaged."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import copy_of
from analytics_pipeline_tests.integration.witness import (
    DAMAGES,
    FIRST,
    damage,
    unexplained,
    witnessed_pipeline,
)

DAYS = 70


@pytest.fixture(scope="module")
def witnessed(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A shop with a report of its own definitions, loaded once; the trial has 400 days."""
    with witnessed_pipeline(server, tmp_path_factory.mktemp("shop"), DAYS) as pipeline:
        yield pipeline


def test_every_figure_of_a_report_by_other_definitions_is_equal_or_explained(witnessed: Pipeline) -> None:
    [found] = query(
        witnessed.database,
        "select count(distinct business_day) as days, count(distinct metric) as metrics, "
        "count(*) filter (where difference <> 0) as different, count(*) filter (where unexplained is null) as unknown, "
        "count(*) as figures from marts.daily_witness where shop_says is not null",
    )
    assert unexplained(witnessed.database) == {}
    assert (found["days"], found["metrics"]) == (DAYS, 9)
    assert found["different"] > found["figures"] / 4
    assert found["unknown"] < found["figures"] / 20
    rules = witnessed.rows(
        "select distinct rule from marts.daily_witness "
        "cross join lateral jsonb_object_keys(explained_by::jsonb) as rule"
    )
    assert {row["rule"] for row in rules} == {"dating", "cancelled_orders", "zero_orders", "test_order", "quarantine"}


def test_each_of_twenty_damages_is_found_at_the_next_look_and_nothing_else(
    server: Database, witnessed: Pipeline
) -> None:
    days = Days(FIRST, FIRST + timedelta(days=DAYS - 1))
    unsure = witnessed.rows("select distinct business_day as day from marts.daily_witness where by_its_rules is null")
    sure = [day for day in days if day > FIRST and day not in {row["day"] for row in unsure}]
    with copy_of(server, witnessed.database) as database:
        planted = damage(replace(witnessed, database=database), load_shop(witnessed.description), days, sure)
        found = unexplained(database)

    assert planted.keys() == DAMAGES.keys()
    assert len(planted) == 20
    figures = {name: found.get(day, {}).keys() for name, day in planted.items()}
    assert {name: keys for name, keys in figures.items() if not DAMAGES[name][1] <= keys} == {}
    assert found.keys() - set(planted.values()) == {planted["orders of the wrong zone"] - timedelta(days=1)}
