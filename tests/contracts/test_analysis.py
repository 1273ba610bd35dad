"""What every analysis keeps, whatever it looks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from pixels import PlainPixels

from edgevision.analytics.base import Analysis, AnalysisContext
from edgevision.analytics.detection import Detection, DetectionSettings
from edgevision.analytics.inspection import Inspection, InspectionSettings
from edgevision.analytics.traffic import Traffic, TrafficSettings
from edgevision.events.payloads import (
    Data,
    DefectDetected,
    DefectVerdict,
    DetectionAppeared,
    DetectionDisappeared,
    DetectionUpdated,
    TrafficCrossed,
    TrafficInterval,
    TrafficZone,
)
from edgevision.types import Frame, FrameTime, Image, Occurrence, Tracks

CONTEXT = AnalysisContext("cam", ("person", "scratch"))
START = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)
SIZE = (640, 480)
SCHEMA: dict[tuple[str, str], type[Data]] = {
    ("traffic", "crossed"): TrafficCrossed,
    ("traffic", "zone"): TrafficZone,
    ("traffic", "interval"): TrafficInterval,
    ("detection", "appeared"): DetectionAppeared,
    ("detection", "updated"): DetectionUpdated,
    ("detection", "disappeared"): DetectionDisappeared,
    ("defect", "detected"): DefectDetected,
    ("defect", "verdict"): DefectVerdict,
}


def _traffic() -> Analysis:
    settings = {
        "lines": {"gate": {"from": (0.5, 0), "to": (0.5, 1)}, "low": {"from": (0, 0.6), "to": (1, 0.6)}},
        "zones": {"room": {"polygon": [(0.3, 0.3), (0.7, 0.3), (0.7, 0.9), (0.3, 0.9)]}},
        "period_s": 2,
        "lost_s": 1.0,
    }
    return Traffic(TrafficSettings.model_validate(settings), CONTEXT)


def _detection() -> Analysis:
    return Detection(DetectionSettings(update_every_s=0.5, lost_s=1.0), CONTEXT)


def _inspection(**part: object) -> Analysis:
    rules = [{"labels": ["scratch"], "min_score": 0.6, "review_score": 0.3, "frames": {"seen": 2}}]
    settings = {"part": part, "rules": rules, "window": [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]}
    return Inspection(InspectionSettings.model_validate(settings), CONTEXT)


ANALYSES: dict[str, Callable[[], Analysis]] = {
    "traffic": _traffic,
    "detection": _detection,
    "inspection-class": lambda: _inspection(by="class", label="person"),
    "inspection-contour": lambda: _inspection(by="contour"),
    "inspection-trigger": lambda: _inspection(by="trigger", frames=3),
    "inspection-picture": lambda: _inspection(by="picture"),
}


@pytest.fixture(name="build", params=list(ANALYSES))
def _build(request: pytest.FixtureRequest) -> Callable[[], Analysis]:
    return ANALYSES[request.param]


def _frame(index: int, t_s: float, image: Image | None = None, trigger_id: str | None = None) -> Frame:
    pixels = PlainPixels.blank(*SIZE) if image is None else PlainPixels(image)
    time = FrameTime(START + timedelta(seconds=t_s), t_s, "file")
    return Frame("cam", index, time, pixels, trigger_id=trigger_id)


def _busy(index: int) -> tuple[Frame, Tracks]:
    """Three bright things drift over a dark belt, blink, and carry a scratch each."""
    rng = np.random.default_rng(index)
    image = np.full((SIZE[1], SIZE[0], 3), 40, np.uint8)
    rows = []
    for n, (x0, y0, vx, vy) in enumerate([(-90, 80, 60, 10), (300, 300, 10, -15), (560, 120, -50, 20)]):
        x, y = x0 + vx * index / 10 + rng.normal(), y0 + vy * index / 10 + rng.normal()
        low = np.clip([x, y], 0, SIZE)
        high = np.clip([x + 90, y + 70], 0, SIZE)
        if (high - low).min() < 5:
            continue
        image[round(low[1]) : round(high[1]), round(low[0]) : round(high[0])] = 190
        if rng.random() < 0.85:
            rows.append((n + 1, *low, *high, 0, rng.uniform(0.6, 0.95)))
        if rng.random() < 0.7 and n:
            rows.append((n + 11, x + 20, y + 20, x + 44, y + 30, 1, rng.uniform(0.35, 0.9)))
    table = np.array(rows, np.float64).reshape(-1, 7)
    trigger = f"t{index // 12}" if index % 12 in (0, 1, 4) else None
    return _frame(index, index / 10, image, trigger), _tracks(table)


def _tracks(table: np.ndarray) -> Tracks:
    ids, label = table[:, 0].astype(np.int64), table[:, 5].astype(np.int64)
    return Tracks(table[:, 1:5].astype(np.float32), table[:, 6].astype(np.float32), label, ids)


def _play(analysis: Analysis, first: int, last: int) -> list[Occurrence]:
    found: list[Occurrence] = []
    for index in range(first, last):
        found += analysis.update(*_busy(index))
        if index % 10 == 9:
            found += analysis.advance(START + timedelta(seconds=index / 10 + 0.05), index / 10 + 0.05)
    return found


def _end(analysis: Analysis, t_s: float) -> list[Occurrence]:
    return list(analysis.finish(START + timedelta(seconds=t_s), t_s))


def test_it_notices_something_here(build: Callable[[], Analysis]) -> None:
    analysis = build()
    assert len(_play(analysis, 0, 150) + _end(analysis, 15.0)) >= 3


@pytest.mark.parametrize("cut", [1, 37, 72, 118])
def test_a_restart_in_the_middle_changes_nothing(build: Callable[[], Analysis], cut: int) -> None:
    whole = build()
    expected = _play(whole, 0, 150) + _end(whole, 15.0)
    before = build()
    found = _play(before, 0, cut)
    after = build()
    after.restore(json.loads(json.dumps(before.state(), allow_nan=False)))
    found += _play(after, cut, 150) + _end(after, 15.0)
    assert found == expected


def test_payloads_are_those_of_the_contract(build: Callable[[], Analysis]) -> None:
    analysis = build()
    for occurrence in _play(analysis, 0, 150) + _end(analysis, 15.0):
        model = SCHEMA[occurrence.family, occurrence.name].model_validate(json.loads(json.dumps(dict(occurrence.data))))
        assert model.model_extra == {}
        assert len(json.dumps(dict(occurrence.data))) < 600


def test_keys_never_repeat(build: Callable[[], Analysis]) -> None:
    analysis = build()
    keys = [o.key for o in _play(analysis, 0, 150) + _end(analysis, 15.0) if o.key is not None]
    assert len(keys) == len(set(keys))


def test_nothing_in_view(build: Callable[[], Analysis]) -> None:
    analysis = build()
    found = [o for i in range(50) for o in analysis.update(_frame(i, i / 10), Tracks.empty())]
    assert {o.name for o in found} <= {"interval", "verdict"}  # a picture without a defect is a good part


def test_three_hundred_objects(build: Callable[[], Analysis]) -> None:
    analysis = build()
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 500, (300, 2))
    for index in range(5):
        low += rng.normal(0, 1, low.shape)
        table = np.column_stack([np.arange(1, 301), low, low + 12, np.arange(300) % 2, np.full(300, 0.9)])
        analysis.update(_frame(index, index / 10), _tracks(table))
    json.dumps(analysis.state(), allow_nan=False)


def test_the_frame_changes_its_size(build: Callable[[], Analysis]) -> None:
    analysis = build()
    _play(analysis, 0, 40)
    for index in range(40, 60):
        _, tracks = _busy(index)
        half = Tracks(tracks.xyxy / 2, tracks.score, tracks.label, tracks.track_id)
        found = analysis.update(_frame(index, index / 10, np.zeros((240, 320, 3), np.uint8)), half)
        for occurrence in found:
            assert occurrence.size in ((320, 240), SIZE, None)
    _end(analysis, 6.0)


@pytest.mark.parametrize("back_s", [0.05, 1.0, 30.0])
def test_time_goes_back(build: Callable[[], Analysis], back_s: float) -> None:
    analysis = build()
    _play(analysis, 0, 60)
    for index in range(60, 120):
        frame, tracks = _busy(index)
        t_s = index / 10 - back_s
        time = FrameTime(START + timedelta(seconds=t_s), t_s, "file")
        analysis.update(Frame("cam", index, time, frame.pixels, trigger_id=frame.trigger_id), tracks)
        analysis.advance(time.time_utc, t_s - 0.01)
    _end(analysis, 0.0)


def test_nothing_is_left_after_the_end(build: Callable[[], Analysis]) -> None:
    analysis = build()
    _play(analysis, 0, 75)
    _end(analysis, 7.5)
    assert {o.name for o in _end(analysis, 7.5)} <= {"interval"}


def test_input_is_not_written_to(build: Callable[[], Analysis]) -> None:
    analysis = build()
    for index in range(20):
        frame, tracks = _busy(index)
        before = tracks.xyxy.copy(), frame.pixels.bgr().copy()
        analysis.update(frame, tracks)
        np.testing.assert_array_equal(tracks.xyxy, before[0])
        np.testing.assert_array_equal(frame.pixels.bgr(), before[1])
