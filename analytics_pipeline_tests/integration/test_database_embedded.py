"""The embedded server's life: shared, restarted, stopped with its last user, and careful with the rights of folders."""

import atexit
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from analytics_pipeline.errors import SettingsError
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.embedded import start_embedded_server
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.integration.loaded import is_alive, postmaster_of, stop_server, wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as another user")
OTHER_PROCESS = """
import sys
from pathlib import Path
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.embedded import start_embedded_server
from analytics_pipeline.warehouse.slices import query
url = start_embedded_server(Path(sys.argv[1]))
print(url, query(Database(url).named("postgres"), sys.argv[2]), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """A new folder of mode 700, as mktemp -d makes it."""
    folder = Path(tempfile.mkdtemp(prefix="analytics-pipeline-home-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server's own end, which comes first
    yield folder
    stop_server(folder)


def other_process(home: Path, sql: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(home / "postgres"), sql],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def modes_above(folder: Path) -> dict[Path, int]:
    return {above: stat.S_IMODE(above.stat().st_mode) for above in folder.parents}


def answer_of(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_processes_share_the_server_and_the_last_one_stops_it(home: Path) -> None:
    first = other_process(home, "select 1 as one")
    assert "'one': 1" in answer_of(first)
    postmaster = postmaster_of(home)
    assert postmaster is not None
    second = other_process(home, "create table made_by_second as select 2 as two; select 1")
    second.communicate()
    third = other_process(
        home, "select count(*) as sessions from pg_stat_activity where backend_type = 'client backend'"
    )
    assert "'sessions':" in answer_of(third)

    assert postmaster_of(home) == postmaster
    third.communicate()
    assert is_alive(postmaster)
    first.communicate()
    assert not is_alive(postmaster)


def test_a_killed_user_does_not_keep_the_server_running(home: Path) -> None:
    killed = other_process(home, "select 1 as one")
    assert "'one': 1" in answer_of(killed)
    killed.kill()
    killed.communicate()
    postmaster = postmaster_of(home)
    assert postmaster is not None
    last = other_process(home, "select 1 as one")
    assert "'one': 1" in answer_of(last)
    last.communicate()

    assert not is_alive(postmaster)


def test_a_server_that_was_killed_is_started_again_with_its_data(home: Path) -> None:
    url = start_embedded_server(home / "postgres")
    database = Database(url).named("postgres")
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("create table kept as select 7 as value")
        connection.commit()
    assert start_embedded_server(home / "postgres") == url
    first = postmaster_of(home)
    assert first is not None
    first.kill()
    wait_until(lambda: not is_alive(first))

    assert start_embedded_server(home / "postgres") == url
    assert query(database, "select value from kept") == [{"value": 7}]
    assert postmaster_of(home) not in {None, first}


def test_processes_that_start_the_server_at_once_for_the_first_time_get_the_same_one(home: Path) -> None:
    together = [other_process(home, "select system_identifier::text as id from pg_control_system()") for _ in range(3)]
    answers = {answer_of(process) for process in together}
    postmaster = postmaster_of(home)
    assert postmaster is not None
    for process in together:
        process.communicate()

    assert len(answers) == 1
    assert "'id':" in answers.pop()
    assert not is_alive(postmaster)


FORKING_PROCESS = """
import os, sys
from pathlib import Path
from analytics_pipeline.warehouse.embedded import start_embedded_server
start_embedded_server(Path(sys.argv[1]))
if os.fork():
    sys.exit()
print("forked", flush=True)
sys.stdin.read()
"""


def test_a_forked_process_is_a_user_of_its_own(home: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", FORKING_PROCESS, str(home / "postgres")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert answer_of(parent) == "forked\n"
    postmaster = postmaster_of(home)
    assert postmaster is not None
    try:
        parent.wait(30)
        assert is_alive(postmaster)
    finally:
        parent.communicate()  # the end of the child's input
    wait_until(lambda: not is_alive(postmaster))


def test_a_first_start_that_was_killed_leaves_nothing_that_stops_the_next_one(home: Path) -> None:
    (home / "postgres.new").mkdir()
    (home / "postgres.new" / "PG_VERSION").write_text("18\n")

    assert query(Database(start_embedded_server(home / "postgres")).named("postgres"), "select 1 as one") == [
        {"one": 1}
    ]


def test_a_server_that_its_administrator_stops_is_started_again(home: Path) -> None:
    url = start_embedded_server(home / "postgres")
    stop_server(home)

    assert start_embedded_server(home / "postgres") == url
    assert query(Database(url).named("postgres"), "select 1 as one") == [{"one": 1}]


def test_a_folder_with_something_else_in_it_is_refused_and_left_as_it_is(home: Path) -> None:
    (home / "postgres").mkdir()
    (home / "postgres" / "mine").write_text("kept")

    with pytest.raises(SettingsError, match=r"holds no data of PostgreSQL .*Move it away"):
        start_embedded_server(home / "postgres")
    assert (home / "postgres" / "mine").read_text() == "kept"


@as_root
def test_a_home_of_mode_700_is_opened_and_nothing_above_it(home: Path) -> None:
    before = modes_above(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    start_embedded_server(home / "postgres")

    assert stat.S_IMODE(home.stat().st_mode) == 0o711
    assert stat.S_IMODE((home / "postgres").stat().st_mode) == 0o700
    assert modes_above(home) == before
