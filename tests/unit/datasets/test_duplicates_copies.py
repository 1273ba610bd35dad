"""What is the same shot and what only looks alike."""

from __future__ import annotations

import random
from collections.abc import Callable
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

BOARD = cv2.resize(noise(5), (480, 320), interpolation=cv2.INTER_NEAREST)


def jpeg(quality: int) -> Callable[[Image], Image]:
    def again(image: Image) -> Image:
        return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)

    return again


def moved(image: Image) -> Image:
    return cv2.warpAffine(
        image, np.float32([[1, 0, 4], [0, 1, -3]]), image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    )


def with_defect(image: Image) -> Image:
    out = image.copy()
    cv2.circle(out, (200, 150), 14, (0, 0, 255) if image[150, 200].sum() > 380 else (255, 255, 255), -1)
    return out


def measured(folder: Path, *images: Image) -> list[Measured]:
    out = []
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number}.png"), image)
        out.append(measure(folder / f"{number}.png"))
    return out


@pytest.mark.parametrize(
    "again",
    [
        jpeg(60),
        moved,
        lambda image: cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
        lambda image: cv2.convertScaleAbs(image, alpha=0.9, beta=15),
        lambda image: cv2.GaussianBlur(image, (3, 3), 0),
    ],
    ids=["jpeg", "moved", "smaller", "brighter", "softer"],
)
def test_a_shot_stored_again_is_found(tmp_path: Path, again: Callable[[Image], Image]) -> None:
    facts = measured(tmp_path, BOARD, again(BOARD), noise(6))
    assert [(pair.first, pair.second) for pair in near_pairs(facts, ["train", "val", "val"])] == [(0, 1)]


def test_a_part_of_one_design_with_a_defect_is_another_shot(tmp_path: Path) -> None:
    assert near_pairs(measured(tmp_path, BOARD, with_defect(BOARD)), ["train", "val"]) == []


def test_blank_pictures_are_alike_and_are_no_trouble(tmp_path: Path) -> None:
    facts = measured(tmp_path, *(np.full((40, 60, 3), value, np.uint8) for value in (10, 12)), BOARD)
    assert [(pair.first, pair.second) for pair in near_pairs(facts, [""] * 3)] == [(0, 1)]


def test_nothing_and_one_picture_have_no_pairs(tmp_path: Path) -> None:
    assert near_pairs([], []) == []
    assert near_pairs(measured(tmp_path, BOARD), [""]) == []


def test_equal_bytes_are_exact_duplicates_of_the_first_and_no_near_ones(tmp_path: Path) -> None:
    facts = measured(tmp_path, BOARD, noise(6), BOARD, BOARD)
    assert [(pair.first, pair.second) for pair in exact_pairs(facts)] == [(0, 2), (0, 3)]
    assert near_pairs(facts, [""] * 4) == []


def test_which_pairs_are_found_does_not_depend_on_the_order(tmp_path: Path) -> None:
    shots = [cv2.convertScaleAbs(BOARD, alpha=1, beta=step) for step in range(12)]
    facts = measured(tmp_path, *shots)
    splits = ["train", "val"] * 6

    def found(order: list[int]) -> set[tuple[int, int]]:
        pairs = near_pairs([facts[index] for index in order], [splits[index] for index in order])
        return {tuple(sorted((order[pair.first], order[pair.second]))) for pair in pairs}  # type: ignore[misc]

    shuffled = list(range(12))
    random.Random(3).shuffle(shuffled)
    assert found(list(range(12))) == found(shuffled)
    assert len(found(shuffled)) > 12


def test_boards_of_one_design_are_no_duplicates_and_the_steel_that_was_shot_twice_is(data_dir: Path) -> None:
    boards = read_dataset(data_dir / "deeppcb").where(lambda item: item.columns["board"] == "50600")
    steel = read_dataset(data_dir / "neu-det").where(lambda item: item.file.name.startswith("inclusion"))
    found = [item for data in (boards, steel) for item in check(data, CheckSettings()).findings]
    assert (len(boards), len(steel)) == (50, 240)
    assert {Path(item.where).stem for item in found if "duplicate" in item.kind and "box" not in item.kind} == {
        "inclusion_125", "inclusion_210"}  # fmt: skip
