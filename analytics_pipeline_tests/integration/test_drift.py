"""Drift of the shop's answers over several runs: a check reports it, it is recorded once, no word is about people."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import dagster as dg
import pytest

from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.demo_shop import Fault, RunningShop
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.conftest import Pipeline, at
from analytics_pipeline_tests.integration.loaded import evaluations

StartShop = Callable[..., RunningShop]
PipelineOf = Callable[..., Pipeline]

OPENED = date(2025, 6, 2)
NOW = at("2025-09-01T10:00:00+02:00")
SMALL: dict[str, Any] = {"opened": OPENED, "orders_per_day": (25, 30)}


def day(number: int) -> date:
    """The business day so many days after the opening."""
    return OPENED + timedelta(days=number)


def drift(pipeline: Pipeline, first: date, last: date | None = None, table: str = "orders") -> dg.AssetCheckEvaluation:
    """Read some days, and return the result of the check of fields."""
    summary = pipeline.run(first, last, job="raw")
    assert summary.succeeded, summary.failures
    key = dg.AssetCheckKey(dg.AssetKey(["raw", table]), "fields_are_the_known_ones")
    found = evaluations(pipeline, summary.run_id)[key]
    messages = [text for text in summary.warnings if text.startswith(f"check fields_are_the_known_ones of raw/{table}")]
    assert len(messages) == (0 if found.passed else 1)
    return found


def changes(pipeline: Pipeline) -> list[tuple[object, ...]]:
    rows = pipeline.rows("select endpoint, change, path, role, example from ops.field_changes order by seen_at, path")
    return [tuple(row.values()) for row in rows]


def test_a_new_field_is_reported_once_and_then_known(start_shop: StartShop, pipeline_of: PipelineOf) -> None:
    shop = start_shop(now=NOW, **SMALL)
    pipeline = pipeline_of(shop)
    first = drift(pipeline, day(0))
    assert first.passed
    assert first.metadata["note"].value == "the first profile: from now on these fields are the known ones"
    shop.shop.misbehave(Fault.NEW_FIELD, share=1.0)

    messages = drift(pipeline, day(1))
    assert not messages.passed
    assert messages.severity == dg.AssetCheckSeverity.WARN
    records = messages.metadata["records_examined"].value
    assert messages.metadata["changes"].value == f"- new: loyalty_tier, string in {records} of {records}, such as gold"

    again = drift(pipeline, day(2))
    assert again.passed
    assert "changes" not in again.metadata
    assert [row for row in changes(pipeline) if row[0] == "orders"] == [("orders", "new", "loyalty_tier", None, "gold")]
    # What stands in a customer's record is shown by its length.
    assert ("customers", "new", "loyalty_tier", None, "string of 4 characters") in changes(pipeline)
    shop.shop.misbehaviour.stop()


def test_a_run_that_writes_nothing_and_a_day_without_orders_change_nothing(
    start_shop: StartShop, pipeline_of: PipelineOf
) -> None:
    shop = start_shop(now=NOW, closed_days=frozenset({day(1)}), **SMALL)
    pipeline = pipeline_of(shop)
    drift(pipeline, day(0))
    everything = "select * from ops.fields where endpoint = 'orders' order by path, json_type"
    before = pipeline.rows(everything)
    assert drift(pipeline, day(1)).metadata["note"].value == "no record came"
    assert pipeline.rows(everything) == before
    shop.shop.misbehave(Fault.NEW_FIELD, share=1.0, path="/orders")
    shop.shop.misbehave(Fault.MISSING_RECORD, share=1.0, path="/orders")
    assert not pipeline.run(day(2), job="raw").succeeded
    assert pipeline.rows(everything) == before
    assert changes(pipeline) == []


class Shop:
    """A real HTTP shop whose orders are made by `order`, 25 a day; customers and products are few and stay the same."""

    def __init__(self) -> None:
        self.order: Callable[[dict[str, Any]], dict[str, Any]] = lambda order: order

    def answer(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        if path != "/orders":
            return {path.strip("/"): [{"id": "1", "email": "ada@example.com", "title": "Mug"}]}
        first = date.fromisoformat(query["from"][0])
        last = date.fromisoformat(query["to"][0])
        days = [first + timedelta(days=number) for number in range((last - first).days)]
        return {"orders": [self.order(self._order(one, number)) for one in days for number in range(25)]}

    @staticmethod
    def _order(placed: date, number: int) -> dict[str, Any]:
        return {
            "id": f"{placed}-{number}",
            "created": f"{placed}T10:00:00Z",
            "buyer": {"email": f"ada{number}@example.com", "first": "Ada", "vip": False},
            "note": "ring at Ada Lovelace's",
            "total": "10.00",
            "channel": "web",
            "lines": [{"sku": "P1", "units": 1, "price": 10.0, "hint": "blue"}],
        }


@contextmanager
def serving(shop: Shop) -> Iterator[str]:
    """Serve a shop on loopback, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            body = json.dumps(shop.answer(url.path, parse_qs(url.query))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


DESCRIPTION = """
name: drifting
base_url: {url}
timezone: UTC
currency: EUR
first_day: 2025-06-02
orders:
  path: /orders
  records: orders
  pagination: {{type: single}}
  created_window: {{from_param: from, to_param: to, format: date}}
  exclude: [{{when: "channel == 'test'", reason: test_order}}]
  fields: {{order_id: id, created_at: created, email: buyer.email, total: total}}
  lines: {{records: lines, fields: {{product_id: sku, quantity: units, unit_price: price}}}}
customers: {{path: /customers, records: customers, pagination: {{type: single}}, fields: {{customer_id: id}}}}
products: {{path: /products, records: products, pagination: {{type: single}}, fields: {{product_id: id}}}}
"""


@pytest.fixture
def drifting(instance: dg.DagsterInstance, database: Database, tmp_path: Path) -> Iterator[tuple[Shop, Pipeline]]:
    """A small HTTP shop and the pipeline on it, with two days loaded."""
    shop = Shop()
    with serving(shop) as url:
        path = tmp_path / "drifting.yaml"
        path.write_text(DESCRIPTION.format(url=url), encoding="utf-8")
        pipeline = Pipeline(None, path, build_definitions(str(path)), instance, database)  # type: ignore[arg-type]
        assert drift(pipeline, day(0), day(1)).passed
        yield shop, pipeline


def without(*names: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda order: {name: value for name, value in order.items() if name not in names}


def test_missing_and_retyped_fields_are_reported_with_their_roles_once_and_so_is_their_return(
    drifting: tuple[Shop, Pipeline],
) -> None:
    shop, pipeline = drifting
    shop.order = lambda order: {
        **without("note", "total", "channel")(order),
        "lines": [{**order["lines"][0], "price": "10.00"}],
    }
    messages = drift(pipeline, day(2))
    assert not messages.passed
    assert [line.split(", last seen")[0] for line in str(messages.metadata["changes"].value).splitlines()] == [
        "- missing: channel (mapped as exclude (test_order)), string",
        "- missing: total (mapped as total), string",
        "- retyped: lines[].price (mapped as lines.unit_price), was number, is string, such as 10.00",
        "- missing: note, string",
    ]
    assert (messages.metadata["missing"].value, messages.metadata["retyped"].value) == (3, 1)
    assert drift(pipeline, day(3)).passed
    missed = pipeline.rows("select path, json_type from ops.fields where missing_since is not null order by path")
    assert [tuple(row.values()) for row in missed] == [
        ("channel", "string"),
        ("lines[].price", "number"),
        ("note", "string"),
        ("total", "string"),
    ]

    shop.order = lambda order: order
    back = drift(pipeline, day(4))
    assert back.passed
    assert back.metadata["back"].value == 3
    assert [row[:4] for row in changes(pipeline)] == [
        ("orders", "missing", "channel", "exclude (test_order)"),
        ("orders", "retyped", "lines[].price", "lines.unit_price"),
        ("orders", "missing", "note", None),
        ("orders", "missing", "total", "total"),
        ("orders", "back", "channel", "exclude (test_order)"),
        ("orders", "back", "note", None),
        ("orders", "back", "total", "total"),
    ]


def test_old_days_that_lack_a_field_or_have_one_again_do_not_flap(drifting: tuple[Shop, Pipeline]) -> None:
    shop, pipeline = drifting

    def by_version(order: dict[str, Any]) -> dict[str, Any]:
        """From the third day on the API has no note and has a tier; earlier orders stay as they were."""
        is_new = order["created"] >= f"{day(2)}"
        return {**without("note")(order), "tier": "gold"} if is_new else order

    shop.order = by_version
    messages = str(drift(pipeline, day(2)).metadata["changes"].value)
    assert [line.split()[1:3] for line in messages.splitlines()] == [["missing:", "note,"], ["new:", "tier,"]]
    for first, last in ((1, 1), (0, 3)):
        assert drift(pipeline, day(first), day(last)).passed, (first, last)
    shop.order = lambda order: {**by_version(order), "colour": "red"} if order["created"] < str(day(1)) else order
    assert not drift(pipeline, day(0)).passed
    shop.order = by_version
    assert drift(pipeline, day(4)).passed
    assert [row[1:3] for row in changes(pipeline)] == [("missing", "note"), ("new", "tier"), ("new", "colour")]


def test_nothing_that_reports_a_person_is_an_example(drifting: tuple[Shop, Pipeline]) -> None:
    shop, pipeline = drifting
    shop.order = lambda order: {
        **without("buyer", "note")(order),
        "contact": {"mail": "Grace", "given_names": ["Grace", "Hopper"], "phone": 4917012345},
        "clientIp": "192.168.1.17",
        "remark": "call Grace Hopper",
        "by_mail": {"grace@example.com": 1},
        "reference": "+491701234567",
    }
    assert not drift(pipeline, day(2)).passed
    shown = json.dumps(pipeline.rows("select path, message, example from ops.field_changes"))
    shown += json.dumps(pipeline.rows("select path, example from ops.fields"))
    shown += "".join(str(event) for event in _metadata(pipeline))
    for secret in ("Ada", "Grace", "Hopper", "example.com", "4917012345", "192.168.1.17", "1701234567"):
        assert secret not in shown, secret
    assert '"contact.given_names[]", "example": "string of 5 characters"' in shown
    assert '"contact.phone", "example": "number of 10 digits"' in shown
    assert '"clientIp", "example": "string of 12 characters"' in shown
    assert '"by_mail.*", "example": "1"' in shown
    assert '"total", "example": "10.00"' in shown


def _metadata(pipeline: Pipeline) -> Iterator[object]:
    for run in pipeline.instance.get_runs():
        for evaluation in evaluations(pipeline, run.run_id).values():
            yield from (value.value for value in evaluation.metadata.values())
