"""Doors that stay shut on a real server, databases made on demand, and whose database it is."""

import socket
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from analytics_pipeline.errors import DatabaseRefusedError, DatabaseUnavailableError, PipelineError, SettingsError
from analytics_pipeline.history.binding import bind, rebind
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.warehouse.connection import Database, create_database
from analytics_pipeline.warehouse.drivers import without_rows
from analytics_pipeline.warehouse.schema import prepare
from analytics_pipeline.warehouse.slices import query, write
from analytics_pipeline.warehouse.turns import exclusive
from analytics_pipeline_tests.conftest import with_login
from analytics_pipeline_tests.integration.loaded import wait_until
from analytics_pipeline_tests.integration.tables import THINGS, end_sessions, execute, make_older, things, value

PASSWORD = "pa%24s-s3cr3t"
SECRETS = ("pa%24s", "pa$s", "s3cr3t")


def describe(url: str, use: Callable[[Database], object]) -> tuple[PipelineError, str]:
    """The error that a use of a database ends in, and its whole traceback."""
    try:
        use(Database(url))
    except PipelineError as error:
        return error, traceback.format_exc()
    pytest.fail("there is no error")


def connect(database: Database) -> None:
    with database.connect():
        pass


def check_one_line_without_secrets(error: PipelineError, trace: str) -> None:
    assert "\n" not in str(error)
    for secret in SECRETS:
        assert secret not in str(error)
        assert secret not in trace
        assert secret not in repr(error)


def over_tcp(database: Database, port: int, *, user: str = "joe") -> str:
    return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{port}/{database.name}"


@pytest.fixture
def login(database: Database) -> Iterator[Callable[..., str]]:
    """Make roles on the session's server: `login("with createdb")` gives the role's URL."""
    roles = []

    def make(rights: str = "") -> str:
        role = f"role_{uuid.uuid4().hex[:8]}"
        roles.append(role)
        execute(database, f"create role {role} login password 'pa$s-s3cr3t' {rights}")
        return with_login(database.url, f"{role}:{PASSWORD}")

    yield make
    for role in roles:
        execute(database, f"drop owned by {role}", f"drop role {role}")


def test_a_closed_port_is_reported_with_the_remedy(database: Database) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        error, trace = describe(over_tcp(database, taken.getsockname()[1]), connect)

    assert isinstance(error, DatabaseUnavailableError)
    assert "no Postgres server answers at postgresql://joe@127.0.0.1:" in str(error)
    assert "unset it for the embedded server" in str(error)
    check_one_line_without_secrets(error, trace)


def test_an_unknown_host_is_reported() -> None:
    error, trace = describe(f"postgresql://joe:{PASSWORD}@nowhere.invalid/shop", connect)

    assert isinstance(error, DatabaseUnavailableError)
    assert "nowhere.invalid" in str(error)
    check_one_line_without_secrets(error, trace)


def test_a_password_that_the_driver_would_quote_is_kept_from_the_whole_traceback() -> None:
    error, trace = describe("postgresql://joe:s3cr3t%zz@127.0.0.1:1/shop", connect)

    assert isinstance(error, DatabaseUnavailableError)
    check_one_line_without_secrets(error, trace)


def test_an_unknown_role_is_reported(database: Database) -> None:
    error, trace = describe(with_login(database.url, f"nobody_here:{PASSWORD}"), connect)

    assert isinstance(error, DatabaseRefusedError)
    assert 'refuses the login: password authentication failed for user "nobody_here"' in str(error)
    check_one_line_without_secrets(error, trace)


def test_a_database_that_is_not_there_is_reported(database: Database) -> None:
    error, trace = describe(database.named("not_there").url, connect)

    assert isinstance(error, DatabaseRefusedError)
    assert 'database "not_there" does not exist' in str(error)
    check_one_line_without_secrets(error, trace)


def test_a_wrong_password_is_reported_and_neither_it_nor_the_right_one_appears(login: Callable[..., str]) -> None:
    url = login()
    with Database(url).connect():
        pass
    error, trace = describe(url.replace("s3cr3t", "s3cr3t-no"), connect)

    assert isinstance(error, DatabaseRefusedError)
    assert "password authentication failed for user" in str(error)
    check_one_line_without_secrets(error, trace)


def test_no_password_where_one_is_asked_for_is_reported(login: Callable[..., str]) -> None:
    error, trace = describe(login().replace(f":{PASSWORD}@", "@"), connect)

    assert isinstance(error, DatabaseRefusedError)
    assert "asks for a password, and ANALYTICS_DATABASE_URL has none" in str(error)
    check_one_line_without_secrets(error, trace)


def test_a_role_that_may_not_create_is_reported_which_right_it_lacks(login: Callable[..., str]) -> None:
    error, trace = describe(login(), lambda database: write(database, THINGS, things((1, "a")), None))

    assert isinstance(error, DatabaseRefusedError)
    assert "lacks a right: permission denied for database" in str(error)
    check_one_line_without_secrets(error, trace)


def test_a_role_that_may_not_read_is_reported_which_right_it_lacks(
    database: Database, login: Callable[..., str]
) -> None:
    write(database, THINGS, things((1, "a")), None)
    error, trace = describe(login(), lambda restricted: query(restricted, "select * from probe.things"))

    assert isinstance(error, DatabaseRefusedError)
    assert "lacks a right: permission denied for schema probe" in str(error)
    check_one_line_without_secrets(error, trace)


def test_a_role_that_owns_nothing_but_may_create_writes_its_tables(
    database: Database, login: Callable[..., str]
) -> None:
    url = login()
    execute(database, f'grant create on database "{database.name}" to {url.partition("//")[2].partition(":")[0]}')
    write(Database(url), THINGS, things((1, "a")), None)

    assert value(database, "select count(*) from probe.things") == 1


@pytest.fixture
def missing(database: Database, login: Callable[..., str]) -> Iterator[Database]:
    """A database that is not there, and is gone again at the end, before the roles that may own it."""
    del login
    name = f"{database.name}_made"
    yield database.named(name)
    with database.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f'drop database if exists "{name}" with (force)')


def test_a_database_is_created_once(missing: Database) -> None:
    assert [create_database(missing), create_database(missing)] == [True, False]
    assert value(missing, "select current_database()") == missing.name


def test_several_that_create_a_database_at_once_all_find_it(missing: Database) -> None:
    outcomes: list[object] = []
    barrier = threading.Barrier(4)

    def create() -> None:
        barrier.wait(10)
        try:
            outcomes.append(create_database(missing))
        except PipelineError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert sorted(outcomes, key=str) == [False, False, False, True]
    assert value(missing, "select 1") == 1


def test_a_role_that_may_not_create_databases_is_reported(missing: Database, login: Callable[..., str]) -> None:
    restricted = Database(login()).named(missing.name)
    error, trace = describe(restricted.url, create_database)

    assert isinstance(error, DatabaseRefusedError)
    assert "lacks a right: permission denied to create database" in str(error)
    check_one_line_without_secrets(error, trace)
    with pytest.raises(DatabaseRefusedError, match="does not exist"):
        connect(missing)


def test_a_role_that_may_create_databases_creates_its_own(missing: Database, login: Callable[..., str]) -> None:
    own = Database(login("createdb")).named(missing.name)

    assert create_database(own) is True
    bind(own, load_shop("demo"))
    assert value(own, "select value from ops.installation where name = 'shop_name'") == "demo"


def named(name: str) -> Shop:
    return load_shop("demo").model_copy(update={"name": name})


def test_a_database_is_bound_to_the_first_shop_that_loads_into_it(database: Database) -> None:
    for _ in range(2):
        bind(database, named("first"))

    with pytest.raises(SettingsError, match="holds the shop first, not second") as raised:
        bind(database, named("second"))
    assert "ANALYTICS_HOME or ANALYTICS_DATABASE_URL" in str(raised.value)
    bind(database, named("first"))


def test_a_database_of_an_earlier_version_is_bound_to_the_shop_in_its_comment(database: Database) -> None:
    with database.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("create schema raw")
        cursor.execute("comment on schema raw is 'Answers of the shop first'")

    with pytest.raises(SettingsError, match="holds the shop first, not second"):
        bind(database, named("second"))
    bind(database, named("first"))

    elsewhere = named("first").model_copy(update={"base_url": "https://shop.example"})
    with pytest.raises(SettingsError, match=r"not first at https://shop\.example"):
        bind(database, elsewhere)


def test_the_place_of_a_reference_counts_unless_it_is_on_this_machine(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = named("first").model_copy(update={"base_url": "${SHOP_PLACE:-https://one.example}"})
    monkeypatch.setenv("SHOP_PLACE", "http://127.0.0.1:1")
    bind(database, shop)
    monkeypatch.setenv("SHOP_PLACE", "http://127.0.0.1:2")
    bind(database, shop)

    monkeypatch.delenv("SHOP_PLACE")
    rebind(database, shop)
    monkeypatch.setenv("SHOP_PLACE", "https://two.example")
    with pytest.raises(SettingsError, match="holds the shop first"):
        bind(database, shop)


def test_two_shops_that_bind_at_once_do_not_both_get_it(database: Database) -> None:
    outcomes: dict[str, str] = {}
    prepare(database)

    def bind_to(shop: str) -> None:
        try:
            bind(database, named(shop))
            outcomes[shop] = "bound"
        except SettingsError:
            outcomes[shop] = "refused"

    threads = [threading.Thread(target=bind_to, args=(shop,)) for shop in ("first", "second")]
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtextextended('analytics_pipeline bind', 0))")
        for thread in threads:
            thread.start()
        wait_until(lambda: value(database, waiting) == 2)
    for thread in threads:
        thread.join(20)

    assert sorted(outcomes.values()) == ["bound", "refused"]


def test_binding_needs_a_right_that_is_reported(database: Database, login: Callable[..., str]) -> None:
    error, trace = describe(login(), lambda restricted: bind(restricted, load_shop("demo")))

    assert isinstance(error, DatabaseRefusedError)
    assert "permission denied for database" in str(error)
    check_one_line_without_secrets(error, trace)
    assert value(database, "select to_regnamespace('raw') is null") is True


def test_a_kept_connection_whose_server_has_ended_it_is_no_error_for_whoever_comes_next(database: Database) -> None:
    def session() -> object:
        return query(database, "select pg_backend_pid() as pid")[0]["pid"]

    first = session()
    assert session() == first
    end_sessions(database)
    assert session() != first


def test_a_lock_is_free_after_its_block_though_its_connection_is_kept_and_after_an_error(database: Database) -> None:
    sessions = "select count(*) as n from pg_stat_activity where datname = current_database()"
    locks = "select count(*) as n from pg_locks where locktype = 'advisory'"
    idle = "select current_setting('idle_session_timeout') as n"
    assert query(database, idle) == [{"n": "0"}]
    execute(database, f'alter database "{database.name}" set idle_session_timeout = 70000')
    end_sessions(database)

    with exclusive(database, "one"):
        assert query(database, locks) == [{"n": 1}]
    for _ in range(3):
        with exclusive(database, "one"), exclusive(database, "two"):
            pass

    assert query(database, locks) == [{"n": 0}]
    assert query(database, sessions) == [{"n": 2}]
    with database.connect() as one, database.connect() as other:
        for connection in (one, other):
            assert connection.execute(idle).fetchall() == [("70s",)]
    with pytest.raises(ZeroDivisionError), exclusive(database, "one"):
        raise ZeroDivisionError
    # The server needs a moment to see that a connection was closed.
    deadline = time.monotonic() + 10
    while query(database, locks) != [{"n": 0}] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert query(database, locks) == [{"n": 0}]


def test_a_lock_whose_connection_the_server_has_ended_is_no_error_for_whoever_has_done_the_work(
    database: Database,
) -> None:
    with exclusive(database, "one"):
        end_sessions(database)

    assert query(database, "select 1 as one") == [{"one": 1}]


def test_a_connection_whose_work_failed_is_not_kept_and_one_whose_work_is_not_committed_is_rolled_back(
    database: Database,
) -> None:
    execute(database, "create table things (number integer)")
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("insert into things values (1)")
    assert query(database, "select * from things") == []
    before = query(database, "select pg_backend_pid() as pid")
    with pytest.raises(psycopg.Error):
        query(database, "select 1 / 0")
    assert query(database, "select pg_backend_pid() as pid") != before


def test_what_was_read_counts_though_the_server_ends_the_connection_right_after(database: Database) -> None:
    with database.connect() as connection, closing(connection.cursor()) as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)
        end_sessions(database)

    assert query(database, "select 2 as number") == [{"number": 2}]


def test_a_server_that_ends_the_connection_between_two_batches_is_reported_as_lost(database: Database) -> None:
    def read() -> None:
        with database.reading() as cursor:
            cursor.execute("select number, repeat('x', 1000) from generate_series(1, 300000) as number")
            batches = cursor.fetch_record_batch()
            batches.read_next_batch()
            end_sessions(database)
            batches.read_all()

    with pytest.raises(DatabaseUnavailableError, match=r"went away in the middle: .*call the command again"):
        read()


def test_the_statement_that_grants_a_missing_right_can_be_run_though_the_error_has_been_cleaned_before(
    database: Database, login: Callable[..., str]
) -> None:
    write(database, THINGS, things((1, "a")), None)
    restricted = Database(login())
    execute(database, f"grant usage on schema probe to {restricted.login}")

    def ask() -> None:
        with restricted.connect() as connection:
            try:
                connection.execute("select * from probe.things")
            except psycopg.Error as error:
                raise without_rows(error) from None

    with pytest.raises(DatabaseRefusedError, match=r"grant select, .* on table things to") as raised:
        ask()
    execute(database, "set local search_path = probe", str(raised.value).rpartition(": ")[2])
    ask()


def test_a_login_that_may_only_read_is_asked_for_the_owners_where_the_database_is_of_an_older_version(
    database: Database, login: Callable[..., str]
) -> None:
    prepare(database)
    make_older(database, "alter table ops.fields drop column example")
    reader = Database(login())
    execute(
        database,
        f"grant usage on schema ops to {reader.login}",
        f"grant select on all tables in schema ops to {reader.login}",
    )
    with pytest.raises(
        DatabaseRefusedError, match=r"is not up to date \(pending: tables and columns\).* its owner does"
    ):
        prepare(reader)
    prepare(database)
    prepare(reader)
