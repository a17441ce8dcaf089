"""`plan`: what it says that would change is what changes, and it writes nothing."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.errors import TableMismatchError
from analytics_pipeline.history.planning import planned
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import Pipeline, content_hash
from analytics_pipeline_tests.integration import command_line
from analytics_pipeline_tests.integration.late import LOADED, database_time, revenue_numbers
from analytics_pipeline_tests.integration.loaded import FIRST, LAST
from analytics_pipeline_tests.integration.reshaped import ABOVE, CHANGES, OWN, OwnMarts
from analytics_pipeline_tests.integration.tables import execute, make_older, value

PACKAGE = Path(__file__).parents[2] / "analytics_pipeline"
BY_THE_ORDERS_DAY = """    from (
        select
            case when event_type = 'line_returned' then order_date else event_date end as event_date,
            event_type, currency, order_id, customer_key, quantity,
            gross_sales, discounts, returns, net_sales, shipping, charges, outside_sales, taxes, total_sales
        from clean.sales
    ) as moved
    where event_date between :first_day"""
"""Returns of daily_revenue by the day of their order."""
PLAN = ("-m", "analytics_pipeline", "plan")
APPLY = """
from analytics_pipeline.definitions import defs
days = {{"dagster/asset_partition_range_start": "{day}", "dagster/asset_partition_range_end": "{day}"}}
result = defs.resolve_job_def("marts").execute_in_process(tags=days, raise_on_error=False)
print(*(event.asset_key.path[-1] for event in result.get_asset_materialization_events()))
"""
"""A run of one day; checks that hold the edited mart against the ledger fail, after it is written."""
Cell = tuple[object, ...]


@pytest.fixture
def own(loaded: Pipeline, tmp_path: Path) -> OwnMarts:
    """A folder of marts beside three loaded days."""
    return OwnMarts(tmp_path / "marts", loaded.database, load_shop(str(loaded.description)))


def catalogue_of(beside: OwnMarts, /, **marts: str) -> Catalogue:
    return Catalogue(beside.shop, tuple(beside.write(**marts).values()))


def everything(database: Database) -> dict[str, str]:
    """A hash of each table's rows, and of what tables, columns and views there are."""
    tables = query(
        database,
        "select schemaname || '.' || tablename as name from pg_tables "
        "where schemaname not in ('pg_catalog', 'information_schema')",
    )
    found = {row["name"]: content_hash(database, row["name"], without=()) for row in tables}
    shapes = (
        "select md5(string_agg(row(c.oid, relname, relkind, attname, atttypid, attnotnull)::text, '|' "
        "order by c.oid, attnum)) as hash from pg_class c join pg_attribute on attrelid = c.oid "
        "where relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)"
    )
    return {**found, "shapes": str(value(database, shapes))}


def cells(rows: Iterable[dict[str, Any]]) -> list[Cell]:
    names = ("mart", "day", "key", "column", "old_value", "new_value", "difference", "cause")
    return sorted(tuple(row[name] for name in names) for row in rows)


def restated(database: Database, since: str = "2000-01-01") -> list[Cell]:
    return cells(
        query(
            database,
            "select mart, day::text, key, metric as \"column\", coalesce(old_value::text, '') as old_value, "
            "coalesce(new_value::text, '') as new_value, difference::text, cause from ops.restatements "
            f"where restated_at > timestamptz '{since}'",
        )
    )


def without_nulls(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: "" if found is None else found for name, found in row.items()} for row in rows]


def with_edited_revenue(
    folder: Path, *arguments: str, database: Database, shop: Path
) -> "subprocess.CompletedProcess[str]":
    """Run Python with a copy of the package whose daily_revenue has returns by the day of their order."""
    copy = folder / "checkout" / PACKAGE.name
    if not copy.exists():
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        file = copy / "marts" / "daily_revenue.sql"
        text = file.read_text(encoding="utf-8")
        edited = text.replace("    from clean.sales\n    where event_date between :first_day", BY_THE_ORDERS_DAY)
        assert edited != text
        file.write_text(edited, encoding="utf-8")
    settings = {"ANALYTICS_SHOP": str(shop), "ANALYTICS_DATABASE_URL": database.url, "ANALYTICS_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=copy.parent,
        env=command_line.environment(**settings, PYTHONPATH=str(copy.parent)),
        capture_output=True,
        text=True,
        check=False,
    )


def test_with_returns_by_the_orders_day_the_cells_of_the_plan_are_those_that_then_change(
    later: Pipeline, tmp_path: Path
) -> None:
    database, before = later.database, everything(later.database)

    def ran(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return with_edited_revenue(tmp_path, *arguments, database=database, shop=later.description)

    said = ran(*PLAN, "--json", "--all", "--cells", str(tmp_path / "cells.csv"))
    assert said.returncode == 4, said.stderr
    assert everything(database) == before
    plan = json.loads(said.stdout)
    [revenue] = [one for one in plan["marts"] if one["mart"] == "daily_revenue"]
    assert (revenue["days"], revenue["shape"]) == (15, None)
    above = {"daily_reconciliation", "daily_witness"}  # they read the edited one
    assert {one["mart"] for one in plan["marts"]} == {"daily_revenue", *above}

    moment, numbers = database_time(later), revenue_numbers(later)
    applied = ran("-c", APPLY.format(day=LOADED))
    assert "daily_revenue" in applied.stdout, applied.stderr

    after = revenue_numbers(later)
    expected = cells(without_nulls(plan["cells"]))
    assert expected == restated(database, moment)
    changed = {key for key in {*numbers, *after} if numbers.get(key) != after.get(key)}
    assert {(day.isoformat(), key, column) for day, key, column in changed} == {row[1:4] for row in expected}
    assert {"returns", "net_sales"} <= {row[3] for row in expected}
    assert {row[7] for row in expected} == {"code_version_change"}
    with (tmp_path / "cells.csv").open(encoding="utf-8", newline="") as file:
        assert cells(csv.DictReader(file)) == expected
    returns = [one for one in plan["columns"] if one["column"] == "returns"]
    assert [one["cells"] for one in returns] == [sum(row[3] == "returns" for row in expected)]
    again = ran(*PLAN, "--mart", "daily_revenue")
    assert (again.returncode, "nothing is computed anew" in again.stdout) == (0, True), again.stdout


@pytest.mark.parametrize("change", CHANGES)
def test_of_every_change_the_plan_is_what_is_on_record_afterwards(own: OwnMarts, change: str) -> None:
    doubled = ABOVE.replace("-- grain", "-- restatements: all numbers\n-- grain", 1)
    own.compute(FIRST, LAST, own=OWN, above=doubled)
    before, added = everything(own.database), ("sum(net", "sum(sales.net")
    new = CHANGES[change]
    for start in added:
        new = new.replace(start, f"1 + {start}")
    above = doubled.replace("net_sales)", "net)") if "as net," in new or "as net " in new else doubled

    with planned(own.database, catalogue_of(own, own=new, above=above)) as plan:
        assert {one.mart.table.name for one in plan.marts} == {"own", "above"}
        expected = cells(without_nulls(plan.cells()))
        assert sum(row["cells"] for row in plan.by_column()) == len(expected)
        assert len(list(plan.cells(2))) == 2
    assert everything(own.database) == before

    own.compute(LAST, LAST)
    assert restated(own.database) == expected
    assert {row[0] for row in expected} >= {"above"}


def test_a_mart_above_one_that_is_computed_whole_is_in_the_plan_as_it_will_be(own: OwnMarts) -> None:
    whole = (
        "-- Net sales ever.\n-- grain: day\nselect\n    min(event_date) as day, -- First day.\n"
        "    cast(sum(net_sales) as numeric(19, 4)) as ever -- Net sales.\nfrom marts.own\n"
    )
    above = ABOVE.replace("-- grain", "-- restatements: all numbers\n-- grain", 1)
    above = above.replace("from marts.own", "from marts.own cross join marts.ever").replace(
        "2 * sum(net_sales)", "max(ever)"
    )
    own.compute(FIRST, LAST, own=OWN, ever=whole, above=above)
    with planned(own.database, catalogue_of(own, own=CHANGES["another calculation"])) as plan:
        expected = cells(without_nulls(plan.cells()))
    own.compute(LAST, LAST)
    assert restated(own.database) == expected
    assert {row[0] for row in expected} == {"own", "above"}


def test_sums_of_differences_are_by_currency_wherever_it_stands_in_the_grain(own: OwnMarts) -> None:
    named = "    coalesce(product_id, 'no one') as product_id, -- Product.\n    currency, -- Currency.\n"
    fine = (
        OWN.replace("grain: event_date", "grain: event_date, product_id, currency")
        .replace("    count(", f"{named}    count(")
        .replace("group by event_date", "group by event_date, coalesce(product_id, 'no one'), currency")
    )
    own.compute(FIRST, LAST, own=fine)
    with planned(own.database, catalogue_of(own, own=fine.replace("sum(net_sales)", "1 + sum(net_sales)"))) as plan:
        rows = value(own.database, "select count(*) from marts.own")
        assert plan.by_column() == [
            {"mart": "own", "column": "net_sales", "currency": "EUR", "cells": rows, "difference": f"{rows}.0000"}
        ]


def test_what_would_be_refused_is_refused_by_the_plan(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    execute(own.database, "create schema bi", "create view bi.counted as select orders from marts.own")
    with (
        pytest.raises(TableMismatchError, match=r"the view bi\.counted reads orders"),
        planned(own.database, catalogue_of(own, own=CHANGES["a column less"])),
    ):
        pass


def test_marts_that_are_not_stored_and_those_that_did_not_change_are_not_computed(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN)
    with planned(own.database, catalogue_of(own, fresh=OWN, above=ABOVE.replace("own", "fresh"))) as plan:
        assert (plan.marts, plan.missing) == ((), ("fresh", "above"))
        assert list(plan.cells()) == []


def test_only_the_marts_that_are_asked_for_and_what_they_read_are_looked_at(own: OwnMarts) -> None:
    own.compute(FIRST, LAST, own=OWN, above=ABOVE, other=OWN)
    edited = CHANGES["another calculation"]
    with planned(own.database, catalogue_of(own, own=edited, other=edited), ["above"]) as plan:
        assert [one.mart.table.name for one in plan.marts] == ["own", "above"]
        assert str(plan.marts[1]).endswith("stored by another statement; so is marts.own, which it reads")


def test_the_command_says_it_in_words_and_brings_nothing_up_to_date(own: OwnMarts, loaded: Pipeline) -> None:
    settings = {
        "ANALYTICS_DATABASE_URL": own.database.url,
        "ANALYTICS_SHOP": str(loaded.description),
        "ANALYTICS_PROJECT": str(own.folder.parent),
    }

    def plan(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return command_line.run("plan", *arguments, folder=own.folder.parent, **settings)

    own.compute(FIRST, LAST, own=OWN)
    assert plan().returncode == 0
    own.write(own=CHANGES["another calculation"].replace("net_sales - taxes", "net_sales + 1"))
    said = plan("--mart", "own")
    assert said.returncode == 4, said.stderr
    assert "anew         marts.own: 3 days (2025-01-01 to 2025-01-03), stored by another statement" in said.stdout
    assert "numbers      3 published numbers would change" in said.stdout
    assert "own 2025-01-01  net_sales: " in said.stdout
    assert "nothing was written" in said.stdout
    assert plan("--mart", "no_such").returncode == 2
    own.write(own=OWN.replace("    event_date, --", "    nullif(event_date, date '2025-01-02') as event_date, --"))
    said = plan("--mart", "own")
    assert (said.returncode, "own.sql: line 5: event_date is in the grain and null" in said.stderr) == (1, True), said
    assert "2025-01-02" not in said.stderr
    own.write(own=OWN)

    settings_of_none = {**settings, "ANALYTICS_DATABASE_URL": own.database.named("nowhere").url}
    (own.folder / "own.sql").write_text(OWN.replace("-- grain", "-- grian"), encoding="utf-8")
    as_json = command_line.run("plan", "--json", folder=own.folder.parent, **settings_of_none)
    [broken] = json.loads(as_json.stdout)["broken"]
    assert (broken["table"], "own.sql: line" in broken["reason"]) == ("marts.own", True), broken
    own.write(own=OWN)
    nowhere = command_line.run("plan", folder=own.folder.parent, **settings_of_none)
    assert (nowhere.returncode, "schema       pending: the database nowhere" in nowhere.stdout) == (4, True), nowhere

    make_older(own.database)
    before = everything(own.database)
    said = plan()
    assert said.returncode == 4, said.stderr
    assert "schema       pending: " in said.stdout
    assert "marts        not compared before that" in said.stdout
    assert everything(own.database) == before
