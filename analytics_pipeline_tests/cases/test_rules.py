"""A description whose time zone, currency or mapping changes after days were loaded by it."""

from analytics_pipeline.history.rules import other_rules
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.cases.small_shop import Case, order
from analytics_pipeline_tests.cases.test_moved_orders import assert_whole


def describe(case: Case) -> list[str]:
    """What status and doctor tell of days that are made by other rules."""
    return [str(found) for found in other_rules(case.database, load_shop(str(case.path)))]


def restated(case: Case) -> set[tuple[str, str, str, str, str]]:
    """Restatements of gross sales: day, currency, old and new value, cause."""
    rows = case.rows(
        "select day::text, key, coalesce(old_value, 0)::numeric(19,2)::text as old, "
        "coalesce(new_value, 0)::numeric(19,2)::text as new, cause "
        "from ops.restatements where mart = 'daily_revenue' and metric = 'gross_sales'"
    )
    return {(row["day"], row["key"], row["old"], row["new"], row["cause"]) for row in rows}


def catch_up(case: Case) -> None:
    """Polls until nothing waits."""
    for _ in range(3):
        for run in case.catch_up():
            assert run.succeeded, run.failures
        if not case.rows("select day from ops.stale_days"):
            return
    raise AssertionError(case.rows("select * from ops.stale_days"))


def test_c15_days_cut_by_another_zone_are_reported_at_once_and_loaded_by_polls(case: Case) -> None:
    night = order("N1", "2026-11-22T00:30:00+01:00", "40.00")  # the 21st in New York
    dawn = order("N2", "2026-11-23T05:00:00+01:00", "30.00")  # the 22nd in New York
    case.shop.orders += [night, dawn]
    case.run("2026-11-20", "2026-11-23")
    case.describe(timezone="America/New_York")
    assert describe(case) == ["4 days are cut by Europe/Berlin, now America/New_York: 2026-11-20 to 2026-11-23"]

    summary = case.run("2026-11-22")

    assert summary.succeeded, summary.failures
    (warning,) = [one for one in summary.warnings if "same_rules" in one]
    assert "3 days are cut by Europe/Berlin, now America/New_York" in warning
    assert case.revenue()["2026-11-22"] == "40.00"  # O3 and N2
    assert case.rows("select order_id from ops.deleted_orders") == []

    case.shop.orders[0] = order("O1", "2026-11-20", "11.00", updated_at="2026-11-24T08:00:00+01:00")
    catch_up(case)

    assert describe(case) == []
    right = {"2026-11-20": "11.00", "2026-11-21": "50.00", "2026-11-22": "40.00", "2026-11-23": "0.00"}
    assert case.revenue() == right
    assert_whole(case)
    assert {(day, cause) for day, _, _, _, cause in restated(case)} == {
        ("2026-11-20", "edit"),
        ("2026-11-21", "code_version_change"),
        ("2026-11-22", "code_version_change"),
        ("2026-11-23", "code_version_change"),
    }
    assert case.rows("select order_id from ops.replaced_orders") == []


def test_c16_days_in_another_currency_are_reported_and_loaded_by_polls(case: Case) -> None:
    for one in case.shop.orders:
        one["currency"] = None
    case.run("2026-11-20", "2026-11-22")
    case.describe(currency="DKK")

    summary = case.run("2026-11-21")

    assert summary.succeeded, summary.failures
    (warning,) = [one for one in summary.warnings if "same_rules" in one]
    assert "2 days are in EUR where orders name no currency, now DKK" in warning
    # One of the orders is edited before the polls come: that is the shop's doing, the rest is the description's.
    edited = order("O1", "2026-11-20", "12.00", updated_at="2026-11-24T08:00:00+01:00", currency=None)
    case.shop.orders[0] = edited
    catch_up(case)

    assert describe(case) == []
    shown = {day: value for day, value in case.revenue().items() if value != "0.00"}
    assert shown == {"2026-11-20": "12.00", "2026-11-21": "10.00", "2026-11-22": "10.00"}
    assert {row["currency"] for row in case.rows("select currency from clean.sales")} == {"DKK"}
    assert restated(case) >= {
        ("2026-11-20", "EUR", "10.00", "0.00", "code_version_change"),
        ("2026-11-20", "DKK", "0.00", "12.00", "code_version_change, edit"),
        ("2026-11-22", "DKK", "0.00", "10.00", "code_version_change"),
    }
    changes = case.rows(
        "select cause, gross_sales::numeric(19,2)::text as gross from ops.order_changes "
        "where order_id = 'O1' and currency = 'DKK' and not is_first_order order by cause"
    )
    assert changes == [{"cause": "code_version_change", "gross": "10.00"}, {"cause": "edit", "gross": "2.00"}]
