"""400 days of a shop whose own report is made by other definitions, and twenty damages of what is stored of them."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import copy_of
from analytics_pipeline_tests.integration.witness import (
    DAMAGES,
    FIRST,
    damage,
    look_again,
    unexplained,
    witnessed_pipeline,
)

DAYS = 400
FIGURES = ("orders", "gross_sales", "discounts", "returns", "taxes", "total_sales")
ALL = Days(FIRST, FIRST + timedelta(days=DAYS - 1))


@pytest.fixture(scope="module")
def witnessed(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with witnessed_pipeline(server, tmp_path_factory.mktemp("shop"), DAYS) as pipeline:
        yield pipeline


def test_400_days_of_six_figures_are_equal_or_explained(witnessed: Pipeline) -> None:
    listed = ", ".join(f"'{name}'" for name in FIGURES)
    rows = witnessed.rows(
        "select metric, count(distinct business_day) as days, count(*) as figures, "
        "count(*) filter (where difference <> 0) as different, "
        "count(*) filter (where unexplained <> 0) as unexplained, "
        f"count(*) filter (where by_its_rules is null) as unknown from marts.daily_witness where metric in ({listed}) "
        "and shop_says is not null group by metric order by metric"
    )
    for row in rows:
        print(row)
    assert [row["metric"] for row in rows] == sorted(FIGURES)
    assert all(row["days"] == DAYS for row in rows)
    assert unexplained(witnessed.database) == {}


def test_twenty_damages_are_found_at_the_next_look(server: Database, witnessed: Pipeline) -> None:
    unsure = witnessed.rows("select distinct business_day as day from marts.daily_witness where by_its_rules is null")
    sure = [day for day in ALL if day > FIRST and day not in {row["day"] for row in unsure}]
    with copy_of(server, witnessed.database) as database:
        pipeline = replace(witnessed, database=database)
        began = time.perf_counter()
        look_again(pipeline, ALL, "daily_witness")
        print(f"all days compared in {time.perf_counter() - began:.2f} s")
        planted = damage(pipeline, load_shop(witnessed.description), ALL, sure)
        found = unexplained(database)
    for name, day in planted.items():
        print(f"{name}, {day}: {', '.join(f'{metric} {amount}' for metric, amount in sorted(found[day].items()))}")
    assert planted.keys() == DAMAGES.keys()
    assert all(DAMAGES[name][1] <= found[day].keys() for name, day in planted.items())
    assert found.keys() - set(planted.values()) == {planted["orders of the wrong zone"] - timedelta(days=1)}
