"""Traps that every platform has, against each packaged description that asks its platform what changed."""

from datetime import timedelta

import pytest

from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.sources.extraction import extract_changed_orders
from analytics_pipeline_tests.dialects.cleaning import client_of
from analytics_pipeline_tests.dialects.playing import NOW, serving
from analytics_pipeline_tests.dialects.test_descriptions import NAMES


@pytest.mark.parametrize("name", [name for name in NAMES if load_shop(name).notices_changes])
def test_orders_that_a_bulk_edit_gave_one_stamp_all_come(name: str) -> None:
    played = NAMES[name]
    before = NOW - timedelta(seconds=1)
    with serving(played.kind) as running, client_of(name, played.environment(running.url)) as client:
        everything = [one.order_id for one in running.dialect.orders()]
        running.dialect.touched = dict.fromkeys(everything, NOW)
        found = [row["order_id"] for batch in extract_changed_orders(client, before) for row in batch.to_pylist()]
        assert len(set(found)) == len(everything)
