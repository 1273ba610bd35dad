"""COCO's numbers are those of pycocotools."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from labelled import drawn_boards, noisy_predictions
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgevision.bundle import read_bundle
from edgevision.datasets.base import DataSet, Sample
from edgevision.evaluation.coco import coco_result, coco_rows, coco_truth, size_names
from edgevision.evaluation.model import open_model
from edgevision.evaluation.predict import Predictions, predict
from edgevision.types import Detections

BUNDLE = Path(__file__).parents[3] / "models" / "pcb-defects"


def judged(predictions: Predictions) -> np.ndarray[Any, Any]:
    """Precision of pycocotools, (10, 101, classes, sizes)."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = coco_truth(predictions)
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(coco_rows(predictions)), "bbox")
        judge.params.maxDets = [1, 10, 300]
        judge.evaluate()
        judge.accumulate()
    return np.asarray(judge.eval["precision"])[..., -1]


def mean(values: np.ndarray[Any, Any]) -> float | None:
    return float(values[values > -1].mean()) if (values > -1).any() else None


def check(predictions: Predictions) -> None:
    theirs, ours = judged(predictions), coco_result(predictions)

    def same(mine: float | None, other: float | None) -> None:
        assert mine == (None if other is None else pytest.approx(other, abs=1e-6))

    same(ours.overall.map50, mean(theirs[0, :, :, 0]))
    same(ours.overall.map50_95, mean(theirs[..., 0]))
    for index, name in enumerate(predictions.data.classes):
        same(ours.by_class[name].map50, mean(theirs[0, :, index, 0]))
        same(ours.by_class[name].map50_95, mean(theirs[:, :, index, 0]))
    for place, name in enumerate(("small", "medium", "large"), start=1):
        same(ours.by_size[name].map50, mean(theirs[0, :, :, place]))
        same(ours.by_size[name].map50_95, mean(theirs[..., place]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_random_detections_as_pycocotools_sees_them(seed: int) -> None:
    check(noisy_predictions(np.random.default_rng(seed), 25, 4))


def test_more_than_a_hundred_detections_count() -> None:
    rng = np.random.default_rng(7)
    corner = rng.uniform(0, 600, (250, 2))
    truth = np.concatenate([corner, corner + 12], axis=1).astype(np.float32)
    label = np.zeros(250, np.int64)
    sample = Sample(Path("a.png"), (640, 640), truth, label)
    found = Detections(truth, rng.random(250).astype(np.float32), label)
    predictions = Predictions(DataSet(("dot",), (sample,)), (found,), (0.0,))
    check(predictions)
    assert coco_result(predictions).overall.map50 == pytest.approx(1.0)


def test_a_real_model_on_drawn_boards_as_pycocotools_sees_it(tmp_path: Path) -> None:
    detector = open_model(BUNDLE, device="cpu")
    predictions = predict(detector, drawn_boards(tmp_path, range(910_000, 910_008)))
    detector.close()
    check(predictions)
    assert (coco_result(predictions).overall.map50 or 0) > 0.9


def test_real_boards_as_pycocotools_sees_them(data_dir: Path) -> None:
    from edgevision.datasets.formats import read_dataset

    data = read_dataset(data_dir / "deeppcb", "deeppcb")
    few = replace(data, samples=tuple(data.where(lambda sample: sample.columns["board"] == "77000").samples[:20]))
    detector = open_model(BUNDLE, device="cpu")
    predictions = predict(detector, few)
    detector.close()
    check(predictions)
    assert (coco_result(predictions).overall.map50 or 0) > 0.85
    assert read_bundle(BUNDLE).manifest.thresholds["default"] > predictions.found[0].score.min()


def test_nothing_labelled_and_nothing_seen(labels: Any, dets: Any, preds: Any) -> None:
    nothing = coco_result(preds([(labels([]), dets([]))]))
    assert nothing.overall.map50 is None
    assert nothing.curves == {}
    blind = coco_result(preds([(labels([(0, 0, 10, 10, 0)]), dets([]))]))
    assert blind.overall.map50 == 0.0
    assert blind.by_class["short"].map50 is None


def test_sizes_are_cocos() -> None:
    assert size_names([31.9**2, 32.1**2, 95.9**2, 96.1**2]) == ["small", "medium", "medium", "large"]


def test_each_size_has_its_own_precision(labels: Any, dets: Any, preds: Any) -> None:
    small, large = (0, 0, 20, 20, 0), (100, 100, 250, 250, 0)
    seen = preds([(labels([small, (30, 30, 80, 80, 0), large], size=(300, 300)), dets([(*large, 0.9)]))])
    found = coco_result(seen).by_size
    assert {name: item.map50 for name, item in found.items()} == {
        "small": 0.0, "medium": 0.0, "large": pytest.approx(1),
    }  # fmt: skip
    assert size_names([32**2, 96**2]) == ["medium", "large"]
