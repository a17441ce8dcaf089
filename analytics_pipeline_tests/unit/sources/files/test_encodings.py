"""The encoding of a file is that of the whole file, and the rows that break it are faults."""

from pathlib import Path

import pytest

from analytics_pipeline.errors import FileRefusedError
from analytics_pipeline.sources.files import opening
from analytics_pipeline_tests.unit.sources.files.reader import read_text

ROWS = "id,name\n1,Müller\n2,Šimek\n3,10 €\n"
NAMES = ["Müller", "Šimek", "10 €"]


@pytest.mark.parametrize(
    ("codec", "mark", "name"),
    [
        ("utf-8", b"", "UTF-8"),
        ("utf-8-sig", b"", "UTF-8"),
        ("utf-16", b"", "UTF-16"),
        ("utf-16-le", b"", "UTF-16"),
        ("utf-16-be", b"", "UTF-16"),
        ("utf-16-be", b"\xfe\xff", "UTF-16"),
        ("cp1252", b"", "Windows-1252"),
    ],
)
def test_each_encoding_is_known_by_the_file_itself(tmp_path: Path, codec: str, mark: bytes, name: str) -> None:
    found = read_text(tmp_path, mark + ROWS.encode(codec))
    assert [record["name"] for record in found.records] == NAMES
    assert [*found.records[0]] == ["id", "name"]
    assert found.content.encoding is not None
    assert (found.content.encoding.name, found.faults) == (name, [])


@pytest.mark.parametrize(("codec", "name"), [("utf-8", "UTF-8"), ("cp1252", "Windows-1252")])
def test_letters_that_come_late_decide_as_well(
    tmp_path: Path, codec: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BLOCK", 1 << 10)
    plain = "".join(f"{number},plain\n" for number in range(1_000))
    text = f"id,name\n{plain}1,Müller\n".encode(codec)
    found = read_text(tmp_path, text)
    assert found.records[-1] == {"id": "1", "name": "Müller"}
    assert found.content.encoding is not None
    assert found.content.encoding.name == name


def test_a_damaged_line_of_utf_8_is_a_fault_and_the_others_are_not_misread(tmp_path: Path) -> None:
    found = read_text(tmp_path, ROWS.encode() + "4,Grün\n".encode("cp1252") + b"5,x\n")
    assert [record["name"] for record in found.records] == [*NAMES, "x"]
    assert found.reasons == [(5, "wrong_encoding")]
    assert found.faults[0].text == "4,Gr\ufffdn"
    assert found.content.encoding is not None
    assert found.content.encoding.doubt == "1 bytes are no UTF-8, beside 3 letters that are"


def test_a_declared_encoding_is_taken_and_what_it_does_not_know_is_a_fault(tmp_path: Path) -> None:
    latin = read_text(tmp_path, "id,name\n1,Grün\n".encode("latin-1"), csv={"encoding": "latin-1"})
    assert latin.records[0]["name"] == "Grün"
    declared = read_text(tmp_path, b"id,name\n1,Gr\xfcn\n2,x\n", csv={"encoding": "utf-8"})
    assert (declared.reasons, declared.lines) == ([(2, "wrong_encoding")], [3])
    undefined = read_text(tmp_path, b"id,name\n1,\x81\n2,\xfc\n", csv={"encoding": "windows-1252"})
    assert (undefined.reasons, undefined.records) == ([(2, "wrong_encoding")], [{"id": "2", "name": "ü"}])


def test_utf_16_that_is_cut_and_utf_32_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError, match=r"sales\.csv: is no whole UTF-16"):
        read_text(tmp_path, ROWS.encode("utf-16")[:-1])
    with pytest.raises(FileRefusedError, match=r"sales\.csv: is UTF-32; save it as UTF-8"):
        read_text(tmp_path, ROWS.encode("utf-32"))
