"""The statements that make tables and let them grow; that Postgres takes them is tested in integration."""

from dataclasses import replace

import pyarrow as pa
import pytest

from analytics_pipeline.errors import TableMismatchError
from analytics_pipeline.tables.shape import COUNT, DAY, FLAG, MONEY, STAMP, TEXT, Column, Table, postgres_type
from analytics_pipeline.warehouse.layout import create_statements, migration_statements

TABLE = Table(
    schema="clean",
    name="things",
    description="It's one row per thing.",
    columns=(
        Column("thing_id", TEXT, "Id."),
        Column("day", DAY, "Day."),
        Column("amount", MONEY, "Amount; don't sum it.", is_nullable=True),
        Column("payload", TEXT, "As sent.", is_json=True),
    ),
    key=("thing_id",),
    day_column="day",
)
STORED = {
    "thing_id": ("text", False),
    "day": ("date", False),
    "amount": ("numeric(19,4)", True),
    "payload": ("json", False),
}


def test_a_table_is_made_with_types_nullability_and_escaped_comments() -> None:
    columns = "thing_id text not null, day date not null, amount numeric(19,4), payload json not null"
    assert create_statements(TABLE)[:2] == [
        f"create table {TABLE.sql_name} ({columns})",
        f"comment on table {TABLE.sql_name} is 'It''s one row per thing.'",
    ]
    assert f"comment on column {TABLE.sql_name}.amount is 'Amount; don''t sum it.'" in create_statements(TABLE)


def test_a_table_that_fits_is_left_alone() -> None:
    assert migration_statements(TABLE, STORED) == []


def test_a_column_that_may_be_null_is_added_with_its_comment() -> None:
    stored = {name: found for name, found in STORED.items() if name != "amount"}

    assert migration_statements(TABLE, stored) == [
        f"alter table {TABLE.sql_name} add column amount numeric(19,4)",
        f"comment on column {TABLE.sql_name}.amount is 'Amount; don''t sum it.'",
    ]


def test_a_stored_column_that_no_contract_knows_stays_when_it_may_be_null() -> None:
    assert migration_statements(TABLE, {**STORED, "note": ("text", True)}) == []


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {"amount": ("double precision", True)},
            "its column amount is double precision, the contract says numeric(19,4)",
        ),
        ({"amount": ("numeric(10,2)", True)}, "its column amount is numeric(10,2), the contract says numeric(19,4)"),
        ({"payload": ("jsonb", False)}, "its column payload is jsonb, the contract says json"),
        ({"day": None}, "it lacks the column day, which may not be null"),
        ({"note": ("text", False)}, "its column note may not be null and is not in the contract"),
    ],
)
def test_a_table_that_cannot_grow_to_fit_is_refused(changed: dict[str, tuple[str, bool] | None], reason: str) -> None:
    stored = {name: found for name, found in {**STORED, **changed}.items() if found is not None}

    with pytest.raises(TableMismatchError) as raised:
        migration_statements(TABLE, stored)
    assert f"clean.things does not fit its contract: {reason}" in str(raised.value)
    assert "nothing was changed" in str(raised.value)


def test_no_statement_drops_or_retypes() -> None:
    statements = [
        *create_statements(TABLE),
        *migration_statements(TABLE, {"thing_id": ("text", False), "day": ("date", False), "payload": ("json", False)}),
    ]

    assert [text for text in statements if " drop " in text or " type " in text or "delete" in text] == []


def test_every_arrow_type_of_the_project_has_a_postgres_type() -> None:
    assert {postgres_type(kind) for kind in (COUNT, DAY, FLAG, MONEY, STAMP, TEXT)} == {
        "bigint",
        "date",
        "boolean",
        "numeric(19,4)",
        "timestamp with time zone",
        "text",
    }
    assert postgres_type(pa.decimal128(12, 8)) == "numeric(12,8)"


def test_a_key_may_grow_by_a_column_that_old_rows_get_a_value_for_and_never_shrink() -> None:
    part = Column("part", TEXT, "Part.", filler="it's all")
    longer = replace(TABLE, columns=(*TABLE.columns, part), key=("thing_id", "part"))
    assert migration_statements(longer, STORED, ("old_key", ("thing_id",))) == [
        f"alter table {TABLE.sql_name} add column part text not null default 'it''s all'",
        f"comment on column {TABLE.sql_name}.part is 'Part.'",
        f"alter table {TABLE.sql_name} drop constraint old_key, add primary key (thing_id, part)",
    ]
    whole = {**STORED, "part": ("text", True)}
    assert migration_statements(longer, whole, ("new_key", ("part", "thing_id"))) == []
    assert migration_statements(TABLE, STORED, ("new_key", ("thing_id", "day"))) == []
