"""Published numbers that change later: what is on record of them, why, and both readings of a closed period."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import RunningShop
from analytics_pipeline.history.maturity import lateness, state_of
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.conftest import Pipeline, at, describe
from analytics_pipeline_tests.integration.late import (
    LOADED,
    OPENED,
    assert_restated_exactly,
    catch_up,
    database_time,
    restated_since,
    revenue_numbers,
)
from analytics_pipeline_tests.integration.tables import execute, value
from analytics_pipeline_tests.integration.truth import agrees

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

ZERO = Decimal(0)
BEFORE_ALL_CHANGES = "2025-01-01"


def causes(pipeline: Pipeline, since: str = BEFORE_ALL_CHANGES) -> set[str]:
    return {str(row["cause"]) for row in restated_since(pipeline, since)}


def test_history_that_is_loaded_later_restates_its_refunds_and_first_orders_as_backfill(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(
        now=at("2025-08-01T12:00:00+02:00"), opened=date(2025, 6, 1), orders_per_day=(8, 12), refund_share=0.4
    )
    # Nothing but the orders themselves reports first orders here.
    pipeline = pipeline_of(shop, customers={"fields": {"customer_id": "id", "updated_at": "updated_at"}})
    assert pipeline.run(date(2025, 6, 11), date(2025, 6, 16)).succeeded
    numbers = revenue_numbers(pipeline)

    assert pipeline.run(date(2025, 6, 1), date(2025, 6, 10)).succeeded

    agrees(pipeline, date(2025, 6, 1), date(2025, 6, 16))
    assert causes(pipeline) == {"backfill"}
    restated = restated_since(pipeline, BEFORE_ALL_CHANGES)
    assert_restated_exactly(numbers, revenue_numbers(pipeline), restated)
    assert {"returns", "new_customers"} <= {row["metric"] for row in restated}


def test_another_description_restates_as_a_change_of_the_code_version(
    later: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> None:
    catch_up(later)
    moment, numbers = database_time(later), revenue_numbers(later)
    excluding = [{"when": "country == 'AT'", "reason": "austria"}, {"when": "is_test", "reason": "test_order"}]
    description = describe(later.shop, tmp_path_factory.mktemp("other"), orders={"exclude": excluding})
    other = replace(later, description=description, definitions=build_definitions(str(description)))

    assert other.run(OPENED, LOADED, job="clean").succeeded
    assert other.run(OPENED, LOADED, job="marts").succeeded

    assert causes(other, moment) == {"code_version_change"}
    assert_restated_exactly(numbers, revenue_numbers(other), restated_since(other, moment))


def test_a_changed_statement_of_a_mart_restates_as_a_change_of_the_code_version(later: Pipeline) -> None:
    catch_up(later)
    moment = database_time(later)
    execute(
        later.database,
        # As if another statement had counted one order more.
        "update ops.publications set value = value + 1 where metric = 'orders'",
        "update ops.restatements set new_value = new_value + 1, old_value = old_value + 1 where metric = 'orders'",
        "update ops.materialised_days set code_version = 'another' where table_name = 'marts.daily_revenue'",
    )

    assert later.run(OPENED, LOADED, job="marts").succeeded

    restated = restated_since(later, moment)
    assert {row["metric"] for row in restated} == {"orders"}
    assert {row["cause"] for row in restated} == {"code_version_change"}
    assert {row["difference"] for row in restated} == {"-1.0000"}


def test_a_number_that_someone_changed_by_hand_is_put_right_and_is_no_restatement(later: Pipeline) -> None:
    catch_up(later)
    moment, numbers = database_time(later), revenue_numbers(later)
    execute(later.database, f"update marts.daily_revenue set returns = returns + 1 where event_date = '{LOADED}'")

    assert later.run(LOADED, job="marts").succeeded

    assert revenue_numbers(later) == numbers
    assert causes(later, moment) == set()


def test_a_number_that_changed_without_any_reason_is_reported_as_unexplained(later: Pipeline) -> None:
    catch_up(later)
    moment = database_time(later)
    execute(later.database, f"update clean.sales set gross_sales = gross_sales + 1 where event_date = '{LOADED}'")

    summary = later.run(LOADED, job="marts")

    assert causes(later, moment) == {"unexplained"}
    assert not summary.succeeded  # what is wrong with the table itself is reported by the checks


def test_a_row_in_another_currency_that_appears_later_restates_from_nothing(later: Pipeline) -> None:
    catch_up(later)
    moment = database_time(later)
    row = later.rows(f"select order_id, payload::text as payload from raw.orders where order_date = '{LOADED}'")[0]
    foreign = str(row["payload"]).replace('"currency":"EUR"', '"currency":"USD"')
    execute(
        later.database,
        f"update raw.orders set payload = '{foreign}' where order_id = '{row['order_id']}'",
    )

    assert later.run(LOADED, job="clean").succeeded
    assert later.run(LOADED, job="marts").succeeded

    restated = {(row["key"], row["metric"]): row for row in restated_since(later, moment)}
    assert restated["USD", "orders"]["old_value"] is None
    assert restated["USD", "orders"]["new_value"] == "1.0000"
    assert restated["EUR", "orders"]["difference"] == "-1.0000"
    assert value(later.database, "select sum(unexplained_difference)::text from marts.daily_reconciliation") == "0.0000"


def test_a_closed_day_keeps_its_numbers_in_one_reading_and_its_late_changes_land_on_the_day_they_were_seen(
    later: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> None:
    closed_until = LOADED - timedelta(days=1)
    as_closed = "select * from marts.daily_revenue_as_closed order by event_date, currency"
    assert sums(later, "daily_revenue") == sums(later, "daily_revenue_as_closed")
    before: dict[Any, dict[str, object]] = {row["event_date"]: row for row in later.rows(as_closed)}
    content = later.description.read_text(encoding="utf-8") + f"\nclosed_until: {closed_until}\n"
    description = tmp_path_factory.mktemp("closed") / "shop.yaml"
    description.write_text(content, encoding="utf-8")
    closing = replace(later, description=description, definitions=build_definitions(str(description)))

    catch_up(closing)
    agrees(closing, OPENED, LOADED)  # the reading by the day of the event follows the shop

    after = {row["event_date"]: row for row in closing.rows(as_closed)}
    moved = [day for day in before if day <= closed_until and _differs(closing, day, before[day])]
    assert moved, "no closed day was changed"
    for day, row in before.items():
        if day <= closed_until:
            assert {name: row[name] for name in ("orders", "gross_sales", "net_sales", "total_sales")} == {
                name: after[day][name] for name in ("orders", "gross_sales", "net_sales", "total_sales")
            }
    assert sums(closing, "daily_revenue") == sums(closing, "daily_revenue_as_closed")
    today = datetime.now(UTC).astimezone(load_shop(str(description)).zone).date()
    late = Decimal(str(after[today]["late_net_sales"]))
    assert late == sum(
        (
            Decimal(row["difference"])
            for row in restated_since(closing, BEFORE_ALL_CHANGES)
            if row["metric"] == "net_sales" and row["day"] <= closed_until
        ),
        ZERO,
    )
    assert all(
        row["is_of_closed_day"] == (row["day"] <= closed_until) for row in restated_since(closing, BEFORE_ALL_CHANGES)
    )


def _differs(pipeline: Pipeline, day: object, row: dict[str, object]) -> bool:
    (now,) = pipeline.rows(f"select net_sales, orders from marts.daily_revenue where event_date = '{day}'")
    return now != {"net_sales": row["net_sales"], "orders": row["orders"]}


def sums(pipeline: Pipeline, mart: str) -> dict[str, object]:
    """Sums over all days that both readings share."""
    names = ("orders", "units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "taxes")
    columns = ", ".join(f"sum({name})::text as {name}" for name in names)
    return pipeline.rows(f"select {columns} from marts.{mart}")[0]


def test_a_day_is_provisional_until_it_was_over_when_it_was_read_then_settles_then_is_final() -> None:
    shop = load_shop("demo").model_copy(update={"timezone": "Europe/Berlin"})
    day, midnight = date(2025, 3, 30), at("2025-03-31T00:00:00+02:00")  # a day of 23 hours

    def state(as_of: datetime | None, days_later: int) -> str:
        return state_of(day, as_of, day + timedelta(days=days_later), 10, shop)

    assert state(None, 5) == "provisional"
    assert state(midnight - timedelta(seconds=1), 20) == "provisional"
    assert [state(midnight, days) for days in (1, 10, 11)] == ["settling", "settling", "final"]
    closed = shop.model_copy(update={"closed_until": day})
    assert state_of(day, midnight, day + timedelta(days=1), 10, closed) == "final"


def test_lateness_is_what_was_observed_here_else_what_the_shops_stamps_say_else_assumed(later: Pipeline) -> None:
    shop = load_shop(str(later.description))
    assert lateness(later.database, shop).basis.startswith("assumed")
    assert lateness(later.database, shop).days == 60

    execute(
        later.database,
        "insert into clean.orders (order_id, order_date, ordered_at, updated_at, cancelled_at, customer_key, "
        "customer_id, email_hash, country, is_credit_note, currency, units, gross_sales, discounts, returns, shipping, "
        "charges, taxes, outside_sales, order_total, rounding, refunded_total) "
        "select 'copy ' || number || order_id, order_date, ordered_at, ordered_at + number * interval '1 day', "
        "cancelled_at, customer_key, customer_id, email_hash, country, is_credit_note, currency, units, gross_sales, "
        "discounts, returns, shipping, charges, taxes, outside_sales, order_total, rounding, refunded_total "
        "from clean.orders cross join generate_series(1, 10) as series (number) "
        "where extract(hour from ordered_at at time zone 'UTC') between 8 and 16",
    )
    stamped = lateness(later.database, shop)
    assert (stamped.days, stamped.basis.split(",")[0]) == (10, "orders changed after they were placed")

    execute(
        later.database,
        "insert into ops.order_changes select number, timestamptz '2025-04-01 12:00+02', 'run', 'order', null, "
        "date '2025-04-01' - (case when number <= 990 then 3 else 12 end), 'EUR', "
        "case when number = 1000 then 'backfill' else 'refund' end, false, "
        "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 from generate_series(1, 1000) as series (number)",
    )
    noticed = lateness(later.database, shop)
    assert (noticed.days, noticed.observed, noticed.basis) == (3, 999, "changes noticed")

    # Days that were last read soon after they were over cannot tell of later changes.
    execute(later.database, "update ops.day_proofs set held_at = day + interval '30 days'")
    assert lateness(later.database, shop).basis.startswith("assumed")
