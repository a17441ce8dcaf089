"""One shop behind each packaged description's dialect: a week loaded as a user does it, and the same figures from all.

A figure is the truth to the cent or null; null are exactly the figures that the description says cannot be told.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from analytics_pipeline.demo_shop import DemoShop
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.warehouse.connection import Database, create_database
from analytics_pipeline.warehouse.slices import query
from analytics_pipeline_tests.dialects.playing import DAYS, SETTINGS, Clock, serving
from analytics_pipeline_tests.dialects.test_descriptions import NAMES
from analytics_pipeline_tests.integration.command_line import run
from analytics_pipeline_tests.integration.loaded import drop

WEEK = DAYS[:7]
SHOP = replace(SETTINGS, edit_share=0.0)
"""Without edits, which Shopify keeps otherwise than the demo shop does."""
FIGURES = (
    *("orders", "units_sold", "units_returned", "gross_sales", "discounts", "returns", "net_sales", "shipping"),
    *("charges", "taxes", "total_sales", "average_order_value", "customers", "new_customers", "returning_customers"),
    *("tips", "fees", "duties", "gift_cards_sold", "gift_cards_redeemed"),
)
Rows = list[dict[str, Any]]


def test_all_dialects_of_a_shop_give_the_same_week_and_null_for_what_they_cannot_tell(
    server: Database, tmp_path: Path
) -> None:
    shop, truth = DemoShop(SHOP, Clock()), {}
    for day in WEEK:
        right = shop.truth(day).revenue[SHOP.currency]
        truth[day] = {name: getattr(right, name) for name in FIGURES}
    print(f"\n{'week ' + str(WEEK[0]):<14}" + "".join(f"{_short(name):>10}" for name in FIGURES))
    print(f"{'truth':<14}" + "".join(f"{_sum([truth[day][name] for day in WEEK]):>10}" for name in FIGURES))
    wrong, nulls = {}, {}
    for name in NAMES:
        rows = _loaded_by(name, server, tmp_path)
        print(f"{name:<14}" + "".join(f"{_sum([row[figure] for row in rows]):>10}" for figure in FIGURES))
        assert [row["event_date"] for row in rows] == WEEK
        wrong[name] = _differences(rows, truth)
        nulls[name] = {figure for row in rows for figure in FIGURES if row[figure] is None}
        told = {figure for row in rows for figure in FIGURES if row[figure] is not None}
        assert not told & nulls[name]
    assert {name: found for name, found in wrong.items() if found} == {}
    derived = {"average_order_value", "new_customers", "returning_customers"}
    assert {name: found - derived for name, found in nulls.items()} == {
        name: {*load_shop(name).cannot_tell} for name in NAMES
    }


def _loaded_by(name: str, server: Database, folder: Path) -> Rows:
    """The week's daily_revenue, by the commands that a user gives, the load given twice."""
    played = NAMES[name]
    database = server.named(f"dialect_{name.replace('-', '_')}")
    create_database(database)
    with serving(played.kind, settings=SHOP) as running:
        settings = {"ANALYTICS_DATABASE_URL": database.url, "ANALYTICS_HOME": str(folder / name)}
        settings |= played.environment(running.url)

        def call(*arguments: str) -> str:
            done = run(*arguments, folder=folder, **settings)
            assert done.returncode == 0, f"{name}: {' '.join(arguments)}\n{done.stdout}{done.stderr}"
            assert not [secret for secret in played.secrets.values() if secret in done.stdout + done.stderr]
            return done.stdout

        call("shop", "check", name)
        shown = call("shop", "preview", name, "--date", str(WEEK[2]))
        assert "Would go into quarantine: nothing" in shown
        assert all(f"\n  {figure}\n" in shown for figure in load_shop(name).cannot_tell)
        week = ("run", "--shop", name, "--from", str(WEEK[0]), "--to", str(WEEK[-1]))
        call(*week)
        statement = f"select event_date, {', '.join(FIGURES)} from marts.daily_revenue order by event_date"
        once = query(database, statement)
        call(*week)
        rows = query(database, statement)
        assert rows == once
        assert query(database, "select * from ops.restatements") == []
        assert query(database, "select sum(unexplained_difference)::text as rest from marts.daily_reconciliation") == [
            {"rest": "0.0000"}
        ]
        units = query(database, "select sum(units_sold)::int as units from marts.daily_product_sales")
        assert units[0]["units"] == _total([row["units_sold"] for row in rows])
    drop(server, database)
    return rows


def _differences(rows: Rows, truth: Mapping[Any, Mapping[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        for name, right in truth[row["event_date"]].items():
            if row[name] is not None and Decimal(row[name]) != Decimal(right or 0).quantize(Decimal("0.0001")):
                found.setdefault(name, []).append(f"{row['event_date']}: {row[name]} for {right}")
    return found


def _total(values: list[Any]) -> Any:  # noqa: ANN401
    return None if any(value is None for value in values) else sum(map(Decimal, values))


def _sum(values: list[Any]) -> str:
    total = _total(values)
    return "null" if total is None else f"{total.normalize():f}"


def _short(name: str) -> str:
    return name if len(name) < 10 else "".join(part[:4] for part in name.split("_"))[:9]
