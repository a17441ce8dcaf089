"""A load by tokens, with every logger at DEBUG: nothing of the credentials is in logs, events, metadata or tables."""

import logging

import dagster as dg
import pytest

from analytics_pipeline.days import Days
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.orchestration.running import run_days
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.dialects import shopify
from analytics_pipeline_tests.dialects.playing import DAYS, serving
from analytics_pipeline_tests.dialects.shopify_graphql import ShopifyGraphQL


def test_a_load_and_a_refusal_leave_no_secret_anywhere(
    database: Database,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(ShopifyGraphQL) as running:
        monkeypatch.setenv("SHOPIFY_URL", running.url)
        monkeypatch.setenv("SHOPIFY_CLIENT_ID", shopify.CLIENT_ID)
        monkeypatch.setenv("SHOPIFY_CLIENT_SECRET", shopify.CLIENT_SECRET)
        definitions = build_definitions("shopify")
        assert run_days(definitions, instance, Days(DAYS[0], DAYS[1]), job_name="daily").succeeded
        monkeypatch.setenv("SHOPIFY_CLIENT_SECRET", "wr0ng-" + shopify.CLIENT_SECRET)
        assert not run_days(definitions, instance, Days(DAYS[2], DAYS[2]), job_name="daily").succeeded
    events = [str(event) for run in instance.get_runs() for event in instance.all_logs(run.run_id)]
    tables = query(
        database,
        "select table_schema, table_name from information_schema.tables "
        "where table_schema not in ('pg_catalog', 'information_schema')",
    )
    rows = [
        str(query(database, f'select t::text from "{table["table_schema"]}"."{table["table_name"]}" t'))
        for table in tables
    ]
    shown = capfd.readouterr()
    texts = {"log": caplog.text, "events": "".join(events), "rows": "".join(rows), "out": shown.out, "err": shown.err}
    assert "/admin/oauth/access_token" in texts["log"]
    assert "/admin/oauth/access_token" in texts["events"]
    assert "gid://shopify/Order/" in texts["rows"]
    secrets = ("shpua_", shopify.CLIENT_SECRET, shopify.CLIENT_ID, "client_secret=", "wr0ng")
    assert [(place, secret) for place, text in texts.items() for secret in secrets if secret in text] == []
