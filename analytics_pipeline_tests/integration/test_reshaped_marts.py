"""A mart whose shape or calculation changed: all its days are of the new one after the next run, or of the old one."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.errors import DatabaseUnavailableError, TableBusyError, TableMismatchError
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse import layout
from analytics_pipeline_tests.conftest import Pipeline, content_hash
from analytics_pipeline_tests.integration.loaded import FIRST, LAST
from analytics_pipeline_tests.integration.reshaped import ABOVE, CHANGES, GRAIN, OWN, OwnMarts
from analytics_pipeline_tests.integration.tables import execute, value

CALCULATION = CHANGES["another calculation"]
LESS = CHANGES["a column less"]


@pytest.fixture
def own(loaded: Pipeline, tmp_path: Path) -> OwnMarts:
    """A folder of marts beside three loaded days."""
    return OwnMarts(tmp_path / "marts", loaded.database, load_shop(str(loaded.description)))


def restated(marts: OwnMarts, mart: str = "own") -> list[dict[str, object]]:
    return marts.rows(
        "select day, key, metric, old_value::text, new_value::text, cause from ops.restatements "
        f"where mart = '{mart}' order by day, key, metric"
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("is_back", [False, True], ids=["there", "and back"])
def test_after_a_run_of_one_day_all_days_are_as_if_the_mart_had_always_been_so(
    own: OwnMarts, change: str, *, is_back: bool
) -> None:
    old, new = (CHANGES[change], OWN) if is_back else (OWN, CHANGES[change])
    own.compute(FIRST, LAST, own=old)
    own.compute(LAST, LAST, own=new)
    changed = own.stored("own")

    own.compute(FIRST, LAST, other=new)
    assert changed == own.stored("other")
    assert value(own.database, "select count(distinct event_date) from marts.own") == 3


def test_numbers_of_columns_that_stay_are_restated_and_columns_that_come_or_go_are_none(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    first = own.rows("select day, metric, value::text from ops.publications where mart = 'own' order by 1, 2")
    assert len(first) == 6
    more = CHANGES["a column more"].replace("sum(net_sales)", "sum(net_sales) + 1")
    own.compute(LAST, LAST, own=more)

    changes = restated(own)
    assert [(row["day"], row["metric"]) for row in changes] == [
        (row["day"], "net_sales") for row in first if row["metric"] == "net_sales"
    ]
    assert {row["cause"] for row in changes} == {"code_version_change"}
    discounts = "select day, value from ops.publications where mart = 'own' and metric = 'discounts' order by 1"
    assert [row["value"] for row in own.rows(discounts)] == [
        row["discounts"] for row in own.rows("select discounts from marts.own order by event_date")
    ]

    own.compute(LAST, LAST, own=LESS.replace("sum(net_sales)", "sum(net_sales) + 1"))
    assert restated(own) == changes
    assert (
        own.rows(
            "select day, metric, value::text from ops.publications where mart = 'own' and metric <> 'discounts' "
            "order by 1, 2"
        )
        == first
    )


def test_of_another_grain_the_old_numbers_end_and_the_new_ones_begin(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    before = own.rows("select event_date as day, net_sales::text as value from marts.own order by 1")
    own.compute(LAST, LAST, own=GRAIN)
    changes = [row for row in restated(own) if row["metric"] == "net_sales"]
    ended = [{"day": row["day"], "value": row["old_value"]} for row in changes if row["new_value"] is None]
    begun = {(row["day"], row["key"]): row["new_value"] for row in changes if row["old_value"] is None}
    assert ended == before
    after = own.rows("select event_date, country, net_sales::text as value from marts.own where net_sales <> 0")
    assert begun == {(row["event_date"], row["country"]): row["value"] for row in after}


def test_a_mart_above_is_computed_for_the_same_days(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN, above=ABOVE)
    own.compute(LAST, LAST, own=CALCULATION)
    assert own.rows("select event_date, doubled::text as net from marts.above order by 1") == own.rows(
        "select event_date, (2 * net_sales)::text as net from marts.own order by 1"
    )


def test_rights_and_views_of_columns_that_stay_live_on(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    execute(
        own.database,
        "create schema bi",
        "create view bi.sold as select event_date, net_sales from marts.own",
        "grant select on marts.own to pg_monitor",
    )
    own.compute(LAST, LAST, own=LESS)
    assert value(own.database, "select has_table_privilege('pg_monitor', 'marts.own', 'select')")
    assert own.rows("select * from bi.sold order by 1") == own.rows("select * from marts.own order by 1")


def test_a_view_of_a_column_that_goes_is_named_and_nothing_is_changed(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    execute(own.database, "create schema bi", "create view bi.counted as select orders from marts.own")
    before = own.stored("own")
    messages = (
        r"marts\.own does not get its new shape \(- orders\): the view bi\.counted reads orders\. Drop it, run again"
    )
    with pytest.raises(TableMismatchError, match=messages):
        own.compute(LAST, LAST, own=LESS)
    assert own.stored("own") == before
    execute(own.database, "drop view bi.counted")
    own.compute(LAST, LAST)


def test_what_else_is_made_of_the_key_stops_another_grain(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    execute(own.database, "create schema bi", "create table bi.days (day date references marts.own (event_date))")
    with pytest.raises(TableMismatchError, match="something else in the database is made of what would go"):
        own.compute(LAST, LAST, own=GRAIN)
    assert value(own.database, "select count(*) from marts.own") == 3


def test_a_mart_in_use_keeps_its_shape_and_says_so(own: OwnMarts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SECONDS_TO_WAIT", 0.3)
    own.compute(FIRST, LAST, own=OWN)
    before = content_hash(own.database, "marts.own")
    with own.database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select * from marts.own")
        cursor.fetchall()
        with pytest.raises(TableBusyError, match=r"marts\.own gets another shape \(- orders\) and has been in use for"):
            own.compute(LAST, LAST, own=LESS)
    assert content_hash(own.database, "marts.own") == before
    assert restated(own) == []


def test_who_began_to_read_before_sees_the_old_rows_to_the_end(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    with own.database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("set transaction isolation level repeatable read")
        cursor.execute("select 1")
        own.compute(LAST, LAST, own=LESS)
        cursor.execute("select count(net_sales) from marts.own")
        assert cursor.fetchone() == (3,)


def test_a_session_that_is_ended_while_new_rows_take_their_place_leaves_the_old_ones(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    before = own.stored("own")
    book = content_hash(own.database, "ops.materialised_days")
    execute(
        own.database,
        # Ends the session in the middle of giving the table its new rows.
        "create function ends() returns trigger language plpgsql as $$ begin "
        "perform pg_terminate_backend(pg_backend_pid()); return new; end $$",
        "create trigger ends before insert on marts.own for each row execute function ends()",
    )
    with pytest.raises(DatabaseUnavailableError):
        own.compute(LAST, LAST, own=LESS)
    assert own.stored("own") == before
    assert content_hash(own.database, "ops.materialised_days") == book
    execute(own.database, "drop function ends cascade")
    own.compute(LAST, LAST)


WHOLE = "-- Best day.\n-- grain: best\nselect\n    max(net_sales) as best -- Best net sales.\nfrom marts.own\n"


def test_a_mart_that_is_computed_whole_gets_its_new_shape_too(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN, best=WHOLE)
    two = WHOLE.replace("grain: best", "grain: best, worst").replace(
        "as best -- Best", "as best, -- Best net sales.\n    min(net_sales) as worst -- Worst"
    )
    own.compute(LAST, LAST, best=two, other=two)
    assert own.stored("best") == own.stored("other")


def test_a_mart_that_reads_a_new_one_keeps_the_days_that_the_new_one_lacks(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN, above=ABOVE)
    fresh = ABOVE.replace("marts.own", "marts.fresh")
    own.compute(LAST, LAST, fresh=OWN, above=fresh)
    assert value(own.database, "select count(*) from marts.above") == 3
    assert value(own.database, "select count(*) from marts.fresh") == 1

    longer = fresh.replace("as doubled --", "as twice --")
    messages = r"marts\.fresh, which it reads, lacks 2 of its days\. Run analytics-pipeline run --job marts"
    with pytest.raises(TableMismatchError, match=messages):
        own.compute(LAST, LAST, above=longer)
    more = fresh.replace("    2 *", "    sum(orders) as orders, -- Orders.\n    2 *")
    own.compute(FIRST - timedelta(days=9), FIRST - timedelta(days=9), above=more)
    found = own.rows("select orders is null as is_unknown from marts.above order by event_date")
    assert [row["is_unknown"] for row in found] == [True, True, False]

    own.compute(FIRST, LAST, above=longer)
    assert value(own.database, "select count(twice) from marts.above") == 3


def test_what_is_computed_anew_is_reported_once_with_the_runs_last_day(own: OwnMarts, loaded: Pipeline) -> None:
    own.compute(FIRST, LAST, own=OWN)
    own.write(own=LESS)
    pipeline = replace(loaded, definitions=build_definitions(str(loaded.description), own.folder.parent))
    summary = pipeline.run(LAST, job="marts")
    assert summary.succeeded, summary.failures
    logs = pipeline.instance.all_logs(summary.run_id)
    events = [entry.dagster_event for entry in logs if entry.dagster_event is not None]
    found = [one.step_materialization_data.materialization for one in events if one.is_step_materialization]
    [mine] = [one for one in found if one.asset_key.path == ["marts", "own"]]
    assert mine.partition == LAST.isoformat()
    messages = "3 days (2025-01-01 to 2025-01-03), stored in another shape (- orders)"
    assert mine.metadata["computed_anew"].value == messages
    assert value(own.database, "select count(*) from marts.own") == 3


def test_a_mart_whose_table_was_dropped_comes_back_with_all_its_days_and_restates_nothing(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    before = own.stored("own")
    execute(own.database, "drop table marts.own")
    own.compute(LAST, LAST, own=OWN)
    assert own.stored("own") == before
    assert value(own.database, "select count(distinct event_date) from marts.own") == 3
    assert restated(own) == []
    own.compute(LAST, LAST, own=OWN)
    assert own.stored("own") == before
