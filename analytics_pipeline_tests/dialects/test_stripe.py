"""The account answers as Stripe does, with what was paid for the demo shop's orders."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests

from analytics_pipeline.demo_shop.model import ZERO
from analytics_pipeline_tests.dialects.base import Serving
from analytics_pipeline_tests.dialects.playing import DAYS, NOW, midnights, serving
from analytics_pipeline_tests.dialects.stripe import KEY, Stripe

Account = Serving[Stripe]
LAST = DAYS[-1] + timedelta(days=1)


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with serving(Stripe) as running:
        yield running


def ask(account: Account, name: str, **params: str | int) -> requests.Response:
    headers = {"Authorization": f"Bearer {KEY}"}
    return requests.get(f"{account.url}/v1/{name}", params=params, headers=headers, timeout=5)


def all_of(account: Account, name: str, **params: str | int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        after: dict[str, str | int] = {"starting_after": found[-1]["id"]} if found else {}
        answer = ask(account, name, **{"limit": 60, **params, **after}).json()
        found += answer["data"]
        if not answer["has_more"]:
            return found


def test_cursors_lead_to_the_end_newest_first(account: Account) -> None:
    found = all_of(account, "charges")
    assert len(found) == len(account.dialect.payments())
    assert [one["created"] for one in found] == sorted((one["created"] for one in found), reverse=True)
    assert len(ask(account, "charges").json()["data"]) == 10
    charged = {one["metadata"]["order_id"] for one in found}
    assert charged == {one.order_id for one in account.dialect.shop.orders_between() if one.stated_total > 0}


def test_wrong_keys_cursors_and_parameters_are_refused(account: Account) -> None:
    answer = requests.get(f"{account.url}/v1/charges", headers={"Authorization": "Bearer no"}, timeout=5)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "invalid_request_error")
    assert ask(account, "charges", starting_after="ch_0").json()["error"]["code"] == "resource_missing"
    assert ask(account, "charges", updated=1).json()["error"]["code"] == "parameter_unknown"


def test_a_window_is_in_seconds_with_the_bounds_that_are_asked_for(account: Account) -> None:
    start, end = (int(moment.timestamp()) for moment in midnights(DAYS[12], DAYS[14]))
    found = all_of(account, "charges", **{"created[gte]": start, "created[lt]": end})
    right = [one.number for one in account.dialect.payments() if start <= one.created.timestamp() < end]
    assert sorted(one["id"] for one in found) == sorted(right)
    oldest = found[-1]["created"]
    assert len(all_of(account, "charges", **{"created[gt]": oldest, "created[lte]": end - 1})) < len(found)


def test_refunds_come_only_expanded_and_are_pending_first(account: Account) -> None:
    assert "refunds" not in ask(account, "charges").json()["data"][0]
    charges = all_of(account, "charges", **{"expand[]": "data.refunds"})
    nested = [refund for one in charges for refund in one["refunds"]["data"]]
    assert sorted(one["id"] for one in nested) == sorted(one["id"] for one in all_of(account, "refunds"))
    states = {one["status"]: one["created"] for one in sorted(nested, key=lambda one: int(one["created"]))}
    assert {*states} == {"succeeded", "pending"}
    assert states["succeeded"] <= (NOW - timedelta(days=1)).timestamp() < states["pending"]
    for one in charges:
        assert sum(refund["amount"] for refund in one["refunds"]["data"]) == one["amount_refunded"] <= one["amount"]


def test_the_truth_is_what_was_paid_and_given_back(account: Account) -> None:
    gross, returns = dict.fromkeys([*DAYS, LAST], ZERO), dict.fromkeys([*DAYS, LAST], ZERO)
    zone = account.dialect.settings.zone
    for one in all_of(account, "charges", **{"expand[]": "data.refunds"}):
        if one["status"] == "succeeded":
            day = account.dialect.day_of(NOW.fromtimestamp(one["created"], zone))
            gross[day] += Decimal(one["amount"]) / 100
            for refund in one["refunds"]["data"]:
                returns[account.dialect.day_of(NOW.fromtimestamp(refund["created"], zone))] += (
                    Decimal(refund["amount"]) / 100
                )
    for day in [*DAYS, LAST]:
        right = account.dialect.truth(day)
        assert (right.gross_sales, right.returns) == (gross[day], returns[day])
        assert right.taxes is None
    total = sum(gross.values(), ZERO) - sum(returns.values(), ZERO)
    assert total == sum((account.dialect.shop.truth(day).revenue["EUR"].total_sales for day in [*DAYS, LAST]), ZERO)


def test_invoices_and_credit_notes_carry_what_charges_do_not(account: Account) -> None:
    invoices = {one["id"]: one for one in all_of(account, "invoices")}
    gross = dict.fromkeys(DAYS, ZERO)
    for one in invoices.values():
        lines = one["lines"]["data"]
        off = sum(part["amount"] for line in lines for part in line["discount_amounts"])
        taxes = sum(part["amount"] for line in lines for part in line["taxes"])
        goods = sum(line["amount"] for line in lines)
        shipping = one["shipping_cost"]
        assert goods - off + taxes + shipping["amount_subtotal"] + shipping["amount_tax"] == one["total"]
        day = account.dialect.day_of(NOW.fromtimestamp(one["created"], account.dialect.settings.zone))
        if one["livemode"] and day in gross:
            gross[day] += Decimal(goods) / 100
    for day in DAYS:
        assert gross[day] == account.dialect.shop.truth(day).revenue["EUR"].gross_sales
    notes = all_of(account, "credit_notes")
    assert {one["invoice"] for one in notes} <= {*invoices}
    assert len(notes) == sum(len(one.refunds) for one in account.dialect.orders())
