"""What a run leaves behind that ends between two layers, and how the next poll brings it to its end."""

from datetime import timedelta
from pathlib import Path

import dagster as dg

from analytics_pipeline.days import Days
from analytics_pipeline.history.stale import days_to_load, parked_days
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.job_names import LATE_CHANGES
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.late import LOADED, OPENED, catch_up, look_at, revenue_numbers
from analytics_pipeline_tests.integration.loaded import with_job
from analytics_pipeline_tests.integration.tables import execute, value
from analytics_pipeline_tests.integration.truth import agrees

DAYS = Days(OPENED, LOADED)
MARTS = [mart.table for mart in load_marts() if mart.is_daily]


def test_after_a_whole_run_nothing_is_unfinished_whatever_layer_is_run_again(later: Pipeline) -> None:
    catch_up(later)
    assert unfinished_days(later.database, MARTS) == []
    assert later.run(OPENED, LOADED, job="clean").succeeded
    assert later.run(OPENED, LOADED, job="marts").succeeded
    assert unfinished_days(later.database, MARTS) == []
    assert look_at(later).stale == []


def test_a_run_that_ends_after_the_raw_orders_is_brought_to_its_end(later: Pipeline) -> None:
    assert later.run(OPENED, LOADED, job="raw").succeeded  # all that a poll could compare with is new

    found = look_at(later, in_flight=[LOADED])
    assert [stale for stale in found.stale if stale.reason == "unfinished"] == []  # as long as a run goes on

    done = catch_up(later)

    assert {stale.reason for stale in done.poll.stale} == {"unfinished"}
    assert done.days == set(DAYS)
    agrees(later, OPENED, LOADED)


def test_a_run_that_ends_after_the_ledger_is_brought_to_its_end(later: Pipeline) -> None:
    assert later.run(OPENED, LOADED, job="raw").succeeded
    assert later.run(OPENED, LOADED, job="clean").succeeded
    waiting = unfinished_days(later.database, MARTS)
    assert waiting
    assert later.rows("select * from ops.stale_days") == []

    done = catch_up(later)

    assert done.days == set(waiting)
    agrees(later, OPENED, LOADED)
    assert unfinished_days(later.database, MARTS) == []


def test_a_day_that_a_mart_has_never_got_is_unfinished_but_not_the_history_of_a_new_mart(later: Pipeline) -> None:
    catch_up(later)
    day = LOADED - timedelta(days=2)
    of_the_day = f"table_name = 'marts.daily_revenue' and day = '{day}'"
    execute(later.database, f"delete from ops.materialised_days where {of_the_day}")
    assert unfinished_days(later.database, MARTS) == []  # loaded before the mart was there, as far as is known
    execute(later.database, f"update ops.materialised_days set first_written_at = now() where day = '{day}'")
    assert unfinished_days(later.database, MARTS) == [day]


def test_a_mart_that_reads_marts_knows_no_more_than_they_do(later: Pipeline) -> None:
    """Changes that come between the computing of daily_revenue and of what reads it."""
    assert later.run(OPENED, LOADED, job="raw").succeeded
    assert later.run(OPENED, LOADED, job="clean").succeeded
    behind = (
        "select distinct day from ops.materialised_days join ops.order_changes on event_date = day "
        "and change_id > through_change where table_name = 'marts.{}' and not is_first_order order by day"
    )
    stale = later.rows(behind.format("daily_revenue"))
    assert stale
    # As if daily_reconciliation alone were computed now.
    job = with_job(later, dg.AssetSelection.assets("marts/daily_reconciliation").without_checks())
    tags = {"dagster/asset_partition_range_start": str(OPENED), "dagster/asset_partition_range_end": str(LOADED)}
    assert job.execute_in_process(instance=later.instance, tags=tags).success
    assert later.rows(behind.format("daily_reconciliation")) == stale
    assert value(later.database, "select sum(revenue_difference) > 0 from marts.daily_reconciliation") is True

    catch_up(later)

    assert value(later.database, "select sum(unexplained_difference)::text from marts.daily_reconciliation") == "0.0000"


def test_a_day_is_not_published_from_a_ledger_that_is_older_than_its_raw_orders(later: Pipeline) -> None:
    """The daily run has read yesterday to its end and not cleaned it yet; another run computes the mart's day."""
    catch_up(later)
    midday = f"timestamptz '{LOADED} 12:00+02'"
    execute(
        later.database,
        f"update ops.materialised_days set as_of = {midday}, published_at = null "
        f"where day = '{LOADED}' and table_name <> 'raw.orders'",
        f"delete from ops.publications where day = '{LOADED}'",
        f"delete from ops.restatements where day = '{LOADED}'",
    )

    assert later.run(LOADED, job="marts").succeeded

    assert later.rows(f"select 1 as one from ops.publications where day = '{LOADED}'") == []
    assert LOADED in {day for day, _, _ in revenue_numbers(later)}
    assert later.run(LOADED).succeeded
    assert later.rows(f"select 1 as one from ops.publications where day = '{LOADED}'") != []


def test_status_of_a_first_run_that_died_before_the_last_mart_is_reported(later: Pipeline, tmp_path: Path) -> None:
    execute(later.database, "drop table marts.daily_reconciliation")
    messages = run(
        "status", folder=tmp_path, ANALYTICS_HOME=str(tmp_path), ANALYTICS_DATABASE_URL=later.database.url,
        ANALYTICS_SHOP=str(later.description),
    )  # fmt: skip

    assert messages.returncode == 0, messages.stderr
    assert "adds up      not known" in messages.stdout


def test_a_check_leaves_days_that_another_run_has_changed_to_that_run_and_no_others(later: Pipeline) -> None:
    catch_up(later)
    waiting = LOADED - timedelta(days=1)
    execute(
        later.database,
        f"update clean.sales set returns = returns + 1, net_sales = net_sales - 1 where event_date = '{waiting}'",
        "insert into ops.order_changes select coalesce(max(change_id), 0) + 1, now(), 'another run', 'O', null, "
        f"date '{waiting}', 'EUR', 'refund', false, 0, 0, 0, 0, 0, 1, -1, 0, 0, -1, 0, 0, 0, 0, 0, 0 "
        "from ops.order_changes",
    )
    name = dg.AssetCheckKey(dg.AssetKey(["marts", "daily_revenue"]), "daily_revenue_equals_the_ledger")
    checks = with_job(later, dg.AssetSelection.checks(name))
    found = checks.execute_in_process(instance=later.instance, raise_on_error=False)
    results = {one.check_name: one.passed for one in found.get_asset_check_evaluations()}
    assert results["daily_revenue_equals_the_ledger"]

    execute(later.database, "delete from ops.order_changes where run_id = 'another run'")
    found = checks.execute_in_process(instance=later.instance, raise_on_error=False)
    results = {one.check_name: one.passed for one in found.get_asset_check_evaluations()}
    assert not results["daily_revenue_equals_the_ledger"]


def test_days_that_were_loaded_before_any_mart_was_there_are_unfinished_when_no_mart_has_them(later: Pipeline) -> None:
    """The first run of all was killed before the marts, and the next one made them for its own day."""
    catch_up(later)
    day = LOADED - timedelta(days=2)
    execute(
        later.database,
        f"delete from ops.materialised_days where table_name like 'marts.%' and day = '{day}'",
        f"delete from ops.publications where day = '{day}'",
        f"delete from ops.restatements where day = '{day}'",
    )
    assert unfinished_days(later.database, MARTS) == [day]
    assert day in catch_up(later).days
    assert unfinished_days(later.database, MARTS) == []


def test_a_day_whose_clean_tables_are_of_two_runs_is_unfinished(later: Pipeline) -> None:
    catch_up(later)
    of_the_day = f"table_name = 'clean.orders' and day = '{LOADED}'"
    execute(later.database, f"update ops.materialised_days set run_id = 'killed' where {of_the_day}")
    assert unfinished_days(later.database, MARTS) == [LOADED]


def test_a_day_whose_mart_is_older_than_its_ledger_is_unfinished(later: Pipeline) -> None:
    catch_up(later)
    catch_up(later)  # a day may have to be loaded with customers after all
    assert later.run(LOADED, job="clean").succeeded
    assert unfinished_days(later.database, MARTS) == [LOADED]
    assert catch_up(later).days == {LOADED}


def test_a_day_whose_mart_fails_is_parked_at_the_third_time_and_forgotten_once_it_is_finished(later: Pipeline) -> None:
    catch_up(later)
    day = LOADED - timedelta(days=1)
    refuse = "create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$"
    execute(
        later.database,
        refuse,
        "create trigger refuses before insert on marts.daily_revenue for each row execute function refuse()",
    )
    for failures in (1, 2, 3):
        assert not later.run(day, job=LATE_CHANGES).succeeded
        rows = later.rows("select day, reason, failures from ops.stale_days")
        assert rows == [{"day": day, "reason": "unfinished", "failures": failures}]
        assert {stale.day for stale in look_at(later).stale} == {day}

    assert parked_days(later.database) == [day]
    assert days_to_load(later.database, in_flight=(), most=10) == []

    execute(later.database, "drop trigger refuses on marts.daily_revenue")
    assert later.run(day, job="marts").succeeded
    assert look_at(later).stale == []
    assert later.rows("select * from ops.stale_days") == []
    agrees(later, OPENED, LOADED)
