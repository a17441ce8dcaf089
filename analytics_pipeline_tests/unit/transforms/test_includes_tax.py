"""Which amounts contain tax, field by field."""

from typing import Any

import pytest

from analytics_pipeline_tests.unit.transforms.conftest import (
    cleaned,
    fault,
    fields,
    line,
    line_fields,
    money,
    one_mug,
    order,
    refund,
    rows_of,
    shop,
)

UNCHECKED = fields(discounts=None, total=None, taxes=None)
PARTS = ("gross_sales", "discounts", "shipping", "taxes", "order_total")


def described(**said: Any) -> Any:  # noqa: ANN401  # YAML
    return shop(includes_tax=said, fields=UNCHECKED)


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ({}, ("20", "1", "5", "4.56", "28.56")),
        ({"shipping": True}, ("20", "1", "4.05", "4.56", "27.61")),
        ({"shipping": "country == 'DE'"}, ("20", "1", "4.05", "4.56", "27.61")),
        ({"shipping": "country == 'AT'"}, ("20", "1", "5", "4.56", "28.56")),
        ({"lines": True}, ("16.2", "1", "5", "4.56", "24.76")),
        ({"discount": True}, ("20", "0.8403", "5", "4.56", "28.7197")),
    ],
)
def test_an_amount_contains_tax_where_it_is_said_of_it(said: dict[str, object], parts: tuple[str, ...]) -> None:
    assert rows_of(cleaned(order(), of=described(**said)).orders, *PARTS) == [money(*parts)]


def test_a_discount_that_is_taxed_otherwise_needs_a_rate() -> None:
    bad = fault(order("A", lines=[line(tax_rate=None)]), of=described(discount=True))
    assert bad[1:3] == ("tax_rate", "no rate from 0 up to 1")
    with pytest.raises(ValueError, match=r"map lines\.fields\.tax_rate"):
        shop(includes_tax={"discount": True}, lines=line_fields(tax_rate=None))


def test_refunds_may_come_with_tax() -> None:
    back = refund(one_mug(amount="11.30"), shipping="0.95", shipping_tax="0.15", adjustment="2.261")
    of = described(**{"refunds.lines": True, "refunds.shipping": True, "refunds.adjustment": True})
    result = cleaned(order(refunds=[back]), of=of)
    assert rows_of(result.sales, "event_type", "returns", "shipping", "taxes")[2:] == [
        ("line_returned", *money("9.5", "0", "-1.8")),
        ("shipping_refunded", *money("0", "-0.8", "-0.15")),
        ("adjustment", *money("1.9", "0", "-0.361")),
    ]
    assert rows_of(result.orders, "refunded_total") == [money("14.511")]


def test_a_cancelled_order_whose_adjustment_came_with_tax_adds_up_to_nothing() -> None:
    back = refund(adjustment="2.261")
    cancelled = order(refunds=[back], cancelled_at="2025-03-25T10:00:00Z")
    result = cleaned(cancelled, of=described(**{"refunds.adjustment": True}))
    assert sum(amount for (amount,) in rows_of(result.sales, "total_sales")) == 0
    assert sum(amount for (amount,) in rows_of(result.sales, "taxes")) == 0
