"""The shop's own daily report as a second witness: what is explained, and what is found once something is damaged."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
import yaml

from analytics_pipeline.days import Days
from analytics_pipeline.history.shop_reports import due_days, witness_lines
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.history import LEDGER_MEASURES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.loaded import LAST, copy_of, evaluations, redescribed
from analytics_pipeline_tests.integration.tables import execute
from analytics_pipeline_tests.integration.witness import (
    DAMAGES,
    FIRST,
    damage,
    look_again,
    unexplained,
    witnessed_pipeline,
)

DAYS = 70
BERLIN = ZoneInfo("Europe/Berlin")


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


def test_a_report_that_cannot_be_read_stops_nothing_and_is_told(loaded: Pipeline, tmp_path: Path) -> None:
    before = loaded.rows("select * from ops.shop_reports order by day, currency, metric")

    summary = redescribed(loaded, tmp_path, report={"path": "/no/such/report"}).run(LAST)

    assert summary.succeeded
    assert [name for name in summary.warnings if "the_shops_report_was_read" in name]
    assert loaded.rows("select * from ops.shop_reports order by day, currency, metric") == before
    assert unexplained(loaded.database) == {}


def test_a_wrong_description_is_found_by_the_check_which_names_day_figure_and_amounts(
    loaded: Pipeline, tmp_path: Path
) -> None:
    fields = {**yaml.safe_load(loaded.description.read_text(encoding="utf-8"))["orders"]["fields"]}
    del fields["shipping"], fields["shipping_tax"], fields["taxes"], fields["total"]
    damaged = redescribed(loaded, tmp_path, orders={"fields": fields})

    summary = damaged.run(LAST)

    found = evaluations(damaged, summary.run_id)[
        dg.AssetCheckKey(dg.AssetKey(["marts", "daily_witness"]), "the_shops_report_equals_ours")
    ]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    [said] = loaded.rows(
        f"select shop_says, ours from marts.daily_witness where business_day = '{LAST}' and metric = 'shipping'"
    )
    assert Decimal(str(said["shop_says"])) > Decimal(str(said["ours"])) == 0
    examples = str(found.metadata["examples"].value)
    assert f"{LAST} shipping EUR: the shop says {said['shop_says']}, ours by its rules 0.0000" in examples
    [step] = loaded.rows(f"select * from marts.daily_reconciliation where business_day = '{LAST}'")
    assert Decimal(str(step["report_difference"])) > 0
    assert Decimal(str(step["unexplained_difference"])) == 0


def test_a_day_that_changed_since_its_report_is_late_and_compared_again_by_the_next_run(loaded: Pipeline) -> None:
    execute(
        loaded.database, f"update ops.shop_reports set as_of = '2025-01-10', value = value + 1 where day = '{FIRST}'"
    )
    zeros = ", ".join("0" for _ in LEDGER_MEASURES)
    execute(
        loaded.database,
        "insert into ops.order_changes (change_id, changed_at, run_id, order_id, order_date, event_date, currency, "
        f"cause, is_first_order, {', '.join(LEDGER_MEASURES)}) values (1000000, '2025-02-01', 'x', 'x', '{FIRST}', "
        f"'{FIRST}', 'EUR', 'edit', false, {zeros})",
    )
    look_again(loaded, Days(FIRST, FIRST))
    late = "select distinct is_late, unexplained from marts.daily_witness where business_day = '2025-01-01'"
    assert loaded.rows(late) == [{"is_late": True, "unexplained": "0.0000"}]
    assert any("changed since it was read" in line for line in witness_lines(loaded.database, BERLIN))
    assert "2 days compared" in next(witness_lines(loaded.database, BERLIN))

    assert loaded.run(LAST).succeeded

    assert loaded.rows(late) == [{"is_late": False, "unexplained": "0.0000"}]
    assert "3 days compared with the shop's own report, until 2025-01-03" in next(
        witness_lines(loaded.database, BERLIN)
    )


def test_returns_of_days_that_are_not_loaded_are_not_judged_until_these_are(loaded: Pipeline, tmp_path: Path) -> None:
    moved = {"returns": 5, "net_sales": -5, "taxes": -1, "total_sales": -6, "gross_sales": 3, "units_sold": -1}
    for metric, by in moved.items():
        execute(
            loaded.database,
            f"update ops.shop_reports set value = value + {by} where day = '{LAST}' and metric = '{metric}'",
        )
    look_again(loaded, Days(FIRST, LAST))
    assert unexplained(loaded.database) == {LAST: {metric: Decimal(abs(by)) for metric, by in moved.items()}}

    earlier = redescribed(loaded, tmp_path)
    content = yaml.safe_load(earlier.description.read_text(encoding="utf-8")) | {"first_day": "2024-12-31"}
    earlier.description.write_text(yaml.safe_dump(content), encoding="utf-8")
    look_again(earlier, Days(FIRST, LAST))

    assert unexplained(loaded.database) == {LAST: {"gross_sales": Decimal(3), "units_sold": Decimal(1)}}
    lines = list(witness_lines(loaded.database, BERLIN))
    assert "3 days compared" in lines[0]
    assert "4 figures of 1 day cannot be judged until all earlier days are loaded" in "\n".join(lines)
    metrics = [row["metric"] for row in loaded.rows("select distinct metric from ops.shop_reports")]
    due = (loaded.database, Days(FIRST, FIRST), [str(metric) for metric in metrics], BERLIN)
    assert due_days(*due).beside == ()
    execute(
        loaded.database,
        "insert into ops.materialised_days "
        "(table_name, day, first_written_at, written_at, run_id, as_of, code_version) "
        "values ('clean.sales', '2024-12-31', now(), now(), 'x', now(), 'x')",
    )
    assert set(due_days(*due).beside) == {LAST, FIRST - timedelta(days=1)}
    look_again(earlier, Days(FIRST, LAST))
    assert unexplained(loaded.database) == {LAST: {metric: Decimal(abs(by)) for metric, by in moved.items()}}


def test_a_day_that_the_report_does_not_mention_is_absent_and_not_zero(loaded: Pipeline) -> None:
    execute(loaded.database, f"update ops.shop_reports set value = null where day = '{FIRST}'")
    look_again(loaded, Days(FIRST, LAST))

    rows = loaded.rows(f"select difference, unexplained from marts.daily_witness where business_day = '{FIRST}'")
    assert {(row["difference"], row["unexplained"]) for row in rows} == {(None, None)}
    [line, absent, *_] = witness_lines(loaded.database, BERLIN)
    assert "2 days compared" in line
    assert "1 day with sales here and ABSENT from it" in absent


def test_orders_of_a_field_that_the_report_leaves_out_are_named_by_their_rule(loaded: Pipeline, tmp_path: Path) -> None:
    orders = "select count(*) from clean.orders where gross_sales > 0 and order_date = business_day"
    for rule, left in (({"is": ["DE"]}, "country = 'DE'"), ({"is_not": ["DE", "AT"]}, "country not in ('DE', 'AT')")):
        where = [{"path": "country", "reason": "elsewhere", **rule}]
        look_again(redescribed(loaded, tmp_path, report={"leaves_out_where": where}), Days(FIRST, LAST))

        rows = loaded.rows(
            f"select ours - by_its_rules as gone, ({orders} and {left})::numeric(19, 4) as left_out, "
            "explained_by::jsonb ->> 'elsewhere' as named from marts.daily_witness where metric = 'orders'"
        )
        assert all(row["gone"] == row["left_out"] for row in rows)
        assert {-Decimal(str(row["named"] or 0)) for row in rows} == {Decimal(str(row["left_out"])) for row in rows}
        assert any(row["named"] for row in rows)
