"""Objects appear once, are updated when asked for, and disappear once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.detection import Detection, DetectionSettings
from edgevision.errors import ConfigError
from edgevision.types import Frame, Occurrence, Tracks

MakeFrame = Callable[..., Frame]
MakeTracks = Callable[..., Tracks]
Row = tuple[float, ...]
BOX = (10.04, 20, 50, 120)


@pytest.fixture(name="play")
def _play(make_frame: MakeFrame, make_tracks: MakeTracks) -> Callable[..., list[Occurrence]]:
    def play(analysis: Detection, frames: list[list[Row]], start_s: float = 0.0) -> list[Occurrence]:
        return [
            occurrence
            for i, rows in enumerate(frames)
            for occurrence in analysis.update(make_frame(start_s + i / 10), make_tracks(*rows))
        ]

    return play


Play = Callable[..., list[Occurrence]]


def test_one_life(play: Play, context: AnalysisContext) -> None:
    analysis = Detection(DetectionSettings(), context)
    frames: list[list[Row]] = [[(7, *BOX, 1, 0.6 + i / 100)] for i in range(11)] + [[]] * 40
    appeared, disappeared = play(analysis, frames)
    assert (appeared.family, appeared.name, disappeared.name) == ("detection", "appeared", "disappeared")
    assert appeared.data == {"track_id": 7, "label": "car", "score": 0.62, "box": [10.0, 20.0, 50.0, 120.0]}
    assert appeared.time.t_s == pytest.approx(0.2)
    assert disappeared.data["seen_s"] == pytest.approx(1.0)
    assert disappeared.data["score"] == 0.7  # the best
    assert disappeared.size == (1000, 500)


def test_too_short_or_too_weak_is_never_mentioned(play: Play, context: AnalysisContext) -> None:
    analysis = Detection(DetectionSettings(min_hits=3, min_score=0.5), context)
    frames: list[list[Row]] = [[(1, *BOX, 0, 0.9)]] * 2 + [[(2, *BOX, 0, 0.45)]] * 20 + [[]] * 80
    assert play(analysis, frames) == []


def test_updates_keep_their_distance(play: Play, context: AnalysisContext) -> None:
    analysis = Detection(DetectionSettings(update_every_s=1.0, min_hits=1), context)
    found = play(analysis, [[(1, *BOX)]] * 35)
    assert [(o.name, round(o.time.t_s, 1)) for o in found] == [
        ("appeared", 0.0),
        ("updated", 1.0),
        ("updated", 2.0),
        ("updated", 3.0),
    ]
    assert found[2].data["seen_s"] == pytest.approx(2.0)


def test_labels_filter(play: Play, context: AnalysisContext) -> None:
    analysis = Detection(DetectionSettings(labels=["dog"], min_hits=1), context)
    found = play(analysis, [[(1, *BOX, 0), (2, *BOX, 2)]])
    assert [o.data["label"] for o in found] == ["dog"]


def test_unknown_labels_are_refused(context: AnalysisContext) -> None:
    with pytest.raises(ConfigError, match="'wolf'"):
        Detection(DetectionSettings(labels=["wolf"]), context)


def test_a_dead_camera_and_the_end_of_the_source(play: Play, context: AnalysisContext, make_frame: MakeFrame) -> None:
    analysis = Detection(DetectionSettings(min_hits=1), context)
    play(analysis, [[(1, *BOX)]])
    base = make_frame(0).time.time_utc
    assert [o.name for o in analysis.advance(base + timedelta(seconds=3.5), 3.5)] == ["disappeared"]
    play(analysis, [[(2, *BOX)]], start_s=4.0)
    assert [o.data["track_id"] for o in analysis.finish(base + timedelta(seconds=4), 4.0)] == [2]
    assert analysis.finish(base + timedelta(seconds=4), 4.0) == []
