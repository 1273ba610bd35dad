"""Pictures of every kind: their upright size is what the decoder gives, and broken ones are told."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from labelled import data_set, noise, picture, yolo_folder
from PIL import Image

from edgevision.datasets.formats import FORMATS, read_dataset, write_dataset
from edgevision.datasets.pictures import files_below, is_dir, is_file, sizes, upright_size
from edgevision.errors import DatasetError, ImageError
from edgevision.sources.images import read_image

GREY = noise(1)[..., 0]


def saved(file: Path, kind: str) -> Path:
    """A 96x64 picture of a kind."""
    exif = Image.Exif()
    if kind.startswith("turned"):
        exif[0x0112] = int(kind.split()[1])
    made = {
        "16 bit": lambda: Image.fromarray(GREY.astype(np.uint16) * 256),
        "grey": lambda: Image.fromarray(GREY),
        "one bit": lambda: Image.fromarray(GREY > 128),
        "palette": lambda: Image.fromarray(noise(1)).convert("P"),
        "alpha": lambda: Image.fromarray(np.dstack([noise(1), GREY])),
        "cmyk": lambda: Image.fromarray(noise(1)).convert("CMYK"),
    }
    image = made.get(kind, lambda: Image.fromarray(noise(1)))()
    image.save(file, exif=exif)
    return file


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *((kind, ".png") for kind in ("rgb", "grey", "16 bit", "one bit", "palette", "alpha", "turned 6")),
        *((kind, ".tif") for kind in ("rgb", "grey", "cmyk", "turned 8")),
        *((kind, ".jpg") for kind in ("rgb", "grey", "cmyk", *(f"turned {number}" for number in range(10)))),
        *((kind, ".webp") for kind in ("rgb", "alpha", "turned 6")),
        *((kind, ".bmp") for kind in ("rgb", "grey", "palette")),
    ],
)
def test_the_size_is_that_of_the_decoded_picture(tmp_path: Path, kind: str, suffix: str) -> None:
    file = saved(tmp_path / f"Prüfling ÿ 漢{suffix}", kind)
    height, width = read_image(file).shape[:2]
    assert upright_size(file) == (width, height)


def test_boxes_of_a_turned_picture_are_those_of_the_upright_one(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path, "0 0.25 0.5 0.5 1\n")
    (folder / "images" / "p.png").unlink()
    saved(folder / "images" / "p.jpg", "turned 6")
    (item,) = read_dataset(folder).samples
    assert (item.size, item.xyxy.tolist()) == ((64, 96), [[0, 0, 32, 96]])


def test_what_cannot_be_read_does_not_hide_the_rest(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.png", "rgb")
    bad = [tmp_path / name for name in ("empty.png", "text.jpg", "loop.png", "nowhere.png")]
    bad[0].touch()
    bad[1].write_text("no picture", "utf-8")
    bad[2].symlink_to(bad[2])
    found = sizes([good, *bad])
    assert found[0] == (96, 64)
    assert all(
        isinstance(item, ImageError) and file.name in str(item) for item, file in zip(found[1:], bad, strict=True)
    )


def test_zero_bytes_loops_and_hidden_files_in_a_data_set(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path)
    (folder / "images" / "empty.png").touch()
    (folder / "images" / "self.png").symlink_to(folder / "images" / "self.png")
    (folder / "images" / "back").symlink_to(folder, target_is_directory=True)
    (folder / "images" / "._p.png").write_bytes(b"of a Mac")
    data = read_dataset(folder)
    assert [item.file.name for item in data.samples] == ["p.png"]
    unreadable = {Path(item.where).name for item in data.findings if item.kind == "unreadable"}
    assert unreadable == {"empty.png", "self.png"}


def test_a_linked_folder_is_followed_once(tmp_path: Path) -> None:
    saved(tmp_path / "a.png", "rgb")
    inner = tmp_path / "set"
    inner.mkdir()
    for name in ("one", "two"):
        (inner / name).symlink_to(tmp_path, target_is_directory=True)
    assert [file.name for file in files_below(inner)] == ["a.png"]


def test_names_that_no_file_can_have() -> None:
    for name in ("a" * 5000, "a\0b", "\ud800"):
        assert not is_file(Path(name))
        assert not is_dir(Path(name))


def test_a_label_that_leads_nowhere_does_not_make_a_good_part(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path)
    (folder / "labels" / "p.txt").unlink()
    for target in ("nowhere.txt", "p.txt"):
        (folder / "labels" / "p.txt").symlink_to(folder / "labels" / target)
        assert [(item.kind, item.severity) for item in read_dataset(folder).findings] == [("bad_label", "error")]
        (folder / "labels" / "p.txt").unlink()
    assert [(item.kind, item.severity) for item in read_dataset(folder).findings] == [("no_label", "warning")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    folder = yolo_folder(tmp_path)
    (folder / "images" / "p.png").chmod(0)
    (folder / "labels" / "p.txt").chmod(0)
    kinds = {item.kind for item in read_dataset(folder).findings}
    assert kinds == {"unreadable", "bad_label"}
    (folder / "images").chmod(0)
    try:
        with pytest.raises(DatasetError, match="cannot be read: Permission denied"):
            read_dataset(folder)
    finally:
        (folder / "images").chmod(stat.S_IRWXU)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_that_may_not_be_looked_into_is_an_error(tmp_path: Path, name: str) -> None:
    write_dataset(data_set(tmp_path / "pictures"), tmp_path / "set", name)
    for folder in [tmp_path / "set", *(item for item in (tmp_path / "set").rglob("*") if item.is_dir())]:
        folder.chmod(0)
        try:
            found = [item.severity for item in read_dataset(tmp_path / "set", name).findings]
        except DatasetError:
            found = ["error"]
        folder.chmod(stat.S_IRWXU)
        assert "error" in found, folder


def test_a_header_that_says_nothing_of_a_size_is_unreadable(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    data = file.read_bytes()
    file.write_bytes(data[:16] + bytes(4) + data[20:])  # a width of 0
    with pytest.raises(ImageError, match="cannot be decoded"):
        upright_size(file)


@pytest.mark.parametrize("read", [read_image, upright_size])
def test_a_pipe_is_not_waited_for(tmp_path: Path, read: Callable[[Path], object]) -> None:
    pipe = tmp_path / "a.png"
    os.mkfifo(pipe)
    with pytest.raises(ImageError, match="is no regular file"):
        read(pipe)
