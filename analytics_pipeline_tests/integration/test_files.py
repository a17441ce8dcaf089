"""Files are taken in once, by content; what differs marks its days, and nothing is lost or doubled."""

import errno
import gzip
import json
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import date
from pathlib import Path

import pytest

from analytics_pipeline.cli.files import file_lines
from analytics_pipeline.days import Days
from analytics_pipeline.errors import FolderRefusedError, FolderUnavailableError
from analytics_pipeline.history.file_facts import files_stored
from analytics_pipeline.history.files import read_files
from analytics_pipeline.history.opening import open_warehouse
from analytics_pipeline.history.written import database_clock
from analytics_pipeline.late_changes.files import Look, look
from analytics_pipeline.shop.spec import Shop
from analytics_pipeline.sources.files.records import FileBatches
from analytics_pipeline.sources.files.store import StoreSource
from analytics_pipeline.tables.contracts import RAW_ORDERS
from analytics_pipeline.tables.history import MATERIALISED_DAYS
from analytics_pipeline.warehouse.connection import Database
from analytics_pipeline.warehouse.slices import query

DAYS = Days(date(2026, 11, 1), date(2026, 11, 30))
LESSON = ["date,customer_id,price,quantity", "2026-11-01,C1,10.00,2", "2026-11-02,C2,5.50,1"]
LINES = [
    "order,placed,customer,line,sku,quantity,price",
    "O1,2026-11-01T10:00:00,C1,1,P1,1,10.00",
    "O1,2026-11-01T10:00:00,C1,2,P2,2,4.00",
    "O2,2026-11-02T11:00:00,C2,1,P1,3,10.00",
]


class FileShop:
    """A folder of files, the description that reads them, and the store."""

    def __init__(self, folder: Path, database: Database, *, has_ids: bool, **orders: object) -> None:
        self.folder, self.database = folder, database
        folder.mkdir(exist_ok=True)
        lines: dict[str, object] = {"product_id": "'sale'", "quantity": "quantity", "unit_price": "price"}
        fields: dict[str, object] = {"created_at": "date", "customer_id": "customer_id"}
        if has_ids:
            lines |= {"product_id": "sku", "line_id": "line"}
            fields = {"order_id": "order", "created_at": "placed", "customer_id": "customer"}
        self.described: dict[str, object] = {
            "name": "files",
            "timezone": "Europe/Berlin",
            "currency": "EUR",
            "first_day": "2026-11-01",
            "times": {"without_offset": "local"},
            "files": {"folder": str(folder), "settle_seconds": 0},
            "orders": {"files": "*.*", "fields": fields, "lines": {"fields": lines}, **orders},
        }
        open_warehouse(database, self.shop)

    @property
    def shop(self) -> Shop:
        return Shop.model_validate(self.described)

    def write(self, name: str, lines: Sequence[str], age: float = 60) -> Path:
        """Write a file as of so many seconds ago."""
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        stamp = time.time() - age
        os.utime(path, (stamp, stamp))
        return path

    def look(self) -> Look:
        return look(self.database, self.shop)

    def orders(self) -> dict[str, dict[str, object]]:
        """The records of all days, by id."""
        read = StoreSource(self.shop, self.database).orders(DAYS)
        rows = [row for batch in read for row in batch.to_pylist()]
        assert len(rows) == read.source_count
        return {row["order_id"]: json.loads(row["payload"]) | {"_day": row["order_date"]} for row in rows}

    def lines(self) -> dict[str, list[tuple[str, str]]]:
        """SKU and quantity of each line, by order."""
        return {
            order_id: [(row["sku"], row["quantity"]) for row in order["rows"]]  # type: ignore[attr-defined]
            for order_id, order in self.orders().items()
        }

    def load(self, *days: str) -> None:
        """Say that days are loaded."""
        with self.database.connect() as connection, closing(connection.cursor()) as cursor:
            for day in days:
                cursor.execute(
                    f"insert into {MATERIALISED_DAYS.sql_name} (table_name, day, first_written_at, written_at, run_id, "
                    "as_of, code_version) values ($1, $2::text::date, now(), now(), 'r', now(), 'v')",
                    (RAW_ORDERS.table.qualified_name, day),
                )
            connection.commit()

    def states(self) -> dict[str, str]:
        return {one.path: one.state for one in read_files(self.database)}


def stale(seen: Look) -> dict[str, tuple[str, ...]]:
    return {f"{one.day} {one.reason}": one.order_ids for one in seen.stale}


@pytest.fixture
def with_ids(tmp_path: Path, database: Database) -> FileShop:
    return FileShop(tmp_path / "in", database, has_ids=True)


@pytest.fixture
def without_ids(tmp_path: Path, database: Database) -> FileShop:
    columns = {"price": "number", "date": "date"}
    return FileShop(tmp_path / "in", database, has_ids=False, columns=columns)


def test_the_same_content_is_taken_in_once_under_whatever_name_and_wherever_it_is_packed(with_ids: FileShop) -> None:
    first = with_ids.write("a.csv", LINES)
    assert (with_ids.look().outcomes["new"], with_ids.look().outcomes.total()) == (1, 0)
    before = with_ids.orders()
    with_ids.write("b.csv", LINES)
    (with_ids.folder / "c.csv.gz").write_bytes(gzip.compress(first.read_bytes()))
    with zipfile.ZipFile(with_ids.folder / "d.zip", "w") as archive:
        archive.write(first, "inner.csv")
    assert with_ids.look().outcomes == {"known": 3}
    os.utime(first)
    assert with_ids.look().outcomes == {"same": 1}
    assert with_ids.orders() == before
    assert with_ids.lines() == {"O1": [("P1", "1"), ("P2", "2")], "O2": [("P1", "3")]}
    assert before["O1"]["_day"] == date(2026, 11, 1)
    assert with_ids.states()["d.zip/inner.csv"] == "known"


def test_a_corrected_file_marks_just_the_loaded_days_that_differ(with_ids: FileShop) -> None:
    with_ids.write("a.csv", LINES)
    with_ids.look()
    with_ids.load("2026-11-01", "2026-11-02", "2026-11-03")
    with_ids.write("a.csv", [*LINES[:3], LINES[3].replace(",3,", ",4,")], age=30)
    assert stale(with_ids.look()) == {"2026-11-02 file": ("O2",)}
    moved = LINES[3].replace("2026-11-02", "2026-11-03")
    with_ids.write("a.csv", [*LINES[:3], moved], age=20)
    seen = with_ids.look()
    assert stale(seen) == {"2026-11-02 moved": ("O2",), "2026-11-03 file": ("O2",)}
    assert with_ids.orders()["O2"]["_day"] == date(2026, 11, 3)
    days = query(with_ids.database, "select distinct day::text as day from ops.stale_days order by 1")
    assert [row["day"] for row in days] == ["2026-11-02", "2026-11-03"]


def test_what_a_file_written_over_each_day_had_of_other_days_stays_and_is_told(without_ids: FileShop) -> None:
    without_ids.write("latest.csv", LESSON)
    without_ids.look()
    without_ids.write("latest.csv", [LESSON[0], "2026-11-03,C3,1.00,1"], age=30)
    assert without_ids.look().outcomes == {"corrected": 1}
    assert sorted(str(order["_day"]) for order in without_ids.orders().values()) == [
        "2026-11-01",
        "2026-11-02",
        "2026-11-03",
    ]
    assert "2 rows of 2026-11-01 to 2026-11-02" in read_files(without_ids.database)[0].notes[0]
    (without_ids.folder / "latest.csv").unlink()
    without_ids.look()
    assert len(without_ids.orders()) == 3
    assert not read_files(without_ids.database)[0].is_there


def test_a_renamed_file_that_is_corrected_then_replaces_what_it_had(without_ids: FileShop) -> None:
    path = without_ids.write("a.csv", LESSON)
    without_ids.look()
    path.rename(without_ids.folder / "b.csv")
    assert without_ids.look().outcomes == {"known": 1}
    without_ids.write("b.csv", [LESSON[0], "2026-11-01,C1,12.00,2", LESSON[2]], age=30)
    without_ids.look()
    assert sorted(str(order["price"]) for order in without_ids.orders().values()) == ["12.00", "5.50"]


def test_equal_rows_without_ids_are_sales_of_their_own_whatever_their_files_are_called(without_ids: FileShop) -> None:
    without_ids.write("a.csv", [*LESSON, LESSON[1]])
    without_ids.look()
    ids = set(without_ids.orders())
    assert len(ids) == 3
    without_ids.write("b.csv", [LESSON[0], LESSON[1], "2026-11-01,C9,1.00,1"])
    without_ids.look()
    assert len(without_ids.orders()) == 5
    assert ids < set(without_ids.orders())


def test_an_order_of_several_files_is_joined_line_by_line_in_whatever_order_they_come(with_ids: FileShop) -> None:
    parts = {"a.csv": LINES[:2], "b.csv": [LINES[0], LINES[2]], "c.csv": [LINES[0], LINES[3].replace(",3,", ",9,")]}
    orders = []
    for turn in (["a.csv", "b.csv", "c.csv", "d.csv"], ["d.csv", "c.csv", "b.csv", "a.csv"]):
        for name in turn:
            age = {"a.csv": 50, "b.csv": 40, "c.csv": 30, "d.csv": 20}[name]
            with_ids.write(name, parts.get(name, [LINES[0], LINES[3]]), age)
            with_ids.look()
        orders.append(with_ids.lines())
        with with_ids.database.connect() as connection, closing(connection.cursor()) as cursor:
            for table in ("files", "file_records", "file_contents"):
                cursor.execute(f'delete from "@ops".{table}')
            connection.commit()
        for path in with_ids.folder.iterdir():
            path.unlink()
    assert orders[0] == orders[1] == {"O1": [("P1", "1"), ("P2", "2")], "O2": [("P1", "3")]}


def test_lines_that_a_newer_file_lacks_stay_and_are_told_unless_its_orders_are_whole(with_ids: FileShop) -> None:
    with_ids.write("a.csv", LINES)
    with_ids.write("b.csv", LINES[:2], age=30)
    with_ids.look()
    assert with_ids.lines()["O1"] == [("P1", "1"), ("P2", "2")]
    with_ids.described["orders"] |= {"whole_orders": True}  # type: ignore[operator]
    assert with_ids.lines()["O1"] == [("P1", "1")]


def test_a_growing_a_refused_and_an_unfinished_file_stop_no_other_one(with_ids: FileShop) -> None:
    with_ids.described["files"] |= {"settle_seconds": 10}  # type: ignore[operator]
    with_ids.write("good.csv", LINES)
    with_ids.write("fresh.csv", LINES[:2], age=0)
    with_ids.write("half.csv.part", LINES[:2])
    with_ids.write("other.csv", [LINES[0].replace("sku", "article"), *LINES[1:]])
    cut = with_ids.folder / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"order,placed\n" * 1000)[:-40])
    os.utime(cut, (0, 0))
    seen = with_ids.look()
    assert (seen.taken, sorted(seen.refused), list(seen.waiting)) == (1, ["cut.csv.gz", "other.csv"], ["fresh.csv"])
    assert "has no column sku" in seen.refused["other.csv"]
    assert with_ids.look().refused == seen.refused  # not read again, and told again
    stored = files_stored(with_ids.database, with_ids.shop, database_clock(with_ids.database))
    assert ([one.path for one in stored.refused], stored.differing) == (["cut.csv.gz", "other.csv"], [])
    with_ids.write("other.csv", LINES, age=30)
    assert with_ids.look().outcomes == {"known": 1}


def test_a_file_that_could_not_be_reached_is_read_once_it_can_be_though_it_did_not_change(
    with_ids: FileShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ids.write("a.csv", LINES)
    with_ids.write("b.csv", [LINES[0], LINES[3]])
    away = with_ids.folder.with_name("away")
    read = FileBatches.__iter__

    def vanishing(batches: FileBatches) -> Iterator[object]:
        yield from read(batches)
        with_ids.folder.rename(away)

    monkeypatch.setattr(FileBatches, "__iter__", vanishing)
    assert list(with_ids.look().refused) == ["b.csv"]
    monkeypatch.setattr(FileBatches, "__iter__", read)
    away.rename(with_ids.folder)
    again = with_ids.look()
    assert (again.refused, with_ids.states()) == ({}, {"a.csv": "taken", "b.csv": "taken"})


def test_a_content_that_nobody_has_foreseen_stops_no_other_file(
    with_ids: FileShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ids.write("a.csv", LINES)
    with_ids.write("b.csv", [LINES[0], LINES[3]])
    read, begun = FileBatches.__iter__, []

    def failing(batches: FileBatches) -> Iterator[object]:
        begun.append(batches)
        yield from read(batches)
        if len(begun) == 1:
            raise OverflowError("a value of a customer")

    monkeypatch.setattr(FileBatches, "__iter__", failing)
    seen = with_ids.look()
    assert seen.refused == {
        "a.csv": "a.csv: cannot be read (OverflowError), which nobody has foreseen: please report it"
    }
    assert with_ids.lines() == {"O2": [("P1", "3")]}


def test_a_disk_that_fails_ends_the_look_which_says_so_and_the_next_one_reads_on(
    with_ids: FileShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ids.write("a.csv", LINES)
    read = FileBatches.__iter__

    def failing(batches: FileBatches) -> Iterator[object]:
        yield from read(batches)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(FileBatches, "__iter__", failing)
    with pytest.raises(FolderUnavailableError, match=r"a\.csv: cannot be read or unpacked now .*Input/output error"):
        with_ids.look()
    stored = files_stored(with_ids.database, with_ids.shop, database_clock(with_ids.database))
    assert "Input/output error" in str(stored.look_fault)
    monkeypatch.setattr(FileBatches, "__iter__", read)
    assert (with_ids.look().taken, list(with_ids.orders())) == (1, ["O1", "O2"])


@pytest.mark.parametrize("target", ["nowhere", "link.csv"])
def test_a_link_that_leads_nowhere_is_refused_by_name_and_stops_no_other_file(with_ids: FileShop, target: str) -> None:
    with_ids.write("a.csv", LINES)
    (with_ids.folder / "link.csv").symlink_to(target)
    os.mkfifo(with_ids.folder / "pipe.csv")
    seen = with_ids.look()
    assert (seen.taken, list(seen.refused), with_ids.states()["link.csv"]) == (1, ["link.csv"], "refused")


def test_days_that_only_a_refused_file_may_have_are_not_read_as_days_without_orders(with_ids: FileShop) -> None:
    with_ids.write("good.csv", LINES[:3])
    with_ids.write("bad.csv", [LINES[0].replace("sku", "article"), LINES[3]])
    with_ids.look()
    days = Days(date(2026, 11, 1), date(2026, 11, 2))

    def refused() -> dict[str, str]:
        with ExitStack() as stack:
            source = StoreSource(with_ids.shop, with_ids.database)
            read = source.read_orders(days, stack, is_over=True, progress=lambda _: None).days
            return {str(day): str(error) for day, error in read.refused.items()}

    assert refused() == {"2026-11-02": "no file has rows of it, and what bad.csv (refused) has is not known yet"}
    with_ids.write("bad.csv", [LINES[0], LINES[3]], age=30)
    with_ids.look()
    assert refused() == {}


def test_rows_that_cannot_be_read_are_kept_with_their_line_and_add_up(without_ids: FileShop) -> None:
    rows = ["2026-11-01,C3,1.00,1,more", "31.11.2026,C4,2.00,1", "2026-11-01,C5,x,1", "Total,,17.50,"]
    without_ids.write("a.csv", [*LESSON, *rows])
    without_ids.look()
    found = read_files(without_ids.database)[0]
    assert (found.rows, found.rows_stored, found.rows_unreadable, found.rows_excluded, found.rows_without_day) == (
        *(6, 5, 1, 1),
        1,
    )
    unreadable = [order for order in without_ids.orders().values() if "_unreadable" in order]
    assert [row["_line"] for order in unreadable for row in order["rows"]] == [4]  # type: ignore[attr-defined]
    undated = "select order_id, reason, column_name from ops.undated_orders"
    assert [row["column_name"] for row in query(without_ids.database, undated)] == ["created_at"]
    without_ids.write("a.csv", LESSON, age=30)
    without_ids.look()
    assert query(without_ids.database, undated) == []


def test_two_looks_at_once_and_one_that_was_killed_double_and_lose_nothing(
    with_ids: FileShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        with_ids.write(f"{number}.csv", [LINES[0], *(f"N{number}-{row}{LINES[1][2:]}" for row in range(30))])
    read, begun = FileBatches.__iter__, []

    def killed(batches: FileBatches) -> Iterator[object]:
        begun.append(batches)
        yield from read(batches)
        if len(begun) == 8:
            raise KeyboardInterrupt

    monkeypatch.setattr(FileBatches, "__iter__", killed)
    with pytest.raises(KeyboardInterrupt):
        with_ids.look()
    assert with_ids.orders() == {}
    monkeypatch.setattr(FileBatches, "__iter__", read)
    with ThreadPoolExecutor(2) as both:
        seen = list(both.map(lambda _: with_ids.look(), range(2)))
    assert sum(one.taken for one in seen) == 12
    assert len(with_ids.orders()) == 12 * 30


def test_files_are_read_again_where_the_description_reads_them_otherwise(with_ids: FileShop) -> None:
    path = with_ids.write("a.csv", LINES)
    with_ids.write("copy.csv", LINES)
    with_ids.look()
    with_ids.described["timezone"] = "America/New_York"
    assert with_ids.look().outcomes == {"corrected": 1, "known": 1}
    assert len(with_ids.orders()) == 2
    path.unlink()
    (with_ids.folder / "copy.csv").unlink()
    with_ids.described["timezone"] = "Europe/London"
    with_ids.look()
    stored = files_stored(with_ids.database, with_ids.shop, database_clock(with_ids.database))
    assert [one.path for one in stored.read_otherwise({"orders": "other"})] == ["a.csv"]
    told = list(file_lines(with_ids.database, with_ids.shop, database_clock(with_ids.database)))
    assert told[-2:] == [
        "             gone, and read by an earlier description: a.csv",
        "             it stays as it was read; to have it read by the description of now, put it back for one look",
    ]


def test_rows_of_days_that_the_shop_does_not_have_are_told_and_kept(with_ids: FileShop) -> None:
    with_ids.write(
        "a.csv", [*LINES, LINES[1].replace("O1,2026-11", "O8,2025-11"), LINES[1].replace("O1,2026", "O9,2999")]
    )
    with_ids.look()
    outside = files_stored(with_ids.database, with_ids.shop, database_clock(with_ids.database)).outside
    assert (outside.before, outside.first, outside.after) == (1, date(2025, 11, 1), 1)


def test_a_folder_that_is_missing_is_refused_and_remembered(with_ids: FileShop) -> None:
    with_ids.folder.rmdir()
    with pytest.raises(FolderRefusedError, match="check files"):
        with_ids.look()
    stored = files_stored(with_ids.database, with_ids.shop, database_clock(with_ids.database))
    assert stored.look_fault is not None
