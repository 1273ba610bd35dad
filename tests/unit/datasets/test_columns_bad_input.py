"""The table of what else is known of pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from labelled import data_set

from edgevision.datasets.columns import with_columns
from edgevision.errors import DatasetError


def table(folder: Path, text: str | bytes) -> Path:
    file = folder / "table.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


def test_rows_are_found_by_path_or_name_and_add_to_what_is_known(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    text = '\ufefffile,part,lot\n./a1.png,7,\nPrüfling 3.jpg,"8, left",z\n'
    found = {item.file.name: item for item in with_columns(data, table(tmp_path, text)).samples}
    assert found["a1.png"].columns == {"lot": "a", "part": "7"}
    assert found["Prüfling 3.jpg"].columns == {"lot": "z", "part": "8, left"}
    assert (found["a1.png"].part, found["b4.png"].part) == ("7", str(tmp_path / "b4.png"))


def test_rows_of_no_picture_and_of_several_are_told(tmp_path: Path) -> None:
    data = data_set(tmp_path)
    (tmp_path / "b").mkdir()
    (tmp_path / "a1.png").rename(tmp_path / "b" / "a1.png")
    (tmp_path / "a2.png").rename(tmp_path / "a1.png")
    first, second, *_ = data.samples
    pair = (replace(first, file=tmp_path / "b" / "a1.png"), replace(second, file=tmp_path / "c" / "a1.png"))
    found = with_columns(replace(data, samples=pair), table(tmp_path, "file,part\na1.png,1\nq.png,2\nb/a1.png,3\n"))
    assert [(item.kind, item.severity, item.where[-5:]) for item in found.findings] == [
        ("ambiguous_row", "error", "csv:2"), ("no_picture_for_row", "warning", "csv:3")]  # fmt: skip
    assert [item.columns.get("part") for item in found.samples] == ["3", None]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"csv:1: needs a column `file`"),
        ("name,part\n", r"csv:1: needs a column `file`"),
        ("file,part,part\n", r"names that differ"),
        ("file,part\na1.png\n", r"csv:2: has more or fewer fields"),
        ("file,part\na1.png,1,2\n", r"csv:2: has more or fewer fields"),
        ('file,part\n"a1.png,1\n', r"csv:2: is no valid CSV"),
        (b"file,part\n\xff,1\n", r"is not UTF-8"),
    ],
)
def test_malformed_tables(tmp_path: Path, text: str | bytes, says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        with_columns(data_set(tmp_path), table(tmp_path, text))
