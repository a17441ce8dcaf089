"""Opening a file: packed or not, the same content; what grows, is cut, lies or would burst is refused."""

import gzip
import hashlib
import os
import struct
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics_pipeline.errors import (
    DamagedFileError,
    EmptyFileError,
    FileRefusedError,
    FolderRefusedError,
    GrowingFileError,
    UnsafeFileError,
)
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files import delimited, opening
from analytics_pipeline.sources.files.finding import Found, LocalFolder
from analytics_pipeline.sources.files.folders import open_folder
from analytics_pipeline.sources.files.opening import Content, opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.reading import read_rows
from analytics_pipeline_tests.unit.sources.files.reader import read

ROWS = "id,price\n1,1.50\n2,2.50\n"
READING = Reading()


def found_in(folder: Path, pattern: str = "*") -> list[Found]:
    return LocalFolder(folder).list(pattern)


@contextmanager
def content_of(folder: Path, pattern: str = "*", reading: Reading = READING) -> Iterator[Content]:
    (found,) = (one for outer in found_in(folder, pattern) for one in members(outer, reading))
    with opened(found, reading) as content:
        yield content


def zipped(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "sales.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_a_file_has_the_same_hash_and_rows_however_it_is_packed(tmp_path: Path) -> None:
    seen = []
    for name in ("plain", "gzip", "zip"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "zip":
            zipped(folder, {"sales.csv": ROWS.encode()})
        else:
            data = ROWS.encode() if name == "plain" else gzip.compress(ROWS.encode())
            (folder / "sales.csv").write_bytes(data)
        with content_of(folder) as content:
            rows = [record for chunk in read_rows(content) for record in chunk.records]
            seen.append((content.sha256, content.size, content.format, [record["price"] for record in rows]))
    expected = (hashlib.sha256(ROWS.encode()).hexdigest(), len(ROWS), "csv", ["1.50", "2.50"])
    assert seen == [expected] * 3


def test_the_files_of_a_zip_are_files_of_their_own(tmp_path: Path) -> None:
    zipped(tmp_path, {"b.csv": b"id\n1\n", "in/a.tsv": b"id\ty\n2\t3\n", "__MACOSX/x": b"x", ".hidden": b"x"})
    (outer,) = found_in(tmp_path)
    files = members(outer, READING)
    assert [(one.path, one.outer, one.size) for one in files] == [
        ("sales.zip/b.csv", "sales.zip", 5),
        ("sales.zip/in/a.tsv", "sales.zip", 9),
    ]
    with opened(files[1], READING) as content:
        assert [chunk.records for chunk in read_rows(content)] == [[{"id": "2", "y": "3"}]]


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (["/etc/x.csv"], "leads out of it"),
        (["a/../../x.csv"], "leads out of it"),
        (["C:\\x.csv"], "leads out of it"),
        (["inner.zip"], "packed itself"),
        (["inner.csv.gz"], "packed itself"),
        (["a.csv", "a.csv"], "two files"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_whose_names_lead_elsewhere_or_that_holds_packed_files_is_refused(
    tmp_path: Path, names: list[str], fault: str
) -> None:
    with zipfile.ZipFile(tmp_path / "sales.zip", "w") as archive:
        for name in names:
            archive.writestr(name, ROWS)
    with pytest.raises(UnsafeFileError, match=rf"sales\.zip: .*{fault}"):
        members(found_in(tmp_path)[0], READING)


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"sales.csv": ROWS.encode()})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(FileRefusedError, match=r"sales\.zip: is encrypted"):
        members(found_in(tmp_path)[0], READING)


def bomb(size: int, block: bytes) -> bytes:
    """A gzip of as many bytes, which is made in no time: one compressed block, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    end = packer.flush(zlib.Z_FINISH)
    count = size // len(block)
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + one + again * (count - 1) + end + struct.pack("<II", 0, 0)


@pytest.mark.parametrize(
    ("block", "fault"), [(b"\0" * (1 << 20), "no line break"), (b"id\n" * (1 << 18), "250 times its size")]
)
def test_ten_gigabytes_in_a_gzip_are_refused_at_once(tmp_path: Path, block: bytes, fault: str) -> None:
    (tmp_path / "sales.csv.gz").write_bytes(bomb(10**10, block))
    began = time.process_time()
    with pytest.raises(UnsafeFileError, match=fault), content_of(tmp_path):
        pass
    assert time.process_time() - began < 5


def test_a_zip_that_says_it_holds_ten_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = zipped(tmp_path, {"sales.csv": b"0" * 1000})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 4_000_000_000)
    path.write_bytes(data)
    with pytest.raises(UnsafeFileError, match=r"sales\.zip/sales\.csv: unpacks into more than 250 times"):
        members(found_in(tmp_path)[0], READING)


@pytest.mark.parametrize(("at", "size"), [(24, 100), (24, 0), (20, 100)])
def test_a_zip_that_says_it_holds_less_than_it_does_is_refused(tmp_path: Path, at: int, size: int) -> None:
    path = zipped(tmp_path, {"sales.csv": ROWS.encode() * 50_000})
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + at, size)
    path.write_bytes(data)
    (member,) = members(found_in(tmp_path)[0], READING)
    with (
        pytest.raises(DamagedFileError, match=r"sales\.zip/sales\.csv: is packed and damaged .* copy it anew"),
        opened(member, READING),
    ):
        pass


@pytest.mark.parametrize("names", [[], ["folder/"], [".hidden", "__MACOSX/x.csv"]])
def test_a_zip_without_a_file_is_refused(tmp_path: Path, names: list[str]) -> None:
    zipped(tmp_path, dict.fromkeys(names, b""))
    with pytest.raises(EmptyFileError, match=r"sales\.zip: is a zip without a file"):
        members(found_in(tmp_path)[0], READING)


def test_a_file_above_the_cap_is_refused_and_one_below_it_is_not(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(ROWS)
    with pytest.raises(UnsafeFileError, match="largest_gb"), content_of(tmp_path, reading=Reading(largest_gb=1e-8)):
        pass
    with content_of(tmp_path, reading=Reading(largest_gb=1e-6)) as content:
        assert content.size == len(ROWS)


@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_a_packed_file_that_is_cut_is_refused(tmp_path: Path, kept: float) -> None:
    data = gzip.compress((ROWS + "".join(f"{number},{number * 7}.25\n" for number in range(500))).encode())
    (tmp_path / "sales.csv.gz").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DamagedFileError, match=r"sales\.csv\.gz: is packed and damaged"), content_of(tmp_path):
        pass
    (tmp_path / "sales.csv.gz").unlink()
    data = zipped(tmp_path, {"sales.csv": data}).read_bytes()
    (tmp_path / "sales.zip").write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(DamagedFileError, match=r"sales\.zip: is no whole zip"):
        members(found_in(tmp_path)[0], READING)


def test_a_zip_with_another_content_than_its_checksum_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sales.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("sales.csv", ROWS)
    path.write_bytes(path.read_bytes().replace(b"1.50", b"9.50"))
    with pytest.raises(DamagedFileError, match=r"sales\.zip/sales\.csv: is packed and damaged"), content_of(tmp_path):
        pass


def test_a_gzip_in_a_gzip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(gzip.compress(ROWS.encode())))
    with pytest.raises(UnsafeFileError, match="packed more than once"), content_of(tmp_path):
        pass


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"%PDF-1.7", "a PDF"),
        (b"<!DOCTYPE html><html>", "a page of the web"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save it as .xlsx"),
        (b"PAR1junk", "described or named as csv"),
    ],
)
def test_what_is_no_table_is_refused_by_what_it_is(tmp_path: Path, start: bytes, words: str) -> None:
    (tmp_path / "sales.csv").write_bytes(start + b"\n" * 10)
    with pytest.raises(DamagedFileError, match=words), content_of(tmp_path, reading=Reading(format="csv")):
        pass


def test_an_empty_file_is_refused_and_one_with_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    for name, data in (("a.csv", b""), ("b.csv.gz", gzip.compress(b"")), ("c.csv", b"id,price\n")):
        (tmp_path / name).write_bytes(data)
    for name in ("a.csv", "b.csv.gz"):
        with pytest.raises(EmptyFileError, match=rf"{name}: is empty"), content_of(tmp_path, name):
            pass
    assert read(tmp_path / "c.csv").records == []


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_text(ROWS)
    (found,) = found_in(tmp_path)
    with path.open("a") as file:
        file.write("3,3.50\n")
    with pytest.raises(GrowingFileError, match="changed while it was read"), opened(found, READING):
        pass
    (found,) = found_in(tmp_path)
    with opened(found, READING) as content:
        rows = read_rows(content)
        assert len(next(rows).records) == 3
        os.utime(path, (1, 1))
        with pytest.raises(GrowingFileError):
            next(rows)


def test_a_file_is_settled_once_it_has_rested(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text(ROWS)
    (found,) = found_in(tmp_path)
    assert not found.is_settled(found.modified + timedelta(seconds=4), 5)
    assert found.is_settled(found.modified + timedelta(seconds=5), 5)
    assert found.is_settled(found.modified - timedelta(days=1), 5), "a clock that runs ahead is not waited for"
    assert abs(found.modified - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("sales*.csv", ["sales1.csv", "sales2.csv"]),
        ("*/*.csv", ["2026/sales3.csv"]),
        ("**/*.csv", ["2026/01/sales4.csv", "2026/sales3.csv", "other.csv", "sales1.csv", "sales2.csv"]),
        ("2026/**/sales?.csv", ["2026/01/sales4.csv", "2026/sales3.csv"]),
        ("sales[!1].csv", ["sales2.csv"]),
        ("Sales*.csv", []),
    ],
)
def test_a_pattern_finds_files_by_name_and_passes_over_hidden_and_unfinished_ones(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    names = ["sales2.csv", "sales1.csv", "other.csv", "2026/sales3.csv", "2026/01/sales4.csv", ".git/sales9.csv"]
    for name in [*names, "~$sales5.csv", "sales6.csv.part", ".sales7.csv", "sales8.csv.crdownload"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(ROWS)
    os.mkfifo(tmp_path / "sales10.csv")
    assert [found.path for found in found_in(tmp_path, pattern)] == expected


def test_a_folder_that_is_missing_is_refused_and_a_link_out_of_it_is_not_followed(tmp_path: Path) -> None:
    with pytest.raises(FolderRefusedError, match=r"incoming cannot be read .*check files\.folder"):
        open_folder("incoming", tmp_path).list("*.csv")
    inside = tmp_path / "incoming"
    inside.mkdir()
    (tmp_path / "secret.csv").write_text(ROWS)
    (inside / "sales.csv").symlink_to(tmp_path / "secret.csv")
    with pytest.raises(UnsafeFileError, match=r"sales\.csv: is a link"), content_of(inside):
        pass
    (inside / "sales.csv").unlink()
    (inside / "sales.csv").write_text(ROWS)
    (found,) = found_in(inside)
    (inside / "sales.csv").unlink()
    with pytest.raises(FileRefusedError, match="is not there any more"), opened(found, READING):
        pass


def test_memory_is_that_of_a_chunk_and_not_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "CHUNK", 1 << 14)
    monkeypatch.setattr(opening, "BLOCK", 1 << 14)
    rows = "".join(f"{number},a product with a name of some length,12.50\n" for number in range(20_000))
    (tmp_path / "sales.csv.gz").write_bytes(gzip.compress(f"id,title,price\n{rows}".encode()))
    del rows
    tracemalloc.start()
    with content_of(tmp_path) as content:
        count = sum(len(chunk.records) for chunk in read_rows(content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 2 << 20, "all rows at once take 9 MB"
