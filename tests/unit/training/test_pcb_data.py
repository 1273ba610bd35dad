"""Pictures for the board detector: what they show and what their labels say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgevision.datasets.formats import read_dataset
from edgevision.training.pcb_data import write_data


def test_boards_are_split_by_board_and_labels_and_columns_come_along(tmp_path: Path) -> None:
    deeppcb, out = tmp_path / "deeppcb", tmp_path / "data"
    for folder in ("images", "templates", "labels_yolo"):
        (deeppcb / folder).mkdir(parents=True)
    template = np.full((200, 200, 3), 255, np.uint8)
    cv2.line(template, (20, 100), (180, 100), (0, 0, 0), 20)
    for name in ("00041000", "44000001", "77000002"):
        cv2.imwrite(str(deeppcb / "images" / f"{name}.png"), template)
        cv2.imwrite(str(deeppcb / "templates" / f"{name}.png"), template)
        (deeppcb / "labels_yolo" / f"{name}.txt").write_text("1 0.5 0.5 0.1 0.2\n")
    assert write_data(deeppcb, out, drawn=5) == {"train": 7, "val": 2, "test": 2}
    data = read_dataset(out, "auto", None)
    assert not data.findings
    known = {data.name(sample.file): sample for sample in data.samples}
    real = known["images/val/44000001.png"]
    assert (real.split, dict(real.columns)) == ("val", {"source": "DeepPCB", "board": "44000"})
    assert real.xyxy.tolist() == [[90, 80, 110, 120]]
    assert [data.classes[label] for label in real.label] == ["short"]
    assert len(known["images/train/good-00041000.png"]) == 0
    assert dict(known["images/test/drawn-test-00000.png"].columns) == {"source": "drawn"}


def test_more_drawn_boards_may_judge_than_a_fifth(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert write_data(tmp_path, tmp_path / "out", drawn=5, drawn_val=3) == {"train": 5, "val": 3, "test": 1}
