"""The documentation reports what there is: each list in it is compared with the code that it is about."""

import re
import struct
import tomllib
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pydantic
import pytest

from analytics_pipeline import settings
from analytics_pipeline.catalogue import build_installation
from analytics_pipeline.cli import COMMANDS, demo_shops
from analytics_pipeline.cli import demo as demo_command
from analytics_pipeline.cli.init import TEMPLATE
from analytics_pipeline.definitions import build_definitions
from analytics_pipeline.marts.folders import load_marts
from analytics_pipeline.marts.header import KEYS
from analytics_pipeline.orchestration.assets.limits import LITTLE
from analytics_pipeline.orchestration.checks.freshness import ON_TIME
from analytics_pipeline.shop import bulk, credentials, pages, protocol, report, requests, spec
from analytics_pipeline.shop.loading import read_description
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline.tables.files import FILE_TABLES
from analytics_pipeline.tables.history import OPS_TABLES
from analytics_pipeline.tables.pages import PageState
from analytics_pipeline.tables.reports import SHOP_REPORTS

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
DOCS = CHECKOUT / "docs"
PAGES = [README, CHECKOUT / "CHANGELOG.md", CHECKOUT / "benchmarks" / "README.md", *sorted(DOCS.glob("*.md"))]
PICTURE_BYTES, PICTURE_SIZE = 300_000, (1600, 1000)
DAILY = {"raw": "business day of the order", "clean": "business day of the order", "ops": "business day of the order"}
DAILY |= dict.fromkeys(("ops/anomalies", "ops/shop_reports"), "business day of the figures")
DAILY |= dict.fromkeys(("marts/daily_reconciliation", "marts/daily_witness"), "business day")

Row = dict[str, str]


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions("demo")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    """The project table of pyproject.toml."""
    with (CHECKOUT / "pyproject.toml").open("rb") as file:
        found: dict[str, object] = tomllib.load(file)["project"]
    return found


def rows_of(page: Path, first_heading: str) -> list[Row]:
    """The rows of the table whose first column is headed so."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_heading} |"))
    headings = _cells(lines[start])
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(headings, _cells(line), strict=True)))
    return rows


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def codes_of(text: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def blocks_of(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language, without the indentation that they share."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def test_the_readme_lists_every_asset_with_its_partitions(definitions: dg.Definitions) -> None:
    messages = {codes_of(row["Asset"])[0]: row["Partition"] for row in rows_of(README, "Asset")}
    specs = {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}
    history = [codes_of(row["History"])[0] for row in rows_of(README, "History")]
    shown = [table for table in OPS_TABLES if table not in {SHOP_REPORTS.table, *FILE_TABLES}]
    assert sorted(history) == sorted("/".join(table.path) for table in shown)
    for name in history:
        assert specs.pop(name).group_name == "history"
    assert messages.keys() == specs.keys()
    for name, asset in specs.items():
        layer = name.partition("/")[0]
        assert asset.group_name == layer
        is_daily = isinstance(asset.partitions_def, dg.DailyPartitionsDefinition)
        assert messages[name] == (
            DAILY.get(name, DAILY.get(layer, "business day of the events")) if is_daily else "none"
        )


def test_the_readme_lists_every_check_of_every_table_and_what_it_stops(definitions: dg.Definitions) -> None:
    specs = definitions.resolve_all_asset_specs()
    keys_of_tables = {spec.key.to_user_string() for spec in specs if spec.group_name != "history"}
    graph = definitions.resolve_asset_graph()
    checks = {
        (key.name, key.asset_key.to_user_string()): "blocks" if graph.get_check_spec(key).blocking else "warns"
        for key in graph.asset_check_keys
    }
    checks[ON_TIME.name, ON_TIME.asset_key.to_user_string()] = "alerts"
    checks[LITTLE, "ops/quarantine"] = "alerts"
    messages: dict[tuple[str, str], str] = {}
    for row in rows_of(README, "Check"):
        name = codes_of(row["Check"])[0]
        tables = set(codes_of(row["Of"])) or {
            table for table in keys_of_tables if table.partition("/")[0] in row["Of"].replace(",", "").split()
        }
        messages |= {(name, table): row["If it fails"] for table in tables}
        if row["When"] == "before":
            assert all(_is_made_with_its_table(definitions, table, name) for table in tables), name
    assert messages == checks


def _is_made_with_its_table(definitions: dg.Definitions, table: str, check: str) -> bool:
    key = dg.AssetKey(table.split("/"))
    made = definitions.resolve_asset_graph().assets_def_for_key(key)
    return dg.AssetCheckKey(key, check) in made.check_keys


def test_the_readme_lists_every_setting() -> None:
    messages = [codes_of(row["Variable"])[0] for row in rows_of(README, "Variable")]
    assert messages == [
        settings.PROJECT,
        settings.DATABASE_URL,
        settings.HOME,
        settings.EMAIL_KEY,
        settings.ALERT_URLS,
        settings.ALERT_REPEAT_HOURS,
        settings.UI_URL,
        demo_shops.url_variable(load_shop("demo")),
        demo_command.CALLS_KEY,
    ]


def test_the_readme_shows_the_demos_table_as_it_is_printed() -> None:
    [printed] = [block for block in blocks_of(README, "text") if "daily_revenue" in block]
    words = {word for heading in demo_command.COLUMNS.values() for word in heading.split()}
    lines = printed.splitlines()
    assert words <= set(" ".join(lines[:4]).split())
    days = [line.split() for line in lines if re.match(r"  20\d\d-", line)]
    assert len(days) == demo_command.SHOWN_DAYS
    assert {len(row) for row in days} == {len(demo_command.COLUMNS)}


def test_the_descriptions_and_the_mart_of_the_readme_can_be_used_as_they_are(tmp_path: Path) -> None:
    [description] = blocks_of(README, "yaml")
    (tmp_path / "my-shop.yaml").write_text(description, encoding="utf-8")
    assert load_shop(tmp_path / "my-shop.yaml").name == "my-shop"
    assert (TEMPLATE / "shops" / "my-shop.yaml").read_text(encoding="utf-8") == description
    [statement] = blocks_of(README, "sql")
    assert (TEMPLATE / "marts" / "daily_country_sales.sql").read_text(encoding="utf-8") == statement
    (tmp_path / "daily_country_sales.sql").write_text(statement, encoding="utf-8")
    [mart] = load_marts(tmp_path)
    assert mart.table.key == ("event_date", "country", "currency")
    assert mart.sources == (("clean", "orders"), ("clean", "sales"))


def test_the_page_about_marts_names_every_key_and_its_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    messages = {code.partition(":")[0] for row in rows_of(DOCS / "marts.md", "Key") for code in codes_of(row["Key"])}
    assert messages == set(KEYS)
    statement, of_all_shops = blocks_of(DOCS / "marts.md", "sql")
    (tmp_path / "daily_orders.sql").write_text(statement, encoding="utf-8")
    [mart] = load_marts(tmp_path)
    assert [check.said.name for check in mart.checks] == ["orders_are_none_or_more", "few_orders_are_cancelled"]
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "sales_of_shops.sql").write_text(of_all_shops, encoding="utf-8")
    found = build_installation(["demo"], tmp_path)
    assert ([mart.table.name for mart in found.marts], found.broken_marts) == (["sales_of_shops"], ())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_every_link_to_a_heading_of_a_page_names_one(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / target if target else page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, heading


def test_the_pictures_are_of_one_size_and_light() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    assert len(pictures) == 2
    for name in pictures:
        content = (CHECKOUT / name).read_bytes()
        assert len(content) < PICTURE_BYTES
        assert struct.unpack(">II", content[16:24]) == PICTURE_SIZE


def test_operations_reports_every_command() -> None:
    messages = [codes_of(row["Command"])[0] for row in rows_of(DOCS / "operations.md", "Command")]
    assert messages == list(COMMANDS)


def test_metrics_defines_every_column_of_the_marts() -> None:
    lines = (DOCS / "metrics.md").read_text(encoding="utf-8").splitlines()
    messages = {name for line in lines if line.startswith("| `") for name in codes_of(_cells(line)[0])}
    assert messages >= {column.name for mart in load_marts() for column in mart.table.columns}


def test_decisions_gives_a_reason_for_every_dependency_and_for_nothing_else(project: dict[str, object]) -> None:
    base, extras = project["dependencies"], project["optional-dependencies"]
    assert isinstance(base, list)
    assert isinstance(extras, dict)
    wanted = {_package(requirement) for requirement in base}
    text = (DOCS / "decisions.md").read_text(encoding="utf-8").partition("## Dependencies\n")[2]
    needed, for_tests = text.split("For tests:\n")
    rows = [_cells(line) for line in needed.splitlines() if line.startswith("| `")]
    assert all(why for _, why in rows)
    assert [codes_of(name)[0] for name, _ in rows] == sorted(wanted)
    others = {_package(requirement) for extra in extras.values() for requirement in extra}
    assert set(codes_of(for_tests)) == others


def _package(requirement: str) -> str:
    return re.split(r"[\[<>=;~! ]", requirement, maxsplit=1)[0]


def _models(module: object) -> Iterator[type[pydantic.BaseModel]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, protocol.Model) and value is not protocol.Model:
            yield value


@pytest.mark.parametrize(
    "model",
    sorted(
        {one for module in (spec, protocol, report, requests, credentials, bulk) for one in _models(module)}, key=repr
    ),
)
def test_shops_names_every_key_of_a_description(model: type[pydantic.BaseModel]) -> None:
    text = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("shops.md", "files.md"))
    messages = {word for code in codes_of(text) for word in re.findall(r"\w+", code)}
    keys = {field.alias or name for name, field in model.model_fields.items()}
    assert {word for key in keys for word in key.split(".")} - messages == set()


def _parts() -> type[protocol.Model]:
    """A model of which every key is optional that a description, or its orders, may have."""
    fields: dict[str, Any] = {}
    for name, field in {**spec.Orders.model_fields, **spec.Shop.model_fields}.items():
        optional = copy(field)
        optional.default = optional.default_factory = None
        fields[name] = (field.annotation, optional)
    made: type[protocol.Model] = pydantic.create_model("Parts", __base__=protocol.Model, **fields)
    return made


def _examples() -> list[str]:
    """Each part of a description that shops.md shows; its recipes are tried in test_recipes."""
    page = DOCS / "shops.md"
    in_recipes = "\n## Recipes\n" + page.read_text(encoding="utf-8").partition("\n## Recipes\n")[2]
    blocks = [block for block in blocks_of(page, "yaml") if block not in in_recipes]
    listed = [part for block in blocks for part in re.split(r"^(?=\w)", block, flags=re.MULTILINE)[1:]]
    in_text = page.read_text(encoding="utf-8").removesuffix(in_recipes)
    return [*listed, *(code for code in codes_of(in_text) if re.match(r"\w+: [{\[]", code))]


@pytest.mark.parametrize("part", _examples())
def test_every_example_of_shops_is_a_valid_part_of_a_description(part: str, tmp_path: Path) -> None:
    path = tmp_path / "part.yaml"
    path.write_text(part, encoding="utf-8")
    parts = _parts()
    assert read_description(path, parts) != parts()


def test_the_page_about_pages_names_every_key_and_its_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    page = DOCS / "pages.md"
    assert {
        codes_of(row["Key of `pages`"])[0] for row in rows_of(page, "Key of `pages`")
    } == pages.Pages.model_fields.keys()
    assert {codes_of(row["State"])[0] for row in rows_of(page, "State")} == set(get_args(PageState))
    [part] = blocks_of(page, "yaml")
    (tmp_path / "part.yaml").write_text(part, encoding="utf-8")
    assert read_description(tmp_path / "part.yaml", _parts()) != _parts()()


def test_the_changelog_reports_the_version_that_is_built(project: dict[str, object]) -> None:
    text = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text
    assert str(project["version"]) in text
