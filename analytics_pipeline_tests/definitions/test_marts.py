"""A mart is one SQL file: what follows from it, and what is wrong with a bad one."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from analytics_pipeline.errors import MartError
from analytics_pipeline.marts.engine import Mart
from analytics_pipeline.marts.folders import MARTS_FOLDER, files_of_all_shops, load_marts, read_marts
from analytics_pipeline.orchestration.assets.marts import build_mart_assets
from analytics_pipeline.orchestration.partitions import daily_partitions
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.shape import COUNT, DAY, MONEY, TEXT

HEADER = "-- One row a day.\n-- grain: event_date\n"
BODY = """select
    event_date, -- Business day.
    sum(net_sales) as net_sales, -- Net sales.
    count(distinct order_id) as orders -- Orders.
from clean.sales
where event_date between :first_day and :last_day
group by event_date
"""


NUMBERS = ("net_sales", "orders")


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    return folder


def mart_of(folder: Path, text: str) -> Mart:
    (mart,) = load_marts(write(folder, probe=text))
    return mart


def test_description_key_types_and_sources_come_from_the_file(tmp_path: Path) -> None:
    mart = mart_of(tmp_path, HEADER + BODY)

    assert mart.table.qualified_name == "marts.probe"
    assert mart.table.description == "One row a day."
    assert mart.table.key == ("event_date",)
    assert mart.table.day_column == "event_date"
    assert mart.sources == (("clean", "sales"),)
    assert [(column.name, column.type, column.description, column.is_nullable) for column in mart.table.columns] == [
        ("event_date", DAY, "Business day.", False),
        ("net_sales", MONEY, "Net sales.", True),
        ("orders", COUNT, "Orders.", True),
    ]


def test_lineage_names_the_columns_behind_each_output(tmp_path: Path) -> None:
    text = """-- Customers by country.
-- grain: country
with bought as (select customer_key, sum(gross_sales - discounts) as paid from clean.sales group by customer_key)
select
    coalesce(customers.country, '?') as country, -- Country.
    sum(bought.paid) as paid -- Paid.
from bought
left join clean.customers on customers.customer_id = bought.customer_key
group by coalesce(customers.country, '?')
"""
    mart = mart_of(tmp_path, text)

    assert mart.sources == (("clean", "customers"), ("clean", "sales"))
    assert mart.lineage == {
        "country": (("clean", "customers", "country"),),
        "paid": (("clean", "sales", "discounts"), ("clean", "sales", "gross_sales")),
    }
    assert [column.type for column in mart.table.columns] == [TEXT, MONEY]


def test_a_mart_without_days_is_written_whole(tmp_path: Path) -> None:
    text = """-- One row.
-- grain: currency
select
    cast(:shop_currency as text) as currency, -- Currency.
    count(*) as orders -- Orders.
from clean.orders
"""
    mart = mart_of(tmp_path, text)

    assert not mart.is_daily
    assert mart.sql(shop_currency="EUR", shop_timezone="UTC").startswith("SELECT CAST('EUR' AS TEXT) AS currency")


def test_parameters_are_put_in_as_typed_literals(tmp_path: Path) -> None:
    statement = mart_of(tmp_path, HEADER + BODY).sql(
        shop_currency="EUR", shop_timezone="UTC", first_day=date(2025, 1, 2), last_day=date(2025, 1, 3)
    )

    assert "BETWEEN CAST('2025-01-02' AS DATE) AND CAST('2025-01-03' AS DATE)" in statement
    assert ":" not in statement.replace("::", "")


def test_a_mart_that_reads_another_one_follows_it(tmp_path: Path) -> None:
    above = "-- Best day.\n-- grain: event_date\nselect max(event_date) as event_date -- Day.\nfrom marts.zz_first\n"
    marts = load_marts(write(tmp_path, aa_second=above, zz_first=HEADER + BODY))

    assert [mart.table.name for mart in marts] == ["zz_first", "aa_second"]
    assert marts[1].sources == (("marts", "zz_first"),)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (f"-- One row a day.\n{BODY}", "line 1: no line `-- grain: column, column` above it"),
        (f"-- grain: event_date\n{BODY}", "line 1: begins with no comment that says what a row is"),
        (BODY, "line 1: begins with no comment that says what a row is"),
        ("-- One row.\n-- grain: event_date, event_date\n" + BODY, "line 2: grain names each column"),
        (HEADER + "-- grain: event_date\n" + BODY, "line 3: grain is given twice"),
        (HEADER + "-- chek: a: select 1\n" + BODY, "line 3: chek: means nothing; did you mean check:?"),
        (HEADER + "-- due (warn): no\n" + BODY, "line 3: due (warn) means nothing; there is only check (warn)"),
        (HEADER + "-- reads: targets\n" + BODY, "line 3: reads names tables from outside, as in sheets.targets"),
        (HEADER + "-- reads: clean.sales\n" + BODY, "line 3: clean.sales is the pipeline's own"),
        (
            HEADER + BODY.replace("clean.sales", "a.b"),
            "line 7: reads a.b, which no contract and no other mart describes; ",
        ),
        (HEADER + "-- due: perhaps\n" + BODY, "line 3: due is `no` where a day may be late"),
        (HEADER + "-- owner: finance\n" + BODY, "line 3: owner is an e-mail address or team:name"),
        (HEADER + "-- check: select 1\n" + BODY, "line 3: a check is `-- check: what_is_asserted: select ...`"),
        (HEADER + "-- check: a: select 1\n-- check: a: select 2\n" + BODY, "line 4: there is a check a already"),
        (HEADER + "-- check: a: delete from marts.probe\n" + BODY, "line 3: the check a is exactly one select"),
        (
            HEADER + "-- check: a: select 1\n--    from marts.prob\n" + BODY,
            "line 4: reads marts.prob, which no",
        ),
        (HEADER + "-- check: a: select day from marts.probe\n" + BODY, "line 3: Column 'day' could not be resolved"),
        (HEADER + "-- restatements: sales\n" + BODY, "line 3: restatements of sales, which is no column of numbers"),
        (HEADER + BODY.replace(" -- Net sales.", ""), "line 5: the output column net_sales has no description"),
        (HEADER + BODY.replace("clean.sales", "clean.sale"), "reads clean.sale, which no contract and no other mart"),
        (HEADER + BODY.replace("clean.sales", "sales"), "reads sales without its layer"),
        (
            HEADER + BODY.replace(":last_day", ":last_month"),
            "unknown parameter :last_month; there are :cannot_tell, :fir",
        ),
        (HEADER + BODY.replace("between :first_day and :last_day", ">= :first_day"), "is bounded on both sides"),
        (f"{HEADER}{BODY};\nselect 1", "exactly one select statement"),
        (f"{HEADER}delete from clean.sales", "exactly one select statement"),
        (HEADER, "exactly one select statement"),
        (HEADER + BODY.replace("select", "selekt"), "not a statement that Postgres would read: line 4, column"),
        (HEADER + BODY.replace("net_sales)", "net_sale)"), "line 5: Column 'net_sale' could not be resolved"),
        (HEADER.replace("event_date", "day") + BODY, "line 2: its grain names day, which is no output column"),
        (HEADER.replace("event_date", "orders") + BODY, "line 2: a mart by business day has a date first in its grain"),
        (HEADER + BODY.replace("sum(", "avg("), "the type of the output column net_sales cannot be derived; cast it"),
        (HEADER + BODY.replace(" as orders", ""), "output columns have names in lower case"),
        (HEADER + BODY.replace("as orders", 'as "order"'), "line 6: order is a word of Postgres' own, which no column"),
        (HEADER + BODY.replace("as orders", "as primary"), "line 6: primary is a word of Postgres' own, which no"),
        (f"{HEADER}select\n    *\nfrom clean.sales", "line 4: `*` names no output columns; write each one"),
        (HEADER + BODY.replace("group by event_date\n", ""), "line 4: event_date stands beside an aggregate"),
        (
            HEADER + BODY.replace("sum(net_sales)", "max(now() - event_at)"),
            "line 5: the output column net_sales is an int",
        ),
        (HEADER + BODY.replace("as orders", "as net_sales"), "two output columns have the same name"),
        (HEADER + BODY.replace("clean.sales", "marts.probe"), "reads marts.probe, which no contract and no other mart"),
    ],
)
def test_what_is_wrong_with_a_file_is_reported_with_its_name(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(MartError) as raised:
        load_marts(write(tmp_path, probe=text))

    assert fault in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path / 'probe.sql'}: ")
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("current_date - max(event_date)", COUNT),
        ("max(current_date - event_date) + 1", COUNT),
        ("greatest(current_date - max(event_date), 0)", COUNT),
        ("max(event_date) - 7", DAY),
        ("max(event_date - (event_date - date '2020-01-01'))", DAY),
        ("sum((event_date - date '2020-01-01') * net_sales)", MONEY),
    ],
)
def test_arithmetic_of_days_is_typed_as_postgres_does_it(tmp_path: Path, expression: str, kind: object) -> None:
    assert mart_of(tmp_path, HEADER + BODY.replace("sum(net_sales)", expression)).table.column("net_sales").type == kind


@pytest.mark.parametrize(
    "expression", ["sum(sum(net_sales)) over ()", "(select max(order_date) from clean.orders)", "max(net_sales) + 1"]
)
def test_what_needs_no_group_by_is_taken_without_one(tmp_path: Path, expression: str) -> None:
    body = f"select\n    {expression} as number -- Number.\nfrom clean.sales\n"
    assert mart_of(tmp_path, f"-- One row.\n-- grain: number\n{body}").table.key == ("number",)


def test_the_lines_of_the_comment_say_what_is_asserted_who_answers_and_what_may_be_late(tmp_path: Path) -> None:
    lines = (
        "-- check: sales_are_sold: select event_date from marts.probe\n"
        "--     where net_sales <> 0 and orders = 0\n"
        "-- Check (warn): days_are_loaded: select probe.event_date from marts.probe join clean.sales\n"
        "--     on sales.event_date = probe.event_date where probe.event_date between :first_day and :last_day\n"
        "-- due: no\n-- owner: team:finance, ann@example.com\n"
    )
    mart = mart_of(tmp_path, HEADER + lines + BODY)

    assert mart.table.description == "One row a day."
    assert [(one.said.name, one.said.is_blocking, one.said.line) for one in mart.checks] == [
        ("sales_are_sold", True, 3),
        ("days_are_loaded", False, 5),
    ]
    assert mart.checks[1].sources == (("clean", "sales"), ("marts", "probe"))
    assert not mart.header.is_due
    assert mart.header.owners == ("team:finance", "ann@example.com")
    plain = mart_of(tmp_path, HEADER + BODY)
    assert (plain.checks, plain.header.is_due, plain.header.owners) == ((), True, ())


def test_a_check_that_reads_a_mart_after_its_own_is_a_circle(tmp_path: Path) -> None:
    check = "-- check: a: select probe.event_date from marts.probe join marts.above using (event_date)\n"
    above = HEADER + BODY.replace("clean.sales", "marts.probe")
    with pytest.raises(MartError, match=r"the marts above, probe in .* read each other in a circle"):
        load_marts(write(tmp_path, probe=HEADER + check + BODY, above=above))


def test_a_file_whose_name_is_no_table_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Daily-Sales.sql").write_text(HEADER + BODY, encoding="utf-8")

    with pytest.raises(MartError, match=r"Daily-Sales\.sql: the file's name becomes the table's"):
        load_marts(tmp_path)


def test_marts_that_read_each_other_in_a_circle_are_named(tmp_path: Path) -> None:
    one, two = (HEADER + BODY.replace("clean.sales", f"marts.{name}") for name in ("two", "one"))

    with pytest.raises(MartError, match=r"the marts one, two in .* read each other in a circle"):
        load_marts(write(tmp_path, one=one, two=two, three=HEADER + BODY))


def test_a_name_that_two_folders_have_is_refused_with_both_files(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        write(folder, probe=HEADER + BODY)
    write(folders[1], above=HEADER + BODY.replace("clean.sales", "marts.probe"), other=HEADER + BODY)
    marts, broken = read_marts(*folders)

    assert [mart.table.name for mart in marts] == ["other"]
    reasons = {one.name: one.reason for one in broken}
    assert reasons.keys() == {"probe", "above"}
    assert all(str(folder / "probe.sql") in reasons["probe"] for folder in folders)
    assert len(read_marts(folders[0], folders[0])[0]) == 1


def test_a_broken_mart_stops_itself_and_what_reads_it_and_no_other(tmp_path: Path) -> None:
    above = "-- Best day.\n-- grain: event_date\nselect max(event_date) as event_date -- Day.\nfrom marts.probe\n"
    marts, broken = read_marts(write(tmp_path, probe=HEADER, above=above, other=HEADER + BODY))

    assert [mart.table.name for mart in marts] == ["other"]
    assert {one.name: one.reads for one in broken} == {"probe": (), "above": ("probe",)}
    assert "reads marts.probe, which is broken" in next(one.reason for one in broken if one.name == "above")


OF_ONE_SHOP = {*MARTS_FOLDER.glob("*.sql")} - {*files_of_all_shops(MARTS_FOLDER)}


@pytest.mark.parametrize("path", sorted(OF_ONE_SHOP), ids=lambda path: path.stem)
def test_dependencies_and_lineage_of_a_packaged_mart_are_those_of_its_sql(
    path: Path, definitions: dg.Definitions
) -> None:
    mart = next(mart for mart in load_marts() if mart.table.name == path.stem)
    spec = next(spec for spec in definitions.resolve_all_asset_specs() if spec.key.path == ["marts", path.stem])
    lineage = spec.metadata["dagster/column_lineage"]
    assert isinstance(lineage, dg.TableColumnLineage)

    assert {tuple(dep.asset_key.path) for dep in spec.deps} == set(mart.sources)
    assert set(lineage.deps_by_column) == {column.name for column in mart.table.columns}
    assert {tuple(dep.asset_key.path) for deps in lineage.deps_by_column.values() for dep in deps} <= set(mart.sources)
    assert all(
        lineage.deps_by_column[name] for name in lineage.deps_by_column if name not in ("business_day", "currency")
    )


@pytest.mark.parametrize("name", ["daily_revenue", "daily_product_sales"])
def test_the_net_sales_of_a_mart_are_those_of_the_ledger(name: str, definitions: dg.Definitions) -> None:
    spec = next(spec for spec in definitions.resolve_all_asset_specs() if spec.key.path == ["marts", name])

    assert spec.metadata["dagster/column_lineage"].deps_by_column["net_sales"] == [
        dg.TableColumnDep(dg.AssetKey(["clean", "sales"]), "net_sales")
    ]


def test_a_mart_names_the_columns_whose_numbers_are_kept_on_record(tmp_path: Path) -> None:
    def watched(line: str) -> tuple[str, ...]:
        folder = tmp_path / str(len(line))
        folder.mkdir()
        return mart_of(folder, HEADER + line + BODY).watched

    assert watched("") == ()
    assert watched("-- restatements: all numbers\n") == NUMBERS
    assert watched(f"-- restatements: {NUMBERS[0]}\n") == NUMBERS[:1]
    with pytest.raises(MartError, match="restatements of event_date, which is no column of numbers"):
        watched("-- restatements: event_date\n")


def test_daily_revenue_follows_customers_and_the_ledger(definitions: dg.Definitions) -> None:
    node = definitions.resolve_asset_graph().get(dg.AssetKey(["marts", "daily_revenue"]))

    assert {key.to_user_string() for key in node.parent_keys} == {"clean/customers", "clean/sales"}


def test_who_ordered_matters_to_the_marts_that_read_it_themselves_or_in_another_mart() -> None:
    assert {mart.table.name: mart.reads_first_orders for mart in load_marts() if mart.is_daily} == {
        "daily_product_sales": False,
        "daily_reconciliation": True,
        "daily_revenue": True,
        "daily_witness": True,
    }


def test_who_ordered_matters_to_a_mart_that_reads_it_in_a_mart_that_reads_another(tmp_path: Path) -> None:
    days = "-- Days.\n-- grain: event_date\nselect max(event_date) as event_date -- Day.\nfrom {}\n"
    buyers = "-- Buyers.\n-- grain: customer_key\nselect distinct customer_key -- Who.\nfrom clean.sales\n"
    first = days.format("clean.sales join marts.buyers using (customer_key)")
    marts = load_marts(
        write(
            tmp_path,
            buyers=buyers,
            first=first,
            second=days.format("marts.first"),
            other=days.format("clean.sales"),
        )
    )
    assert {mart.table.name for mart in marts if mart.reads_first_orders} == {"buyers", "first", "second"}


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")  # backfill policies are beta; build_definitions is quiet too
def test_a_new_file_becomes_an_asset(tmp_path: Path) -> None:
    shop = load_shop("demo")
    partitions = daily_partitions(shop)
    (asset,) = build_mart_assets(load_marts(write(tmp_path, weekly_probe=HEADER + BODY)), partitions, shop)
    (spec,) = list(asset.specs)

    assert spec.key == dg.AssetKey(["marts", "weekly_probe"])
    assert [dep.asset_key for dep in spec.deps] == [dg.AssetKey(["clean", "sales"])]
    assert spec.group_name == "marts"
    assert spec.partitions_def == partitions
