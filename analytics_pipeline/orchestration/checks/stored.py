"""SQL checks of the stored rows of a run's slice, and the Dagster checks made of them.

A check selects the rows that contradict it, as `example` (text) and `difference` (a number). It holds when there are
none. Its result shows how many there are, up to five examples, and the sum of the differences.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import dagster as dg
import psycopg

from analytics_pipeline.catalogue import Catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.errors import MartError
from analytics_pipeline.history.unfinished import waiting_days
from analytics_pipeline.history.written import days_written_by
from analytics_pipeline.orchestration.assets.guard import guarded
from analytics_pipeline.orchestration.assets.publish import figure, shown
from analytics_pipeline.orchestration.namespaces import check_in, named, relative
from analytics_pipeline.orchestration.partitions import days_of
from analytics_pipeline.orchestration.resources import DatabaseResource
from analytics_pipeline.tables.contracts import EXAMPLES
from analytics_pipeline.tables.shape import Table
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.drivers import first_line, sqlstate
from analytics_pipeline.warehouse.slices import UNDEFINED_TABLE, Ask, exists, query, snapshot

CLAIMS_AT_A_TIME = 2
FAULTS_OF_A_STATEMENT = {"21", "22", "42"}
"""Classes of codes: more rows than one, a value that cannot be computed, syntax and names."""
NOT_EXAMINED = "not_examined"


@dataclass(frozen=True)
class StoredCheck:
    """What stored data has to satisfy.

    Attributes:
        name: The check as a name.
        table: `layer/name` of the asset it is about.
        description: The check in words.
        contradictions: A `select` with `example` and `difference` of each contradiction, with the run's `{first_day}`
            and `{last_day}`; `{slice}` is `between` the two.
        compared_with: `layer/name` of the assets that the check reads and that may be written later than its own.
        is_blocking: Whether a contradiction stops what is downstream; else it is a warning.
        is_whole: Whether it is about all rows, since its table has no business days.
    """

    name: str
    table: str
    description: str
    contradictions: str
    compared_with: tuple[str, ...] = ()
    is_blocking: bool = True
    is_whole: bool = False
    place: str | None = None
    """File and line of a check of a mart's file."""
    compared: str | None = None
    """A `select` of one number, `compared`: how many days of the slice could be compared at all."""

    @property
    def key(self) -> dg.AssetKey:
        """Key of the asset."""
        return dg.AssetKey(self.table.split("/"))

    def examine(self, database: Database, ranges: Sequence[Days]) -> dg.AssetCheckResult:
        """Look for contradictions among the rows of some business days; a table that is not there yet is one.

        Where another run has written one of the compared tables and has yet to write another, the day is left to that
        run's own checks.
        """
        if not ranges:
            return self.nothing_stored()
        with self._with_its_place(), snapshot(database) as ask:
            result = self._examine(ask, ranges)
            if result.passed or self.is_whole or NOT_EXAMINED in result.metadata:
                return result
            compared = (self.table, *self.compared_with)
            waiting = waiting_days(ask, [table.replace("/", ".") for table in compared])
            whole = Days.of(day for days in ranges for day in days if day not in waiting).ranges
            return self._examine(ask, whole) if whole else self.nothing_stored()

    @contextmanager
    def _with_its_place(self) -> Iterator[None]:
        """Let Postgres' error over a check of a mart's file name the check and its line.

        Raises:
            MartError: Postgres does not compute it.
        """
        try:
            yield
        except psycopg.Error as error:
            if self.place is None or (sqlstate(error) or "")[:2] not in FAULTS_OF_A_STATEMENT:
                raise
            message = f"{self.place}: the check {self.name} cannot be computed: {error}. Mend its select."
            raise MartError(message, excerpt=getattr(error, "excerpt", None)) from None

    def _examine(self, ask: Ask, ranges: Sequence[Days]) -> dg.AssetCheckResult:
        # What is asserted of the whole table reads the same for each range, and is asked once.
        contradictions = " union all ".join(
            dict.fromkeys(
                "("
                + self.contradictions.format(
                    slice=f"between date '{days.first}' and date '{days.last}'",
                    first_day=days.first,
                    last_day=days.last,
                )
                + ")"
                for days in ranges
            )
        )
        try:
            found = ask(
                f"select count(*) as cases, coalesce(sum(abs(difference)), 0)::numeric(30,4) as difference, "
                f"coalesce(array_to_string((array_agg(example order by example))[1:{EXAMPLES}], ', '), '') as examples "
                f"from ({contradictions}) as contradictions",
            )[0]
        except psycopg.Error as error:
            if sqlstate(error) != UNDEFINED_TABLE:
                raise
            reason = first_line(error)
            return self._result(passed=False, figures={NOT_EXAMINED: f"{reason}; materialise it first"})
        difference = Decimal(found["difference"])
        figures: dict[str, Any] = {
            "unexplained_difference": figure(difference),
            "unexplained_difference_exact": str(difference),
            "contradictions": found["cases"],
            "examples": found["examples"],
            "business_days": "all" if self.is_whole else ", ".join(map(str, ranges)),
        }
        if self.place is not None and found["cases"]:
            figures["remedy"] = f"mend what these rows are made of, or the check ({self.place}), and run the days again"
        if self.compared is not None:
            figures["compared_days"] = sum(
                ask(self.compared.format(slice=f"between date '{days.first}' and date '{days.last}'"))[0]["compared"]
                for days in ranges
            )
        return self._result(passed=found["cases"] == 0, figures=figures)

    def nothing_stored(self) -> dg.AssetCheckResult:
        """Return the result over a table without rows: nothing contradicts the check."""
        return self._result(passed=True, figures={"business_days": "none is stored"})

    def _result(self, *, passed: bool, figures: Mapping[str, Any]) -> dg.AssetCheckResult:
        severity = dg.AssetCheckSeverity.ERROR if self.is_blocking else dg.AssetCheckSeverity.WARN
        return dg.AssetCheckResult(
            asset_key=self.key, check_name=self.name, passed=passed, severity=severity, metadata=shown(figures)
        )


def days_to_examine(database: Database, table: Table, asked: Days | None, run_id: str) -> list[Days]:
    """Return the days of a table that a run is for and those that it wrote beside; without any, all that are stored.

    Of a table without business days it is all days.
    """
    if table.day_column is None:
        return [Days(date.min, date.max)]
    if asked is not None:
        return Days.of([*asked, *days_written_by(database, table, run_id)]).ranges
    if not exists(database, table):
        return []
    found = query(
        database,
        f"select min({table.day_column}) as first, max({table.day_column}) as last from {table.sql_name}",
    )[0]
    return [Days(found["first"], found["last"])] if found["first"] else []


def build_check(name: str, checks: Sequence[StoredCheck], catalogue: Catalogue) -> dg.AssetChecksDefinition:
    """Return one step that examines checks over the run's slice, or all stored days in a run without partitions.

    Checks about tables that the installation lacks, since their mart is broken, are left out.
    """
    checks = [one for one in checks if all(catalogue.has(table) for table in (one.table, *one.compared_with))]
    namespace = catalogue.namespace
    specs = [
        dg.AssetCheckSpec(
            check.name,
            asset=check.key,
            additional_deps=[dg.AssetKey(table.split("/")) for table in check.compared_with],
            description=check.description,
            blocking=check.is_blocking,
        )
        for check in checks
    ]

    def check(context: dg.AssetCheckExecutionContext, database: DatabaseResource) -> Iterator[dg.AssetCheckResult]:
        run = context.op_execution_context
        of_the_run = days_of(run.partition_keys) if run.has_partition_key or run.has_partition_key_range else None
        chosen = {(relative(key.asset_key, namespace), key.name) for key in context.selected_asset_check_keys}
        stored = database.database()

        def examine(check: StoredCheck) -> dg.AssetCheckResult:
            table = catalogue.table(check.key.path)
            ranges = days_to_examine(stored, table, of_the_run, run.run.run_id)
            return check.examine(stored, ranges)

        # Postgres works while this process waits, so two checks at a time take little more than one.
        with ThreadPoolExecutor(CLAIMS_AT_A_TIME) as pool:
            yield from pool.map(examine, (check for check in checks if (check.key, check.name) in chosen))

    step = dg.multi_asset_check(
        name=named(name, namespace), specs=[check_in(spec, namespace) for spec in specs], can_subset=True
    )
    return step(guarded(check, namespace))
