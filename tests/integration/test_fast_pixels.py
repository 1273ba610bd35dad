"""Pixels scaled straight from a decoder's planes find what exact conversion and OpenCV's resize find."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from labelled import drawn_boards

from edgevision.bundle import read_bundle
from edgevision.inference.base import Detector
from edgevision.inference.golden import detect
from edgevision.inference.importer import Said, import_onnx
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.media.clip import FRAMES, read_clip, write_clip
from edgevision.media.pixels import ArrayPixels, VideoPixels
from edgevision.types import Frame, FrameTime, Pixels

BUNDLE = Path(__file__).parents[2] / "models" / "pcb-defects"
ON_CPU = OnnxSettings(device="cpu", precision="fp32")
SCORE, BOX_PX = 0.02, 2.0
DATA = Path(os.environ.get("EDGEVISION_DATA", BUNDLE.parents[2] / "shared" / "data"))


def test_strong_detections_on_drawn_boards_stay_where_they_are(tmp_path: Path) -> None:
    boards = (cv2.imread(str(sample.file)) for sample in drawn_boards(tmp_path, range(960_000, 960_015)).samples)
    scores, boxes = _changes(OnnxDetector(read_bundle(BUNDLE), ON_CPU, {"default": 0.05}), _clips(tmp_path, boards))
    assert len(scores) >= 20
    assert boxes.max() <= BOX_PX
    assert np.mean(scores <= SCORE) >= 0.9
    assert np.median(scores) <= SCORE / 4


@pytest.mark.parametrize("video", ["one-by-one-person-detection", "bottle-detection"])
def test_strong_detections_in_real_videos_stay_where_they_are(tmp_path: Path, video: str) -> None:
    if not DATA.is_dir():
        pytest.skip(f"needs the test data, which is not at {DATA}; set EDGEVISION_DATA")
    bundle = import_onnx(DATA / "weights" / "yolov8n-rebuilt.onnx", tmp_path / "coco", Said("coco"))
    frames = _frames(DATA / "videos" / f"{video}.mp4", every=75)
    scores, boxes = _changes(OnnxDetector(bundle, ON_CPU, {"default": 0.05}), frames)
    assert len(scores) >= 8
    assert boxes.max() <= BOX_PX
    assert np.mean(scores <= SCORE) >= 0.85


def _clips(folder: Path, pictures: Iterable[np.ndarray]) -> Iterator[VideoPixels]:
    for number, picture in enumerate(pictures):
        write_clip(folder / f"{number}.mp4", picture)
        yield read_clip(folder / f"{number}.mp4", FRAMES - 1)


def _frames(video: Path, every: int) -> Iterator[VideoPixels]:
    with av.open(str(video)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every == 0:
                yield VideoPixels(frame)


def _changes(detector: Detector, frames: Iterable[VideoPixels]) -> tuple[np.ndarray, np.ndarray]:
    """Of each detection from score 0.5: by how much its score and its furthest side change."""
    scores, boxes = [], []
    for pixels in frames:
        exact = detect(detector, _frame(ArrayPixels(pixels.bgr())))
        fast = detect(detector, _frame(pixels))
        for place in np.flatnonzero(exact.score >= 0.5):
            off = np.abs(fast.xyxy - exact.xyxy[place]).max(axis=1)
            off[fast.label != exact.label[place]] = np.inf
            at = int(off.argmin())
            scores.append(abs(float(fast.score[at] - exact.score[place])))
            boxes.append(float(off[at]))
    return np.array(scores), np.array(boxes)


def _frame(pixels: Pixels) -> Frame:
    return Frame("camera", 0, FrameTime(datetime.now(timezone.utc), 0.0), pixels)
