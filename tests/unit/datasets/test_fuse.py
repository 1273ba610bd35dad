"""A picture and its template as one."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled import data_set, noise

from edgevision.datasets.formats import read_dataset
from edgevision.datasets.fuse import fuse, fuse_dataset
from edgevision.errors import DatasetError, ImageError
from edgevision.sources.images import read_image


def test_the_third_channel_is_what_should_not_be_there() -> None:
    template = noise(1)
    picture = template.copy()
    picture[10:20, 30:40] = 255 - picture[10:20, 30:40]
    fused = fuse(picture, template)
    assert (fused[..., 1] == cv2.cvtColor(template, cv2.COLOR_BGR2GRAY)).all()
    changed = np.zeros(fused.shape[:2], bool)
    changed[10:20, 30:40] = True
    assert fused[..., 2][~changed].max() == 0
    assert fused[..., 2][changed].mean() > 20
    with pytest.raises(ImageError, match="96x64, template 48x32"):
        fuse(picture, template[::2, ::2])


def test_a_data_set_keeps_boxes_splits_and_columns(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    first, second, *others = data.samples
    paired = replace(
        data, samples=(replace(first, template=second.file), replace(second, template=first.file), *others)
    )
    assert fuse_dataset(paired, tmp_path / "out") == 2
    again = {item.file.stem: item for item in read_dataset(tmp_path / "out").samples}
    assert set(again) == {"a1", "a2"}
    assert again["a1"].split == "train"
    assert again["a1"].columns["lot"] == "a"
    assert again["a1"].xyxy == pytest.approx(first.xyxy, abs=0.01)
    assert (read_image(again["a1"].file) == fuse(read_image(first.file), read_image(second.file))).all()


def test_without_templates_there_is_nothing_to_fuse(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not one picture has a template"):
        fuse_dataset(data_set(tmp_path / "in"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_that_are_no_utf8_are_fused_beside_the_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "too small"))
    data = data_set(tmp_path / "in")
    first = data.samples[0]
    file = first.file.rename(tmp_path / "in" / os.fsdecode(b"a\xff.png"))
    paired = replace(data, samples=(replace(first, file=file, template=data.samples[1].file),))
    assert fuse_dataset(paired, tmp_path / "out") == 1
    assert [item.file.name for item in read_dataset(tmp_path / "out").samples] == ["a_.png"]
    assert {item.name for item in tmp_path.iterdir()} == {"in", "out"}


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    data = data_set(tmp_path / "in")
    first = data.samples[0]
    paired = replace(data, samples=(replace(first, template=data.samples[1].file),))
    with pytest.raises(DatasetError, match=r"a1\.png: cannot be written"):
        fuse_dataset(paired, first.file / "out")
