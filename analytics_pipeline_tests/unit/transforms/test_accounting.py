"""The balance: everything explained, and unbalanced as soon as a row is lost."""

from decimal import Decimal

import pandas as pd
import pytest

from analytics_pipeline.transforms.accounting import UNKNOWN_CURRENCY, Accounting, account
from analytics_pipeline.transforms.orders import clean_orders
from analytics_pipeline_tests.unit.transforms.conftest import cleaned, money, order, raw_rows, shop

RECORDS = (
    order("A"),
    order("B", currency="USD"),
    order("B", currency="USD"),
    order("BAD", total="100.00"),
    order("WORSE", currency="E", total="7.00"),
    order("T", is_test=True),
)


def test_every_order_and_its_money_end_in_one_place() -> None:
    balance = cleaned(*RECORDS).accounting
    assert (balance.raw_records, balance.raw_orders) == (6, 5)
    assert (balance.clean_orders, balance.quarantined_orders, balance.excluded_orders) == (2, 2, 1)
    raw = dict(zip(("EUR", "USD", UNKNOWN_CURRENCY), money("157.12", "28.56", "7"), strict=True))
    assert balance.raw_money == raw
    assert balance.clean_money == dict(zip(("EUR", "USD"), money("28.56", "28.56"), strict=True))
    assert balance.quarantined_money == dict(zip(("EUR", UNKNOWN_CURRENCY), money("100", "7"), strict=True))
    assert balance.excluded_money == {"EUR": Decimal("28.5600")}
    assert set(balance.unexplained_money.values()) == {Decimal(0)}


@pytest.mark.parametrize("lost", ["orders", "quarantine", "exclusions"])
def test_a_lost_row_unbalances_orders_and_money(lost: str) -> None:
    result = clean_orders(raw_rows(RECORDS), shop())
    parts = {name: getattr(result, name) for name in ("orders", "quarantine", "exclusions")}
    parts[lost] = parts[lost].iloc[1:]
    orders = pd.concat(
        [
            result.orders.rename(columns={"order_total": "stated_total"}),
            result.quarantine.rename(columns={"money_at_risk": "stated_total"}),
            result.exclusions.rename(columns={"order_total": "stated_total"}),
        ]
    )
    whole = account(6, orders, result.orders, result.quarantine, result.exclusions)
    assert whole == result.accounting
    balance = account(6, orders, parts["orders"], parts["quarantine"], parts["exclusions"])
    assert balance.unexplained_orders == 1
    assert balance.unexplained_difference > 0


def test_a_row_in_two_places_unbalances_too() -> None:
    balance = Accounting(
        raw_orders=1,
        clean_orders=1,
        quarantined_orders=1,
        raw_money={"EUR": Decimal(5)},
        clean_money={"EUR": Decimal(5)},
        quarantined_money={"EUR": Decimal(5)},
    )
    assert balance.unexplained_orders == -1
    assert balance.unexplained_difference == 5


def test_currencies_are_never_added_up() -> None:
    balance = Accounting(
        raw_money={"EUR": Decimal(5), "USD": Decimal(3)}, clean_money={"EUR": Decimal(3), "USD": Decimal(5)}
    )
    assert balance.unexplained_money == {"EUR": Decimal(2), "USD": Decimal(-2)}
    assert balance.unexplained_difference == 2


def test_balances_of_parts_add_up_to_the_balance_of_the_whole() -> None:
    parts = [clean_orders(raw_rows(RECORDS[start:end]), shop()).accounting for start, end in ((0, 2), (3, 5), (5, 6))]
    assert parts[0] + parts[1] + parts[2] == cleaned(*RECORDS[:2], *RECORDS[3:]).accounting
    assert Accounting() + parts[0] == parts[0]
