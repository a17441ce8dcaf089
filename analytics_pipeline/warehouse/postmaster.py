"""The processes of an embedded server: found by its data folder, asked, stopped, and buried when they were killed.

Starting them and counting their users is `embedded`'s part.
"""

import contextlib
import signal
import socket
import time
from pathlib import Path

import psutil

from analytics_pipeline.errors import DatabaseUnavailableError
from analytics_pipeline.warehouse.cluster import PORT

SECONDS_TO_STOP = 20.0
SECONDS_BETWEEN_TRIES = 0.02
SOCKET_LINE = 4
STATE_LINE = 7
SERVER = "postgres"


def _lines_of(data: Path) -> list[str]:
    """Return what a server has written about itself: process, folder, start, port, socket, host, memory, state."""
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def postmaster_of(data: Path) -> psutil.Process | None:
    """Return the first process of the server that runs over a folder, None when there is none."""
    try:
        process = psutil.Process(int(_lines_of(data)[0]))
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return None
    # The number may be another process's by now; a server works in its data folder.
    return process if is_alive(process) and _works_in(process, data) else None


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return data.samefile(process.cwd())
    except psutil.AccessDenied:
        # Root of a container may not see the folder of another user's process; its command line is for all to read.
        return str(data) in process.cmdline()
    except (OSError, psutil.Error):
        return False


def socket_of(data: Path) -> Path | None:
    """Return the folder of a server's socket, as it says itself."""
    lines = _lines_of(data)
    return Path(lines[SOCKET_LINE]) if len(lines) > SOCKET_LINE and lines[SOCKET_LINE] else None


def state_of(data: Path) -> str:
    """Return what a server says about itself: `starting`, `ready`, `stopping`; empty where there is none."""
    lines = _lines_of(data)
    return lines[STATE_LINE].strip() if len(lines) > STATE_LINE else ""


def is_ready(data: Path, pid: int) -> bool:
    """Return whether the server that began as process `pid` takes connections."""
    return state_of(data) == "ready" and _lines_of(data)[:1] == [str(pid)]


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def has_clients(postmaster: psutil.Process) -> bool:
    """Return whether somebody is connected to a server."""
    try:
        children = postmaster.children()
    except psutil.NoSuchProcess:
        return False
    return any(map(_is_of_client, children))


def _is_of_client(process: psutil.Process) -> bool:
    # One that ends at this moment, as the server's own helpers do all the time, says nothing of the others.
    try:
        return "[local]" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def bury(data: Path) -> None:
    """See to it that nothing of a killed server is left.

    Its other processes may still work on the data for a moment. The first one stays in the table of processes until
    its parent asks for it, which may be never: then PostgreSQL's own marks of it are taken away here.

    Raises:
        DatabaseUnavailableError: Something answers on the server's socket all the same.
    """
    if not _lines_of(data):
        return
    folder = socket_of(data)
    name = None if folder is None else folder / f".s.PGSQL.{PORT}"
    if name is not None:
        _refuse_unseen_server(data, name)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        left = [
            process
            for process in psutil.process_iter(["name"])
            if process.info["name"] == SERVER and is_alive(process) and _works_in(process, data)
        ]
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _all_end(left)
    first = _lines_of(data)[0]
    if not (first.isdigit() and psutil.pid_exists(int(first))):
        return  # the server takes them away itself, and looks whether others still use its memory
    (data / "postmaster.pid").unlink(missing_ok=True)
    if name is not None:
        name.with_name(f"{name.name}.lock").unlink(missing_ok=True)


def _all_end(processes: list[psutil.Process]) -> bool:
    deadline = time.monotonic() + SECONDS_TO_STOP
    while any(map(is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(SECONDS_BETWEEN_TRIES)
    return not any(map(is_alive, processes))


def _refuse_unseen_server(data: Path, name: Path) -> None:
    """Refuse where a server answers that is no process of this machine: a second one would destroy the data."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(name))
        except OSError:
            return
    raise DatabaseUnavailableError(
        f"the embedded server in {data} is run by a process that is not seen from here, such as one of another "
        "container. Use one state folder from one container only, or set ANALYTICS_DATABASE_URL to a server for all."
    )


def stop_postmaster(postmaster: psutil.Process) -> None:
    """Stop a server: in order, at once, or by force."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with contextlib.suppress(psutil.NoSuchProcess):
            postmaster.send_signal(number)
        if _all_end([postmaster]):
            return
