"""What is of a person, or steers a terminal, is in no message: of an error, a check, an alert, or the terminal."""

import json
import logging
from datetime import UTC, datetime

import dagster as dg
import pytest
from click.testing import CliRunner

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.cli import main
from analytics_pipeline.history.excerpts import read_excerpts
from analytics_pipeline.orchestration.alerting import evaluate
from analytics_pipeline.orchestration.running import RunSummary
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.warehouse.slices import exists
from analytics_pipeline_tests.cases.small_shop import Case, order
from analytics_pipeline_tests.fake_shop import Reply

NAME, MAIL, STREET = "Ada Lovelace", "ada@example.com", "Marylebone 12"
PERSON = {"name": NAME, "mail": MAIL, "street": STREET}
PERSONAL = (NAME, "Ada", MAIL, STREET, "Marylebone")
STEERING = "P\x1b]0;PWN\x07\x1b[2J\u202e\x9b2J"


def all_output(case: Case, summary: RunSummary) -> str:
    """What a run leaves where many may read: the terminal's lines, all events of Dagster, incidents, other ops."""
    keys = case.definitions.resolve_asset_graph().asset_check_keys
    evaluate(case.instance, case.database, build_catalogue(str(case.path)), datetime.now(UTC), check_keys=keys)
    tables = [table for table in OPS_TABLES if table.name not in {"error_excerpts", "deleted_orders"}]
    rows = [case.rows(f"select * from {table.qualified_name}") for table in tables if exists(case.database, table)]
    events = [dg.serialize_value(entry) for entry in case.instance.all_logs(summary.run_id)]
    return "\n".join([*summary.failures, *summary.warnings, *map(str, rows), *events])


def excerpts(case: Case) -> str:
    return "\n".join(row["excerpt"] for row in read_excerpts(case.database))


def refused(case: Case) -> None:
    case.shop.fake.routes["/orders"] = lambda _: Reply({"errors": [PERSON]}, 403)


def no_count(case: Case) -> None:
    case.shop.fake.routes["/orders"] = lambda _: Reply({"orders": [], "total": PERSON})


def error_as_200(case: Case) -> None:
    fault = {"message": f"{NAME} of {STREET} is unknown", "detail": MAIL}
    case.shop.fake.routes["/orders"] = lambda _: Reply({"orders": [], "errors": [fault]})


@pytest.mark.parametrize("bend", [refused, no_count, error_as_200])
def test_c44_what_a_bad_answer_says_of_a_person_is_kept_in_one_place_and_told_nowhere(
    case: Case, bend: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(bend)
    bend(case)
    with caplog.at_level(logging.INFO):
        summary = case.run("2026-11-20")
    messages = all_output(case, summary)
    assert not summary.succeeded
    assert [word for word in PERSONAL if word in messages + caplog.text] == []
    assert "analytics-pipeline excerpts" in summary.failures[0]
    assert "raw_orders" in {row["place"] for row in read_excerpts(case.database, summary.run_id[:8])}
    assert NAME in excerpts(case)


def test_c44_records_that_cannot_be_read_quote_nobody(case: Case) -> None:
    strange = [order("O1", "2026-11-20", note=f"{NAME} J\xfcrgen"), order(PERSON, "2026-11-20"), {"id": PERSON}]
    body = json.dumps({"orders": strange, "total": 3}, ensure_ascii=False)
    case.shop.fake.routes["/orders"] = lambda _: Reply(body.encode("latin-1"))
    summary = case.run("2026-11-20")
    assert [word for word in (*PERSONAL, "rgen") if word in all_output(case, summary)] == []


def test_c44_a_country_that_is_an_object_is_reported_by_its_kind(case: Case) -> None:
    case.shop.customers.append({"id": "C1", "email": MAIL, "name": NAME, "country": PERSON})
    summary = case.run("2026-11-20")
    assert summary.succeeded, summary.failures
    [warning] = [text for text in summary.warnings if "all_values_are_readable" in text]
    assert "C1: country: neither text nor number, but an object" in warning
    assert [word for word in PERSONAL if word in all_output(case, summary)] == []


def test_c44_an_error_that_nobody_foresaw_is_reported_by_kind_and_place(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError(MAIL)

    monkeypatch.setattr("analytics_pipeline.orchestration.assets.clean.clean_orders", fail)
    summary = case.run("2026-11-20")
    assert [word for word in PERSONAL if word in all_output(case, summary)] == []
    assert any("KeyError at orchestration/assets/clean.py" in text for text in summary.failures)
    assert f"KeyError('{MAIL}')" in excerpts(case)


def test_c44_a_row_that_the_database_refuses_is_not_quoted(case: Case) -> None:
    loaded = case.run("2026-11-20")
    assert loaded.succeeded, loaded.failures
    case.shop.orders[0]["country"] = NAME
    with case.database.connect() as connection, connection.cursor() as cursor:
        cursor.execute("alter table clean.orders add constraint small check (units < 2)")
        connection.commit()
    case.shop.orders[0] |= {"email": MAIL, "lines": [{"id": "1", "sku": NAME, "quantity": 2, "price": "1.00"}]}
    summary = case.run("2026-11-20")
    messages = all_output(case, summary)
    assert any('violates check constraint "small"' in text for text in summary.failures)
    assert "Failing row contains" not in messages
    assert "Failing row contains" in excerpts(case)


def test_c45_nothing_of_the_shop_steers_a_terminal(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case.shop.products.append({"id": STEERING, "name": "Thing", "price": STEERING})
    line = {"id": "1", "sku": STEERING, "quantity": 1, "price": STEERING}
    case.shop.orders.append(order(STEERING, "2026-11-20", lines=[line]))
    case.shop.orders.append(order("O9", "2026-11-20", lines=[{**line, "price": "1.00", "sku": f"other{STEERING}"}]))
    summary = case.run("2026-11-20")
    assert summary.succeeded, summary.failures
    messages = "".join([*summary.warnings, all_output(case, summary)])
    assert [one for one in STEERING if not one.isprintable() and one in messages] == []
    assert "PWN" in messages
    monkeypatch.setenv("ANALYTICS_SHOP", str(case.path))
    for command in (["status"], ["quarantine", "list"], ["quarantine", "show", STEERING], ["excerpts"], ["anomalies"]):
        shown = CliRunner().invoke(main, command)
        assert [one for one in shown.output if not one.isprintable() and one != "\n"] == [], command
        assert shown.exit_code == 0, shown.output
