"""What goes into a bundle: a sensible threshold and telling pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgevision.datasets.base import DataSet, Sample
from edgevision.evaluation.predict import Predictions
from edgevision.training.bundling import THRESHOLDS, _golden_files, best_f1
from edgevision.training.settings import JudgeSettings
from edgevision.types import Detections

BOX = np.array([[10, 10, 20, 20]], np.float32)
ELSEWHERE = np.array([[40, 40, 50, 50]], np.float32)


def predictions(*scores: tuple[float, float]) -> Predictions:
    """Pictures with one defect each: found with the first score, and something false with the second."""
    samples, found = [], []
    for number, (right, wrong) in enumerate(scores):
        samples.append(Sample(Path(f"{number}.png"), (64, 64), BOX, np.array([0]), "val"))
        boxes = np.concatenate([BOX, ELSEWHERE])
        found.append(Detections(boxes, np.array([right, wrong], np.float32), np.zeros(2, np.int64)))
    return Predictions(DataSet(("dent",), tuple(samples)), tuple(found), (0.0,) * len(samples))


def test_the_threshold_of_the_best_f1_parts_what_is_right_from_what_is_false() -> None:
    assert 0.42 < best_f1(predictions((0.9, 0.4), (0.7, 0.42), (0.52, 0.1))) <= 0.52


def test_of_equal_thresholds_the_lowest_is_taken_since_an_escape_costs_more() -> None:
    assert best_f1(predictions((0.9, 0.01), (0.95, 0.02))) == THRESHOLDS[0]


def test_golden_pictures_show_every_class_and_only_what_may_be_given_away() -> None:
    def shows(name: str, *labels: int) -> Sample:
        boxes = np.tile(BOX, (len(labels), 1))
        return Sample(Path(name), (64, 64), boxes, np.array(labels, np.int64), "val")

    samples = (shows("a.png", 0, 0, 0), shows("b.png", 0), shows("c.png", 1), shows("secret.png", 2), shows("d.png"))
    data = DataSet(("x", "y", "z"), samples)
    chosen = _golden_files(data, JudgeSettings(golden=2))
    assert sorted(chosen) == ["golden/0.png", "golden/1.png"]
    assert len({file.name for file in chosen.values()} & {"a.png", "c.png", "secret.png"}) == 2
    open_ones = _golden_files(data, JudgeSettings(golden=10, golden_pattern="?.png"))
    assert {file.name for file in open_ones.values()} == {"a.png", "b.png", "c.png", "d.png"}
    assert _golden_files(data, JudgeSettings(golden=0)) == {}
