"""`analytics-pipeline shop init --from-file`: a description begun from a file of orders."""

from pathlib import Path

import pytest

from analytics_pipeline.cli.shop.from_file import name_of
from analytics_pipeline.shop.files import FileOrders
from analytics_pipeline.shop.spec import load_shop
from analytics_pipeline_tests.integration.test_cli_shop import call

ROWS = "date,customer_id,price,quantity\n2026-01-03,17,9.99,2\n2026-01-05,,5.00,1\n2026-01-04,18,n/a,1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "incoming").mkdir()
    return tmp_path


def test_init_from_a_file_writes_a_description_and_says_what_is_unsure(folder: Path) -> None:
    (folder / "incoming" / "sales_raw.csv").write_text(ROWS * 12)
    made = call("shop", "init", "--from-file", "incoming/sales_raw.csv")
    assert made.exit_code == 0, made.output
    shop = load_shop(folder / "shops" / "sales-raw.yaml")
    assert isinstance(shop.orders, FileOrders)
    assert shop.files is not None
    assert (shop.name, shop.files.folder, shop.orders.files) == ("sales-raw", "incoming", ("sales_raw.csv",))
    assert "timezone: Europe/Berlin  # unsure: its midnights bound the business days" in made.output
    assert "# order_id:  unsure: no column seems to be an order's id" in made.output
    assert "# unsure: 12 rows without a customer: left out by this rule, else a sale to a guest" in made.output
    assert "By it 24 rows of sales_raw.csv can be read." in made.output
    assert "12 rows not: the value is no number as `numbers` describes it" in made.output
    assert "11 rows not: the line repeats the header" in made.output
    assert "`analytics-pipeline shop check sales-raw`" in made.output
    assert "`analytics-pipeline run --shop sales-raw --from 2026-01-03`" in made.output
    assert (folder / "shop.schema.json").exists()


def test_a_preview_names_columns_that_nothing_reads_and_nothing_that_the_project_adds(folder: Path) -> None:
    (folder / "incoming" / "sales.csv").write_text("date,customer_id,price,quantity,note\n2026-01-03,17,1.5,2,x\n")
    assert call("shop", "init", "--from-file", "incoming/sales.csv").exit_code == 0
    shown = call("shop", "preview", "sales")
    assert shown.exit_code == 0, shown.output
    unread = shown.output.partition("Not read by the description")[2].split("\n\n")[0]
    assert [line.split()[0] for line in unread.splitlines()[1:] if line.strip()] == ["note"]


def test_a_description_without_a_namespace_beside_another_one_is_begun_with_a_word_about_it(folder: Path) -> None:
    (folder / "incoming" / "sales.csv").write_text(ROWS)
    assert "namespace" not in call("shop", "init", "garden").output
    assert "garden has no `namespace:` either" in call("shop", "init", "--from-file", "incoming/sales.csv").output
    assert "warn  beside       garden has no" in call("shop", "check", "sales", "--offline").output


def test_a_description_in_a_file_of_another_name_is_warned_of_since_commands_take_the_files(folder: Path) -> None:
    call("shop", "init", "garden")
    assert "ok    description" in call("shop", "check", "garden", "--offline").output
    (folder / "shops" / "garden.yaml").rename(folder / "shops" / "park.yaml")
    assert "--shop takes the file's name, park: call file" in call("shop", "check", "park", "--offline").output


def test_init_from_a_file_takes_another_name_and_a_folder_elsewhere_and_writes_over_nothing(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "orders-2026-01.csv").write_text(ROWS)
    assert call("shop", "init", "lesson", "--from-file", str(elsewhere / "orders-2026-01.csv")).exit_code == 0
    shop = load_shop(folder / "shops" / "lesson.yaml")
    assert isinstance(shop.orders, FileOrders)
    assert shop.files is not None
    assert (shop.files.folder, shop.orders.files) == (str(elsewhere), ("orders-*.csv",))
    again = call("shop", "init", "lesson", "--from-file", str(elsewhere / "orders-2026-01.csv"))
    assert (again.exit_code, "exists already" in again.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from-file", "incoming/empty.csv"], "empty.csv: is empty"),
        (["--from-file", "incoming/none.csv"], "none.csv: there is no such file"),
        (["x", "--from-file", "incoming/empty.csv", "--like", "demo"], "not both"),
        ([], "is no name of a shop"),
    ],
)
def test_what_cannot_be_begun_with_is_refused_and_nothing_is_written(
    folder: Path, arguments: list[str], words: str
) -> None:
    (folder / "incoming" / "empty.csv").touch()
    refused = call("shop", "init", *arguments)
    assert (refused.exit_code, words in refused.output) == (1, True), refused.output
    assert not (folder / "shops").exists()


@pytest.mark.parametrize(
    ("file", "name"),
    [("sales_raw.csv", "sales-raw"), ("Läden 26.csv.gz", "l-den-26"), ("2026.csv", "shop-2026")],
)
def test_a_shop_is_called_as_its_file(file: str, name: str) -> None:
    assert name_of(Path(file)) == name
