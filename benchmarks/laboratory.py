"""Where the benchmarks happen: a state folder, a Postgres server, fresh databases, servers on loopback.

All of it is gone at the end. Nothing here measures.
"""

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from analytics_pipeline.orchestration.instance_storage import InstanceStorage, sqlalchemy_url
from analytics_pipeline.warehouse.connection import Database, instance_database
from analytics_pipeline.warehouse.embedded import start_embedded_server
from analytics_pipeline.warehouse.slices import query

CHECKOUT = Path(__file__).resolve().parent.parent
SECONDS_TO_STOP = 10


@dataclass(frozen=True)
class Laboratory:
    """An installation of its own.

    Attributes:
        home: State folder, working folder of all processes.
        server: The embedded server, without a database.
    """

    home: Path
    server: Database

    @contextmanager
    def fresh_database(self, template: Database | None = None) -> Iterator[Database]:
        """Make a database with the one of Dagster's instance beside it, and drop both at the end.

        Args:
            template: A database to copy, with its instance; an empty one and an instance without runs when None.
        """
        database = self.server.named(f"bench_{uuid.uuid4().hex[:8]}")
        pattern = self.server.named("empty") if template is None else template
        pairs = [(database, pattern), (instance_database(database), instance_database(pattern))]
        for made, source in pairs:
            self.execute(f"create database {made.name} template {source.name}")
        yield database
        for made, _ in pairs:
            self.execute(f"drop database {made.name} with (force)")

    def execute(self, statement: str) -> None:
        """Run a statement of the server's administration."""
        maintenance = self.server.named("postgres")
        with maintenance.connect(autocommit=True) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)

    def settle(self) -> None:
        """Write out what earlier work left in the server's memory, so that nobody else pays for it."""
        self.execute("checkpoint")

    def environment(self, database: Database, **more: str) -> dict[str, str]:
        """Return the variables of a process that works on `database`, as those of an installation are."""
        return {
            **_plain_environment(),
            "ANALYTICS_HOME": str(self.home),
            "ANALYTICS_DATABASE_URL": database.url,
            **more,
        }

    @contextmanager
    def serving(self, command: Sequence[str], **more: str) -> Iterator[None]:
        """Run a server until the end of the block; it is ready when it prints its first line.

        Raises:
            RuntimeError: It ends before that.
        """
        process = subprocess.Popen(
            [sys.executable, *command],
            env={**_plain_environment(), **more},
            cwd=self.home,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            if process.stdout is None or not process.stdout.readline():
                message = f"{' '.join(command)} did not start"
                raise RuntimeError(message)
            yield
        finally:
            process.terminate()
            try:
                process.wait(SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def open_laboratory() -> Laboratory:
    """Start a server in a temporary folder; both are gone when this process ends."""
    home = Path(tempfile.mkdtemp(prefix="analytics-pipeline-bench-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # registered first, so done last: after the server's stop
    home.chmod(0o755)  # started by root, the server runs as another user, who has to get in
    laboratory = Laboratory(home, Database(start_embedded_server(home / "postgres")))
    empty = laboratory.server.named("empty")
    for database in (empty, instance_database(empty)):
        laboratory.execute(f"create database {database.name}")
    storage = InstanceStorage(sqlalchemy_url(instance_database(empty).url))
    storage.event_log_storage.dispose()
    storage.run_storage.dispose()
    return laboratory


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_version(laboratory: Laboratory) -> str:
    """Return PostgreSQL's version."""
    found = query(laboratory.server.named("postgres"), "select current_setting('server_version') as version")
    return str(found[0]["version"])


def _plain_environment() -> Mapping[str, str]:
    """Return this process's variables without the settings of whoever runs it."""
    dropped = ("ANALYTICS_", "DAGSTER_", "ONLINE_RETAIL_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, "PYTHONPATH": str(CHECKOUT)}
