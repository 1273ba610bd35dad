"""From pictures to results: splits, choices, and what is missed before the long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx_models import colour_bundle

from edgevision.datasets.base import DataSet
from edgevision.errors import DatasetError, EdgevisionError
from edgevision.evaluation.evaluate import Request, evaluate, judge, pictures_of
from edgevision.evaluation.intervals import Rate
from edgevision.evaluation.model import open_model
from edgevision.evaluation.operating import Costs
from edgevision.inference.base import Batch, Detector, InputSpec
from edgevision.types import Detections

Coloured = Callable[..., DataSet]
HALF = {"default": 0.5}


@pytest.fixture(name="detector")
def _detector(tmp_path: Path) -> Iterator[Detector]:
    made = open_model(colour_bundle(tmp_path / "model").folder, device="cpu")
    yield made
    made.close()


class Unused:
    """A detector that must not be asked."""

    classes = ("red", "green", "blue")
    input = InputSpec(64, 48)
    max_batch = 2

    def infer(self, batch: Batch) -> list[Detections]:
        raise AssertionError(len(batch.boxes))

    def close(self) -> None:
        pass


def boards(coloured: Coloured) -> DataSet:
    """Defective ones score 0.8 and 0.4 in test, 0.6 in val; good ones 0.2."""
    return coloured([
        ("test", 204, True), ("test", 102, True), ("test", 51, False),
        ("val", 153, True), ("val", 51, False),
    ])  # fmt: skip


def test_thresholds_chosen_on_val_are_reported_on_test(detector: Detector, coloured: Coloured) -> None:
    data, done = boards(coloured), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count

    request = Request(choose_on="val", escape_rate=0.0, thresholds=HALF)
    results = evaluate(detector, data, request, advance=advance)
    assert done == pictures_of(data, request) == 5
    assert results.point.thresholds["red"] == pytest.approx(0.6, abs=1e-3)
    assert results.rates.escape == Rate(1, 2)
    assert results.rates.overkill == Rate(0, 1)
    assert results.point.chosen_on is not None
    assert results.point.chosen_on.escape == Rate(0, 1)
    assert results.right_place == Rate(1, 2)
    assert not any("flatter" in note for note in results.notes)


def test_choosing_by_cost_puts_the_threshold_between_good_and_defective(detector: Detector, coloured: Coloured) -> None:
    request = Request(choose_on="val", costs=Costs(10, 1, 0.1))
    results = evaluate(detector, boards(coloured), request)
    assert results.point.thresholds["red"] == pytest.approx(0.4, abs=0.01)


def test_all_pictures_and_a_column_are_splits_too(detector: Detector, coloured: Coloured) -> None:
    data = boards(coloured)
    every = evaluate(detector, data, Request(split="", thresholds=HALF))
    assert len(every.predictions.data) == 5
    named = replace(data, samples=tuple(replace(item, columns={"board": item.split}) for item in data.samples))
    part = evaluate(detector, named, Request(split="board=val", thresholds=HALF))
    assert len(part.predictions.data) == 2
    with pytest.raises(DatasetError, match="no picture has board x; it has test, val"):
        evaluate(detector, named, Request(split="board=x"))
    with pytest.raises(DatasetError, match="no picture has camera 1; columns are board"):
        evaluate(detector, named, Request(split="camera=1"))


@pytest.mark.parametrize(("split", "words"), [("val", "on all of"), ("", "on 2 of 5 of")])
def test_parts_that_chose_and_are_reported_are_told(
    detector: Detector, coloured: Coloured, split: str, words: str
) -> None:
    results = evaluate(detector, boards(coloured), Request(split=split, choose_on="val", escape_rate=0.0))
    assert any(words in note and "the rates flatter" in note for note in results.notes)


def test_a_split_that_does_not_exist_names_those_that_do(coloured: Coloured) -> None:
    data = boards(coloured)
    with pytest.raises(DatasetError, match="there is no split train; it has val, test"):
        evaluate(Unused(), data, Request(split="train"))
    none = replace(data, samples=tuple(replace(item, split="") for item in data.samples))
    with pytest.raises(DatasetError, match="no picture says which one it is in; all takes every picture"):
        evaluate(Unused(), none, Request())
    with pytest.raises(DatasetError, match="there are no pictures to evaluate on"):
        evaluate(Unused(), replace(data, samples=()), Request())


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request(defects=("dent",)), "dent: no such class; classes are red, green, blue"),
        (Request(escape_rate=0.1), "need a split to choose the thresholds on"),
        (Request(choose_on="val"), "give either a wanted escape rate or the costs"),
        (Request(choose_on="val", escape_rate=0.1, costs=Costs(1, 1, 0.5)), "give either"),
        (
            Request(choose_on="val", escape_rate=0.1, defects=("blue",)),
            "no part of the split to choose on is defective",
        ),
        (Request(with_templates=True), "no picture has a template, so there are none to take as good parts"),
    ],
)
def test_what_cannot_work_is_told_before_the_model_runs(coloured: Coloured, request_: Request, words: str) -> None:
    with pytest.raises(EdgevisionError, match=words):
        evaluate(Unused(), boards(coloured), request_)


def test_costs_without_good_parts_are_told_before_the_model_runs(coloured: Coloured) -> None:
    data = coloured([("test", 204, True), ("val", 204, True)])
    with pytest.raises(DatasetError, match="overkill is not measurable and has no cost; add good parts"):
        evaluate(Unused(), data, Request(choose_on="val", costs=Costs(1, 1, 0.5)))


def test_only_good_or_only_defective_parts(detector: Detector, coloured: Coloured) -> None:
    bad = evaluate(detector, coloured([("test", 204, True)]), Request(thresholds=HALF))
    assert bad.rates.overkill.value is None
    good = evaluate(detector, coloured([("test", 204, False), ("test", 51, False)]), Request(thresholds=HALF))
    assert good.rates.escape.value is None
    assert good.rates.overkill == Rate(1, 2)
    assert good.coco.overall.map50 is None


def test_templates_are_good_parts_and_no_part_of_map(detector: Detector, coloured: Coloured, tmp_path: Path) -> None:
    data = boards(coloured)
    template = tmp_path / "template.png"
    cv2.imwrite(str(template), np.full((48, 64, 3), (0, 0, 204), np.uint8))
    paired = replace(data, samples=tuple(replace(item, template=template) for item in data.samples))
    alone = evaluate(detector, paired, Request(thresholds=HALF))
    results = evaluate(detector, paired, Request(thresholds=HALF, with_templates=True))
    assert results.templates == 1
    assert results.rates.overkill == Rate(1, 2)
    assert results.coco == alone.coco
    assert alone.rates.overkill == Rate(0, 1)


def test_parts_with_many_defects_are_told(labels: Any, dets: Any, preds: Any) -> None:
    one, two = (0, 0, 9, 9, 0), (50, 50, 60, 60, 1)
    pair = preds([(labels([one, two]), dets([(*one, 0.9)])), (labels([one], "b.png"), dets([]))])
    assert any("has 1.5 labelled defects here" in note for note in judge(pair, pair.data, Request(split="")).notes)
    only = judge(pair, pair.data, Request(split="", defects=("open",)))
    assert not any("labelled defects here" in note for note in only.notes)


def test_one_class_only(coloured: Coloured) -> None:
    data = coloured([("test", 204, True), ("test", 51, False)])

    class One(Unused):
        classes = ("red",)

        def infer(self, batch: Batch) -> list[Detections]:
            box, score = np.array([[24, 20, 40, 28]], np.float32), np.array([0.7], np.float32)
            return [Detections(box, score, np.zeros(1, np.int64)) for _ in batch.boxes]

    results = evaluate(One(), replace(data, classes=("red",)), Request(thresholds=HALF))
    assert results.coco.overall.map50 is not None
    assert results.confusion.tolist() == [[1, 0], [1, 0]]
    assert results.rates.overkill == Rate(1, 1)


def test_unreadable_pictures_of_either_split_are_told(detector: Detector, coloured: Coloured) -> None:
    data = coloured([("test", 204, True), ("test", 204, True), ("val", 153, True), ("val", 153, True)])
    for place in (1, 3):
        data.samples[place].file.write_bytes(b"")
    results = evaluate(detector, data, Request(choose_on="val", escape_rate=0.0))
    assert [Path(item.where).name for item in results.unusable] == ["1.png"]
    notes: Any = " ".join(results.notes)
    assert "could not be used, and are in no number: 1" in notes
    assert "Pictures to choose thresholds on that could not be used: 1" in notes


def test_thresholds_can_be_chosen_on_all_pictures(detector: Detector, coloured: Coloured) -> None:
    results = evaluate(detector, boards(coloured), Request(choose_on="all", escape_rate=0.0))
    assert results.point.chosen_on is not None
    assert results.point.chosen_on.escape == Rate(0, 3)
    assert any("Thresholds were chosen on all of the very parts" in note for note in results.notes)
