"""Tables of what else is known of pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled import kinds, picture, text

from edgevision.datasets.columns import with_columns
from edgevision.datasets.formats import read_dataset
from edgevision.errors import DatasetError


def bare(folder: Path) -> Path:
    for name in ("train/a.png", "val/a.png", "val/b.png"):
        picture(folder / "images" / name)
        text(folder / "labels" / Path(name).with_suffix(".txt"), "")
    text(folder / "classes.txt", "dent\n")
    return folder


def test_rows_fit_by_name_below_the_folder_or_by_file_name(tmp_path: Path) -> None:
    table = text(tmp_path / "lots.csv", "\ufefflot,file,day\nA,images/train/a.png,1\n,./images/val/a.png,2\nC,b.png,\n")
    data = read_dataset(bare(tmp_path / "set"), columns=table)
    assert [item.columns for item in data.samples] == [{"lot": "A", "day": "1"}, {"day": "2"}, {"lot": "C"}]
    assert data.findings == ()


def test_a_table_in_the_folder_is_read_by_itself(tmp_path: Path) -> None:
    text(bare(tmp_path) / "columns.csv", "file,lot\nb.png,C\n")
    assert read_dataset(tmp_path).samples[2].columns == {"lot": "C"}


def test_rows_without_or_with_several_pictures_are_told_with_their_line(tmp_path: Path) -> None:
    data = read_dataset(bare(tmp_path / "set"))
    told = with_columns(data, text(tmp_path / "lots.csv", "file,lot\na.png,A\nnone.png,B\n"))
    assert kinds(told) == [("ambiguous_row", "lots.csv:2")]
    assert kinds(told, "warning") == [("no_picture_for_row", "lots.csv:3")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name,lot\na,b\n", "lots.csv:1: needs a column `file`"),
        ("", "lots.csv:1: needs a column `file`"),
        ("file,lot,lot\n", "names that differ"),
        ("file,lot\na.png\n", "lots.csv:2: has more or fewer fields"),
        ("file,lot\na.png,b,c\n", "lots.csv:2: has more or fewer fields"),
        ('file,lot\n"a.png,b\n', "lots.csv:2: is no valid CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: str, message: str) -> None:
    data = read_dataset(bare(tmp_path / "set"))
    with pytest.raises(DatasetError) as refused:
        with_columns(data, text(tmp_path / "lots.csv", content))
    assert message in str(refused.value)


def test_a_picture_that_is_in_two_splits_has_its_row_in_both(tmp_path: Path) -> None:
    folder = bare(tmp_path)
    text(folder / "data.yaml", "train: images/train\nval: [images/val, images/train]\nnames: [dent]\n")
    data = read_dataset(folder, columns=text(tmp_path / "lots.csv", "file,lot\nimages/train/a.png,A\nb.png,B\n"))
    assert [item.columns.get("lot") for item in data.samples] == ["A", "A", None, "B"]
    assert data.findings == ()


def test_a_picture_that_is_left_out_is_named_like_any_other(tmp_path: Path) -> None:
    folder = bare(tmp_path)
    text(folder / "labels/train/a.txt", "7 0.5 0.5 0.1 0.1\n")
    data = read_dataset(folder, columns=text(tmp_path / "lots.csv", "file,lot\nimages/train/a.png,A\nb.png,B\n"))
    assert kinds(data, "warning") == []
    assert [dict(item.columns) for item in data.samples] == [{}, {"lot": "B"}]
    assert [dict(item.columns) for item in data.lost] == [{"lot": "A"}]
    told = read_dataset(folder, columns=text(tmp_path / "lots.csv", "file,lot\na.png,A\n"))
    assert kinds(told)[1:] == [("ambiguous_row", "lots.csv:2")], "it may be that of the other one"
