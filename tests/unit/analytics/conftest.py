"""Frames and tracks for the analyses, made from plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from pixels import PlainPixels

from edgevision.analytics.base import AnalysisContext
from edgevision.types import Detections, Frame, FrameTime, Image, Tracks

START = datetime(2026, 3, 2, 8, 0, 0, tzinfo=timezone.utc)


MakeFrame = Callable[..., Frame]
MakeTracks = Callable[..., Tracks]


@pytest.fixture(name="make_frame")
def _make_frame() -> MakeFrame:
    """A frame at ``t_s``: from an image, or blank of ``size``."""

    def make(
        t_s: float,
        image: Image | None = None,
        *,
        size: tuple[int, int] = (1000, 500),
        trigger_id: str | None = None,
        name: str | None = None,
    ) -> Frame:
        pixels = PlainPixels.blank(*size) if image is None else PlainPixels(image)
        time = FrameTime(START + timedelta(seconds=t_s), t_s, "file")
        return Frame("cam", round(t_s * 1000), time, pixels, trigger_id=trigger_id, name=name)

    return make


@pytest.fixture(name="make_tracks")
def _make_tracks() -> MakeTracks:
    """Tracks from rows (id, x1, y1, x2, y2[, label[, score]])."""

    def make(*rows: Sequence[float]) -> Tracks:
        full = np.array([[*row, *(0, 0.9)[len(row) - 5 :]] for row in rows], np.float64).reshape(-1, 7)
        return Tracks(
            full[:, 1:5].astype(np.float32),
            full[:, 6].astype(np.float32),
            full[:, 5].astype(np.int64),
            full[:, 0].astype(np.int64),
        )

    return make


@pytest.fixture(name="make_detections")
def _make_detections() -> Callable[..., Detections]:
    """Detections from rows (x1, y1, x2, y2[, score[, label]])."""

    def make(*rows: Sequence[float]) -> Detections:
        full = np.array([[*row, *(0.9, 0)[len(row) - 4 :]] for row in rows], np.float64).reshape(-1, 6)
        return Detections(full[:, :4].astype(np.float32), full[:, 4].astype(np.float32), full[:, 5].astype(np.int64))

    return make


@pytest.fixture(name="context")
def _context() -> AnalysisContext:
    return AnalysisContext("cam", ("person", "car", "dog"))
