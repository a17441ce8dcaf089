"""A login without rights is reported which one it lacks, where, and how it is granted; what the docs grant suffices."""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner, Result

from analytics_pipeline.cli import main
from analytics_pipeline.errors import DatabaseRefusedError
from analytics_pipeline.orchestration.running import open_instance
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import Database, create_database, instance_database
from analytics_pipeline.warehouse.rights import missing_right
from analytics_pipeline_tests.cases.small_shop import Case, SmallShop
from analytics_pipeline_tests.conftest import with_login

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
LEAST_RIGHTS = OPERATIONS.partition("**Rights.**")[2].partition("```sql\n")[2].partition("```")[0]


@dataclass(frozen=True)
class Clerk:
    """A role that may do nothing, and the databases that the settings name for it; `owner` may do all.

    Attributes:
        role: Its name.
        data: Its data, as the owner sees them.
    """

    role: str
    data: Database

    @property
    def instance(self) -> Database:
        return instance_database(self.data)

    def grant(self, database: Database, *statements: str) -> None:
        with database.connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture
def clerk(server: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clerk]:
    name = uuid.uuid4().hex[:8]
    clerk = Clerk(f"clerk-{name}", server.named(f"rights_{name}"))
    clerk.grant(server.named("postgres"), f"create role \"{clerk.role}\" login password 'open'")
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", with_login(clerk.data.url, f"{clerk.role}:open"))
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path / "home"))
    yield clerk
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for database in (clerk.data, clerk.instance):
        clerk.grant(server.named("postgres"), f'drop database if exists "{database.name}" with (force)')
    clerk.grant(server.named("postgres"), f'drop owned by "{clerk.role}"', f'drop role "{clerk.role}"')


@pytest.fixture
def doctor(
    small_shop: SmallShop, clerk: Clerk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Result]]:
    with dg.DagsterInstance.ephemeral() as unused:
        monkeypatch.setenv("ANALYTICS_SHOP", str(Case(small_shop, clerk.data, unused, tmp_path).path))
        yield lambda: CliRunner().invoke(main, ["doctor"])


def failures(result: Result) -> str:
    assert "Traceback" not in result.output
    return "\n".join(line for line in result.output.splitlines() if line.startswith("FAIL"))


def test_the_doctor_reports_each_missing_right_with_the_statement_that_grants_it(
    clerk: Clerk, doctor: Callable[[], Result]
) -> None:
    """Each statement is executed as it is reported, until nothing is missing."""
    done = []
    for place in (clerk.data.named("postgres"), clerk.data, clerk.data.named("postgres"), clerk.instance):
        messages = doctor()
        assert messages.exit_code == 1
        if "permission denied for database" in failures(messages) or "schema public" in failures(messages):
            assert f"connected to the database {place.name}: " in failures(messages)
        statement = re.search(r"((?:create database|grant) [^;]+);", failures(messages))
        assert statement is not None, messages.output
        owned = statement[1].replace(f'owner "{clerk.role}" ', "")  # the owner keeps it: more is missing then
        clerk.grant(place, owned)
        done.append(statement[1])

    made = f"owner \"{clerk.role}\" template template0 encoding 'UTF8' lc_collate 'C'"
    assert done == [
        f'create database "{clerk.data.name}" {made}',
        f'grant create on database "{clerk.data.name}" to "{clerk.role}"',
        f'create database "{clerk.instance.name}" {made}',
        f'grant usage, create on schema "public" to "{clerk.role}"',
    ]
    assert failures(doctor()) == ""


def test_the_instance_reports_the_missing_right_without_the_doctor(clerk: Clerk) -> None:
    for database in (clerk.data, clerk.instance):
        create_database(database)

    with (
        pytest.raises(
            DatabaseRefusedError, match=r'schema public\. .* grant usage, create on schema "public" to "clerk'
        ),
        open_instance(Settings.from_environment()),
    ):
        pass


def test_the_rights_that_the_docs_list_suffice_for_doctor_and_runs(
    clerk: Clerk, doctor: Callable[[], Result], small_shop: SmallShop, tmp_path: Path
) -> None:
    place = clerk.data.named("postgres")
    names = {"analytics": clerk.data.name, "dagster": clerk.instance.name}
    for line in LEAST_RIGHTS.splitlines():
        if line.startswith("\\connect"):
            place = clerk.data.named(names[line.split()[1]])
        elif not line.startswith("create role"):
            statement = re.sub(r"\bto analytics;", f'to "{clerk.role}";', line)
            clerk.grant(place, re.sub(r"database (\w+)", lambda found: f'database "{names[found[1]]}"', statement))

    assert failures(doctor()) == ""
    own = Database(with_login(clerk.data.url, f"{clerk.role}:open"))
    with open_instance(Settings.from_environment()) as instance:
        restricted = Case(small_shop, own, instance, tmp_path / "next")
        summary = restricted.run("2026-11-20", "2026-11-22")
        assert summary.succeeded, summary.failures
        assert restricted.catch_up() == []
    assert restricted.revenue() == {f"2026-11-{day}": "10.00" for day in (20, 21, 22)}


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("permission denied for table runs", 'database d: grant select, insert, update, delete on table runs to "u";'),
        ('permission denied for schema "odd one"', 'grant usage, create on schema "odd one" to "u";'),
        ("must be owner of table orders", 'alter table orders owner to "u";'),
        ("permission denied to set parameter", "Let the database's owner grant it, or use another login."),
        ("", "Let the database's owner grant it, or use another login."),
    ],
)
def test_a_right_is_reported_with_what_grants_it(reason: str, remedy: str) -> None:
    assert remedy in str(missing_right(reason, login="u", database="d", label="there"))
