"""What is exported finds what `ultralytics` finds with the same weights."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from labelled import drawn_boards
from trainings import REPOSITORY

from edgevision.bundle import read_bundle
from edgevision.datasets.formats import write_dataset
from edgevision.inference.golden import detect, read_picture
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.training.unfold import unfold
from edgevision.types import Detections

pytestmark = pytest.mark.train
pytest.importorskip("ultralytics", reason="needs the extra `train`: make test-train")

BUNDLE = REPOSITORY / "models" / "pcb-defects"
DATA = Path(os.environ.get("EDGEVISION_DATA", REPOSITORY.parent / "shared" / "data")) / "deeppcb" / "images"
SIZE, FLOOR, NMS_IOU, STRONG = 512, 0.05, 0.6, 0.3


@pytest.fixture(name="weights", scope="module")
def _weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped network as a checkpoint, and what `edgevision export` makes of it beside it."""
    folder = tmp_path_factory.mktemp("weights")
    boards = drawn_boards(folder, range(970_000, 970_016), "val")
    unfold(read_bundle(BUNDLE), "yolo11n", [sample.file for sample in boards.samples], folder / "pcb.pt")
    write_dataset(boards, folder / "data", "yolo")
    command = ["export", str(folder / "pcb.pt"), "--out", str(folder / "out"), "--data", str(folder / "data")]
    command += ["--precision", "fp32", "--size", str(SIZE)]
    made = subprocess.run(
        [sys.executable, "-m", "edgevision", *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder / "pcb.pt"


def test_on_drawn_boards(weights: Path) -> None:
    _compare(weights, sorted(weights.parent.glob("*.png")), at_least=15)


def test_on_real_boards(weights: Path) -> None:
    if not DATA.is_dir():
        pytest.skip(f"needs the test data, which is not at {DATA}; set EDGEVISION_DATA")
    _compare(weights, sorted(DATA.glob("*.png"))[::50], at_least=60)


def _compare(weights: Path, pictures: Sequence[Path], at_least: int) -> None:
    from ultralytics import YOLO

    peer = YOLO(weights)
    bundle = read_bundle(weights.parent / "out")
    mine = OnnxDetector(bundle, OnnxSettings(device="cpu"), dict.fromkeys(bundle.manifest.classes, FLOOR))
    compared = 0
    for picture in pictures:
        (result,) = peer.predict(
            picture, imgsz=SIZE, rect=False, conf=FLOOR, iou=NMS_IOU, max_det=300, device="cpu", verbose=False
        )
        boxes = result.boxes
        theirs = Detections(boxes.xyxy.numpy(), boxes.conf.numpy(), boxes.cls.numpy().astype(np.int64))
        ours = detect(mine, read_picture(picture))
        compared += _same(theirs, ours) + _same(ours, theirs)
    assert compared >= 2 * at_least


def _same(first: Detections, second: Detections) -> int:
    """How many strong detections of the first one there are; the second one has each within 1 px and 0.01."""
    strong = np.flatnonzero(first.score >= STRONG)
    for place in strong:
        near = (np.abs(second.xyxy - first.xyxy[place]).max(axis=1) <= 1) & (second.label == first.label[place])
        near &= np.abs(second.score - first.score[place]) <= 0.01
        assert near.any(), f"{first.xyxy[place]} {first.score[place]:.3f}"
    return len(strong)
