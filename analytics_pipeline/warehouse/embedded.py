"""The embedded PostgreSQL server: started on demand over the state folder, shared, stopped with its last process.

Only who uses the server and its start belong here: see `cluster` for its files, `postmaster` for its processes.

Each process that uses the server holds a shared lock on one file (`postgres.users`) as long as it lives. The kernel
lets go of it whatever ends the process, so the holders are the users, and nobody has to be struck off a list. Starting
and stopping take turns by an exclusive lock on another file (`postgres.lock`).
"""

import atexit
import contextlib
import fcntl
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock, local

import psutil

from analytics_pipeline.errors import DatabaseUnavailableError, PipelineError, SettingsError
from analytics_pipeline.warehouse.cluster import PORT, SERVICE, Cluster
from analytics_pipeline.warehouse.postmaster import (
    SECONDS_TO_STOP,
    bury,
    has_clients,
    is_alive,
    is_ready,
    postmaster_of,
    socket_of,
    state_of,
    stop_postmaster,
)
from analytics_pipeline.warehouse.programs import (
    INSTALLATION,
    Account,
    Programs,
    find_programs,
    package_folder,
    server_account,
)

SECONDS_TO_START = 120.0
"""A server that was killed first repeats what it had not yet written."""
SECONDS_TO_TAKE_TURNS = 180.0
SECONDS_TO_LEAVE = 1.0
SECONDS_BETWEEN_TRIES = 0.02
LARGEST_LOG = 10_000_000
PASSABLE = 0o711


@dataclass
class _Membership:
    """This process as a user of a running server.

    Attributes:
        users: Open file whose shared lock counts this process.
        postmaster: The server's first process.
        url: The server's URL, with the password.
    """

    users: int
    postmaster: psutil.Process
    url: str


_joined: dict[Path, _Membership] = {}
"""The servers that this process has started or joined, by data folder."""
_one_thread = RLock()


def start_embedded_server(data: Path) -> str:
    """Start the server over the folder `data`, or join the running one.

    The server lives at least as long as this process, and is restarted by the next call should it have died.

    Args:
        data: Data folder; made, with the state folder above it, when missing.

    Returns:
        The server's URL with its password, a Unix socket, without a database name.

    Raises:
        SettingsError: The folder cannot be used: it is another user's, or root's server may not enter it.
        DatabaseUnavailableError: The server does not start.
    """
    with _one_thread:
        member = _joined.get(data)
        if member is None or not is_alive(member.postmaster):
            try:
                member = _join(data)
            except PipelineError:
                raise
            except OSError as error:
                raise SettingsError(
                    f"the embedded server cannot use {data.parent}: {error.strerror or error} ({error.filename}). Set "
                    "ANALYTICS_HOME to a folder of your own, or ANALYTICS_DATABASE_URL to a server of your own."
                ) from error
        return member.url


def is_running(data: Path) -> bool:
    """Return whether a server runs over the folder `data`; starts none and changes nothing."""
    return postmaster_of(data) is not None


def psql_command(data: Path) -> str:
    """Return the command line that opens psql on the embedded server; the password stays in a file.

    It is the wheel's psql where the machine has none of its own.

    Args:
        data: Data folder.
    """
    psql = "psql" if shutil.which("psql") else str(package_folder() / INSTALLATION / "bin" / "psql")
    service_file = Cluster(data, None).service_file
    return f"PGSERVICEFILE={shlex.quote(str(service_file))} {shlex.quote(psql)} service={SERVICE}"


def _join(data: Path) -> _Membership:
    data.parent.mkdir(parents=True, exist_ok=True)
    with _turn(data):
        member = _joined.get(data)
        # Counted before anything starts: a server that this process starts and does not see ready has a user.
        users = _count_in(data) if member is None else member.users
        try:
            postmaster, url = _running_server(data)
        except BaseException:
            if member is None:
                os.close(users)
            raise
        if member is None and not _joined:
            atexit.register(_leave_all)
        _joined[data] = _Membership(users, postmaster, url)
        return _joined[data]


def _running_server(data: Path) -> tuple[psutil.Process, str]:
    cluster = Cluster(data, server_account(data))
    if cluster.account is not None:
        _refuse_closed_folder(data.parent.resolve(), cluster.account)
    postmaster = postmaster_of(data)
    if postmaster is not None and state_of(data) == "stopping":  # somebody has asked it to, by hand
        with contextlib.suppress(psutil.TimeoutExpired):
            postmaster.wait(SECONDS_TO_STOP)
        if is_alive(postmaster):
            raise DatabaseUnavailableError(f"the embedded server in {data} is being stopped. Try again in a moment.")
    elif postmaster is not None:
        socket_folder = socket_of(data)
        if cluster.asks_for_password and socket_folder is not None and cluster.is_private(socket_folder):
            return _ready(cluster, postmaster, socket_folder)
        _end_unprotected(data, postmaster)
    bury(data)
    programs = find_programs(cluster.account, data.parent)
    cluster.make(programs)
    return _start(cluster, programs)


def _start(cluster: Cluster, programs: Programs) -> tuple[psutil.Process, str]:
    socket_folder = cluster.socket_folder()
    options = ["-D", str(cluster.data), "-p", str(PORT), "-c", f"unix_socket_directories={socket_folder}"]
    options += ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
    if cluster.log.exists() and cluster.log.stat().st_size > LARGEST_LOG:
        cluster.log.unlink()
    log = _open_private(cluster.log, os.O_WRONLY | os.O_APPEND)
    try:
        before = os.fstat(log).st_size
        process = programs.start("postgres", options, log)
        process.returncode = 0  # it goes on after this process; that is no leak to warn of
    finally:
        os.close(log)
    return _ready(cluster, psutil.Process(process.pid), socket_folder, before)


def _ready(
    cluster: Cluster, postmaster: psutil.Process, socket_folder: Path, log_before: int | None = None
) -> tuple[psutil.Process, str]:
    """Wait until a server takes connections: who has started it may have been killed before it did."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not is_ready(cluster.data, postmaster.pid):
        if not is_alive(postmaster) or time.monotonic() > deadline:
            reason = "it does not get ready" if log_before is None else _reason(cluster.log, log_before)
            raise DatabaseUnavailableError(
                f"the embedded PostgreSQL server does not start in {cluster.data}: {reason}. "
                f"Read {cluster.log}, or set ANALYTICS_DATABASE_URL to a server of your own."
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
    cluster.write_service_file(socket_folder)
    return postmaster, cluster.url(socket_folder)


def _reason(log: Path, start: int) -> str:
    """Return the server's last words since it was started."""
    with log.open("rb") as opened:
        opened.seek(start)
        lines = opened.read().decode("utf-8", "replace").splitlines()
    fatal = [line.partition("FATAL:")[2].strip() for line in lines if "FATAL:" in line]
    last = [line.strip() for line in lines if line.strip()]
    return (fatal or last or ["it said nothing"])[-1]


def _refuse_closed_folder(home: Path, account: Account) -> None:
    """Let the server's user pass through the state folder, and refuse where a folder above it is closed.

    Only the state folder's own rights are changed, never those of a folder above, a home among them.
    """
    closed = account.closed_folder(home.parent)
    if closed is not None:
        raise SettingsError(
            f"the embedded server runs as a user of its own when root starts it, and that user may not enter {closed}, "
            f"which holds the state folder {home}. Set ANALYTICS_HOME to a folder that all may enter, "
            "such as /var/lib/analytics-pipeline."
        )
    if not account.may_enter(home):
        home.chmod(home.stat().st_mode & 0o7777 | PASSABLE)


def _end_unprotected(data: Path, postmaster: psutil.Process) -> None:
    """Stop a server that runs without the password, as an earlier version started it, unless somebody works with it."""
    deadline = time.monotonic() + SECONDS_TO_LEAVE
    while has_clients(postmaster):
        if time.monotonic() > deadline:
            raise DatabaseUnavailableError(
                f"the embedded server in {data} runs without the password that is kept beside it, as an earlier "
                "version started it, and somebody works with it. End the commands that do (`up`?) and try again."
            )
        time.sleep(SECONDS_BETWEEN_TRIES)
    stop_postmaster(postmaster)


@contextmanager
def _turn(data: Path) -> Iterator[None]:
    """Wait until no other process starts or stops the server over a folder, and be the one."""
    lock = _open_private(data.with_name(f"{data.name}.lock"), os.O_RDWR)
    try:
        deadline = time.monotonic() + SECONDS_TO_TAKE_TURNS
        while not _is_locked(lock, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise DatabaseUnavailableError(
                    f"another process has been starting or stopping the embedded server in {data} for "
                    f"{SECONDS_TO_TAKE_TURNS:.0f} s. See which one it is, end it and try again."
                )
            time.sleep(SECONDS_BETWEEN_TRIES)
        yield
    finally:
        # Closing would not do: a process that another thread has just forked holds the same open file.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def _count_in(data: Path) -> int:
    """Count this process among the server's users, and return the open file that does so."""
    users = _open_private(data.with_name(f"{data.name}.users"), os.O_RDWR)
    fcntl.flock(users, fcntl.LOCK_SH)  # nobody holds it alone but who has the turn, which is this process
    return users


def _open_private(file: Path, flags: int) -> int:
    descriptor = os.open(file, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    if os.geteuid() == 0:  # whoever owns the state folder may work in it after root did
        above = file.parent.stat()
        os.fchown(descriptor, above.st_uid, above.st_gid)
    return descriptor


def _is_locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _leave_all() -> None:
    """At the end of this process: stop each server of which it was the last user."""
    for data in list(_joined):
        member = _joined.pop(data)
        # A state folder that is gone cannot be locked; its server is still to be stopped.
        with (
            contextlib.suppress(OSError, PipelineError),
            _turn(data) if data.parent.exists() else contextlib.nullcontext(),
        ):
            if _is_locked(member.users, fcntl.LOCK_EX):
                stop_postmaster(postmaster_of(data) or member.postmaster)
                Cluster(data, server_account(data)).leave_socket_folder()
        os.close(member.users)


_forking = local()


def _count_the_child() -> None:
    """Count a process that is about to be forked: what it gets from its parent is the parent's lock, and counts as one.

    Its own lock is taken before, since the parent may end before the child does anything.
    """
    _forking.users = {}
    for data in _joined:
        with contextlib.suppress(OSError):
            users = os.open(data.with_name(f"{data.name}.users"), os.O_RDWR)
            fcntl.flock(users, fcntl.LOCK_SH | fcntl.LOCK_NB)  # this process has the same
            _forking.users[data] = users


def _leave_to_the_child() -> None:
    for users in _forking.users.values():
        os.close(users)


def _be_the_child() -> None:
    global _one_thread  # noqa: PLW0603 - another thread of the parent may have held it
    _one_thread = RLock()
    for data, member in list(_joined.items()):
        os.close(member.users)
        if data in _forking.users:
            member.users = _forking.users[data]
        else:
            del _joined[data]


os.register_at_fork(before=_count_the_child, after_in_parent=_leave_to_the_child, after_in_child=_be_the_child)
