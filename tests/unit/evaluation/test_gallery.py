"""Which mistakes are called the worst, and how large ones are shown small."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgevision.evaluation.evaluate import Request, judge
from edgevision.evaluation.gallery import SIDE_PX, crop, false, missed


def test_only_a_defect_lets_a_defective_part_pass_or_rejects_a_good_one(labels: Any, dets: Any, preds: Any) -> None:
    logo, dent = (10, 10, 40, 40, 1), (10, 10, 20, 20, 0)
    seen = preds([
        (labels([logo], "good.png"), dets([(50, 50, 60, 60, 1, 0.9)])),
        (labels([logo, dent], "bad.png"), dets([])),
        (labels([logo, dent], "caught.png"), dets([(50, 50, 60, 60, 0, 0.9)])),
        (labels([], "rejected.png"), dets([(50, 50, 60, 60, 0, 0.6)])),
    ], ("dent", "logo"))  # fmt: skip
    results = judge(seen, seen.data, Request(split="", defects=("dent",), thresholds={"default": 0.5}))
    assert [(item.name, item.title) for item in missed(results) if "passed" in item.detail] == [("bad.png", "dent")]
    assert missed(results)[0].title == "dent"
    assert [item.name for item in false(results) if "a good part rejected" in item.detail] == ["rejected.png"]


def test_a_large_picture_is_averaged_and_loses_no_line(labels: Any, dets: Any, preds: Any) -> None:
    picture = np.zeros((1500, 3000, 3), np.uint8)
    picture[:, ::16] = 255
    seen = preds([(labels([(0, 0, 2990, 1490, 0)], size=(3000, 1500)), dets([]))])
    results = judge(seen, seen.data, Request(split=""))
    shown = crop(results, picture, missed(results)[0])
    assert shown.shape == (SIDE_PX, SIDE_PX, 3)
    inside = shown[20:90, 20:200].astype(float)
    assert abs(inside.mean() - picture.mean()) < 2
    assert inside.max() < 60
    assert shown[SIDE_PX // 2 + 5 :].mean() > 120  # below the picture there is nothing
