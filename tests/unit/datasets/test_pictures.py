"""Picture files: found once each, and their sizes those of the pictures that are read."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled import noise, picture
from PIL import Image

from edgevision.datasets.pictures import files_below, sizes, upright_size
from edgevision.errors import DatasetError, ImageError
from edgevision.sources.images import read_image

ORIENTATION = 0x0112


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_size_is_that_of_the_picture_as_it_is_read(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    file = tmp_path / f"a{suffix}"
    Image.fromarray(noise(1, (64, 48))).save(file, exif=exif)
    height, width = read_image(file).shape[:2]
    assert upright_size(file) == (width, height)
    if suffix == ".jpg":
        assert (width, height) == ((48, 64) if orientation in {6, 8} else (64, 48))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tiff"])
def test_an_orientation_behind_many_pixels_counts_too(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    file = tmp_path / f"a{suffix}"
    many = np.random.default_rng(0).integers(0, 256, (300, 500, 3)).astype(np.uint8)
    Image.fromarray(many).save(file, exif=exif, **({"lossless": True} if suffix == ".webp" else {"quality": 100}))
    if suffix == ".png":
        data = file.read_bytes()
        start = data.index(b"eXIf") - 4
        end = start + 12 + int.from_bytes(data[start : start + 4], "big")
        file.write_bytes(data[:start] + data[end:-12] + data[start:end] + data[-12:])  # before IEND
    assert file.stat().st_size > 256 * 1024
    height, width = read_image(file).shape[:2]
    assert upright_size(file) == (width, height)


def test_fill_bytes_do_not_hide_an_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    file = tmp_path / "a.jpg"
    Image.fromarray(noise(1, (64, 48))).save(file, exif=exif)
    data = file.read_bytes()
    file.write_bytes(data[:2] + b"\xff\xff" + data[2:])
    height, width = read_image(file).shape[:2]
    assert upright_size(file) == (width, height) == (48, 64)


@pytest.mark.parametrize("mode", ["L", "1", "CMYK", "I;16"])
def test_other_kinds_of_pixels(tmp_path: Path, mode: str) -> None:
    file = tmp_path / ("größe.jpg" if mode == "CMYK" else "größe.png")
    if mode == "I;16":
        cv2.imencode(".png", np.zeros((48, 64), np.uint16))[1].tofile(file)
    else:
        Image.fromarray(noise(1, (64, 48))).convert(mode).save(file)
    assert upright_size(file) == (64, 48)


def test_a_header_behind_much_metadata_is_found(tmp_path: Path) -> None:
    data = picture(tmp_path / "a.jpg").read_bytes()
    block = b"\xff\xe2\xff\xff" + bytes(65533)
    (tmp_path / "a.jpg").write_bytes(data[:2] + 5 * block + data[2:])
    assert upright_size(tmp_path / "a.jpg") == (64, 48)


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    good, empty, text, loop = (tmp_path / f"{name}.png" for name in ("good", "empty", "text", "loop"))
    picture(good)
    empty.touch()
    text.write_text("no picture", encoding="utf-8")
    loop.symlink_to(loop)
    found = files_below(tmp_path)
    assert found == [empty, good, loop, text]
    told = [str(size) if isinstance(size, ImageError) else size for size in sizes(found)]
    assert told[1] == (64, 48)
    assert [str(item).partition(": ")[2] for item in (told[0], told[2], told[3])] == [
        "the file is empty",
        "cannot be read: Too many levels of symbolic links",
        "not a picture of a known format (png, jpeg, bmp, webp, tiff)",
    ]


def test_linked_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    picture(tmp_path / "far/b.png")
    picture(tmp_path / "set/a.png")
    (tmp_path / "set/linked").symlink_to(tmp_path / "far")
    (tmp_path / "set/circle").symlink_to(tmp_path / "set")
    assert [file.name for file in files_below(tmp_path / "set")] == ["a.png", "b.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    file = picture(tmp_path / "set/a.png")
    file.chmod(0)
    with pytest.raises(ImageError, match="Permission denied"):
        upright_size(file)
    file.parent.chmod(0)
    try:
        with pytest.raises(DatasetError, match="Permission denied"):
            files_below(file.parent)
    finally:
        file.parent.chmod(0o700)
