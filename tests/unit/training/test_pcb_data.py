"""Pictures for the board detector: what they show and what their labels say."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.scenes.pcb_defects import KINDS
from edgevision.training.pcb_data import EXTRA, drawn_plan, negative, read_picture, turned, write_data

SAMPLE = (np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3), [("open", (1.0, 0.0, 3.0, 2.0))])


def test_four_quarter_turns_are_none_and_a_box_stays_on_its_pixels() -> None:
    sample = SAMPLE
    for _ in range(4):
        picture, ((_, (x1, y1, x2, y2)),) = sample
        piece = picture[int(y1) : int(y2), int(x1) : int(x2)]
        assert set(piece.ravel()) == set(SAMPLE[0][0:2, 1:3].ravel())
        sample = turned(sample)
    assert (sample[0] == SAMPLE[0]).all()
    assert sample[1] == SAMPLE[1]


def test_a_negative_exchanges_copper_and_laminate_and_the_names() -> None:
    picture = np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)
    labels = [(kind, (0.0, 0.0, 1.0, 1.0)) for kind in KINDS]
    inverted, renamed = negative((picture, labels))
    assert inverted.tolist() == [[[255, 255, 255], [0, 0, 0]]]
    assert [kind for kind, _ in renamed] == ["short", "open", "spur", "mousebite", "pin-hole", "copper"]
    again, names = negative((inverted, renamed))
    assert (again == picture).all()
    assert names == labels


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_plan_is_of_two_colours_and_its_defects_are_in_it(seed: int) -> None:
    picture, labels = drawn_plan(seed)
    assert picture.shape == (640, 640, 3)
    assert set(np.unique(picture)) == {0, 255}
    assert labels
    for kind, (x1, y1, x2, y2) in labels:
        assert kind in KINDS
        assert 0 <= x1 < x2 <= 640
        assert 0 <= y1 < y2 <= 640


def test_boards_are_split_by_board_and_labels_come_along(tmp_path: Path) -> None:
    deeppcb, out = tmp_path / "deeppcb", tmp_path / "data"
    for folder in ("images", "templates", "labels_yolo"):
        (deeppcb / folder).mkdir(parents=True)
    template = np.full((200, 200, 3), 255, np.uint8)
    cv2.line(template, (20, 100), (180, 100), (0, 0, 0), 20)
    for name in ("00041000", "44000001", "77000002"):
        cv2.imwrite(str(deeppcb / "images" / f"{name}.png"), template)
        cv2.imwrite(str(deeppcb / "templates" / f"{name}.png"), template)
        (deeppcb / "labels_yolo" / f"{name}.txt").write_text("1 0.5 0.5 0.1 0.2\n")
    counts = write_data(deeppcb, out, drawn=5, limit=None)
    assert counts == {
        "train-real": 3, "train-drawn": 5, "val-real": 1, "val-drawn": 1, "test-real": 1, "test-drawn": 1,
    }  # fmt: skip
    assert (out / "labels/val-real/44000001.txt").read_text() == "1 0.500000 0.500000 0.100000 0.200000"
    assert (out / "labels/train-real/good-00041000.txt").read_text() == ""
    described = json.loads((out / "data.yaml").read_text())
    assert described["train"] == ["images/train-drawn", "images/train-real"]
    assert described["val"] == ["images/val-real", "images/val-drawn"]
    more = write_data(deeppcb, tmp_path / "more", drawn=5, limit=None, extra=EXTRA)
    assert {part: count for part, count in more.items() if part not in counts} == {
        "train-negatives": 2, "train-plans": 5, "train-scratches": 2,
    }  # fmt: skip
    assert (tmp_path / "more/labels/train-negatives/00041000.txt").read_text().startswith("0 ")


def test_what_is_no_picture_is_told(tmp_path: Path) -> None:
    (tmp_path / "board.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a picture"):
        read_picture(tmp_path / "board.png")
