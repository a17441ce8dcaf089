"""Runs at once that meet between two layers: nothing is missed, and no check fails for what the other has yet to do."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from threading import Thread
from typing import Any

import dagster as dg
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.errors import OutdatedError
from analytics_pipeline.history.extractions import Extracted, ExtractionFigures
from analytics_pipeline.history.first_orders import FirstOrdersMoved
from analytics_pipeline.history.order_changes import SalesChanged
from analytics_pipeline.history.publishing import MartDays, publish
from analytics_pipeline.history.unfinished import unfinished_days
from analytics_pipeline.history.written import DaysWritten, Writing, database_clock
from analytics_pipeline.late_changes.poll import Poll, record
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.tables.contracts import CLEAN_CUSTOMERS, CLEAN_SALES, RAW_ORDERS
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import Connection
from analytics_pipeline.warehouse.slices import Hook, Query, write
from analytics_pipeline.warehouse.turns import exclusive, take_turns
from analytics_pipeline_tests.conftest import Pipeline, content_hash
from analytics_pipeline_tests.integration.late import LOADED, OPENED, catch_up, database_time, look_at, written_since
from analytics_pipeline_tests.integration.loaded import evaluations, wait_until, with_job
from analytics_pipeline_tests.integration.tables import execute, make_older, value
from analytics_pipeline_tests.integration.truth import agrees

MARTS = build_catalogue("demo").daily_marts
WAITS = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'advisory'"
SLOW = 4711
"""The lock behind which a slowed-down statement waits."""


def execute_job(
    pipeline: Pipeline, selection: dg.AssetSelection, first: date | None = None, last: date | None = None
) -> None:
    """Run some assets, for days where they have them."""
    tags = {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last or first)}
    job = with_job(pipeline, selection)
    assert job.execute_in_process(instance=pipeline.instance, tags=tags if first else {}).success


@contextmanager
def meanwhile(pipeline: Pipeline, selection: dg.AssetSelection, first: date | None = None) -> Iterator[None]:
    """Run assets in a thread that has come to wait when the block begins, and goes on when it ends."""
    thread = Thread(target=execute_job, args=(pipeline, selection, first), daemon=True)
    thread.start()
    wait_until(lambda: value(pipeline.database, WAITS) == 1)
    yield
    thread.join(60)
    assert not thread.is_alive()


@contextmanager
def slowed_down(database: Database, table: str) -> Iterator[Callable[[], None]]:
    """Have statements that insert into a table wait until they are let go, reading all as it stood when they began."""
    execute(
        database,
        "create function slow() returns trigger language plpgsql as "
        f"$$ begin perform pg_advisory_xact_lock({SLOW}); return null; end $$",
        f"create trigger slow before insert on {table} for each statement execute function slow()",
    )
    with database.connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"select pg_advisory_lock({SLOW})")
        cursor.fetchall()
        yield connection.close


def note_change(database: Database, day: date, *, is_first_order: bool = False) -> None:
    """Note a change of an order as another run would, one that changes no amount."""
    execute(
        database,
        "insert into ops.order_changes select coalesce(max(change_id), 0) + 1, now(), 'another run', 'O', null, "
        f"date '{day}', 'EUR', 'refund', {is_first_order}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 "
        "from ops.order_changes",
    )


@dataclass(frozen=True)
class MartsMeanwhile:
    """Computes the marts by business day for the first time while a transaction of changed orders is open."""

    pipeline: Pipeline

    def before(self, cursor: Connection, table: Table, part: Days | None) -> None:
        del cursor, table, part
        assert self.pipeline.run(OPENED, LOADED, job="marts").succeeded

    def after(self, cursor: Connection, table: Table, part: Days | None) -> None:
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
    hooks: list[Hook] = [SalesChanged(Writing("run", "definition"), MARTS), MartsMeanwhile(later)]

    write(later.database, CLEAN_SALES.table, Query("select * from kept"), Days(OPENED, LOADED), hooks=hooks)

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
    hooks: list[Hook] = [FirstOrdersMoved(Writing("run", "definition"), MARTS), MartsMeanwhile(later)]

    write(later.database, CLEAN_CUSTOMERS.table, Query("select * from told"), None, hooks=hooks)

    noted = later.rows("select distinct event_date from ops.order_changes where run_id = 'run' and is_first_order")
    assert {row["event_date"] for row in noted} == {OPENED, day}


def test_changes_of_orders_are_noted_though_the_customers_were_never_loaded(later: Pipeline) -> None:
    for name in ("clean.customers", "marts.daily_revenue", "marts.daily_reconciliation"):
        execute(later.database, f"drop table {name}", f"delete from ops.materialised_days where table_name = '{name}'")
    assert later.run(OPENED, LOADED, job="raw").succeeded
    execute_job(later, dg.AssetSelection.assets("clean/sales").required_multi_asset_neighbors(), OPENED, LOADED)

    differing = later.rows(
        "select event_date from clean.sales group by event_date having (sum(gross_sales), sum(returns)) <> "
        "(select sum(gross_sales), sum(returns) from marts.daily_product_sales as mart "
        "where mart.event_date = sales.event_date)"
    )
    noted = later.rows("select distinct event_date from ops.order_changes where not is_first_order")
    assert differing
    assert {row["event_date"] for row in differing} <= {row["event_date"] for row in noted}


def test_a_mart_that_reads_marts_does_not_know_what_these_learn_after_it_has_read_them(later: Pipeline) -> None:
    assert later.run(OPENED, LOADED, job="raw").succeeded
    assert later.run(OPENED, LOADED, job="clean").succeeded
    reconciliation = dg.AssetSelection.assets("marts/daily_reconciliation").without_checks()
    with slowed_down(later.database, "marts.daily_reconciliation") as let_go, meanwhile(later, reconciliation, LOADED):
        marts = dg.AssetSelection.assets("marts/daily_product_sales", "marts/daily_revenue").without_checks()
        execute_job(later, marts, OPENED)
        let_go()
    wrong = "select count(*) from marts.daily_reconciliation where revenue_difference <> 0"
    assert value(later.database, wrong) != 0

    catch_up(later)

    assert value(later.database, wrong) == 0
    agrees(later, OPENED, LOADED)


def test_a_check_is_not_stopped_by_a_day_that_another_run_has_read_and_not_cleaned(later: Pipeline) -> None:
    assert later.run(OPENED, LOADED, job="raw").succeeded
    read = later.rows(
        "select order_date from raw.orders as raw group by order_date having count(distinct order_id) <> "
        "(select sum(raw_orders) from ops.accounting as clean where clean.order_date = raw.order_date)"
    )
    differing = {row["order_date"] for row in read}
    stale = next(day for day in Days(OPENED, LOADED) if day in differing and day != LOADED)
    note_change(later.database, stale)
    other = next(day for day in Days(OPENED, LOADED) if day not in differing)

    summary = later.run(other, job="marts")

    assert summary.succeeded, summary.failures
    assert value(
        later.database,
        f"select raw_orders_difference <> 0 from marts.daily_reconciliation where business_day = '{stale}'",
    )
    assert stale in unfinished_days(later.database, MARTS)
    catch_up(later)
    assert (
        value(later.database, "select count(*) from marts.daily_reconciliation where raw_orders_difference <> 0") == 0
    )


def test_a_check_does_not_leave_a_day_to_other_runs_that_this_one_has_changed(later: Pipeline) -> None:
    catch_up(later)
    note_change(later.database, LOADED)
    execute(
        later.database,
        "create function spoil() returns trigger language plpgsql as "
        "$$ begin new.returns := new.returns + 1; return new; end $$",
        "create trigger spoil before insert on marts.daily_revenue for each row execute function spoil()",
    )
    summary = later.run(LOADED, job="marts")

    assert not summary.succeeded
    failed = {key.name for key, one in evaluations(later, summary.run_id).items() if not one.passed}
    assert "daily_revenue_equals_the_ledger" in failed


def test_a_check_does_not_wait_for_a_mart_that_is_no_more(later: Pipeline) -> None:
    catch_up(later)
    execute(
        later.database,
        "insert into ops.materialised_days select 'marts.gone', day, first_written_at, written_at, run_id, as_of, "
        "code_version, through_change, published_at from ops.materialised_days "
        "where table_name = 'marts.daily_revenue'",
    )
    note_change(later.database, LOADED)
    assert later.run(LOADED, job="marts").succeeded
    execute(later.database, f"update marts.daily_revenue set returns = returns + 5 where event_date = '{LOADED}'")
    name = dg.AssetCheckKey(dg.AssetKey(["marts", "daily_revenue"]), "daily_revenue_equals_the_ledger")
    job = with_job(later, dg.AssetSelection.checks(name))
    found = job.execute_in_process(instance=later.instance, raise_on_error=False).get_asset_check_evaluations()
    assert [one.passed for one in found] == [False]


def test_a_column_that_is_new_in_one_clean_table_does_not_stop_the_others(later: Pipeline) -> None:
    make_older(later.database, "alter table ops.quarantine drop column contract_version")
    done: list[bool] = []
    thread = Thread(target=lambda: done.append(later.run(OPENED, LOADED, job="clean").succeeded), daemon=True)
    thread.start()
    thread.join(60)

    assert done == [True]
    assert value(later.database, "select count(*) from ops.quarantine where contract_version is null") == 0


def test_of_two_runs_the_later_one_cleans_the_customers_that_the_earlier_one_has_read(later: Pipeline) -> None:
    catch_up(later)
    with ExitStack() as held:
        held.enter_context(exclusive(later.database, "clean customers"))
        with meanwhile(later, dg.AssetSelection.assets("clean/customers")):
            gone = value(later.database, "select max(customer_id) from raw.customers")
            execute(later.database, f"delete from raw.customers where customer_id = '{gone}'")
            held.close()

    assert value(later.database, f"select count(*) from clean.customers where customer_id = '{gone}'") == 0


def test_a_column_that_is_new_in_the_customers_is_not_held_while_they_wait_for_the_marts(later: Pipeline) -> None:
    catch_up(later)
    make_older(later.database, "alter table clean.customers drop column email_hash")
    with ExitStack() as held:
        connection = held.enter_context(later.database.connect())
        with closing(connection.cursor()) as cursor:
            take_turns(cursor, "marts.daily_revenue")
            with meanwhile(later, dg.AssetSelection.assets("clean/customers")):
                cursor.execute("set local lock_timeout = '2s'")
                cursor.execute("select count(email_hash) from clean.customers")
                assert cursor.fetchall() == [(0,)]
                held.close()

    assert value(later.database, "select count(email_hash) from clean.customers") != 0


def test_a_mart_that_reads_one_without_first_orders_is_not_stale_for_first_orders_that_this_one_need_not_know(
    later: Pipeline,
) -> None:
    catch_up(later)
    mart = next(mart for mart in load_marts() if mart.table.name == "daily_revenue")
    note_change(later.database, OPENED, is_first_order=True)
    sql = partial(mart.sql, shop_currency="EUR", shop_timezone="Europe/Berlin")
    computed = MartDays(
        lambda part: sql(first_day=part.first, last_day=part.last),
        Days(LOADED, LOADED),
        code_version="definition",
        zone="Europe/Berlin",
        watched=mart.watched,
        reads_marts={"marts.daily_product_sales": False},
    )
    ranges = [publish(later.database, mart.table, computed, "run").days for _ in range(2)]
    assert ranges == [[Days(OPENED, OPENED), Days(LOADED, LOADED)], [Days(LOADED, LOADED)]]


def test_days_between_stale_ones_that_are_computed_together_stay_as_they_are(later: Pipeline) -> None:
    catch_up(later)
    stale = {LOADED - timedelta(days=4), LOADED - timedelta(days=2)}
    for day in stale:
        note_change(later.database, day)
    moment = database_time(later)
    before = content_hash(later.database, "marts.daily_revenue")

    assert later.run(LOADED, job="marts").succeeded

    assert written_since(later, "daily_revenue", moment) == {*stale, LOADED}
    assert content_hash(later.database, "marts.daily_revenue") == before


def test_orders_that_were_read_before_the_clock_was_set_back_can_be_read_again(later: Pipeline) -> None:
    catch_up(later)
    execute(later.database, "update ops.materialised_days set as_of = now() + interval '1 hour'")
    assert later.run(LOADED).succeeded


def test_orders_that_were_read_earlier_do_not_replace_ones_that_were_read_later(later: Pipeline) -> None:
    catch_up(later)
    execute(later.database, "create table kept as select * from raw.orders limit 1")
    began = database_clock(later.database) - timedelta(hours=1)
    writing = Writing("older", "definition", {LOADED: began})
    figures = ExtractionFigures(1, 1, 0, 1, 1, 0, 1, 0)
    hooks: list[Hook] = [DaysWritten(writing), Extracted(writing, Days(LOADED, LOADED), figures, [])]
    before = content_hash(later.database, "raw.orders")

    with pytest.raises(OutdatedError, match=f"orders of {LOADED} that run .* read later"):
        write(later.database, RAW_ORDERS.table, Query("select * from kept"), Days(LOADED, LOADED), hooks=hooks)

    assert content_hash(later.database, "raw.orders") == before


def test_a_day_that_is_first_loaded_while_a_poll_goes_on_holds_the_cursor_back(later: Pipeline) -> None:
    catch_up(later)
    began = database_clock(later.database)
    new = LOADED + timedelta(days=1)
    assert later.run(new, job="raw").succeeded
    as_of: Any = value(
        later.database, f"select as_of from ops.materialised_days where day = '{new}' and table_name = 'raw.orders'"
    )
    execute(later.database, "delete from ops.polls")
    found = Poll(began, began + timedelta(hours=3), 0, 0, [])

    record(later.database, found, began, loaded=set(Days(OPENED, LOADED)), unfinished=[])

    assert value(later.database, "select max(newest_change) from ops.polls") == as_of
    asked_since = look_at(later).asked_since
    assert asked_since is not None
    assert asked_since <= as_of
