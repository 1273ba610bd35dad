"""Inspection on the drawn conveyor: one verdict a board, each of them true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from pixels import PlainPixels

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.inspection import Inspection, InspectionSettings
from edgevision.scenes.pcb import PcbConveyor
from edgevision.scenes.pcb_defects import KINDS
from edgevision.types import Frame, FrameTime, Occurrence, Tracks

START = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)
CLASSES = tuple(KINDS)


def _shown(scene: PcbConveyor, rng: np.random.Generator, miss: float) -> Iterator[tuple[Frame, Tracks]]:
    """Every frame with what a detector that overlooks some would say."""
    for index in range(scene.frames):
        rows = [
            (*defect.xyxy, rng.uniform(0.6, 0.95), CLASSES.index(defect.label))
            for view in scene.truth(index)
            for defect in view.defects
            if rng.random() >= miss
        ]
        table = np.array(rows, np.float64).reshape(-1, 6)
        boxes = (table[:, :4] + rng.normal(0, 1.0, (len(table), 4))).astype(np.float32)
        ids = np.arange(1, len(table) + 1, dtype=np.int64)
        tracks = Tracks(boxes, table[:, 4].astype(np.float32), table[:, 5].astype(np.int64), ids)
        t_s = index / scene.fps
        yield (
            Frame(
                "belt", index, FrameTime(START + timedelta(seconds=t_s), t_s, "file"), PlainPixels(scene.render(index))
            ),
            tracks,
        )


@pytest.mark.parametrize("seed", range(2))
def test_every_board_gets_one_true_verdict(seed: int) -> None:
    scene = PcbConveyor(seed, boards=7)
    inspection = Inspection(
        InspectionSettings.model_validate({"part": {"by": "contour"}}), AnalysisContext("belt", CLASSES)
    )
    found: list[Occurrence] = []
    for frame, tracks in _shown(scene, np.random.default_rng(seed), miss=0.25):
        found += inspection.update(frame, tracks)
    found += inspection.finish(frame.time.time_utc, frame.time.t_s)
    verdicts = [o for o in found if o.name == "verdict"]
    assert [(o.data["result"], o.data["defect_count"]) for o in verdicts] == [
        (board.verdict, len(board.defects)) for board in scene.boards
    ]
    for verdict, board in zip(verdicts, scene.boards, strict=True):
        labels = sorted(str(o.data["label"]) for o in found if o.name == "detected" and o.part == verdict.part)
        assert labels == sorted(defect.kind for defect in board.defects)
