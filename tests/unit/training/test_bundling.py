"""What goes into a bundle: telling pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgevision.datasets.base import DataSet, Sample
from edgevision.training.bundling import golden_files
from edgevision.training.settings import JudgeSettings

BOX = np.array([[10, 10, 20, 20]], np.float32)


def test_golden_pictures_show_every_class_and_only_what_may_be_given_away() -> None:
    def shows(name: str, *labels: int) -> Sample:
        boxes = np.tile(BOX, (len(labels), 1))
        return Sample(Path(name), (64, 64), boxes, np.array(labels, np.int64), "val")

    samples = (shows("a.png", 0, 0, 0), shows("b.png", 0), shows("c.png", 1), shows("secret.png", 2), shows("d.png"))
    data = DataSet(("x", "y", "z"), samples)
    chosen = golden_files(data, JudgeSettings(golden=2))
    assert sorted(chosen) == ["golden/0.png", "golden/1.png"]
    assert len({file.name for file in chosen.values()} & {"a.png", "c.png", "secret.png"}) == 2
    open_ones = golden_files(data, JudgeSettings(golden=10, golden_pattern="?.png"))
    assert {file.name for file in open_ones.values()} == {"a.png", "b.png", "c.png", "d.png"}
    assert golden_files(data, JudgeSettings(golden=0)) == {}
