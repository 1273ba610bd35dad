"""The trainer's layout: links and labels that any tool can read, whatever the pictures are called."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.datasets.base import DataSet, Sample
from edgevision.errors import TrainingError
from edgevision.training.layout import Layout


def sample(folder: Path, name: str, split: str) -> Sample:
    cv2.imwrite(str(folder / "x.png"), np.zeros((50, 100, 3), np.uint8))
    file = folder / name
    (folder / "x.png").rename(file)
    return Sample(file, (100, 50), np.array([[-10, 0, 50, 25]], np.float32), np.array([1]), split, template=file)


def test_links_labels_and_lists(tmp_path: Path) -> None:
    samples = (
        sample(tmp_path, "Größe 1.PNG", "train"),
        sample(tmp_path, "b.png", "train"),
        sample(tmp_path, "c.png", "val"),
    )
    layout = Layout.write(DataSet(("a", "b"), samples), tmp_path / "out", repeat=2)
    listed = (tmp_path / "out" / "train.txt").read_text("utf-8").split()
    assert [Path(line).name for line in listed] == ["000000.png", "000001.png"] * 2
    assert all(Path(line).resolve().is_file() for line in listed)
    assert (tmp_path / "out" / "labels" / "train" / "000000.txt").read_text(
        "ascii"
    ) == "1 0.250000 0.250000 0.500000 0.500000"
    assert json.loads(layout.file.read_text("utf-8"))["names"] == ["a", "b"]
    (first, _) = Layout.read(tmp_path / "out").train
    assert (first.file, first.size, first.template) == (samples[0].file, (100, 50), samples[0].file)
    assert (first.xyxy == samples[0].xyxy).all()


def test_writing_again_leaves_nothing_of_before(tmp_path: Path) -> None:
    pictures = [sample(tmp_path, f"{number}.png", "train") for number in range(3)]
    Layout.write(DataSet(("a", "b"), tuple(pictures)), tmp_path / "out", repeat=1)
    Layout.write(DataSet(("a", "b"), tuple(pictures[:1])), tmp_path / "out", repeat=1)
    assert len(list((tmp_path / "out" / "images" / "train").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(TrainingError, match="cannot be written"):
        Layout.write(DataSet(("a",), ()), tmp_path / "out", repeat=1)
