"""Pasted defects lie where they fit, change what their box says, and never lie on one another."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgevision.datasets.base import Sample
from edgevision.geometry import iou
from edgevision.training.paste import Paster
from edgevision.types import Image

NONE = np.zeros((0, 4), np.float32)


def board(*traces: int) -> Image:
    """White with vertical black traces, 16 px wide."""
    image = np.full((256, 256, 3), 255, np.uint8)
    for x in traces:
        image[:, x : x + 16] = 0
    return image


def open_sample(folder: Path) -> Sample:
    """A trace with a gap, and its template without."""
    template = board(100)
    defective = template.copy()
    defective[120:132, 100:116] = 255
    for name, image in (("a.png", defective), ("t.png", template)):
        cv2.imwrite(str(folder / name), image)
    box = np.array([[98, 118, 118, 134]], np.float32)
    return Sample(folder / "a.png", (256, 256), box, np.array([3]), template=folder / "t.png")


def test_an_open_is_pasted_onto_a_trace_and_nowhere_else(tmp_path: Path) -> None:
    paster, target = Paster([open_sample(tmp_path)], 0), board(40, 180)
    assert len(paster) == 1
    pasted = 0
    for seed in range(30):
        made, boxes, labels = paster.apply(target, NONE, np.zeros(0, np.int64), np.random.default_rng(seed))
        assert set(labels.tolist()) <= {3}
        changed = np.argwhere((made != target).any(axis=2))
        inside = np.zeros(len(changed), bool)
        for x1, y1, x2, y2 in boxes:
            middle = (x1 + x2) / 2
            assert min(abs(middle - 48), abs(middle - 188)) < 4, "the gap sits on a trace"
            assert made[int((y1 + y2) / 2), int(middle)].min() > 200, "and is a gap there"
            inside |= (
                (changed[:, 1] >= x1 - 2)
                & (changed[:, 1] < x2 + 2)
                & (changed[:, 0] >= y1 - 2)
                & (changed[:, 0] < y2 + 2)
            )
        assert inside.all(), "nothing changes outside of the boxes"
        pasted += len(boxes)
        if len(boxes) > 1:
            assert iou(boxes, boxes)[~np.eye(len(boxes), dtype=bool)].max() == 0
    assert pasted > 20


def test_where_nothing_fits_the_picture_stays_as_it_is(tmp_path: Path) -> None:
    paster, blank = Paster([open_sample(tmp_path)], 0), np.full((256, 256, 3), 128, np.uint8)
    made, boxes, labels = paster.apply(blank, NONE, np.zeros(0, np.int64), np.random.default_rng(0))
    assert (made == blank).all()
    assert (len(boxes), len(labels)) == (0, 0)


def test_labels_that_are_there_stay_and_are_not_covered(tmp_path: Path) -> None:
    paster, target = Paster([open_sample(tmp_path)], 0), board(100)
    there = np.array([[90, 0, 130, 200]], np.float32)
    for seed in range(10):
        _, boxes, labels = paster.apply(target, there, np.array([1]), np.random.default_rng(seed))
        assert (boxes[0] == there[0]).all()
        assert labels[0] == 1
        assert len(boxes) == 1 or iou(there, boxes[1:]).max() == 0


def test_a_picture_of_half_the_size_gets_defects_of_half_the_size(tmp_path: Path) -> None:
    paster = Paster([open_sample(tmp_path)], 0)
    small = cv2.resize(board(40, 180), (128, 128), interpolation=cv2.INTER_AREA)
    sizes = []
    for seed in range(30):
        _, boxes, _ = paster.apply(
            np.asarray(small, np.uint8), NONE, np.zeros(0, np.int64), np.random.default_rng(seed), 0.5
        )
        sizes += (boxes[:, 2:] - boxes[:, :2]).max(axis=1).tolist()
    assert sizes
    assert 8 <= min(sizes) <= max(sizes) <= 12


def test_without_a_template_the_crop_goes_where_the_picture_is_as_bright(tmp_path: Path) -> None:
    image = np.full((128, 128, 3), 60, np.uint8)
    image[60:68, 60:68] = 250
    cv2.imwrite(str(tmp_path / "a.png"), image)
    sample = Sample(tmp_path / "a.png", (128, 128), np.array([[59, 59, 69, 69]], np.float32), np.array([0]))
    paster = Paster([sample], 0)
    target = np.full((128, 128, 3), 60, np.uint8)
    target[:, 64:] = 200
    found = [paster.apply(target, NONE, np.zeros(0, np.int64), np.random.default_rng(seed))[1] for seed in range(10)]
    boxes = np.concatenate(found)
    assert len(boxes)
    assert (boxes[:, 2] < 68).all(), "on the dark half"


def stain(folder: Path, levels: int) -> Sample:
    """A smooth grey surface with a brighter stain, and its template without."""
    template = np.full((256, 256, 3), 120, np.uint8)
    template[::8] = 130
    stained = template.copy()
    cv2.circle(stained, (128, 128), 12, (120 + levels,) * 3, -1)
    for name, image in (("a.png", stained), ("t.png", template)):
        cv2.imwrite(str(folder / name), image)
    box = np.array([[116, 116, 141, 141]], np.float32)
    return Sample(folder / "a.png", (256, 256), box, np.array([0]), template=folder / "t.png")


def test_a_defect_of_little_contrast_is_pasted_as_one(tmp_path: Path) -> None:
    sample = stain(tmp_path, 20)
    assert sample.template is not None
    paster, target = Paster([sample], 0), cv2.imread(str(sample.template))
    for seed in range(10):
        made, boxes, _ = paster.apply(target, NONE, np.zeros(0, np.int64), np.random.default_rng(seed))
        assert len(boxes)
        for x1, y1, x2, y2 in boxes.astype(int):
            changed = np.abs(made[y1:y2, x1:x2].astype(int) - target[y1:y2, x1:x2]).max(axis=2) > 5
            assert changed.mean() > 0.5, "the box shows what its label says"


def test_what_cannot_be_told_from_noise_is_not_pasted(tmp_path: Path) -> None:
    assert len(Paster([stain(tmp_path, 4)], 0)) == 0
