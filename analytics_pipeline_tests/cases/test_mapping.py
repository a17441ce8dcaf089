"""Mappings that are wrong in silence: paths found nowhere, values that stand for nothing, one id for all guests."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from analytics_pipeline.cli import main
from analytics_pipeline.decoding.mapping import compile_path
from analytics_pipeline.errors import DescriptionError
from analytics_pipeline.profile.drift import KnownField
from analytics_pipeline.profile.fields import FieldProfile
from analytics_pipeline.profile.unfound import unfound
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.newest_day import last_day_with_orders
from analytics_pipeline_tests.cases.small_shop import DESCRIPTION, Case, Record, SmallShop, order
from analytics_pipeline_tests.unit.transforms.conftest import cleaned, line, line_fields, rows_of
from analytics_pipeline_tests.unit.transforms.conftest import order as demo_order
from analytics_pipeline_tests.unit.transforms.conftest import shop as demo_shop

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def guests() -> list[Record]:
    return [
        order(f"G{number}", f"2026-11-{19 + number}", customer_id=0, email=f"guest{number}@example.com", total="10.00")
        for number in (1, 2, 3)
    ]


def small(**fields: str | None) -> Shop:
    """The small shop's description with some paths of orders changed."""
    mapped = {**DESCRIPTION["orders"]["fields"], **fields}
    orders = {**DESCRIPTION["orders"], "fields": {name: path for name, path in mapped.items() if path is not None}}
    first_day = str(DESCRIPTION["first_day"])
    return Shop.model_validate({**DESCRIPTION, "orders": orders, "base_url": "http://shop", "first_day": first_day})


def suspects(shop: Shop, records: Sequence[Record], known: Sequence[KnownField] = ()) -> list[str]:
    profile = FieldProfile()
    for record in records:
        profile.look_at(record)
    return [str(one) for one in unfound(shop.orders, profile.fields(), profile.records, known) if one.is_suspect]


def test_c31_c33_paths_found_nowhere_and_one_id_for_all_guests_are_reported_by_the_run(case: Case) -> None:
    case.shop.orders = guests()
    case.describe(lambda it: it["orders"]["fields"].update(total="totl", currency="curr"))

    summary = case.run("2026-11-20", "2026-11-22")

    assert summary.succeeded, summary.failures
    messages = "\n".join(summary.warnings)
    assert "check mapped_paths_are_found of raw/orders" in messages
    assert "total (`totl`): mapped, found in 0 of 3 records; did you mean total?" in messages
    assert "currency (`curr`): mapped, found in 0 of 3 records" in messages
    assert "check a_customer_id_stands_for_one_customer of clean/orders" in messages
    assert "0 stands for 3 different e-mail addresses" in messages
    assert case.rows("select sum(new_customers)::int as n from marts.daily_revenue") == [{"n": 1}]


def test_c33_with_the_id_that_stands_for_nothing_each_guest_is_a_customer(case: Case) -> None:
    case.shop.orders = guests()
    case.describe(lambda it: it["orders"].update(empty={"customer_id": ["0"]}))

    summary = case.run("2026-11-20", "2026-11-22")

    assert summary.succeeded, summary.failures
    assert summary.warnings == []
    assert case.rows("select sum(new_customers)::int as n from marts.daily_revenue") == [{"n": 3}]
    assert case.rows("select count(distinct customer_key) as n from clean.orders where customer_id is null") == [
        {"n": 3}
    ]


@pytest.mark.parametrize(
    ("fields", "records", "messages"),
    [
        ({"total": "totl"}, guests(), ["total (`totl`): mapped, found in 0 of 3 records; did you mean total?"]),
        ({"total": "sum.total"}, guests()[:1], ["total (`sum.total`): mapped, found in 0 of 1 records"]),
        ({"total": "total || totl"}, guests(), []),
        ({"total": "to_number(total)"}, guests(), []),
        (
            {"total": "to_number(totl)"},
            guests(),
            ["total (`to_number(totl)`): mapped, found in 0 of 3 records; did you mean total?"],
        ),
        ({"updated_at": "changed"}, guests(), ["updated_at (`changed`): mapped, found in 0 of 3 records"]),
        ({"email": "mail"}, guests(), ["email (`mail`): mapped, found in 0 of 3 records; did you mean email?"]),
        ({"country": "address.land"}, guests(), []),
        ({"country": "address.land"}, guests() * 40, ["country (`address.land`): mapped, found in 0 of 120 records"]),
        (
            {"country": "address.land"},
            [{**one, "address": {"country": "DE"}} for one in guests() * 40],
            ["country (`address.land`): mapped, found in 0 of 120 records"],
        ),
        ({"cancelled_at": "cancelled_at"}, guests() * 40, []),
        (
            {"cancelled_at": "canceled_on"},
            [{**one, "cancelled_on": None} for one in guests()],
            ["cancelled_at (`canceled_on`): mapped, found in 0 of 3 records; did you mean cancelled_on?"],
        ),
        ({"total": "total"}, [{**one, "total": None} for one in guests()], []),
        ({}, [], []),
    ],
    ids=[f"C31-{number}" for number in range(14)],
)
def test_c31_a_mapped_path_that_no_record_has_is_reported_unless_it_may_rightly_be_absent(
    fields: dict[str, str], records: list[Record], messages: list[str]
) -> None:
    assert suspects(small(**fields), records) == messages


def test_c31_a_path_below_a_list_is_reported_once_the_list_has_entries() -> None:
    shop = small()
    refund = {"id": "R1", "created": "2026-11-21T10:00:00Z", "lines": [{"line": "1", "quantity": 1, "amount": "1.00"}]}
    records = [{**one, "refunds": []} for one in guests()]
    assert suspects(shop, records) == []
    records[0]["refunds"] = [refund]
    assert suspects(shop, records) == [
        "refunds.refunded_at (`created_at`): mapped, found in 0 of 1 records; did you mean refunds[].created?",
        "refunds.lines.line_id (`line_id`): mapped, found in 0 of 1 records",
    ]
    assert suspects(
        shop, [{**one, "lines": [{"id": "1", "sku": "P", "quantity": 1, "cost": "1"}]} for one in guests()]
    ) == ["lines.unit_price (`price`): mapped, found in 0 of 3 records"]


def test_c31_a_path_that_earlier_records_had_is_not_told() -> None:
    had = KnownField("totl", "string", NOW, NOW, records=1, holders=500, share=0.0)
    assert suspects(small(total="totl"), guests(), [had]) == []
    others = KnownField("currency", "string", NOW, NOW, records=99, holders=99, share=1.0)
    assert suspects(small(country="land"), guests(), [others]) == ["country (`land`): mapped, found in 0 of 3 records"]


def doctor(case: Case, monkeypatch: pytest.MonkeyPatch, *options: str) -> tuple[int, dict[str, str]]:
    """The exit code of `doctor`, and its lines by their subject."""
    monkeypatch.setenv("ANALYTICS_HOME", str(case.folder / "home"))
    done = CliRunner().invoke(main, ["doctor", "--shop", str(case.path), *options])
    return done.exit_code, {line[6:18].strip(): line for line in done.output.splitlines()}


def test_c31_c33_the_doctor_reports_what_a_run_would_and_writes_nothing(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.shop.orders = [*guests(), order("B1", "2026-11-22", total="9.00"), order("B2", "2026-11-22", quantity="x")]
    case.shop.orders[3]["lines"] = case.shop.orders[0]["lines"]
    for one in case.shop.orders[:3]:
        one["created_at"] = one["updated_at"] = "2026-11-22T12:00:00+01:00"
    case.describe(lambda it: it["orders"]["fields"].update(currency="curr"))

    code, messages = doctor(case, monkeypatch)

    assert code == 0
    assert messages["orders"].startswith("warn  orders")
    assert (
        "2026-11-22, cleaned without writing: 5 records, the shop counts 5; 4 clean, 1 would go" in messages["orders"]
    )
    assert "quarantine: total: does not equal the sum of its parts (1, such as B1)" in messages["orders"]
    assert "currency (`curr`): mapped, found in 0 of 5 records" in messages["orders"]
    assert "0 stands for 3 different e-mail addresses" in messages["orders"]
    assert "refunds" not in messages["orders"].partition("which may be right")[0]
    assert messages["customers"].startswith("warn  customers    0 records on the first page")
    assert messages["products"].startswith("ok    products     1 records on the first page")
    assert case.rows("select count(*) as n from pg_tables where schemaname in ('raw', 'clean', 'marts')") == [{"n": 0}]


def test_the_doctor_takes_a_day_and_fails_where_no_order_of_it_would_be_clean(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.shop.orders = [order("A", "2026-11-20", total="10.00"), order("B", "2026-11-21", total="9.00")]
    assert doctor(case, monkeypatch, "--date", "2026-11-20")[0] == 0
    code, messages = doctor(case, monkeypatch, "--date", "2026-11-21")
    assert code == 1
    assert messages["orders"].startswith("FAIL  orders")
    assert "does not equal the sum of its parts (1, such as B)" in messages["orders"]
    assert messages["customers"].startswith("-     customers")
    code, messages = doctor(case, monkeypatch, "--date", "2026-11-19")
    assert (code, "0 records" in messages["orders"]) == (0, True)


@pytest.mark.parametrize("days_ago", [1, 2, 6, 9, 60, 500])
def test_the_doctor_finds_the_last_day_with_orders_in_few_requests(small_shop: SmallShop, days_ago: int) -> None:
    until = date(2026, 11, 25)
    day = until - timedelta(days=days_ago)
    small_shop.orders = [order("A", "2024-01-02"), order("B", str(day)), order("C", "2026-11-26")]
    shop = small().model_copy(update={"base_url": small_shop.fake.url, "first_day": date(2024, 1, 1)})
    with ShopClient(shop) as client:
        assert last_day_with_orders(client, until) == day
        assert last_day_with_orders(client, date(2024, 1, 1)) is None
    assert len(small_shop.fake.asked) <= 20


NOTHINGS = ["", " ", False, None]
ZEROS = ["0000-00-00 00:00:00", "0000-00-00", "0000-00-00T00:00:00Z", "0000-00-00T00:00:00+00:00"]


@pytest.mark.parametrize("value", NOTHINGS, ids=lambda value: f"C34-{value!r}")
@pytest.mark.parametrize(
    "field", ["currency", "total", "total_tax", "total_discount", "cancelled_at", "updated_at", "country"]
)
def test_c34_a_value_that_means_nothing_is_null_and_no_fault(field: str, value: object) -> None:
    result = cleaned(demo_order("A", **{field: value}))
    assert len(result.quarantine) == 0
    assert rows_of(result.orders, "order_id", "currency") == [("A", "EUR")]


@pytest.mark.parametrize("value", ZEROS, ids=lambda value: f"C34-{value!r}")
def test_c34_a_stamp_of_zeros_is_none(value: str) -> None:
    result = cleaned(demo_order("A", cancelled_at=value, updated_at=value))
    assert len(result.quarantine) == 0
    assert rows_of(result.orders, "cancelled_at", "updated_at") == [(None, None)]


@pytest.mark.parametrize(
    ("field", "value"),
    [("total", "-"), ("total", True), ("currency", "E"), ("updated_at", "0000-13-00"), ("total", "0.00001")],
)
def test_c34_what_means_something_else_still_goes_into_quarantine(field: str, value: object) -> None:
    assert len(cleaned(demo_order("A", **{field: value})).quarantine) == 1


def test_c34_what_a_shop_writes_for_nothing_can_be_named() -> None:
    records = [demo_order("A", total="n/a", country="XX"), demo_order("B", total=-1), demo_order("C")]
    result = cleaned(*records, of=demo_shop(empty={"total": ["n/a", -1], "country": "XX"}))
    assert len(result.quarantine) == 0
    assert [country for _, country in rows_of(result.orders, "order_id", "country")].count(None) == 1


def test_c34_values_for_nothing_are_of_mapped_fields_and_of_entries_too() -> None:
    with_discount = demo_order("A", lines=[line(discount="none")], discount_total=None, total=None)
    assert len(cleaned(with_discount).quarantine) == 1
    assert len(cleaned(with_discount, of=demo_shop(empty={"lines.discount": ["none"]})).quarantine) == 0
    with pytest.raises(
        (ValueError, DescriptionError),
        match=r"empty names lines\.discont, which is not mapped; did you mean lines\.discount",
    ):
        demo_shop(empty={"lines.discont": ["none"]})


@pytest.mark.parametrize(
    ("record", "amount"),
    [
        ({}, None),
        ({"discount": None}, None),
        ({"discount": ""}, None),
        ({"discount": "-2.50"}, "2.50"),
        ({"discount": "x"}, None),
    ],
    ids=lambda value: f"C35-{value}" if isinstance(value, dict) else "",
)
def test_c35_the_recipe_for_negative_discounts_reads_no_discount_as_none(
    record: dict[str, Any], amount: str | None
) -> None:
    found = compile_path("abs(to_number(discount))")(record)
    assert (None if found is None else str(found)) == amount


@pytest.mark.parametrize("name", ["abs", "ceil", "floor", "sum", "avg", "max", "min"])
def test_c35_functions_of_numbers_give_null_for_null_and_still_refuse_what_is_no_number(name: str) -> None:
    assert compile_path(f"{name}(amount)")({}) is None
    with pytest.raises(ValueError, match=f"{name}\\(\\) takes"):
        compile_path(f"{name}(amount)")({"amount": "x"})


@pytest.mark.parametrize(
    "discount", [{}, {"discount": None}, {"discount": ""}, {"discount": "0"}], ids=lambda one: f"C35-{one}"
)
def test_c35_an_order_whose_line_has_no_discount_is_clean(discount: dict[str, Any]) -> None:
    sold = {name: value for name, value in line().items() if name != "discount"} | discount
    record = demo_order("A", lines=[sold], discount_total=None, total=None)
    result = cleaned(record, of=demo_shop(lines=line_fields(discount="abs(to_number(discount))")))
    assert len(result.quarantine) == 0
    assert rows_of(result.order_lines, "gross_sales", "discounts") == [(20, 0)]
