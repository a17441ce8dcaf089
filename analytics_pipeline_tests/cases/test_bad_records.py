"""One bad record stops nobody: it is clean where its mapped fields can be read, else in quarantine or left out.

Each stands beside two good orders, which arrive, and the poll after it works.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.client import ShopClient
from analytics_pipeline.sources.lists import extract_orders
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline_tests.cases.small_shop import DESCRIPTION, Case, Record, order
from analytics_pipeline_tests.fake_shop import Asked, FakeShop, Reply

DAY = "2026-11-21"
GOOD = [order("A", DAY), order("B", DAY, "5.00")]
BAD = order("BAD", DAY, "7.00")
DEEP = "[" * 1100 + "]" * 1100
LONG = "x" * 6000


def written(record: Record | None = None, **texts: str) -> bytes:
    """A record as JSON, with further fields whose text is taken as it is."""
    text = json.dumps(BAD if record is None else record)
    fields = "".join(f', "{name}": {value}' for name, value in texts.items())
    return (text[:-1] + fields + "}").encode()


def without(name: str, **changes: object) -> Record:
    return {key: value for key, value in {**BAD, **changes}.items() if key != name}


def page(*records: bytes, path: str = "orders") -> Reply:
    return Reply(b'{"%s": [%s], "total": %d}' % (path.encode(), b", ".join(records), len(records)))


@dataclass
class Bench:
    """A shop's server and its description, without a database."""

    fake: FakeShop
    shop: Shop

    def cleaned(self, *records: bytes) -> CleanOrders:
        """What some records become beside two good orders of one day, read from the shop and cleaned in process."""
        first, second = (json.dumps(good).encode() for good in GOOD)
        self.fake.answers("/orders", page(first, *records, second))
        day = date.fromisoformat(DAY)
        with ShopClient(self.shop) as client:
            extraction = extract_orders(client, day, day)
            table = pa.Table.from_batches(extraction, schema=extraction.schema)
        assert not extraction.undated
        assert extraction.agrees
        assert extraction.records == extraction.source_count
        found = clean_orders(table.to_pandas(types_mapper=pd.ArrowDtype), self.shop)
        assert not found.accounting.unexplained_orders
        assert not found.accounting.unexplained_difference
        return found


def described(url: str, **changes: object) -> Shop:
    description = {**json.loads(json.dumps(DESCRIPTION, default=str)), "base_url": url, **changes}
    return Shop.model_validate(description)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    fake = FakeShop()
    yield Bench(fake, described(fake.url))
    fake.close()


def held(found: CleanOrders) -> list[tuple[str, str, str | None]]:
    rows = pa.Table.from_pandas(found.quarantine, preserve_index=False).to_pylist()
    return [
        (row["column_name"], row["reason"], None if row["money_at_risk"] is None else f"{row['money_at_risk']:.2f}")
        for row in rows
    ]


def total(found: CleanOrders) -> Decimal:
    return sum(pa.array(found.orders["order_total"]).to_pylist(), Decimal(0))


READABLE = {
    "C21": written(meta="9" * 5000),
    "C22": written(meta=DEEP),
    "C22 in objects": written(meta='{"a":' * 1100 + "1" + "}" * 1100),
    "C23": written(meta="1e99999999999999999999"),
    "C24": written(note='"caf\xe9"').decode("latin-1").encode("latin-1"),
    "C25": written(meta="NaN"),
    "C25 minus infinity": written(meta="[-Infinity]"),
    "control characters": written(note='"two\nlines\x01"'),
    "an unknown escape": written(note=r'"C:\q \u12G4"'),
    "a leading zero": written(meta="007"),
    "a comma too many": written()[:-1] + b',"x": [1,],}',
    "half a character": written(note=r'"cut \ud83d", "meta": NaN'.replace('"cut', '"cut')),
    "a long text": written(note=json.dumps("\u20ac" * 100_000)),
    "an escaped one": written(_escaped='"x"'),
}
READABLE["C24"] = written(note='"caf?"').replace(b"?", b"\xe9")


@pytest.mark.parametrize("record", READABLE.values(), ids=READABLE)
def test_an_odd_field_that_is_not_mapped_costs_no_revenue(bench: Bench, record: bytes) -> None:
    found = bench.cleaned(record)
    assert held(found) == []
    assert total(found) == Decimal("22.00")


HELD: dict[str, tuple[bytes, str, str, str | None]] = {
    "C18": (written({**BAD, "created_at": None}), "created_at", "missing", "7.00"),
    "C18 not a stamp": (written({**BAD, "created_at": "soon"}), "created_at", "not a stamp", "7.00"),
    "C18 year 9999": (written({**BAD, "created_at": "9999-01-01T00:00:00Z"}), "created_at", "not a stamp", "7.00"),
    "C19 null": (written({**BAD, "id": None}), "order_id", "missing", "7.00"),
    "C19 absent": (written(without("id")), "order_id", "missing", "7.00"),
    "C19 1001.0": (written({**BAD, "id": 1001.0}), "order_id", "neither text nor a whole number", "7.00"),
    "C19 NUL": (written({**BAD, "id": "a\x00"}), "order_id", "empty, or with a zero character in it", "7.00"),
    "C19 blank": (written({**BAD, "id": " "}), "order_id", "empty, or with a zero character in it", "7.00"),
    "C19 NaN": (written(without("id"), id="NaN"), "order_id", "neither text nor a whole number", "7.00"),
    "C19 no UTF-8": (written({**BAD, "id": "?"}).replace(b"?", b"\xff"), "order_id", "not all of it is UTF-8", "7.00"),
    "C19 without id and day": (written(without("id", created_at=None)), "order_id", "missing", "7.00"),
    "C19 the entry null": (b"null", "payload", "not an object that can be read", None),
    "C19 the entry x": (b'"x"', "payload", "not an object that can be read", None),
    "a list": (b"[1, 2]", "payload", "not an object that can be read", None),
    "no JSON": (b'{"id": 5, "created_at": }', "payload", "not an object that can be read", None),
    "C20 order": (written({**BAD, "id": LONG}), "order_id", "longer than 1000 bytes", "7.00"),
    "C20 line": (
        written({**BAD, "lines": [{**BAD["lines"][0], "id": LONG}]}),
        "line_id",
        "longer than 1000 bytes",
        "7.00",
    ),
    "C20 product": (
        written({**BAD, "lines": [{**BAD["lines"][0], "sku": LONG}]}),
        "product_id",
        "longer than 1000 bytes",
        "7.00",
    ),
    "C20 customer": (written({**BAD, "customer_id": LONG}), "customer_id", "longer than 1000 bytes", "7.00"),
    "C25 price": (
        written(without("lines"), lines='[{"id": "1", "sku": "P1", "quantity": 1, "price": NaN}]'),
        "unit_price",
        "not an amount with at most four decimals",
        None,
    ),
    "C23 price": (
        written(without("lines"), lines='[{"id": "1", "sku": "P1", "quantity": 1, "price": 1e99999999999999999999}]'),
        "unit_price",
        "not an amount with at most four decimals",
        None,
    ),
    "C21 quantity": (
        written(without("lines"), lines='[{"id": "1", "sku": "P1", "quantity": %s, "price": 1}]' % ("9" * 5000)),
        "quantity",
        "not a whole number",
        None,
    ),
    "NaN as customer": (written(customer_id="NaN"), "customer_id", "neither text nor number", "7.00"),
}


@pytest.mark.parametrize(("record", "column", "reason", "money"), HELD.values(), ids=HELD)
def test_a_record_that_cannot_be_read_is_in_quarantine_alone(
    bench: Bench, record: bytes, column: str, reason: str, money: str | None
) -> None:
    found = bench.cleaned(record)
    assert held(found) == [(column, reason, money)]
    assert total(found) == Decimal("15.00")


def test_c18_a_rule_that_leaves_an_order_out_is_asked_before_its_day(bench: Bench) -> None:
    orders = {**DESCRIPTION["orders"], "exclude": [{"when": "test == `true`", "reason": "test_order"}]}
    strict = Bench(bench.fake, described(bench.fake.url, orders=orders))
    found = strict.cleaned(written({**BAD, "created_at": None, "test": True}))
    assert found.exclusions["reason"].tolist() == ["test_order"]
    assert held(found) == []
    assert total(found) == Decimal("15.00")


def test_c19_equal_records_without_an_id_are_different_ones_with_the_same_keys_each_time(bench: Bench) -> None:
    one, other = written(without("id")), written(without("id", note="another"))
    first = sorted(bench.cleaned(one, other, one).quarantine["order_id"])
    assert len(set(first)) == 3
    assert sorted(bench.cleaned(one, one, other).quarantine["order_id"]) == first
    assert set(bench.cleaned(other, one).quarantine["order_id"]) < set(first)


@pytest.mark.parametrize("no_id", ["", " ", "a\x00b", "x" * 6000, True])
def test_records_whose_id_is_none_are_each_counted_for_themselves(bench: Bench, no_id: object) -> None:
    one, other = written({**BAD, "id": no_id}), written({**BAD, "id": no_id, "note": "another"})
    assert len(set(bench.cleaned(one, other).quarantine["order_id"])) == 2


def test_c26_values_that_fit_no_column_are_in_quarantine(bench: Bench) -> None:
    lines = [{"id": "1", "sku": "P1", "quantity": 1, "price": "10.0001", "discount": "10", "tax": "1e10"}]
    fields = {**DESCRIPTION["orders"]["fields"], "prices_include_tax": "inclusive"}
    inclusive = Bench(bench.fake, described(bench.fake.url, orders={**DESCRIPTION["orders"], "fields": fields}))
    found = inclusive.cleaned(written({**BAD, "inclusive": True, "lines": lines}))
    assert held(found)[0][:2] == ("discount", "too large without its tax")
    assert total(found) == Decimal("15.00")


@pytest.mark.parametrize("sign", ["", "-"])
def test_c26_shares_that_fit_no_column_are_in_quarantine(bench: Bench, sign: str) -> None:
    """An order-wide discount is spread over lines that nearly cancel each other."""
    fields = {**DESCRIPTION["orders"]["fields"], "order_discount": "discount"}
    spreading = Bench(bench.fake, described(bench.fake.url, orders={**DESCRIPTION["orders"], "fields": fields}))
    lines = [
        {"id": "1", "sku": "P1", "quantity": 1, "price": "99999999999"},
        {"id": "2", "sku": "P1", "quantity": 1, "price": "0.0001", "discount": "99999999999"},
    ]
    found = spreading.cleaned(written({**BAD, "lines": lines, "discount": f"{sign}99999999999"}))
    assert [column for column, *_ in held(found)] == ["order_discount" if sign else "discount"]
    assert total(found) == Decimal("15.00")


@pytest.mark.parametrize(("price", "reasons"), [("1.00", []), ("99999999999.99", ["gross_sales"])])
def test_c27_many_lines_are_an_order_and_a_sum_that_fits_no_column_is_in_quarantine(
    bench: Bench, price: str, reasons: list[str]
) -> None:
    lines = [{"id": number, "sku": "P1", "quantity": 1, "price": price} for number in range(10_002)]
    found = bench.cleaned(written({**BAD, "lines": lines}))
    assert [(column, money) for column, _, money in held(found)] == [(reason, None) for reason in reasons]
    assert total(found) == Decimal("15.00") + (Decimal(0) if reasons else Decimal("10002.00"))


def test_c27_refunds_that_add_up_to_what_fits_no_column_leave_the_others_alone(bench: Bench) -> None:
    refunds = [
        {"id": number, "created_at": f"{DAY}T12:00:00Z", "adjustment": "99999999999.99"} for number in range(10_002)
    ]
    found = bench.cleaned(written({**BAD, "refunds": refunds}))
    assert "A" in found.orders["order_id"].tolist()
    assert found.accounting.clean_orders + found.accounting.quarantined_orders == 3


def test_c25_a_refund_of_nan_is_in_quarantine_and_its_sale_stays(bench: Bench) -> None:
    refunds = f'[{{"id": 1, "created_at": "{DAY}T12:00:00Z", "adjustment": NaN, "meta": 1e99999999999999999999}}]'
    found = bench.cleaned(written(without("refunds"), refunds=refunds))
    assert total(found) == Decimal("22.00")
    assert found.quarantine["kind"].tolist() == ["refund"]
    assert json.loads(str(found.quarantine["payload"].iat[0]))["adjustment"] == "NaN"


def numbered(records: dict[str, bytes]) -> list[bytes]:
    """The records with an id each, where theirs is the usual one."""
    return [record.replace(b'"BAD"', b'"BAD %d"' % number) for number, record in enumerate(records.values())]


def accounts(case: Case) -> tuple[int, int, int, int]:
    """Raw, clean, quarantined and excluded orders of all days."""
    [row] = case.rows(
        "select sum(raw_orders)::bigint as raw, sum(clean_orders)::bigint as clean, "
        "sum(quarantined_orders)::bigint as held, sum(excluded_orders)::bigint as excluded from ops.accounting"
    )
    return row["raw"], row["clean"], row["held"], row["excluded"]


def test_c18_to_c28_all_at_once_are_loaded_polled_and_loaded_again(case: Case) -> None:
    case.describe(quarantine={"block_above": 1.0})
    readable, others = numbered(READABLE), numbered({key: record for key, (record, *_) in HELD.items()})
    good = [json.dumps(record).encode() for record in GOOD]
    bad = [record.replace(b'"BAD ', b'"WORSE ') for record in others]
    case.shop.fake.answers("/orders", page(*readable, good[0], *bad, good[1]))
    odd = [b'{"email": "a@example.com"}', b'"x"', b"null", b'{"id": "C2", "note": "\xe9", "far": %s}' % (b"9" * 5000)]
    case.shop.fake.answers("/customers", page(b'{"id": "C1", "country": "DE"}', *odd, path="customers"))
    case.shop.fake.answers("/products", page(b'{"id": "P1", "price": NaN}', b'{"id": 1.5}', path="products"))
    keys: list[str] = []
    for _ in range(2):
        summary = case.run(DAY)
        assert summary.succeeded, summary.failures
        assert case.revenue() == {DAY: f"{15 + 7 * len(readable)}.00"}
        assert accounts(case) == (2 + len(readable) + len(bad), 2 + len(readable), len(bad), 0)
        found = case.poll()
        assert found is not None
        assert (found.stale, found.undated) == ([], [])
        before, keys = keys, sorted(row["order_id"] for row in case.rows("select order_id from ops.quarantine"))
        assert before in ([], keys)
    assert [row["customer_id"] for row in case.rows("select customer_id from clean.customers order by 1")] == [
        "C1",
        "C2",
    ]
    assert case.rows("select product_id, price from clean.products") == [{"product_id": "P1", "price": None}]
    assert case.rows("select count(*) as records from raw.customers") == [{"records": 5}]


def test_c18_orders_without_a_day_are_found_by_asking_for_shorter_ranges(case: Case) -> None:
    hidden = {"2026-11-21": order("HIDDEN", "2026-11-21", "7.00"), "2026-11-22": order(None, "2026-11-22", "8.00")}
    case.shop.orders += hidden.values()
    bent = case.shop.answer_orders

    def without_stamps(asked: Asked) -> Reply:
        reply = bent(asked)
        listed = json.loads(reply.content())
        nameless = [
            {**record, "created_at": None} if record["id"] in {"HIDDEN", None} else record
            for record in listed["orders"]
        ]
        return Reply({**listed, "orders": nameless})

    case.shop.fake.routes["/orders"] = without_stamps
    for first, last in (("2026-11-20", "2026-11-22"), ("2026-11-21", "2026-11-21"), ("2026-11-15", "2026-11-23")):
        assert case.run(first, last).succeeded
        rows = case.rows(
            "select order_date::text as day, money_at_risk::int::text as money from ops.quarantine order by 1"
        )
        assert rows == [{"day": "2026-11-21", "money": "7"}, {"day": "2026-11-22", "money": "8"}]
        assert case.revenue()["2026-11-21"] == "10.00"
        found = case.poll()
        assert found is not None
        assert (found.stale, found.undated) == ([], [])
    assert case.rows("select order_id from ops.undated_orders") == []


def test_c18_an_order_without_a_day_that_a_poll_sees_is_kept_once_until_a_day_has_it(case: Case) -> None:
    assert case.run("2026-11-20", "2026-11-22").succeeded
    case.shop.orders[0] = order("O1", "2026-11-20", "11.00", updated_at="2026-11-23T12:00:00+01:00")
    lost = {**order("LOST", "2026-11-21", "7.00"), "updated_at": "2026-11-23T12:00:00+01:00"}
    nameless = {**lost, "id": None}
    ordinary = case.shop.answer_orders

    def with_lost(asked: Asked) -> Reply:
        listed = json.loads(ordinary(asked).content())
        lost_ones = [{**record, "created_at": None} for record in (lost, nameless, nameless)]
        if "since" not in asked.query:
            return ordinary(asked)
        beside = lost_ones if asked.query["page"] == "1" else []
        return Reply({"orders": [*beside, *listed["orders"]], "total": 3 + listed["total"]})

    case.shop.fake.routes["/orders"] = with_lost
    for _ in range(2):
        case.catch_up()
        assert case.revenue()["2026-11-20"] == "11.00"
        rows = case.rows("select column_name, reason, money_at_risk::int::text as money from ops.undated_orders")
        assert sorted((row["column_name"], row["reason"], row["money"]) for row in rows) == [
            ("created_at", "missing", "7"),
            ("order_id", "missing", "7"),
            ("order_id", "missing", "7"),
        ]
    case.shop.orders.append(lost)
    case.shop.fake.routes["/orders"] = ordinary
    assert case.run("2026-11-21").succeeded
    assert case.revenue()["2026-11-21"] == "17.00"
    assert case.rows("select count(*) as orders from ops.undated_orders") == [{"orders": 2}]
