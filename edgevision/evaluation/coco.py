"""COCO's mean average precision, computed by faster-coco-eval.

Lin et al., "Microsoft COCO", 2014; the numbers are those of pycocotools with ``maxDets`` 300 in place of 100, since a
picture of a board may hold more than 100 candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.evaluation.predict import MOST_DETECTIONS, Predictions

SIZES = ("small", "medium", "large")
SIZE_LIMITS_PX2 = (32.0**2, 96.0**2)  # COCO: area of the box up to which an object is small, medium

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Average precision of something; ``None`` where no object is labelled.

    Attributes:
        map50: At IoU 0.5.
        map50_95: Mean over IoU 0.5, 0.55, ... 0.95.
    """

    map50: float | None
    map50_95: float | None


@dataclass(frozen=True, slots=True)
class CocoResult:
    """COCO's numbers.

    Attributes:
        overall: Mean over the classes that have objects.
        by_class: By class name.
        by_size: By COCO's sizes, ``small``, ``medium`` and ``large``.
        curves: Precision at recall 0, 0.01, ... 1 at IoU 0.5, by class name; only classes that have objects.
    """

    overall: AveragePrecision
    by_class: dict[str, AveragePrecision]
    by_size: dict[str, AveragePrecision]
    curves: dict[str, tuple[float, ...]]


def coco_truth(predictions: Predictions) -> dict[str, Any]:
    """The labels as a COCO document; ``image_id`` is the place of the picture, ids of boxes begin at 1."""
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for place, sample in enumerate(predictions.data.samples):
        images.append({"id": place, "width": sample.size[0], "height": sample.size[1]})
        for (x1, y1, x2, y2), label in zip(sample.xyxy.tolist(), sample.label.tolist(), strict=True):
            width, height = x2 - x1, y2 - y1
            box = {"id": len(boxes) + 1, "image_id": place, "category_id": label, "iscrowd": 0}
            boxes.append({**box, "bbox": [x1, y1, width, height], "area": width * height})
    categories = [{"id": index, "name": name} for index, name in enumerate(predictions.data.classes)]
    return {"info": {}, "images": images, "annotations": boxes, "categories": categories}


def coco_rows(predictions: Predictions) -> Numbers:
    """(D, 7) float64: picture, x, y, width, height in px, score, class; as COCO's ``loadRes`` takes arrays."""
    parts = [np.zeros((0, 7))]
    for place, found in enumerate(predictions.found):
        xyxy = found.xyxy.astype(np.float64)
        column = np.full((len(found), 1), float(place))
        values = [column, xyxy[:, :2], xyxy[:, 2:] - xyxy[:, :2], found.score[:, None], found.label[:, None]]
        parts.append(np.concatenate(values, axis=1))
    return np.concatenate(parts)


def coco_result(predictions: Predictions) -> CocoResult:
    """Average precision over all classes, by class and by size of the object."""
    precision = _precision(predictions)
    classes = predictions.data.classes
    every = AveragePrecision(_mean(precision[0, :, :, 0]), _mean(precision[:, :, :, 0]))
    by_class = {
        name: AveragePrecision(_mean(precision[0, :, index, 0]), _mean(precision[:, :, index, 0]))
        for index, name in enumerate(classes)
    }
    by_size = {
        name: AveragePrecision(_mean(precision[0, :, :, place]), _mean(precision[:, :, :, place]))
        for place, name in enumerate(SIZES, start=1)
    }
    curves = {
        name: tuple(float(value) for value in precision[0, :, index, 0])
        for index, name in enumerate(classes)
        if by_class[name].map50 is not None
    }
    return CocoResult(every, by_class, by_size, curves)


def size_names(areas_px2: Sequence[float] | NDArray[np.floating[Any]]) -> list[str]:
    """COCO's size of boxes by their area, px²."""
    return [SIZES[int(np.searchsorted(SIZE_LIMITS_PX2, area, side="right"))] for area in areas_px2]


def _precision(predictions: Predictions) -> Numbers:
    """Precision (10 IoU, 101 recalls, classes, all and the sizes); -1 where there is no object."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth = coco_truth(predictions)
    shape = (10, 101, len(predictions.data.classes), 1 + len(SIZES))
    if not truth["annotations"]:
        return np.full(shape, -1.0)
    labelled = COCO(truth)
    results = [
        {"image_id": int(row[0]), "category_id": int(row[6]), "bbox": row[1:5].tolist(), "score": float(row[5])}
        for row in coco_rows(predictions)
    ]
    judge = COCOeval_faster(labelled, labelled.loadRes(results), "bbox")
    judge.params.maxDets = [1, 10, MOST_DETECTIONS]
    judge.evaluate()
    judge.accumulate()
    return np.asarray(judge.eval["precision"], np.float64)[..., -1].reshape(shape)


def _mean(precision: Numbers) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None
