"""What counts as the same picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled import noise

from edgevision.datasets.check import CheckSettings, check
from edgevision.datasets.duplicates import exact_pairs, near_pairs
from edgevision.datasets.formats import read_dataset
from edgevision.datasets.measure import Measured, measure
from edgevision.types import Image


def measured(folder: Path, **images: Image) -> list[Measured]:
    out = []
    for name, image in images.items():
        cv2.imwrite(str(folder / f"{name}.png"), image)
        out.append(measure(folder / f"{name}.png"))
    return out


def board(seed: int = 0) -> Image:
    """Large soft blots."""
    return np.asarray(cv2.GaussianBlur(noise(seed, (320, 320)), (31, 31), 0), np.uint8)


@pytest.mark.parametrize("kind", ["jpeg", "smaller", "brighter", "noisy", "moved"])
def test_a_shot_stored_again_is_found(tmp_path: Path, kind: str) -> None:
    image = board()
    copy = {
        "jpeg": lambda: cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR),
        "smaller": lambda: cv2.resize(image, (160, 160), interpolation=cv2.INTER_AREA),
        "brighter": lambda: cv2.convertScaleAbs(image, alpha=0.8, beta=20),
        "noisy": lambda: np.clip(image + np.random.default_rng(0).normal(0, 6, image.shape), 0, 255).astype(np.uint8),
        "moved": lambda: np.roll(image, (2, 2), (0, 1)),
    }[kind]()
    (pair,) = near_pairs(measured(tmp_path, first=image, other=board(1), copy=copy), ["", "", ""])
    assert (pair.first, pair.second) == (0, 2)


def test_another_part_of_the_same_design_is_another_shot(tmp_path: Path) -> None:
    image, defective = board(), board()
    cv2.circle(defective, (160, 120), 14, (255, 255, 255), -1)
    cv2.circle(defective, (200, 220), 14, (0, 0, 0), -1)
    facts = measured(tmp_path, good=image, defective=defective)
    assert (facts[0].bits != facts[1].bits).sum() <= 80, "the hash alone takes them for one"
    assert near_pairs(facts, ["", ""]) == []


def test_equal_files_are_exact_and_not_near(tmp_path: Path) -> None:
    facts = measured(tmp_path, a=board(), b=board(), c=board(2), d=board())
    assert [(pair.first, pair.second) for pair in exact_pairs(facts)] == [(0, 1), (0, 3)]
    assert near_pairs(facts, [""] * 4) == []
    assert near_pairs([], []) == []


def test_a_pair_is_found_across_blocks_and_among_many_that_are_alike(tmp_path: Path) -> None:
    """More pictures than a block holds; the copy in the other split is found beside those of the own one."""
    alike = measured(tmp_path, a=board())[0]
    rng = np.random.default_rng(0)
    facts = [Measured(str(index), (1, 1), rng.random(256) > 0.5, alike.thumb, 0.0) for index in range(1100)]
    for index in (0, 1, 2, 3, 4, 5, 6, 7, 1099):
        facts[index] = Measured(str(index), (1, 1), alike.bits, alike.thumb, 0.0)
    pairs = near_pairs(facts, ["train"] * 1099 + ["val"], 20)
    assert (0, 1099) in {(pair.first, pair.second) for pair in pairs}
    assert all(pair.first < 8 and (pair.second < 8 or pair.second == 1099) for pair in pairs)


def test_real_boards_of_one_design_are_no_duplicates_and_real_steel_has_some(data_dir: Path) -> None:
    boards = check(read_dataset(data_dir / "deeppcb"), CheckSettings())
    assert boards.findings == ()
    steel = check(read_dataset(data_dir / "neu-det"), CheckSettings(image_size=200))
    told = {(item.kind, Path(item.where).name) for item in steel.findings}
    assert told == {
        ("exact_duplicate", "patches_105.jpg"),
        ("near_duplicate", "inclusion_125.jpg"),
        ("near_duplicate", "inclusion_210.jpg"),
        ("near_duplicate", "patches_193.jpg"),
        ("duplicate_box", "crazing_120.xml:49"),
        ("duplicate_box", "inclusion_62.xml:85"),
        ("duplicate_box", "patches_198.xml:37"),
    }
