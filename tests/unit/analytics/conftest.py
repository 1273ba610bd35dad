"""Frames and tracks for the analyses, made from plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Literal

import cv2
import numpy as np
import pytest

from edgevision.analytics.base import AnalysisContext
from edgevision.types import Detections, Frame, FrameTime, Image, Tracks

START = datetime(2026, 3, 2, 8, 0, 0, tzinfo=timezone.utc)


class PlainPixels:
    """A picture in memory."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.full_reads = 0

    @property
    def size(self) -> tuple[int, int]:
        return self._image.shape[1], self._image.shape[0]

    def bgr(self) -> Image:
        self.full_reads += 1
        return self._image

    def scaled(self, width: int, height: int, order: Literal["rgb", "bgr"]) -> Image:
        small = np.asarray(cv2.resize(self._image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return small if order == "bgr" else small[..., ::-1]


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
        pixels = PlainPixels(np.zeros((size[1], size[0], 3), np.uint8) if image is None else image)
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
