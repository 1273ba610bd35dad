"""A new folder appears whole or not at all, and pictures get names that every format can hold."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from labelled import CLASSES, data_set, sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.formats import FORMATS, read_dataset, write_dataset
from edgevision.datasets.writing import must_be_new, must_be_outside, new_folder, placed
from edgevision.errors import DatasetError

NAMES = (" led by a blank.png", "two\nlines.png", "x.v2.png", "Schärfe 漢字.png", "a&<b>.png", "#,'\".png", "-1.png")


@pytest.mark.parametrize("name", FORMATS)
def test_names_of_every_kind_go_through(tmp_path: Path, name: str) -> None:
    names = [*NAMES, os.fsdecode(b"latin \xe4.png")]
    splits = ["train", "val", "test"] * 3
    boxes = [(1, 2, 30, 40, 1)]
    samples = tuple(
        sample(tmp_path / "in", "p.png", boxes, split, lot=f"lot {index}, \N{SNOWMAN}")  # type: ignore[arg-type]
        for index, split in enumerate(splits[: len(names)])
    )
    picture = (tmp_path / "in" / "p.png").read_bytes()
    (tmp_path / "in" / "p.png").unlink()
    for item in names:
        (tmp_path / "in" / item).write_bytes(picture)
    samples = tuple(replace(item, file=tmp_path / "in" / file) for item, file in zip(samples, names, strict=True))
    write_dataset(DataSet(CLASSES, samples, (), tmp_path / "in"), tmp_path / "out", name)
    again = read_dataset(tmp_path / "out")
    assert [str(item) for item in again.findings if item.severity == "error"] == []
    assert {(item.columns["lot"], item.split, len(item)) for item in again.samples} == {
        (item.columns["lot"], item.split, 1) for item in samples
    }


def test_names_that_clash_are_told_apart_whatever_their_case(tmp_path: Path) -> None:
    files = ["a/x.png", "b/x.png", "c/X.PNG", "c/b_x.png", "b/x.jpg"]
    samples = tuple(sample(tmp_path, file, []) for file in files)
    stems = [item.stem for item in placed(DataSet(CLASSES, samples))]
    assert len({stem.lower() for stem in stems}) == len(files)
    assert stems[0] == "x"


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    data.samples[2].file.unlink()
    with pytest.raises(DatasetError, match=r"Prüfling 3\.jpg: cannot be read or written"):
        write_dataset(data, tmp_path / "out", "yolo")
    assert [item.name for item in tmp_path.iterdir()] == ["in"]


def test_no_pictures_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no picture to be written"):
        write_dataset(DataSet(CLASSES, ()), tmp_path / "out", "yolo")
    assert not (tmp_path / "out").exists()


def test_links_share_the_file_and_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    (tmp_path / "out").mkdir()
    write_dataset(data, tmp_path / "out", "yolo", link=True)
    assert (tmp_path / "out" / "images" / "train" / "a1.png").samefile(tmp_path / "in" / "a1.png")


def test_a_folder_that_is_there_or_inside_of_the_data_set_is_refused(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in (tmp_path / "in", tmp_path / "in" / "a1.png", tmp_path / "link"):
        with pytest.raises(DatasetError, match="nothing is overwritten"):
            must_be_new(taken)
    (tmp_path / "door").symlink_to(tmp_path / "in", target_is_directory=True)
    for inside in (tmp_path / "in" / "out", tmp_path / "door" / "out", tmp_path / "x" / ".." / "in" / "out"):
        with pytest.raises(DatasetError, match="lies inside of the data set"):
            must_be_outside(inside, data)
    must_be_new(tmp_path / "in2")
    must_be_outside(tmp_path / "in2", data)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="cannot be written"), new_folder(tmp_path / "file" / "out"):
        pass


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_would_not_be_found_again_get_others(tmp_path: Path, name: str) -> None:
    files = {".hidden.png": "hidden.png", "a.jfif": "a.jpg", "b": "b.png", ". .c.BIN": "c.bmp", "d.gif": "d.webp"}
    samples = []
    for number, (file, becomes) in enumerate(files.items()):
        item = sample(tmp_path / "in", f"{number}{Path(becomes).suffix}", [(1, 2, 30, 40, 1)])
        samples.append(replace(item, file=item.file.rename(tmp_path / "in" / file)))
    write_dataset(DataSet(CLASSES, tuple(samples), (), tmp_path / "in"), tmp_path / "out", name)
    again = read_dataset(tmp_path / "out")
    assert {item.file.name: len(item) for item in again.samples} == dict.fromkeys(files.values(), 1)


@pytest.mark.parametrize("where", ["../elsewhere/a.png", "a.png"])
def test_a_link_to_a_picture_becomes_a_hard_link_to_the_picture(tmp_path: Path, where: str) -> None:
    item = sample(tmp_path / "in", "p.png", [])
    target = tmp_path / "in" / where
    target.parent.mkdir(exist_ok=True)
    item.file.rename(target)
    item.file.symlink_to(where)
    write_dataset(DataSet(CLASSES, (item,), (), tmp_path / "in"), tmp_path / "out", "yolo", link=True)
    written = tmp_path / "out" / "images" / "p.png"
    assert not written.is_symlink()
    assert written.samefile(target)


def test_a_folder_that_cannot_be_replaced_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError, match=r"\.: cannot be replaced"):
        must_be_new(Path())
    monkeypatch.setattr(Path, "is_mount", lambda _: True)
    (tmp_path / "out").mkdir()
    with pytest.raises(DatasetError, match="out: cannot be replaced"):
        must_be_new(Path("out"))
    must_be_new(tmp_path / "out" / "new")


def test_a_full_disk_is_no_fault_of_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source), None, str(target))  # as copying does

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(DatasetError, match=r"out: cannot be read or written: No space left"):
        write_dataset(data_set(tmp_path / "in"), tmp_path / "out", "yolo")
    assert [item.name for item in tmp_path.iterdir()] == ["in"]
