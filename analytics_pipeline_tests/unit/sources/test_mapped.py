"""Which paths of a record a description reads, plain ones and those within expressions."""

from typing import Any

import pytest

from analytics_pipeline.profile.mapped import mapped_paths, personal_paths
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.unit.transforms.conftest import fields, line_fields, refunds_with, shop


def roles(**changes: Any) -> dict[str, str]:  # noqa: ANN401
    return mapped_paths(shop(**changes).orders)


def test_the_demo_shops_paths_have_the_keys_that_read_them() -> None:
    found = roles()
    expected = {
        "id": "order_id",
        "customer.id": "customer_id",
        "customer": "customer_id",
        "tax_total": "taxes",
        "is_test": "exclude (test_order)",
        "lines": "lines",
        "lines[]": "lines",
        "lines[].unit_price": "lines.unit_price",
        "refunds[].created_at": "refunds.refunded_at",
        "refunds[].lines[]": "refunds.lines",
        "refunds[].lines[].amount": "refunds.lines.amount",
    }
    assert expected.items() <= found.items()
    assert personal_paths(found) == {"customer.id", "customer", "email"}
    described = load_shop("demo")
    assert personal_paths(mapped_paths(described.customers)) == {"id", "email", "name"}
    assert mapped_paths(described.products)["price"] == "price"


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("amount", {"amount"}),
        ("sum.amount", {"sum", "sum.amount"}),
        ("abs(to_number(amount))", {"amount"}),
        ("gross || net.value", {"gross", "net", "net.value"}),
        ("sums[0].amount", {"sums", "sums[].amount"}),
        ("sums[?kind == 'total'] | [0].amount", {"sums", "sums[].kind", "sums[][].amount"}),
        ("sums[*].amount | [0]", {"sums", "sums[].amount"}),
        ("kind == 'sale' && amount", {"kind", "amount"}),
        ("!is_open && to_number('1')", {"is_open"}),
        ("meta.*.amount | [0]", {"meta", "meta.*.amount"}),
        ("{a: one, b: two.three}", {"one", "two", "two.three"}),
        ("@", set()),
        ("sub(gross, parent.less)", {"gross", "parent", "parent.less"}),
        ("sums[1:2].amount", {"sums", "sums[].amount"}),
    ],
)
def test_the_paths_within_an_expression(expression: str, paths: set[str]) -> None:
    before = roles(fields=fields(total=None))
    found = roles(fields=fields(total=expression))
    assert {path for path, role in found.items() if role == "total"} == paths
    assert before.keys() <= found.keys()


def test_parent_in_an_entry_is_a_path_of_the_record_that_holds_it() -> None:
    lines = line_fields(title="parent.name", discount="mul(net, parent.rates[0].value)")
    found = roles(lines=lines, refunds=refunds_with(amount="sub(gross, parent.parent.less)", tax="parent.tax"))
    expected = {
        "name": "lines.title",
        "lines[].net": "lines.discount",
        "rates[].value": "lines.discount",
        "refunds[].lines[].gross": "refunds.lines.amount",
        "less": "refunds.lines.amount",
        "refunds[].tax": "refunds.lines.tax",
    }
    assert expected.items() <= found.items()
    assert not [path for path in found if "parent" in path]
