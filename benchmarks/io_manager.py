"""Part a: the IO manager writes and reads a month of the ledger, beside the server's own COPY and beside pandas.

The IO manager is used as Dagster uses it: an asset of the same key and partitions is materialised over the month, and
one that takes it as its argument. Only its two methods are timed, not Dagster around them.
"""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any

import dagster as dg
import pandas as pd
import pyarrow as pa
import sqlalchemy

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.orchestration.instance_storage import sqlalchemy_url
from analytics_pipeline.orchestration.io_manager import PostgresIOManager
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.orchestration.running import QUIET, RANGE_END, RANGE_START
from analytics_pipeline.settings import DATABASE_URL
from analytics_pipeline.tables.contracts import CLEAN_SALES
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.layout import create_statements, ensure_schema, key_statements
from benchmarks.copying import copy_in, copy_out, copy_over
from benchmarks.laboratory import Laboratory
from benchmarks.ledger import DAYS, FIRST_DAY, make_ledger
from benchmarks.measuring import Measured, Results, note, stopwatch, take_turns
from benchmarks.report import goal, seconds, spread, table

PANDAS_ROWS = 100_000
LEDGER = CLEAN_SALES.table
PANDAS_LEDGER = replace(LEDGER, schema="pandas")
PARTITIONS = dg.DailyPartitionsDefinition(start_date=str(FIRST_DAY))
MONTH = {RANGE_START: str(FIRST_DAY), RANGE_END: str(FIRST_DAY + DAYS - 1)}

NEW, REPLACED, READ = "IO manager, new table", "IO manager, month replaced", "IO manager, read as pandas"
COPY_NEW, COPY_REPLACED, COPY_OUT = "COPY, new table", "COPY, month replaced", "COPY to a file"
PANDAS_NEW, PANDAS_READ = "pandas.to_sql, new table", "pandas.read_sql"
LIMITS = {NEW: COPY_NEW, REPLACED: COPY_REPLACED, READ: COPY_OUT, PANDAS_NEW: COPY_NEW, PANDAS_READ: COPY_OUT}
"""What each is compared with."""
GOALS = {NEW: 0.7, REPLACED: 0.8, READ: 0.4}
"""Shares of the limit's speed."""


class TimedIOManager(dg.IOManager):
    """The project's IO manager, with the time of its last call."""

    def __init__(self) -> None:
        self._inner = PostgresIOManager(DatabaseResource(), build_catalogue("demo"))
        self.took = Measured(0.0)

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ANN401 - Dagster's signature
        """Pass on."""
        with stopwatch() as watch:
            self._inner.handle_output(context, obj)
        self.took = Measured(watch.seconds)

    def load_input(self, context: dg.InputContext) -> Any:  # noqa: ANN401 - Dagster's signature
        """Pass on."""
        with stopwatch() as watch:
            value = self._inner.load_input(context)
        self.took = Measured(watch.seconds)
        return value


def run(laboratory: Laboratory, rows: int, repeat: int) -> str:
    """Measure part a and return its results as markdown."""
    note(f"a: making {rows:,} rows")
    ledger = make_ledger(rows)
    sample = min(rows, PANDAS_ROWS)
    laboratory.execute("alter system set autovacuum = off")  # it would start in the middle of whoever's turn it is
    laboratory.execute("select pg_reload_conf()")
    try:
        results = take_turns([lambda: _turn(laboratory, ledger, sample)], repeat)
    finally:
        laboratory.execute("alter system reset autovacuum")
        laboratory.execute("select pg_reload_conf()")
    return _report(results, rows, sample)


def _turn(laboratory: Laboratory, ledger: pa.Table, sample: int) -> dict[str, Measured]:
    with laboratory.fresh_database() as database:
        os.environ[DATABASE_URL] = database.url
        io_manager = TimedIOManager()
        took = {}
        for what in (NEW, REPLACED):
            laboratory.settle()
            _materialize(ledger, io_manager, selection="clean/sales")
            took[what] = io_manager.took
        _vacuum(database, LEDGER.qualified_name)
        laboratory.settle()
        _materialize(ledger, io_manager, selection="reader")
        took[READ] = io_manager.took
        copies: dict[str, Callable[[], None]] = {
            COPY_OUT: lambda: copy_out(database, [LEDGER]),
            COPY_NEW: lambda: copy_in(database, [LEDGER]),
            COPY_REPLACED: lambda: copy_over(database, LEDGER),
        }
        for what, copy in copies.items():
            laboratory.settle()
            with stopwatch() as watch:
                copy()
            took[what] = Measured(watch.seconds)
        return took | _pandas(laboratory, database, ledger.slice(0, sample), scale=len(ledger) / sample)


def _materialize(ledger: pa.Table, io_manager: TimedIOManager, selection: str) -> None:
    """Run one of the two assets over the month, in a Dagster run of its own."""

    @dg.asset(key=LEDGER.path, partitions_def=PARTITIONS, io_manager_key="postgres")
    def sales() -> pa.Table:
        return ledger

    @dg.asset(ins={"sales": dg.AssetIn(key=LEDGER.path)}, partitions_def=PARTITIONS)
    def reader(sales: pd.DataFrame) -> None:
        if len(sales) != len(ledger):
            message = f"{len(sales)} rows were read, not {len(ledger)}"
            raise ValueError(message)

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [sales, reader],
            selection=dg.AssetSelection.from_string(f'key:"{selection}"'),
            instance=instance,
            tags=MONTH,
            resources={"postgres": io_manager},
            run_config=QUIET,
        )


def _pandas(laboratory: Laboratory, database: Database, ledger: pa.Table, scale: float) -> dict[str, Measured]:
    """Let pandas write and read the rows as it does by default; the table then gets the same key and indexes."""
    frame = ledger.to_pandas()
    engine = sqlalchemy.create_engine(sqlalchemy_url(database.url))
    ensure_schema(database, PANDAS_LEDGER.schema)
    laboratory.settle()
    with engine.begin() as connection, stopwatch() as writing:
        for statement in create_statements(PANDAS_LEDGER):
            connection.exec_driver_sql(statement)
        frame.to_sql(PANDAS_LEDGER.name, connection, schema=PANDAS_LEDGER.schema, if_exists="append", index=False)
        for statement in key_statements(PANDAS_LEDGER):
            connection.exec_driver_sql(statement)
    _vacuum(database, PANDAS_LEDGER.qualified_name)
    laboratory.settle()
    with engine.connect() as connection, stopwatch() as reading:
        pd.read_sql(f"select * from {PANDAS_LEDGER.qualified_name}", connection)
    engine.dispose()
    return {PANDAS_NEW: Measured(writing.seconds * scale), PANDAS_READ: Measured(reading.seconds * scale)}


def _vacuum(database: Database, name: str) -> None:
    """Leave the table as it is found in daily life; the first reader would otherwise mark every row as committed."""
    with database.connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"vacuum {name}")


def _report(results: Results, rows: int, sample: int) -> str:
    def share(what: str) -> float:
        return results[LIMITS[what]].seconds / results[what].seconds

    listed = [
        [
            what + (f" ({sample:,} rows, scaled)" if what in {PANDAS_NEW, PANDAS_READ} else ""),
            seconds(results[what]),
            spread(results[what]),
            f"{rows / results[what].seconds:,.0f}",
            f"{share(what):.2f}" if what in LIMITS else "1",
        ]
        for what in (COPY_NEW, NEW, PANDAS_NEW, COPY_REPLACED, REPLACED, COPY_OUT, READ, PANDAS_READ)
    ]
    goals = [
        goal(f"{what} at {share(what):.2f} of COPY's speed, at least {least}", is_met=share(what) >= least)
        for what, least in GOALS.items()
    ]
    return "\n".join(
        [
            f"### a. The IO manager: {rows:,} rows of the ledger, {len(LEDGER.columns)} columns, {DAYS} days",
            "",
            table(["", "median", "spread", "rows/s", "speed / COPY"], listed),
            "",
            *goals,
        ]
    )
