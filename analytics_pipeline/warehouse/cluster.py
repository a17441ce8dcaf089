"""The embedded server's files: its data, its password, the folder of its socket, and who is let in.

All lie in the state folder beside the data, named after it: `postgres/`, `postgres.password`, `postgres.socket`,
`postgres.service`, `postgres.log`, and two files that are only locked. Starting and stopping are `embedded`'s part.
"""

import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from analytics_pipeline.errors import DatabaseUnavailableError, SettingsError
from analytics_pipeline.warehouse.programs import Account, Programs

PORT = 5432
LOGIN = "postgres"
SERVICE = "analytics"
VERSION = "18"
LONGEST_SOCKET = 103
"""Bytes of a socket's path that every system takes: Linux 107, macOS 103."""
LET_IN = f"""\
# Written by analytics-pipeline: whoever knows the password of {SERVICE} gets in, nobody else.
local  all          all                scram-sha-256
local  replication  all                scram-sha-256
host   all          all  127.0.0.1/32  scram-sha-256
host   all          all  ::1/128       scram-sha-256
"""
MARK = LET_IN.splitlines()[0]


@dataclass(frozen=True)
class Cluster:
    """The files of one embedded server.

    Attributes:
        data: Data folder.
        account: Who runs the server; None for this process's own user.
    """

    data: Path
    account: Account | None

    @property
    def log(self) -> Path:
        """What the server writes."""
        return self._beside("log")

    @property
    def service_file(self) -> Path:
        """Address and login, as `PGSERVICEFILE` of psql and others names them."""
        return self._beside("service")

    @cached_property
    def password(self) -> str:
        """The password of the server's one login; made when missing."""
        file = self._beside("password")
        try:
            kept = file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            kept = ""
        if not kept:
            kept = secrets.token_hex(32)
            self._write(file, kept + "\n")
        return kept

    def make(self, programs: Programs) -> None:
        """Make the data where there are none, and let nobody in without the password.

        A folder that an earlier version has made let everybody in who could reach its socket; it keeps its data.

        Raises:
            SettingsError: The folder holds something else.
            DatabaseUnavailableError: A program of the server fails.
        """
        if not (self.data / "PG_VERSION").exists():
            self._make_data(programs)
        found = (self.data / "PG_VERSION").read_text(encoding="ascii").strip()
        if found != VERSION:
            raise SettingsError(f"{self.data} holds data of PostgreSQL {found}; the embedded server is {VERSION}.")
        if not self.asks_for_password:
            self._set_password(programs, self.data)

    @property
    def asks_for_password(self) -> bool:
        """Whether nobody gets in without the password that is kept beside the data."""
        try:
            known = (self.data / "pg_hba.conf").read_text(encoding="utf-8", errors="replace").startswith(MARK)
        except FileNotFoundError:
            known = False
        return known and self._beside("password").exists()

    def url(self, socket: Path) -> str:
        """Return the server's URL with the password, without a database."""
        host = quote(str(socket), safe="/")
        return f"postgresql://{LOGIN}:{self.password}@/?host={host}&port={PORT}"

    def socket_folder(self) -> Path:
        """Return the folder for the server's socket, which only its user may enter; made when missing.

        A long path of the state folder leaves no room for a socket's name: then it is a folder with a short path, made
        so that nobody else can have it, and a link in the state folder leads to it.
        """
        beside = self._beside("socket")
        if not beside.is_symlink() and _takes_socket(beside):
            beside.mkdir(mode=0o700, exist_ok=True)
            self._give(beside)
            beside.chmod(0o700)
            return beside
        if beside.is_symlink():
            kept = beside.readlink()
            if self.is_private(kept):
                return kept
            beside.unlink()
        elif beside.exists():
            shutil.rmtree(beside)
        made = self._short_folder()
        beside.symlink_to(made)
        return made

    def is_private(self, folder: Path) -> bool:
        """Return whether a folder is the server's user's own, and nobody else may enter it.

        The one in the folder for temporary files may have been taken away, and its name taken by somebody else.
        """
        try:
            found = folder.lstat()
        except OSError:
            return False
        uid = os.geteuid() if self.account is None else self.account.uid
        return stat.S_ISDIR(found.st_mode) and found.st_uid == uid and not stat.S_IMODE(found.st_mode) & 0o077

    def leave_socket_folder(self) -> None:
        """Take the socket's folder away where it does not lie in the state folder: the server does not run."""
        beside = self._beside("socket")
        if beside.is_symlink():
            kept = beside.readlink()
            if self.is_private(kept):
                shutil.rmtree(kept, ignore_errors=True)
            beside.unlink(missing_ok=True)

    def write_service_file(self, socket: Path) -> None:
        """Write the address and the login of the running server for psql and other tools of Postgres."""
        login = f"host={socket}\nport={PORT}\nuser={LOGIN}\npassword={self.password}\ndbname={SERVICE}\n"
        self._write(self.service_file, f"[{SERVICE}]\n{login}")

    def _beside(self, suffix: str) -> Path:
        return self.data.with_name(f"{self.data.name}.{suffix}")

    def _make_data(self, programs: Programs) -> None:
        """Make the data elsewhere and put them into their place whole: a process that is killed leaves no half."""
        unfinished = self._beside("new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._give(unfinished)
        # The same sorting and the same messages on every machine, whatever its own languages.
        locale = ("--encoding=utf8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        programs.run("initdb", "--auth=reject", *locale, "-U", LOGIN, "-D", str(unfinished))
        self._set_password(programs, unfinished)
        try:
            unfinished.rename(self.data)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise SettingsError(
                f"{self.data} is there and holds no data of PostgreSQL ({error.strerror}). Move it away, or set "
                "ANALYTICS_HOME to another folder."
            ) from error

    def _set_password(self, programs: Programs, data: Path) -> None:
        # As the only process on the data: no socket is opened before the password is asked for.
        statement = f"alter role {LOGIN} password '{self.password}'\n"
        message = programs.run("postgres", "--single", "-D", str(data), "postgres", given=statement)
        if "ERROR:" in message or "FATAL:" in message:
            raise DatabaseUnavailableError(f"the embedded server in {self.data} took no password.")
        (data / ".handle_pids.json").unlink(missing_ok=True)  # an earlier version's list of processes
        self._write(data / "pg_hba.conf", LET_IN, self.account)

    def _short_folder(self) -> Path:
        for base in dict.fromkeys([tempfile.gettempdir(), "/tmp", "/var/tmp"]):  # noqa: S108 - mkdtemp is safe there
            if self.account is not None and self.account.closed_folder(Path(base).resolve()) is not None:
                continue
            try:
                made = Path(tempfile.mkdtemp(prefix="analytics-pipeline-", dir=base))  # mode 0700
            except OSError:
                continue
            if _takes_socket(made):
                self._give(made)
                return made
            made.rmdir()
        raise SettingsError(
            f"the path of {self.data} is too long for a socket, and there is no short folder for temporary files. "
            "Set ANALYTICS_HOME to a folder with a shorter path."
        )

    def _give(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)

    def _write(self, file: Path, text: str, owner: Account | None = None) -> None:
        """Write a file that its owner alone may read, whole or not at all.

        Args:
            file: The file.
            text: What it shall hold.
            owner: Whose it shall be; None for the owner of the folder that it lies in.
        """
        unfinished = file.with_name(f"{file.name}.new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            if os.geteuid() == 0:
                above = file.parent.stat()
                uid, gid = (above.st_uid, above.st_gid) if owner is None else (owner.uid, owner.gid)
                os.fchown(descriptor, uid, gid)
            opened.write(text)
            opened.flush()
            os.fsync(descriptor)
        unfinished.replace(file)


def _takes_socket(folder: Path) -> bool:
    """Return whether a socket in a folder can be named: briefly enough, and without what separates hosts."""
    return "," not in str(folder) and len(os.fsencode(folder / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET
