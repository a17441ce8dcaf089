"""Hostile records: orders, customers and products with odd texts in odd places, and what each has to become.

Drawn by hypothesis, always the same ones. A record is written as text and not by a JSON library, which would not write
most of what shops do.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import pandas as pd
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_pipeline.decoding.envelope import envelope_reader
from analytics_pipeline.decoding.mapping import is_same_record
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.tables.contracts import ORDER
from analytics_pipeline.transforms.dimensions import clean_customers, clean_products
from analytics_pipeline.transforms.email import EmailKey
from analytics_pipeline.transforms.orders import CleanOrders, clean_orders
from analytics_pipeline.transforms.raw import (
    CUSTOMERS_SCHEMA,
    NO_ID,
    PRODUCTS_SCHEMA,
    RecordRows,
    dimension_reading,
    order_reading,
)
from analytics_pipeline_tests.cases.small_shop import DESCRIPTION

EMAILS = EmailKey(b"k" * 32)
DAY = date(2026, 11, 21)
CLEAN, HELD, EXCLUDED, ANY = "clean", "held", "excluded", "any"
LONG = b'"' + b"x" * 6000 + b'"'
REFUNDS = [
    b'[{"id": 1, "created_at": "2026-11-22T00:00:00Z", "adjustment": %s}]' % value
    for value in (b"NaN", b"1.00", b"null", b"99999999999", b"9" * 5000)
]
DEEP = [b"[" * levels + b"]" * levels for levels in (150, 1100)]
NO_VALUES = [b"NaN", b"-Infinity", b"1e99999999999999999999", b"9" * 5000, b"007", b".5", b"1.", b"undefined", b"0x1F"]
JUNK = [
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b'" "',
    b'"\\u0000"',
    b"-1",
    b"1e15",
    b"1.00001",
    b'"abc"',
    LONG,
    *NO_VALUES,
]
ODD = [
    *NO_VALUES,
    *DEEP,
    LONG,
    b'"caf\xe9 \xff"',
    b'"\xed\xa0\x80"',
    b'"two\nlines\x00\x1b[2J"',
    b'"C:\\q \\u12G4"',
    b'"\\ud83d"',
    b'"\\u0000"',
    b"[1,]",
    b'{"a": NaN, "a": [1, {"b": []}]}',
    b'"' + "\u20ac".encode() * 3000 + b'"',
]
"""Values that no mapped field has; they cost no revenue."""
NAMES = [b'"note"', b'"\xff"', b'""', b'"_escaped"', b'"created_at "', b'"ID"', b'"' + b"k" * 5000 + b'"', b'"\\u0000"']
HELD_AS = {
    "id": [
        b"null",
        b"1001.0",
        b'"a\\u0000"',
        b'" "',
        b'""',
        b"true",
        b"[]",
        b"{}",
        LONG,
        b'"\xff"',
        b"NaN",
        b"9" * 5000,
    ],
    "created_at": [
        b"null",
        b'""',
        b'"soon"',
        b"5",
        b'"0001-01-01T00:00:00Z"',
        b'"9999-01-01T00:00:00Z"',
        b"NaN",
        b"[]",
    ],
    "updated_at": [b'"soon"', b"NaN", b"{}"],
    "currency": [b'"EURO"', b"5", b"[]", b"NaN"],
    "customer_id": [b"NaN", b"{}", b"[]", b"true", LONG],
    "country": [b"{}", b"NaN", LONG],
    "total": [b'"1.00"', b"NaN", b'"x"', b"1e99999999999999999999", b"{}", b"9" * 5000],
    "lines": [b"null", b"{}", b'"x"', b"NaN", b"[null]", b'["x"]', b"[[]]"],
    "price": [b"null", b'"abc"', b"-1", b"1e15", b"1.00001", b"NaN", b"{}", b"9" * 5000],
    "quantity": [b"null", b"0", b"1.5", b"-1", b"NaN", b"true", b"9" * 5000, b'"x"'],
    "sku": [b"null", b"NaN", b"{}", b'""', LONG],
    "line_id": [b"NaN", b"{}", b"null", LONG],
}
BROKEN = [b"null", b'"x"', b"5", b"NaN", b"[]", b"{}", b"[[{}]]", b'{"id": 5, "lines": }', b'{"id" 5}', b"{1}"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def hostile_shop(url: str) -> Shop:
    """The small shop's description, with a rule that leaves orders out and the country of orders."""
    description = json.loads(json.dumps(DESCRIPTION, default=str))
    description["orders"]["exclude"] = [{"when": "test == `true`", "reason": "test_order"}]
    description["orders"]["fields"]["country"] = "country"
    return Shop.model_validate({**description, "base_url": url, "quarantine": {"block_above": 1.0}})


@dataclass
class Hostile:
    """A record, what it has to become, and what it is worth where that is clean."""

    text: bytes
    record_id: str
    becomes: str
    worth: Decimal = Decimal(0)
    oddities: list[str] = field(default_factory=list)


def _object(fields: dict[str, bytes], more: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    pairs = [*((json.dumps(name).encode(), value) for name, value in fields.items()), *more]
    return b"{" + b", ".join(name + b": " + value for name, value in pairs) + b"}"


def _order(draw: st.DrawFn, number: int) -> Hostile:
    """An order of one line with up to three oddities."""
    record_id, price = f"O{number}", draw(st.integers(0, 10**9))
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return Hostile(draw(st.sampled_from(BROKEN)), record_id, HELD, oddities=["broken"])
    worth = Decimal(price) / 100
    line = {"id": b'"1"', "sku": b'"P1"', "quantity": b"1", "price": f'"{worth:.2f}"'.encode()}
    fields = {
        "id": f'"{record_id}"'.encode(),
        "created_at": b'"2026-11-21T12:00:00+01:00"',
        "updated_at": b'"2026-11-21T12:00:00+01:00"',
        "currency": b'"EUR"',
        "customer_id": b'"C1"',
        "country": b'"DE"',
        "email": b'"a@example.com"',
        "total": f'"{worth:.2f}"'.encode(),
    }
    found = Hostile(b"", record_id, CLEAN, worth)
    more: list[tuple[bytes, bytes]] = []
    for _ in range(draw(st.integers(0, 3))):
        what = draw(st.integers(0, 9))
        if what <= 4:
            more.append((draw(st.sampled_from(NAMES)), draw(st.sampled_from(ODD))))
        elif what <= 5:
            more.append((b'"meta"', json.dumps(draw(JSON)).encode()))
        elif what <= 7:
            name = draw(st.sampled_from(sorted(HELD_AS)))
            value = draw(st.sampled_from(HELD_AS[name]))
            found.oddities.append(name)
            found.becomes = HELD
            _put(fields, line, name, value)
        elif what == 8:
            name = draw(st.sampled_from(["email", "cancelled_at", "refunds", "discount", "tax"]))
            found.oddities.append(name)
            found.becomes = ANY if found.becomes == CLEAN else found.becomes
            junk = draw(st.sampled_from(JUNK + (REFUNDS if name == "refunds" else [])))
            _put(fields, line, name, junk)
        else:
            fields["test"] = b"true"
    fields.setdefault("lines", b"[" + _object(line) + b"]")
    if fields.get("test"):
        found.becomes = EXCLUDED
    if draw(st.integers(0, 19)) == 0:
        fields.pop("id")
        found.oddities.append("id")
        found.becomes = HELD if found.becomes in {CLEAN, ANY} else found.becomes
    found.text = _object(fields, more)
    return found


def _put(fields: dict[str, bytes], line: dict[str, bytes], name: str, value: bytes) -> None:
    if name in {"price", "quantity", "sku", "discount", "tax"}:
        line[name] = value
    elif name == "line_id":
        line["id"] = value
    else:
        fields[name] = value


def _thing(draw: st.DrawFn, number: int) -> Hostile:
    """A customer or a product."""
    record_id = f"T{number}"
    if draw(st.integers(0, 9)) == 0:
        return Hostile(draw(st.sampled_from(BROKEN)), record_id, HELD)
    fields = {"id": f'"{record_id}"'.encode()}
    becomes = CLEAN
    for name in draw(st.lists(st.sampled_from(["email", "name", "country", "price", "updated_at"]), max_size=3)):
        fields[name] = draw(st.sampled_from(JUNK))
    if draw(st.integers(0, 4)) == 0:
        fields["id"], becomes = draw(st.sampled_from(HELD_AS["id"])), HELD
    more = [(draw(st.sampled_from(NAMES)), draw(st.sampled_from(ODD))) for _ in range(draw(st.integers(0, 2)))]
    return Hostile(_object(fields, more), record_id, becomes)


orders, things = st.composite(_order), st.composite(_thing)


def pages(records: Callable[[int], st.SearchStrategy[Hostile]], size: int) -> st.SearchStrategy[list[Hostile]]:
    """Pages of so many records, each with an id of its own."""
    return st.tuples(*(records(number) for number in range(size))).map(list)


def check(
    strategy: st.SearchStrategy[list[Hostile]], judge: Callable[[list[Hostile]], object], **options: object
) -> None:
    """Hold a judge against pages of records, the same ones each time; a page that breaks it is made smaller."""
    runs = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck), **options)

    def on_a_page(records: list[Hostile]) -> None:
        judge(records)

    runs(given(strategy)(on_a_page))()


def body_of(records: Sequence[Hostile], path: str = "orders") -> bytes:
    """An answer that holds the records."""
    return b'{"%s": [%s], "total": %d}' % (path.encode(), b",\n".join(one.text for one in records), len(records))


def raw_rows(records: Sequence[Hostile], rows: RecordRows, path: str) -> pd.DataFrame:
    """The raw rows of a page of records."""
    found, total = envelope_reader(path, ["total"])(body_of(records, path))
    assert isinstance(found, list)
    assert len(found) == total == len(records)
    batch = rows.batch(found, rows.values(found), "page")
    assert batch.num_rows == len(records)
    frame: pd.DataFrame = pa.Table.from_batches([batch]).to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def judge_orders(records: Sequence[Hostile], shop: Shop) -> CleanOrders:
    """Clean a page of orders, and hold what became of each against what it has to become."""
    raw = raw_rows(records, RecordRows(order_reading(shop, lambda day: day == DAY, DAY)), "orders")
    found = clean_orders(raw, shop, EMAILS)
    assert_placed(records, *places_of(found))
    assert not found.accounting.unexplained_orders
    assert not found.accounting.unexplained_difference
    assert found.accounting.raw_records == len(records)
    return found


def read_again(records: Sequence[Hostile], shop: Shop) -> None:
    """Read a page twice: the keys are the same, and nothing seems to have changed."""
    one, other = (
        raw_rows(records, RecordRows(order_reading(shop, lambda day: day == DAY, DAY)), "orders") for _ in "12"
    )
    assert one["order_id"].tolist() == other["order_id"].tolist()
    assert all(is_same_record(*payloads) for payloads in zip(one["payload"], other["payload"], strict=True))


def places_of(found: CleanOrders) -> tuple[dict[str, Decimal], set[str], set[str]]:
    """The worth of clean orders, and the ids of those held and left out."""
    clean = zip(found.orders["order_id"], pa.array(found.orders["order_total"]).to_pylist(), strict=True)
    held = found.quarantine[found.quarantine["kind"] == ORDER]["order_id"]
    return dict(clean), set(held), set(found.exclusions["order_id"])


def assert_placed(records: Sequence[Hostile], clean: dict[str, Decimal], held: set[str], excluded: set[str]) -> None:
    """Each record is in one place, the right one."""
    assert len(clean) + len(held) + len(excluded) == len(records)
    assert not set(clean) & held
    nameless = sum(one.startswith(NO_ID) for one in [*held, *excluded])
    named = 0
    for one in records:
        if one.record_id in clean:
            assert one.becomes in {CLEAN, ANY}, one
            assert one.becomes == ANY or clean[one.record_id] == one.worth, one
        elif one.record_id in held:
            assert one.becomes in {HELD, ANY}, one
        elif one.record_id in excluded:
            assert one.becomes == EXCLUDED, one
        else:
            assert one.becomes in {HELD, EXCLUDED}, one
            continue
        named += 1
    assert nameless + named == len(records)


def judge_things(records: Sequence[Hostile], shop: Shop, name: str) -> None:
    """Clean a page of customers or products, and see that all with an id are there."""
    endpoint = getattr(shop, name)
    schema = CUSTOMERS_SCHEMA if name == "customers" else PRODUCTS_SCHEMA
    paths = ("id", endpoint.fields.updated_at)
    raw = raw_rows(records, RecordRows(dimension_reading(shop, endpoint, schema, paths)), name)
    found = clean_customers(raw, shop, EMAILS) if name == "customers" else clean_products(raw, shop)
    assert sorted(found.rows[schema.names[0]]) == sorted(one.record_id for one in records if one.becomes == CLEAN)
    assert sum(text.startswith(NO_ID) for text in found.unreadable) == sum(one.becomes == HELD for one in records)
