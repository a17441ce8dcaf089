"""The shop's own report as files of the project folder, and its rows as figures."""

import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from analytics_pipeline.errors import ITS_WORDS, AnswerError, DescriptionError
from analytics_pipeline.shop.report import CsvReport
from analytics_pipeline.shop.spec import Shop, load_shop
from analytics_pipeline.sources.report import ReportPart, grouped
from analytics_pipeline.sources.report_files import read_report_files
from analytics_pipeline.transforms.report_rows import read_rows

DAY = date(2026, 1, 31)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return load_shop("demo")


def read(shop: Shop, folder: Path, **keys: object) -> list[ReportPart]:
    report = {"csv": "reports/*.csv", "fields": {"date": "Day", "net_sales": "Net sales"}, **keys}
    return list(read_report_files(shop, CsvReport.model_validate(report), folder))


def put(folder: Path, text: str, name: str = "a.csv", *, at: float | None = None, encoding: str = "utf-8") -> Path:
    path = folder / "reports" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding=encoding)
    if at is not None:
        os.utime(path, (at, at))
    return path


def test_a_file_gives_its_days_its_figures_and_its_time(shop: Shop, tmp_path: Path) -> None:
    put(tmp_path, "Day,Net sales\n2026-01-29,10.50\n2026-01-31,-1\n", at=1_770_000_000)

    [part] = read(shop, tmp_path)

    assert part.days == (date(2026, 1, 29), date(2026, 1, 30), DAY)
    assert part.figures == {
        (date(2026, 1, 29), "EUR"): {"net_sales": Decimal("10.5")},
        (DAY, "EUR"): {"net_sales": Decimal(-1)},
    }
    assert part.as_of == datetime.fromtimestamp(1_770_000_000, UTC)


def test_the_newest_file_comes_first(shop: Shop, tmp_path: Path) -> None:
    put(tmp_path, "Day,Net sales\n2026-01-31,1\n", "b.csv", at=1_000)
    put(tmp_path, "Day,Net sales\n2026-01-31,2\n", "a.csv", at=2_000)

    assert [part.figures[DAY, "EUR"]["net_sales"] for part in read(shop, tmp_path)] == [Decimal(2), Decimal(1)]


@pytest.mark.parametrize(
    ("cell", "decimal", "amount"),
    [
        ("1,234.50", "point", "1234.50"),
        ("€ 1'234.50", "point", "1234.50"),
        ("1.234,50 €", "comma", "1234.50"),
        ("1\u202f234,50", "comma", "1234.50"),
        ("-12,5", "comma", "-12.5"),
        ("\u221212.5", "point", "-12.5"),
    ],
)
def test_amounts_are_read_as_people_write_them(
    shop: Shop, tmp_path: Path, cell: str, decimal: str, amount: str
) -> None:
    put(tmp_path, f"Day;Net sales\n31.01.2026;{cell}\n")

    [part] = read(shop, tmp_path, delimiter="semicolon", decimal=decimal, dates="day_month_year")

    assert part.figures[DAY, "EUR"]["net_sales"] == Decimal(amount)


def test_a_column_may_be_an_expression_and_an_empty_cell_is_absent(shop: Shop, tmp_path: Path) -> None:
    put(tmp_path, "Day,Net sales,Discounts\n2026-01-31,,-3.10\n", encoding="utf-16")
    fields = {"date": "Day", "net_sales": "Net sales", "discounts": "neg(Discounts)"}

    [part] = read(shop, tmp_path, fields=fields, encoding="utf-16")

    assert part.figures[DAY, "EUR"] == {"net_sales": None, "discounts": Decimal("3.10")}


def test_nothing_outside_the_project_folder_is_read(shop: Shop, tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    outside = put(tmp_path, "Day,Net sales\n2026-01-31,1\n")
    (project / "reports").mkdir()
    (project / "reports" / "a.csv").symlink_to(outside)

    with pytest.raises(DescriptionError, match="leads outside of"):
        read(shop, project)
    for path in ("/etc/*.csv", "../reports/*.csv", "reports/../../*.csv", "**/*.csv", "reports/*.txt"):
        with pytest.raises(ValueError, match="within the project folder"):
            CsvReport.model_validate({"csv": path, "fields": {"date": "Day", "orders": "Orders"}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Day,Net\n2026-01-31,1\n", "has no column 'Net sales'; it has: Day, Net"),
        ("Day,Net sales\n2026-01-31,1,2\n", "another number of columns"),
        ("Day,Net sales\n31 January,1\n", "no day that can be read"),
        ("Day,Net sales\n2026-01-31,secret\n", "net_sales is no amount"),
        ("Day,Net sales\n2026-01-31,1\n2026-01-31,2\n", "several rows for 2026-01-31 EUR"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_fault(
    shop: Shop, tmp_path: Path, text: str, message: str
) -> None:
    put(tmp_path, text)

    with pytest.raises((AnswerError, DescriptionError), match=message) as caught:
        read(shop, tmp_path)
    assert "reports/a.csv" in str(caught.value)
    assert "secret" not in str(caught.value).removesuffix(ITS_WORDS)


def test_a_column_that_is_there_twice_and_a_year_of_two_digits_are_named_and_not_guessed(
    shop: Shop, tmp_path: Path
) -> None:
    put(tmp_path, "Day,Net sales,Net sales\n2026-01-31,1,2\n")
    with pytest.raises(DescriptionError, match="several columns 'Net sales'"):
        read(shop, tmp_path)
    put(tmp_path, "Day,Net sales\n31/01/26,1\n")
    with pytest.raises(AnswerError, match="no day that can be read"):
        read(shop, tmp_path, dates="day_month_year")


def test_without_a_file_the_place_is_named(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match=r"there is no file reports/\*.csv"):
        read(shop, tmp_path)


def test_stamps_count_by_the_day_that_they_show_and_floats_to_four_decimals() -> None:
    rows = [{"at": "2026-01-31T00:00:00+01:00", "code": "usd", "net": Decimal("1.00000001")}]
    fields = {"date": lambda row: row["at"], "currency": lambda row: row["code"], "net_sales": lambda row: row["net"]}

    assert read_rows(rows, fields, "EUR", "iso") == {(DAY, "USD"): {"net_sales": Decimal("1.0000")}}


def test_days_are_asked_for_in_the_fewest_stretches_newest_first() -> None:
    days = [date(2026, 1, 1), date(2026, 1, 31), date(2026, 2, 1), date(2026, 3, 3)]

    assert grouped(days, 31) == [[date(2026, 2, 1), date(2026, 3, 3)], [date(2026, 1, 1), date(2026, 1, 31)]]
