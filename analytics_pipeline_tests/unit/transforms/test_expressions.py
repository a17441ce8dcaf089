"""Records read by expressions: amounts that have to be calculated, and what stands in the record above."""

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
    refunds_with,
    rows_of,
    shop,
)


def test_a_discount_that_has_to_be_calculated_is_exact() -> None:
    of = shop(lines=line_fields(discount="sub(subtotal, net)"))
    sold = [line(1, subtotal="20.00", net="19.00"), line(2, subtotal=20, net=20, tax="3.80")]
    result = cleaned(order(lines=sold, tax_total="8.36", total="52.36"), of=of)
    assert rows_of(result.order_lines, "discounts") == [money("1.00"), money("0")]


def test_a_ratio_discount_is_the_same_ratio_of_each_line() -> None:
    of = shop(lines=line_fields(discount="round(mul(unit_price, quantity, parent.ratio || 0), 2)"))
    sold = [line(1), line(2, unit_price="3.33", quantity=1, tax="0.00")]
    result = cleaned(order(lines=sold, ratio="0.15", discount_total="3.50", total="29.39"), of=of)
    assert rows_of(result.order_lines, "discounts") == [money("3.00"), money("0.50")]


def test_what_cannot_be_calculated_is_a_fault_of_its_record_alone() -> None:
    of = shop(lines=line_fields(discount="div(off, parts)"))
    good, bad = order("A", lines=[line(off=2, parts=2)]), order("B", lines=[line(off=1, parts=0)])
    assert fault(good, bad, of=of) == (
        "clean.order_lines",
        "discount",
        "its path cannot be looked up",
        "division by zero",
    )


@pytest.mark.parametrize("giant", ["1e400", "1e999999", "-1e99999999999", "0." + "1" * 5_000, "9" * 5_000])
def test_a_giant_of_a_number_is_a_fault_of_its_record_alone(giant: str) -> None:
    payload = '{"id": "B", "created_at": "2025-03-10T09:00:00Z", "lines": [{"id": 1, "product_id": "P", "quantity": 1, '
    payload += f'"unit_price": 1, "a": {giant}, "tax": 0}}]}}'
    of = shop(lines=line_fields(discount="floor(add(mul(a, a), 1))"))
    result = cleaned(order("A", discount_total=0, total="29.56"), payload, of=of)
    assert [len(rows) for rows in (result.orders, result.quarantine)] == [1, 1]


def test_a_line_of_a_refund_reads_its_refund_and_its_order() -> None:
    of = shop(
        fields=fields(total=None),
        lines=line_fields(title="parent.country"),
        refunds=refunds_with(amount="sub(gross, parent.parent.less)", tax="parent.tax_of_all"),
    )
    given = refund(one_mug(gross="10.00"), tax_of_all="1.80")
    result = cleaned(order("A", less="0.5", refunds=[given]), order("B", country="AT"), of=of)
    assert rows_of(result.order_lines, "title") == [("DE",), ("AT",)]
    assert rows_of(result.sales, "event_type", "returns", "taxes")[2] == ("line_returned", *money("9.50", "-1.80"))
