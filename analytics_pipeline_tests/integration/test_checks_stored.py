"""Both sides of every check about stored rows: it holds after a load, and says what is wrong with a damaged row."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import dagster as dg
import pytest

from analytics_pipeline.catalogue import build_catalogue
from analytics_pipeline.days import Days
from analytics_pipeline.demo_shop import DemoShopSettings
from analytics_pipeline.orchestration.checks.marts import mart_checks
from analytics_pipeline.orchestration.checks.orders import ORDER_CHECKS, REFERENCE_CHECKS
from analytics_pipeline.orchestration.checks.stored import StoredCheck, days_to_examine
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline_tests.integration.loaded import copy_of, loaded_pipeline
from analytics_pipeline_tests.integration.tables import execute, value

PACKAGED = build_catalogue("demo")
CHECKS = {check.name: check for check in (*ORDER_CHECKS, *REFERENCE_CHECKS, *mart_checks())}
DAYS = Days(date(2025, 1, 1), date(2025, 1, 6))
SHOP = DemoShopSettings(
    opened=DAYS.first,
    orders_per_day=(8, 12),
    bad_share=0.1,
    test_share=0.1,
    refund_share=0.3,
    cancel_share=0.1,
    foreign_currency="USD",
    foreign_share=0.3,
)


@pytest.fixture(scope="module")
def loaded(server: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database into which six days were loaded."""
    with loaded_pipeline(server, tmp_path_factory.mktemp("shop"), SHOP, DAYS) as pipeline:
        yield pipeline.database


@pytest.fixture
def stored(server: Database, loaded: Database) -> Iterator[Database]:
    """A copy of the loaded database, to be damaged."""
    with copy_of(server, loaded) as copy:
        yield copy


def figures(result: dg.AssetCheckResult) -> dict[str, object]:
    return {name: found.value for name, found in result.metadata.items()}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_holds_after_a_load(loaded: Database, name: str) -> None:
    result = CHECKS[name].examine(loaded, [DAYS])

    assert result.passed
    assert figures(result) == {
        "unexplained_difference": 0.0,
        "unexplained_difference_exact": "0.0000",
        "contradictions": 0,
        "examples": "",
        "business_days": "2025-01-01 to 2025-01-06",
    }


def test_the_load_has_something_of_everything(loaded: Database) -> None:
    """Else a check could hold because there is nothing to contradict it."""
    for table in ("ops.quarantine", "ops.exclusions", "clean.customers", "marts.daily_product_sales"):
        assert value(loaded, f"select count(*) from {table}") != 0
    events = str(value(loaded, "select string_agg(distinct event_type, ' ') from clean.sales"))
    assert {"line_sold", "line_returned", "shipping_charged", "shipping_refunded"} <= set(events.split())
    assert value(loaded, "select count(distinct currency) from marts.daily_revenue") == 2


DAY = "'2025-01-03'"
ORDER = f"order_id = (select min(order_id) from clean.orders where order_date = {DAY} and gross_sales > 10)"
EVENT = f"{ORDER} and event_number = 1"
LINE = f"{ORDER} and line_id = (select min(line_id) from clean.order_lines where {ORDER})"
REVENUE = f"event_date = {DAY} and currency = 'EUR'"
PRODUCT = f"{REVENUE} and product_id = (select min(product_id) from marts.daily_product_sales where {REVENUE})"
CUSTOMER = f"customer_id = (select min(customer_id) from clean.orders where order_date = {DAY})"
EVENT_OF_NO_ORDER = f"""
insert into clean.sales
select order_date, 'unknown', event_number, event_type, event_at, event_date, is_cancellation, product_id,
    customer_key, currency, quantity, gross_sales, discounts, returns, net_sales, shipping, charges, taxes,
    outside_sales, 12.34 - outside_sales
from clean.sales where {EVENT}
"""
IN_TWO_PLACES = f"insert into ops.exclusions select order_date, order_id, 'x', 'EUR', 1 from clean.orders where {ORDER}"
MOVED = "gross_sales = gross_sales + 1, discounts = discounts - 1"
WRONG_SUMS = "net_sales = net_sales + 1, total_sales = total_sales + 1.5"
CHF = f"insert into marts.daily_revenue (event_date, currency, gross_sales) values ({DAY}, 'CHF', 4)"
SHARED_ID = f"""
update clean.orders set customer_id = 'all', customer_key = 'all', email_hash = md5(order_id) where order_date = {DAY}
"""
DAMAGES = [
    ("every_raw_order_is_in_exactly_one_place", f"delete from clean.orders where {ORDER}", "1.0000"),
    ("every_raw_order_is_in_exactly_one_place", f"delete from raw.orders where {ORDER}", "1.0000"),
    ("every_raw_order_is_in_exactly_one_place", IN_TWO_PLACES, "1.0000"),
    ("order_totals_equal_their_parts", f"update clean.orders set taxes = taxes - 0.01 where {ORDER}", "0.0100"),
    (
        "order_lines_add_up_to_their_orders",
        f"update clean.order_lines set gross_sales = gross_sales + 5 where {LINE}",
        "5.0000",
    ),
    ("order_lines_add_up_to_their_orders", f"update clean.order_lines set quantity = 99 where {LINE}", "0.0000"),
    ("the_ledger_adds_up_to_the_orders", f"update clean.sales set {WRONG_SUMS} where {EVENT}", "1.5000"),
    (
        "the_ledger_adds_up_to_the_orders",
        f"update clean.orders set refunded_total = refunded_total + 3 where {ORDER}",
        "3.0000",
    ),
    ("the_ledger_adds_up_to_the_orders", EVENT_OF_NO_ORDER, "12.3400"),
    (
        "the_ledger_adds_up_to_the_orders",
        f"update clean.sales set outside_sales = outside_sales + 2 where {EVENT}",
        "2.0000",
    ),
    ("order_totals_equal_their_parts", f"update clean.orders set charges = charges + 4 where {ORDER}", "4.0000"),
    ("order_totals_equal_their_parts", f"update clean.orders set outside_sales = 5 where {ORDER}", "5.0000"),
    (
        "net_sales_equal_gross_sales_less_discounts_and_returns",
        f"update clean.sales set charges = charges + 6 where {EVENT}",
        "6.0000",
    ),
    ("daily_revenue_equals_the_ledger", f"update marts.daily_revenue set charges = 7 where {REVENUE}", "7.0000"),
    (
        "net_sales_equal_gross_sales_less_discounts_and_returns",
        f"update clean.sales set {WRONG_SUMS} where {EVENT}",
        "1.5000",
    ),
    ("daily_revenue_equals_the_ledger", f"update marts.daily_revenue set taxes = taxes + 1 where {REVENUE}", "1.0000"),
    ("daily_revenue_equals_the_ledger", f"update marts.daily_revenue set {MOVED} where {REVENUE}", "2.0000"),
    ("daily_revenue_equals_the_ledger", CHF, "4.0000"),
    ("daily_revenue_has_every_day", f"delete from marts.daily_revenue where event_date = {DAY}", "1.0000"),
    (
        "daily_product_sales_equal_the_ledger",
        f"update marts.daily_product_sales set gross_sales = gross_sales - 4 where {PRODUCT}",
        "4.0000",
    ),
    (
        "daily_product_sales_equal_daily_revenue",
        f"update marts.daily_product_sales set net_sales = net_sales + 7 where {PRODUCT}",
        "7.0000",
    ),
    (
        "daily_product_sales_equal_the_ledger",
        f"update marts.daily_product_sales set returns = returns + 0.5 where {PRODUCT}",
        "0.5000",
    ),
    ("customers_are_known", f"delete from clean.customers where {CUSTOMER}", "0.0000"),
    ("a_customer_id_stands_for_one_customer", SHARED_ID, "0.0000"),
    (
        "the_ledger_is_all_days_and_what_lies_outside",
        f"update marts.daily_revenue set total_sales = total_sales + 2 where {REVENUE}",
        "2.0000",
    ),
    ("products_are_known", f"update clean.order_lines set product_id = 'unknown' where {LINE}", "0.0000"),
]


@pytest.mark.parametrize(
    ("name", "damage", "difference"), DAMAGES, ids=[f"{name}-{number}" for number, (name, _, _) in enumerate(DAMAGES)]
)
def test_a_check_reports_damaged_rows_with_count_example_and_difference(
    stored: Database, name: str, damage: str, difference: str
) -> None:
    execute(stored, damage)
    check = CHECKS[name]
    result = check.examine(stored, [DAYS])
    shown = figures(result)

    assert not result.passed
    assert result.severity == (dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN)
    assert shown["unexplained_difference_exact"] == difference
    assert shown["unexplained_difference"] == float(Decimal(difference))
    assert shown["contradictions"] == 1
    assert str(shown["examples"])

    of_all_days = {"customers_are_known", "the_ledger_is_all_days_and_what_lies_outside"}
    assert check.examine(stored, [Days(date(2025, 1, 5), DAYS.last)]).passed or name in of_all_days


def test_every_check_is_damaged_above() -> None:
    assert {name for name, _, _ in DAMAGES} == set(CHECKS)


def test_an_order_that_the_shop_sent_twice_is_still_in_one_place(stored: Database) -> None:
    execute(stored, f"insert into raw.orders select * from raw.orders where {ORDER}")

    assert CHECKS["every_raw_order_is_in_exactly_one_place"].examine(stored, [DAYS]).passed


def test_at_most_five_examples_are_shown_and_everything_is_counted(stored: Database) -> None:
    execute(stored, "update clean.orders set order_total = order_total + 1")
    shown = figures(CHECKS["order_totals_equal_their_parts"].examine(stored, [DAYS]))

    count = value(stored, "select count(*) from clean.orders")
    assert shown["contradictions"] == count
    assert shown["unexplained_difference"] == float(str(count))
    assert len(str(shown["examples"]).split(", ")) == 5


def test_differences_do_not_cancel_out(stored: Database) -> None:
    execute(
        stored,
        "update clean.orders set order_total = order_total + 1 where order_date = '2025-01-03'",
        "update clean.orders set order_total = order_total - 1 where order_date = '2025-01-04'",
    )
    shown = figures(CHECKS["order_totals_equal_their_parts"].examine(stored, [DAYS]))

    assert shown["unexplained_difference"] == shown["contradictions"] != 0


@pytest.mark.parametrize("name", ["customers_are_known", "daily_product_sales_equal_daily_revenue"])
def test_a_table_that_is_not_there_yet_is_a_failed_check_and_no_crash(stored: Database, name: str) -> None:
    execute(stored, "drop table clean.customers", "drop table marts.daily_revenue")
    result = CHECKS[name].examine(stored, [DAYS])

    assert not result.passed
    assert "does not exist; materialise it first" in str(figures(result)["not_examined"])


def stored_days(database: Database, check: StoredCheck) -> list[Days]:
    return days_to_examine(database, PACKAGED.table(check.key.path), None, "")


def test_without_a_run_all_stored_days_are_examined(stored: Database) -> None:
    assert {tuple(stored_days(stored, check)) for check in CHECKS.values()} == {(DAYS,)}

    execute(stored, *(f"delete from {check.table.replace('/', '.')}" for check in CHECKS.values()))
    for check in CHECKS.values():
        assert stored_days(stored, check) == []
        assert check.nothing_stored().passed
