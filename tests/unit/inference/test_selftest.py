"""The golden test notices what moved, faded, went or appeared, and forgives what lies at the threshold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx_models import COLOURS, colour_manifest, write_colour_model

from edgevision.bundle import Bundle, write_bundle
from edgevision.inference.base import InputSpec
from edgevision.inference.golden import CLIP, bare_items, with_clip
from edgevision.inference.scripted import ScriptedDetector
from edgevision.inference.selftest import selftest, tolerance
from edgevision.types import Detections

Row = tuple[str, tuple[float, float, float, float], float]
A, B = (10.0, 10.0, 50.0, 40.0), (60.0, 20.0, 90.0, 44.0)


def _picture(file: Path) -> Path:
    cv2.imwrite(str(file), np.zeros((96, 128, 3), np.uint8))
    return file


def _bundle(folder: Path, *rows: Row) -> Bundle:
    boxes: list[dict[str, Any]] = [{"class": name, "xyxy": list(xyxy), "score": score} for name, xyxy, score in rows]
    manifest = colour_manifest(golden=[{"file": "golden/a.png", "boxes": boxes}])
    files: dict[str, Path | bytes] = {
        "model.onnx": write_colour_model(folder / "m.onnx"),
        "golden/a.png": _picture(folder / "a.png"),
    }
    return write_bundle(folder / "b", manifest, files)


def _with_clip(folder: Path, *rows: Row) -> Bundle:
    """A picture and a clip; both show the rows."""
    boxes: list[dict[str, Any]] = [{"class": name, "xyxy": list(xyxy), "score": score} for name, xyxy, score in rows]
    files: dict[str, Path | bytes] = {
        "model.onnx": write_colour_model(folder / "m.onnx"),
        **with_clip({"golden/a.png": _picture(folder / "a.png")}),
    }
    golden = [{**item, "boxes": boxes} for item in bare_items(name for name in files if name.startswith("golden"))]
    return write_bundle(folder / "clip", colour_manifest(golden=golden), files)


def _detector(rows: Sequence[Row]) -> ScriptedDetector:
    found = Detections(
        np.array([xyxy for _, xyxy, _ in rows], np.float32).reshape(-1, 4),
        np.array([score for _, _, score in rows], np.float32),
        np.array([COLOURS.index(name) for name, _, _ in rows], np.int64),
    )
    return ScriptedDetector(lambda *_: found, COLOURS, InputSpec(64, 48))


def test_the_same_boxes_in_another_order_pass(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, ("red", A, 0.9), ("blue", B, 0.8))
    (result,) = selftest(bundle, _detector([("blue", B, 0.81), ("red", (10, 10, 50, 41), 0.89)]))
    assert result.ok
    assert (result.expected, result.matched) == (2, 2)
    assert result.worst_iou == pytest.approx(30 / 31, abs=1e-3)
    assert result.worst_score == pytest.approx(0.01, abs=1e-6)


@pytest.mark.parametrize(
    ("found", "problem"),
    [
        ([], "red 0.90 at (10, 10, 50, 40) not found, best IoU 0.00"),
        ([("red", (14, 10, 54, 40), 0.9)], "red 0.90 at (10, 10, 50, 40) not found, best IoU 0.82"),
        ([("blue", A, 0.9)], "red 0.90 at (10, 10, 50, 40) not found, best IoU 0.00"),
        ([("red", A, 0.8)], "red at (10, 10, 50, 40): score expected 0.900, got 0.800"),
        ([("red", A, 0.9), ("blue", B, 0.7)], "blue 0.70 at (60, 20, 90, 44) was not there before"),
        ([("red", A, 0.9), ("red", A, 0.9)], "red 0.90 at (10, 10, 50, 40) was not there before"),
    ],
)
def test_differences_are_named(tmp_path: Path, found: list[Row], problem: str) -> None:
    (result,) = selftest(_bundle(tmp_path, ("red", A, 0.9)), _detector(found))
    assert not result.ok
    assert problem in result.problems


def test_boxes_at_the_threshold_may_come_and_go(tmp_path: Path) -> None:
    (result,) = selftest(_bundle(tmp_path, ("red", A, 0.51)), _detector([("blue", B, 0.515)]))
    assert result.ok
    assert result.matched == 0


def test_an_empty_picture_must_stay_empty(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path)
    assert selftest(bundle, _detector([]))[0].ok
    assert not selftest(bundle, _detector([("red", A, 0.9)]))[0].ok


def test_a_box_under_a_raised_threshold_is_not_missed(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, ("red", A, 0.9), ("blue", B, 0.6))
    (result,) = selftest(bundle, _detector([("red", A, 0.9)]), {"blue": 0.7})
    assert result.ok


def test_a_box_over_a_lowered_threshold_is_not_new(tmp_path: Path) -> None:
    bundle = _bundle(tmp_path, ("red", A, 0.9))
    low = bundle.thresholds()[COLOURS.index("blue")] - 0.1
    (result,) = selftest(bundle, _detector([("red", A, 0.9), ("blue", B, low)]), {"blue": low - 0.1})
    assert result.ok


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([("red", A, 0.9)], 0.02),
        ([("red", A, 0.8)], 0.15),
        ([("red", A, 0.9), ("blue", B, 0.55)], 0.08),  # it came, just above the threshold of 0.5
        ([("red", A, 0.9), ("blue", B, 0.45)], 0.02),
        ([("red", A, 0.9), ("blue", B, 0.7)], 0.02),  # that is no matter of rounding
        ([("red", A, 0.45)], 0.02),  # below its threshold, so it is gone
        ([], 0.02),
    ],
)
def test_what_a_good_detector_shows_is_tolerated(tmp_path: Path, found: list[Row], wanted: float) -> None:
    assert tolerance(_bundle(tmp_path, ("red", A, 0.9)), _detector(found)).score == pytest.approx(wanted)


def test_a_box_in_a_clip_may_lie_two_pixels_off(tmp_path: Path) -> None:
    small, moved, further = (10.0, 10.0, 22.0, 20.0), (12.0, 12.0, 24.0, 22.0), (12.5, 12.0, 24.0, 22.0)
    clip = _with_clip(tmp_path, ("red", small, 0.9))
    assert not selftest(_bundle(tmp_path, ("red", small, 0.9)), _detector([("red", moved, 0.9)]))[0].ok
    assert selftest(clip, _detector([("red", moved, 0.9)]), most=1)[0].ok
    assert not selftest(clip, _detector([("red", further, 0.9)]), most=1)[0].ok
    assert not selftest(clip, _detector([("red", moved, 0.87)]), most=1)[0].ok


def test_of_few_items_the_clip_is_one(tmp_path: Path) -> None:
    bundle = _with_clip(tmp_path, ("red", A, 0.9))
    (only,) = selftest(bundle, _detector([("red", A, 0.9)]), most=1)
    assert only.file == CLIP
    assert [result.file for result in selftest(bundle, _detector([("red", A, 0.9)]))] == [CLIP, "golden/a.png"]


def test_limits_that_are_tried_go_before_those_of_the_artefact(tmp_path: Path) -> None:
    bundle, rows = _bundle(tmp_path, ("red", A, 0.9)), [("red", A, 0.8)]
    limits = tolerance(bundle, _detector(rows))
    assert not selftest(bundle, _detector(rows))[0].ok
    assert selftest(bundle, _detector(rows), limits=limits)[0].ok
