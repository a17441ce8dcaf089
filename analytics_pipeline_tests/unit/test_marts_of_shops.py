"""Files of marts over all shops: what would add currencies is refused, and the statement reads each shop's tables."""

from pathlib import Path

import pytest
import yaml
from sqlglot import exp, parse_one

from analytics_pipeline.catalogue import build_installation
from analytics_pipeline.marts.shops import ShopOfMarts, read_marts_of_all_shops, reading_shops
from analytics_pipeline_tests.conftest import DEMO_DESCRIPTION


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShopOfMarts, ...]:
    """A shop with the plain names, which has a field of its own, and two with namespaces."""
    folder, paths = tmp_path_factory.mktemp("shops"), []
    for name in ("at", "de", "us"):
        content = yaml.safe_load(DEMO_DESCRIPTION.read_text(encoding="utf-8"))
        content |= {"name": name, "base_url": f"http://127.0.0.1:1/{name}"}
        if name == "at":
            content["orders"]["extra"] = {"vat": {"path": "vat", "type": "money"}}
        else:
            content["namespace"] = name
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(content), encoding="utf-8")
    return build_installation([*map(str, paths)]).shops_of_marts


REVENUE = "from marts.daily_revenue as r"
BY_CURRENCY = f"{REVENUE} group by 1, 2, 3"
OF_A_DAY = f"{REVENUE} group by 1, 2"
ANY = "max(r.currency)"
OF_THE_SHOP = "select max(q.net_sales) from marts.daily_revenue as q where q.shop = r.shop"

RENAMED = (
    "from (select event_date, shop, currency as money, net_sales as net from marts.daily_revenue) as r "
    "group by r.event_date, r.shop, r.money"
)
ADDED_BEFORE = (
    "from (select shop, event_date, max(currency) as currency, sum(net_sales) as net from marts.daily_revenue "
    "group by 1, 2) as r group by 1, 2, 3"
)

PICKED_OUT = (
    "from (select shop, event_date, net_sales as net, max(currency) over () as currency "
    "from marts.daily_revenue) as r group by 1, 2, 3"
)


def written(folder: Path, net: str, rows: str, currency: str = "r.currency", day: str = "r.event_date") -> Path:
    """Write a mart of amounts by day, shop and currency."""
    path = folder / "mine.sql"
    path.write_text(
        "-- What.\n-- grain: event_date, shop, currency\n-- shops: all\n"
        f"select\n{day} as event_date, -- Day.\nr.shop, -- Shop.\n{currency} as currency, -- Currency.\n"
        f"cast({net} as numeric(19, 4)) as net -- Net.\n{rows}\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("net", "rows", "currency"),
    [
        ("sum(r.net_sales)", BY_CURRENCY, "r.currency"),
        ("percentile_cont(0.5) within group (order by r.net_sales)", BY_CURRENCY, "r.currency"),
        (
            "sum(r.net)",
            RENAMED,
            "r.money",
        ),
        ("sum(r.net_sales)", f"{REVENUE} where r.currency = 'EUR' group by 1, 2", ANY),
        ("sum(r.net_sales) filter (where r.currency = 'EUR')", OF_A_DAY, ANY),
        (f"({OF_THE_SHOP} and q.currency = r.currency)", REVENUE, "r.currency"),
        ("sum(r.net_sales) over (partition by r.shop, r.currency)", REVENUE, "r.currency"),
        ("sum(r.orders) + count(r.net_sales)", OF_A_DAY, ANY),
    ],
)
def test_what_takes_amounts_of_one_currency_together_is_computed(
    shops: tuple[ShopOfMarts, ...], tmp_path: Path, net: str, rows: str, currency: str
) -> None:
    marts, broken = read_marts_of_all_shops([written(tmp_path, net, rows, currency)], shops)
    assert ([one.reason for one in broken], len(marts)) == ([], 1)


@pytest.mark.parametrize(
    ("net", "rows", "currency"),
    [
        ("sum(r.net_sales)", OF_A_DAY, ANY),
        (
            "max(r.net)",
            ADDED_BEFORE,
            "r.currency",
        ),
        (
            "sum(r.net_sales)",
            f"{REVENUE} join clean.orders as o on o.shop = r.shop where o.currency = r.currency group by 1, 2",
            ANY,
        ),
        (f"({OF_THE_SHOP})", REVENUE, "r.currency"),
        ("sum(r.net_sales) over (partition by r.shop)", REVENUE, "r.currency"),
        ("sum(r.net)", PICKED_OUT, "r.currency"),
        ("sum(cast(r.net_sales as double precision))", OF_A_DAY, ANY),
        ("percentile_cont(0.5) within group (order by r.net_sales)", OF_A_DAY, ANY),
    ],
)
def test_what_takes_amounts_of_different_currencies_together_is_refused(
    shops: tuple[ShopOfMarts, ...], tmp_path: Path, net: str, rows: str, currency: str
) -> None:
    marts, [broken] = read_marts_of_all_shops([written(tmp_path, net, rows, currency)], shops)
    assert marts == ()
    assert "amounts of different currencies are taken together" in broken.reason


def test_a_column_that_some_shops_lack_is_refused_with_those_that_have_it(
    shops: tuple[ShopOfMarts, ...], tmp_path: Path
) -> None:
    path = written(tmp_path, "max(r.extra_vat)", "from clean.orders as r group by 1, 2, 3", day="r.order_date")
    _, [broken] = read_marts_of_all_shops([path], shops)
    assert "only at has it in clean.orders" in broken.reason


@pytest.mark.parametrize(
    ("net", "rows"),
    [
        ("r.net_sales", "from (marts.daily_revenue as r join clean.orders as o on o.shop = r.shop)"),
        ("r.net", "from marts.daily_revenue as r(shop, event_date, currency, net)"),
        ("r.net_sales", "from daily_revenue as r join clean.orders as o on o.shop = r.shop"),
        ("r.net_sales", f"{REVENUE} join clean.orders on clean.orders.shop = r.shop join raw.orders on true"),
    ],
)
def test_the_statement_reads_the_tables_of_each_shop_and_loses_nothing_of_what_it_says(
    shops: tuple[ShopOfMarts, ...], tmp_path: Path, net: str, rows: str
) -> None:
    path = written(tmp_path, net, rows)
    if "from daily_revenue" in rows:  # a name of `with` that is a table's too
        cte = "with daily_revenue as (select * from marts.daily_revenue)\nselect\n"
        path.write_text(path.read_text(encoding="utf-8").replace("select\n", cte, 1), encoding="utf-8")
    [mart], _ = read_marts_of_all_shops([path], shops)
    there = {(shop.namespace, place) for shop in shops for place in shop.tables}

    found = parse_one(reading_shops(mart, shops, there).statement.sql("postgres"), read="postgres")

    read = {(table.db, table.name) for table in found.find_all(exp.Table) if table.db}
    schemas = {f"{shop.namespace}_" if shop.namespace else "" for shop in shops}
    assert read == {(f"{schema}{layer}", name) for schema in schemas for layer, name in mart.sources}
    assert not [column for column in found.find_all(exp.Column) if column.text("db")]
    assert len([*found.find_all(exp.Join)]) == rows.count(" join ")
    aliases = [source.alias for source in found.find_all(exp.Subquery) if source.alias]
    assert len(aliases) == len(set(aliases))
