"""Pictures to calibrate on: few are told, none may be among those that judge."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from labelled import CLASSES, noise, sample

from edgevision.datasets.base import DataSet
from edgevision.errors import EdgevisionError, ExportError
from edgevision.export.calibration import LEAST, calibration


@pytest.fixture(name="data")
def _data(tmp_path: Path) -> DataSet:
    samples = [sample(tmp_path / "d", f"t{n}.png", [(10, 10, 30, 20, 0)], "train") for n in range(20)]
    samples += [sample(tmp_path / "d", f"v{chr(97 + n)}x.png", [(10, 10, 30, 20, n % 2)], "val") for n in range(4)]
    return DataSet(CLASSES, tuple(samples), (), tmp_path / "d")


def shots(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number}.png"), noise(5000 + number))
    return folder


def test_without_a_folder_the_training_pictures_are_taken_and_missing_classes_told(data: DataSet) -> None:
    found = calibration(None, data, data.of("val"))
    assert {file.name[0] for file in found.files} == {"t"}
    assert found.warnings == (
        "20 pictures to calibrate on are few; 100 or more would be safer",
        "no picture to calibrate on shows dent",
    )


def test_a_folder_of_the_cameras_needs_no_labels(data: DataSet, tmp_path: Path) -> None:
    found = calibration(shots(tmp_path / "shots", 110), data, data.of("val"))
    assert (len(found.files), found.warnings) == (110, ())
    assert len(calibration(shots(tmp_path / "many", 320), data, data.of("val")).files) == 300


def test_too_few_are_refused_whatever_the_reason(data: DataSet, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=rf"few: {LEAST - 1} pictures to calibrate on are too few; give 100 or more"):
        calibration(shots(tmp_path / "few", LEAST - 1), data, data.of("val"))
    with pytest.raises(ExportError, match=r"the training pictures of .*: 0 pictures"):
        calibration(None, data.of("val"), data.of("val"))
    (tmp_path / "none").mkdir()
    with pytest.raises(EdgevisionError, match="no pictures in"):
        calibration(tmp_path / "none", data, data.of("val"))
    broken = shots(tmp_path / "broken", LEAST)
    (broken / "3.png").write_bytes(b"no picture")
    with pytest.raises(ExportError, match=rf"only {LEAST - 1} of {LEAST} pictures to calibrate on can be read"):
        calibration(broken, data, data.of("val"))


def test_pictures_that_judge_are_refused_copied_or_stored_again(data: DataSet, tmp_path: Path) -> None:
    folder, judged = shots(tmp_path / "shots", 30), data.of("val").samples[0].file
    shutil.copyfile(judged, folder / "copy.png")
    with pytest.raises(ExportError, match=r"1 pictures to calibrate on are among those that judge .*copy\.png"):
        calibration(folder, data, data.of("val"))
    (folder / "copy.png").unlink()
    cv2.imwrite(str(folder / "again.jpg"), cv2.imread(str(judged)), [cv2.IMWRITE_JPEG_QUALITY, 92])
    with pytest.raises(ExportError, match=r"1 pictures to calibrate on look like the same shot .*again\.jpg"):
        calibration(folder, data, data.of("val"))


def test_test_pictures_are_held_out_too(data: DataSet, tmp_path: Path) -> None:
    more = sample(tmp_path / "d", "held.png", [], "test")
    folder = shots(tmp_path / "shots", 30)
    shutil.copyfile(more.file, folder / "copy.png")
    with pytest.raises(ExportError, match="are among those that judge"):
        calibration(folder, replace(data, samples=(*data.samples, more)), data.of("val"))
