"""How a closed door is reported: one line, the right remedy, and never the password."""

import pytest

from analytics_pipeline.errors import DatabaseRefusedError, DatabaseUnavailableError, PipelineError, SettingsError
from analytics_pipeline.settings import Settings
from analytics_pipeline.warehouse.connection import Database, connection_error, data_database, instance_database

PASSWORD = "s3/cr3t"
ENCODED = "s3%2Fcr3t"


def settings(url: str | None) -> Settings:
    return Settings.from_environment({"ANALYTICS_DATABASE_URL": url or ""})


@pytest.mark.parametrize(
    ("url", "label"),
    [
        (f"postgresql://joe:{ENCODED}@db:5432/shop", "postgresql://joe@db:5432/shop"),
        ("postgresql://joe@db/shop?sslmode=require", "postgresql://joe@db/shop?sslmode=require"),
        (f"postgresql://db/shop?user=joe&password={ENCODED}", "postgresql://db/shop?user=joe"),
        ("postgresql://joe:s3@cr3t@db/shop", "postgresql://joe@db/shop"),
        ("postgresql:///shop?host=/run/postgres", "postgresql:///shop?host=/run/postgres"),
        ("postgresql://joe:s3/cr3t@db/shop", "the server of ANALYTICS_DATABASE_URL"),
        ("postgresql://joe:s3#cr3t@db/shop", "the server of ANALYTICS_DATABASE_URL"),
        ("postgresql://joe:s3?cr3t@db/shop", "the server of ANALYTICS_DATABASE_URL"),
        ("postgresql://joe:s3cr3t@[::1/shop", "the server of ANALYTICS_DATABASE_URL"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, label: str) -> None:
    database = Database(url)

    assert database.label == label
    assert repr(database) == f"Database({label})"
    assert f"{database}" == f"Database({label})"


@pytest.mark.parametrize("url", ["postgresql://joe:s3/cr3t@db/shop", "postgresql://joe:s3#cr3t@db/shop"])
def test_a_url_whose_password_is_not_encoded_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(SettingsError, match="write / as %2F") as raised:
        data_database(settings(url))
    assert "cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["mysql://joe:s3cr3t@db/shop", "host=db password=s3cr3t", "postgresql+psycopg2://db/shop"]
)
def test_a_url_of_something_else_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(SettingsError, match="has to begin with postgresql://") as raised:
        data_database(settings(url))
    assert "s3cr3t" not in str(raised.value)


def test_a_url_without_a_database_means_analytics() -> None:
    assert data_database(settings("postgresql://db:5432")).name == "analytics"
    assert data_database(settings("postgresql://db:5432/?sslmode=require")).url == (
        "postgresql://db:5432/analytics?sslmode=require"
    )
    assert data_database(settings("postgres://db:5432/shop")).name == "shop"


def test_the_instances_database_is_named_after_that_of_the_data() -> None:
    assert instance_database(Database("postgresql://db/analytics")).url == "postgresql://db/dagster"
    assert instance_database(Database("postgresql://joe:x@db/shop?sslmode=require")).url == (
        "postgresql://joe:x@db/shop_dagster?sslmode=require"
    )


def test_a_sockets_folder_stays_when_another_database_is_named() -> None:
    assert Database("postgresql://postgres:@/?host=/run/a").named("b").url == "postgresql://postgres:@/b?host=/run/a"


PREFIX = 'connection to server at "127.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("message", "kind", "part"),
    [
        (
            f"{PREFIX}Connection refused\n\tIs the server running?",
            DatabaseUnavailableError,
            "no Postgres server answers",
        ),
        (f"{PREFIX}timeout expired", DatabaseUnavailableError, "no Postgres server answers"),
        ('could not translate host name "db" to address: nope', DatabaseUnavailableError, "is not known"),
        (f"{PREFIX}FATAL:  the database system is starting up", DatabaseUnavailableError, "takes no connections now"),
        (f"{PREFIX}FATAL:  sorry, too many clients already", DatabaseUnavailableError, "takes no connections now"),
        (f'{PREFIX}FATAL:  password authentication failed for user "joe"', DatabaseRefusedError, 'user "joe"'),
        (f'{PREFIX}FATAL:  role "joe" does not exist', DatabaseRefusedError, 'role "joe" does not exist'),
        (f'{PREFIX}FATAL:  database "x" does not exist\n', DatabaseRefusedError, 'database "x" does not exist'),
        (f'{PREFIX}FATAL:  no pg_hba.conf entry for host "1.2.3.4"', DatabaseRefusedError, "no pg_hba.conf entry"),
    ],
)
def test_the_librarys_words_become_an_error_that_says_what_to_do(
    message: str, kind: type[PipelineError], part: str
) -> None:
    error = connection_error(message, "postgresql://db/shop")

    assert type(error) is kind
    assert part in str(error)
    assert "postgresql://db/shop" in str(error)
    assert "\n" not in str(error)
