"""Tracker and traffic together: the hand-counted video where it is there, and a drawn twin that never skips.

One set of defaults for all of it, at every frame rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import av
import numpy as np
import pytest
from pixels import PlainPixels

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.tracking import ByteTrack, ByteTrackSettings
from edgevision.analytics.traffic import Traffic, TrafficSettings
from edgevision.inference.importer import Said, import_onnx
from edgevision.inference.onnx import OnnxDetector, OnnxSettings
from edgevision.inference.preprocess import single_batch
from edgevision.types import Detections, Frame, FrameTime, Occurrence

Seen = tuple[float, Detections]
START = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)
SIZE = (768, 432)
SETTINGS = TrafficSettings.model_validate(
    {
        "lines": {"exit": {"from": (0.74, 0), "to": (0.74, 1)}},
        "zones": {"table": {"polygon": [(0.46, 0.80), (0.72, 0.80), (0.72, 1.0), (0.46, 1.0)]}},
    }
)


def _watch(seen: Iterator[Seen] | Sequence[Seen]) -> list[Occurrence]:
    tracker = ByteTrack(ByteTrackSettings())
    traffic = Traffic(SETTINGS, AnalysisContext("door", ("person",)))
    found: list[Occurrence] = []
    time = FrameTime(START, 0.0, "file")
    for index, (t_s, detections) in enumerate(seen):
        time = FrameTime(START + timedelta(seconds=t_s), t_s, "file")
        frame = Frame("door", index, time, PlainPixels.blank(*SIZE))
        found += traffic.update(frame, tracker.update(detections, t_s))
    return found + list(traffic.finish(time.time_utc, time.t_s))


def _crossings(found: Sequence[Occurrence]) -> list[object]:
    return [o.data["direction"] for o in found if o.name == "crossed"]


def _dwells(found: Sequence[Occurrence]) -> list[float]:
    return [float(str(o.data["dwell_s"])) for o in found if o.name == "zone" and o.data["action"] == "left"]


def _visitor(came_s: float, stays_s: float, t_s: float) -> tuple[float, float] | None:
    """Where the feet are: in from below, to the table, out to the right; ``None`` while not in view."""
    arrived, leaves = came_s + 2.0, came_s + 2.0 + stays_s
    if not came_s <= t_s <= leaves + 2.5:
        return None
    if t_s < arrived:
        return 210 + 210 * (t_s - came_s) / 2.0, 432.0
    if t_s < leaves:
        return 420 + 30 * float(np.sin(t_s - arrived)), 425.0
    gone = t_s - leaves
    return 420 + 30 * float(np.sin(stays_s)) + 130 * gone, 425.0 - 12 * gone


def _true_dwell(stays_s: float) -> float:
    """Time in the zone on the path without noise."""
    path = [_visitor(0.0, stays_s, t_s) for t_s in np.arange(0.0, stays_s + 4.5, 0.01)]
    return 0.01 * sum(feet is not None and 0.46 * 768 <= feet[0] < 0.72 * 768 and feet[1] >= 345.6 for feet in path)


def _drawn(fps: float, stays: Sequence[float], seed: int) -> Iterator[Seen]:
    """Noisy boxes of visitors who come one after another, with weak spells, misses and false alarms."""
    rng = np.random.default_rng(seed)
    came = np.concatenate([[2.0], 2.0 + np.cumsum(np.asarray(stays)[:-1] + 9.0)])
    for index in range(int((came[-1] + stays[-1] + 12.0) * fps)):
        t_s = index / fps
        rows = []
        for begin, stay in zip(came, stays, strict=True):
            feet = _visitor(float(begin), stay, t_s)
            if feet is None or rng.random() < 0.04:
                continue
            x, y = feet[0] + rng.normal(0, 2), min(432.0, feet[1] + rng.normal(0, 3))
            weak = int(t_s) % 11 == 0
            rows.append(
                (x - 70, y - 280, min(768.0, x + 70), y, rng.uniform(0.15, 0.4) if weak else rng.uniform(0.6, 0.95))
            )
        if rng.random() < 0.03:
            x, y = rng.uniform(100, 700), rng.uniform(100, 400)
            rows.append((x - 30, y - 80, x + 30, y, rng.uniform(0.3, 0.7)))
        table = np.array(rows, np.float32).reshape(-1, 5)
        yield t_s, Detections(table[:, :4], table[:, 4], np.zeros(len(table), np.int64))


@pytest.mark.parametrize("fps", [25.0, 10.0, 5.0, 10 / 3])
@pytest.mark.parametrize("seed", range(3))
def test_drawn_visitors_are_counted_exactly(fps: float, seed: int) -> None:
    stays = [12.2, 20.6, 7.0, 10.0, 26.2, 10.7]
    found = _watch(_drawn(fps, stays, seed))
    assert _crossings(found) == ["out"] * 6
    np.testing.assert_allclose(_dwells(found), [_true_dwell(stay) for stay in stays], atol=1.0)


def _filmed(data_dir: Path, bundle: Path, every: int) -> Iterator[Seen]:
    """Persons in every n-th frame of the video."""
    model = import_onnx(data_dir / "weights" / "yolov8n-rebuilt.onnx", bundle, Said("yolov8n", threshold=0.1))
    detector = OnnxDetector(model, OnnxSettings(threads=1, device="cpu"))
    with av.open(str(data_dir / "videos" / "one-by-one-person-detection.mp4")) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index % every:
                continue
            t_s = float(picture.time or 0.0)
            image = PlainPixels(picture.to_ndarray(format="bgr24"))
            frame = Frame("door", index, FrameTime(START, t_s, "file"), image)
            (found,) = detector.infer(single_batch([frame], detector.input))
            yield t_s, found[found.label == detector.classes.index("person")]
    detector.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_filmed_visitors_are_counted_exactly(data_dir: Path, tmp_path: Path) -> None:
    found = _watch(_filmed(data_dir, tmp_path / "yolov8n", every=3))
    assert _crossings(found) == ["out"] * 6
    np.testing.assert_allclose(_dwells(found), [12.2, 20.6, 18.1, 10.0, 26.2, 10.7], atol=2.5)
