"""What a run leaves behind that ends between two layers, and how the next look brings it to its end."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg

from analytics_pipeline.contracts import CLEAN_CUSTOMERS, CLEAN_SALES
from analytics_pipeline.database.connection import Connection
from analytics_pipeline.database.slices import Companion, Query, Slice, write
from analytics_pipeline.history.order_changes import FirstOrdersTold, SalesChanged
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.history.written import Writing
from analytics_pipeline.mart_sql import load_marts
from analytics_pipeline.partitions import DayRange
from analytics_pipeline.tables import Table
from analytics_pipeline_tests.conftest import Pipeline
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.late import LOADED, OPENED, catch_up, look_at, revenue_numbers
from analytics_pipeline_tests.integration.loaded import with_job
from analytics_pipeline_tests.integration.tables import execute, value
from analytics_pipeline_tests.integration.truth import agrees

DAYS = DayRange(OPENED, LOADED)
MARTS = [mart.table for mart in load_marts() if mart.is_daily]


def test_after_a_whole_run_nothing_is_unfinished_whatever_layer_is_run_again(later: Pipeline) -> None:
    catch_up(later)
    assert unfinished_days(later.database, MARTS) == []
    assert later.run(OPENED, LOADED, job="clean").succeeded
    assert later.run(OPENED, LOADED, job="marts").succeeded
    assert unfinished_days(later.database, MARTS) == []
    assert look_at(later).stale == []


def test_a_run_that_ends_after_the_raw_orders_is_brought_to_its_end(later: Pipeline) -> None:
    assert later.run(OPENED, LOADED, job="raw").succeeded  # all that a look could compare with is new

    found = look_at(later, is_quiet=False)
    assert [stale for stale in found.stale if stale.reason == "unfinished"] == []  # as long as a run goes on

    done = catch_up(later)

    assert {stale.reason for stale in done.look.stale} == {"unfinished"}
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
    behind = "select coalesce(max(through_change), 0) from ops.materialised_days where table_name = 'marts.{}'"
    known = value(later.database, behind.format("daily_revenue"))
    # As if daily_reconciliation alone were computed now.
    job = with_job(later, dg.AssetSelection.assets("marts/daily_reconciliation").without_checks())
    tags = {"dagster/asset_partition_range_start": str(OPENED), "dagster/asset_partition_range_end": str(LOADED)}
    assert job.execute_in_process(instance=later.instance, tags=tags).success
    assert value(later.database, behind.format("daily_reconciliation")) == known
    assert value(later.database, "select sum(revenue_difference) > 0 from marts.daily_reconciliation") is True

    catch_up(later)

    assert value(later.database, "select sum(unexplained_difference)::text from marts.daily_reconciliation") == "0.0000"


def test_a_day_is_not_published_from_a_ledger_that_is_older_than_its_raw_orders(later: Pipeline) -> None:
    """The daily run has read yesterday to its end and not cleaned it yet; another run computes the mart's day."""
    catch_up(later)
    midday = f"timestamptz '{LOADED} 12:00+02'"
    execute(
        later.database,
        f"update ops.materialised_days set read_at = {midday}, published_at = null "
        f"where day = '{LOADED}' and table_name <> 'raw.orders'",
        f"delete from ops.publications where day = '{LOADED}'",
        f"delete from ops.restatements where day = '{LOADED}'",
    )

    assert later.run(LOADED, job="marts").succeeded

    assert later.rows(f"select 1 as one from ops.publications where day = '{LOADED}'") == []
    assert LOADED in {day for day, _, _ in revenue_numbers(later)}
    assert later.run(LOADED).succeeded
    assert later.rows(f"select 1 as one from ops.publications where day = '{LOADED}'") != []


def test_status_of_a_first_run_that_died_before_the_last_mart_is_told(later: Pipeline, tmp_path: Path) -> None:
    execute(later.database, "drop table marts.daily_reconciliation")
    told = run(
        "status", folder=tmp_path, ANALYTICS_HOME=str(tmp_path), ANALYTICS_DATABASE_URL=later.database.url,
        ANALYTICS_SHOP=str(later.description),
    )  # fmt: skip

    assert told.returncode == 0, told.stderr
    assert "adds up      not known" in told.stdout


def test_a_check_leaves_days_that_another_run_has_changed_to_that_run_and_no_others(later: Pipeline) -> None:
    catch_up(later)
    waiting = LOADED - timedelta(days=1)
    execute(
        later.database,
        f"update clean.sales set returns = returns + 1, net_sales = net_sales - 1 where event_date = '{waiting}'",
        "insert into ops.order_changes select coalesce(max(change_id), 0) + 1, now(), 'another run', 'O', null, "
        f"date '{waiting}', 'EUR', 'refund', false, 0, 0, 0, 0, 0, 1, -1, 0, 0, -1 from ops.order_changes",
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


@dataclass(frozen=True)
class MartsMeanwhile:
    """Computes the marts by business day for the first time while a transaction of changed orders is open."""

    pipeline: Pipeline

    def before(self, cursor: Connection, table: Table, part: Slice | None) -> None:
        del cursor, table, part
        assert self.pipeline.run(OPENED, LOADED, job="marts").succeeded

    def after(self, cursor: Connection, table: Table, part: Slice | None) -> None:
        """Nothing is left to do."""


def forget_marts(pipeline: Pipeline) -> None:
    execute(
        pipeline.database,
        "delete from ops.materialised_days where table_name like 'marts.%'",
        "truncate ops.publications, ops.restatements",
    )


def test_orders_written_while_the_first_mart_is_computed_make_its_days_stale(later: Pipeline) -> None:
    catch_up(later)
    forget_marts(later)
    order = value(later.database, f"select min(order_id) from clean.sales where order_date = '{OPENED}'")
    execute(later.database, f"create table kept as select * from clean.sales where order_id <> '{order}'")
    companions: list[Companion] = [SalesChanged(Writing("run", "definition"), MARTS), MartsMeanwhile(later)]

    write(later.database, CLEAN_SALES.table, Query("select * from kept"), Slice(OPENED, LOADED), companions=companions)

    assert OPENED in unfinished_days(later.database, MARTS)
    noted = later.rows("select distinct order_id from ops.order_changes where run_id = 'run' and not is_first_order")
    assert noted == [{"order_id": order}]


def test_customer_records_written_while_the_first_mart_is_computed_make_days_of_first_orders_stale(
    later: Pipeline,
) -> None:
    catch_up(later)
    forget_marts(later)
    day = value(
        later.database, f"select max(first_order_date) from clean.customers where first_order_date <= '{LOADED}'"
    )
    execute(
        later.database,
        "create table told as select * from clean.customers",
        f"update told set first_order_date = date '{OPENED}' where first_order_date = date '{day}'",
    )
    companions: list[Companion] = [FirstOrdersTold(Writing("run", "definition"), MARTS), MartsMeanwhile(later)]

    write(later.database, CLEAN_CUSTOMERS.table, Query("select * from told"), None, companions=companions)

    noted = later.rows("select distinct event_date from ops.order_changes where run_id = 'run' and is_first_order")
    assert {row["event_date"] for row in noted} == {OPENED, day}
