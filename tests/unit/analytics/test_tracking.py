"""Ids last through noise, gaps, low scores and low frame rates; and through a restart."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from pydantic import ValidationError

from edgevision.analytics.tracking import ByteTrack, ByteTrackSettings, Untracked, UntrackedSettings
from edgevision.types import Detections

Make = Callable[..., Detections]


def _tracker(**settings: float) -> ByteTrack:
    return ByteTrack(ByteTrackSettings(**settings))


def _walk(x: float, y: float = 100.0) -> tuple[float, float, float, float]:
    return x, y, x + 40, y + 100


def _crowd(frame: int, count: int, seed: int = 3) -> Detections:
    """``count`` objects on a grid, each shaking around its own place and drifting."""
    rng = np.random.default_rng(seed * 1000 + frame)
    column, row = np.arange(count) % 20, np.arange(count) // 20
    centre = np.stack([60 + column * 90 + frame * 2.0, 80 + row * 160.0], axis=1) + rng.normal(0, 1.5, (count, 2))
    half = np.array([20, 50])
    boxes = np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)
    score = rng.uniform(0.62, 0.95, count).astype(np.float32)
    order = rng.permutation(count)
    return Detections(boxes, score, np.zeros(count, np.int64))[order]


class TestIds:
    def test_start_at_one_after_the_second_sighting_in_each_instance(self, make_detections: Make) -> None:
        for _ in range(2):
            tracker = _tracker()
            assert len(tracker.update(make_detections(_walk(0)), 0.0)) == 0
            assert tracker.update(make_detections(_walk(4)), 0.1).track_id.tolist() == [1]

    def test_stay_with_their_objects_in_a_crowd(self) -> None:
        tracker = _tracker()
        ids = set()
        for frame in range(60):
            tracks = tracker.update(_crowd(frame, 80), frame / 15)
            ids |= set(tracks.track_id.tolist())
            if frame:
                assert len(tracks) == 80
        assert len(ids) == 80

    def test_the_box_given_out_is_the_detected_one(self, make_detections: Make) -> None:
        tracker = _tracker(min_hits=1)
        detections = make_detections((10, 20, 50, 120, 0.7), (300, 20, 340, 120, 0.8))
        tracks = tracker.update(detections, 0.0)
        np.testing.assert_array_equal(tracks.xyxy, detections.xyxy)
        np.testing.assert_array_equal(tracks.score, detections.score)

    def test_one_flash_of_a_detection_never_gets_an_id(self, make_detections: Make) -> None:
        tracker = _tracker()
        seen = [
            len(tracker.update(make_detections(_walk(0)) if i == 3 else make_detections(), i / 10)) for i in range(9)
        ]
        assert sum(seen) == 0

    def test_another_class_in_the_same_place_is_another_track(self, make_detections: Make) -> None:
        tracker = _tracker(min_hits=1)
        first = tracker.update(make_detections((*_walk(0), 0.9, 0)), 0.0)
        second = tracker.update(make_detections((*_walk(0), 0.9, 1)), 0.1)
        assert first.track_id.tolist() == [1]
        assert second.track_id.tolist() == [2]
        assert second.label.tolist() == [1]

    def test_two_doubled_boxes_are_given_to_two_tracks(self, make_detections: Make) -> None:
        tracker = _tracker(min_hits=1)
        for i in range(4):
            tracks = tracker.update(make_detections(_walk(i), _walk(i)), i / 10)
            assert sorted(tracks.track_id.tolist()) == [1, 2]


class TestScores:
    def test_a_weak_detection_continues_a_track(self, make_detections: Make) -> None:
        tracker = _tracker()
        scores = [0.9, 0.9, 0.2, 0.15, 0.2, 0.9]
        ids = [
            tracker.update(make_detections((*_walk(3 * i), s)), i / 10).track_id.tolist() for i, s in enumerate(scores)
        ]
        assert ids == [[], [1], [1], [1], [1], [1]]

    def test_a_weak_detection_never_starts_one(self, make_detections: Make) -> None:
        tracker = _tracker(min_hits=1)
        assert all(len(tracker.update(make_detections((*_walk(i), 0.55)), i / 10)) == 0 for i in range(10))

    def test_below_the_low_score_a_detection_is_nothing(self, make_detections: Make) -> None:
        tracker = _tracker(min_hits=1)
        tracker.update(make_detections(_walk(0)), 0.0)
        assert len(tracker.update(make_detections((*_walk(0), 0.05)), 0.1)) == 0

    def test_scores_out_of_order_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="scores must rise"):
            ByteTrackSettings(high_score=0.7, new_score=0.6)


class TestTime:
    def test_a_gap_is_bridged_along_the_motion(self, make_detections: Make) -> None:
        tracker = _tracker()
        for i in range(10):
            tracker.update(make_detections(_walk(20.0 * i)), i / 10)
        for i in range(10, 18):
            assert len(tracker.update(make_detections(), i / 10)) == 0
        assert tracker.update(make_detections(_walk(20.0 * 18)), 1.8).track_id.tolist() == [1]

    def test_after_the_buffer_an_object_is_new_and_the_old_id_is_finished(self, make_detections: Make) -> None:
        tracker = _tracker(lost_s=1.0)
        for i in range(3):
            tracker.update(make_detections(_walk(0)), i / 10)
        tracker.update(make_detections(), 1.3)
        assert tracker.finished.tolist() == [1]
        for i in range(2):
            tracks = tracker.update(make_detections(_walk(0)), 1.4 + i / 10)
            assert tracker.finished.tolist() == []
        assert tracks.track_id.tolist() == [2]

    @pytest.mark.parametrize("fps", [2.0, 3.3, 10.0, 60.0])
    def test_a_walker_keeps_one_id_at_any_rate(self, make_detections: Make, fps: float) -> None:
        tracker, ids = _tracker(), set()
        for i in range(int(8 * fps)):  # 60 px/s: 1.5 widths a second
            ids |= set(tracker.update(make_detections(_walk(60 * i / fps)), i / fps).track_id.tolist())
        assert ids == {1}

    def test_uneven_frame_times(self, make_detections: Make) -> None:
        rng = np.random.default_rng(5)
        tracker, ids, t_s = _tracker(), set(), 0.0
        for _ in range(80):
            t_s += float(rng.choice([0.03, 0.1, 0.4]))
            ids |= set(tracker.update(make_detections(_walk(60 * t_s)), t_s).track_id.tolist())
        assert ids == {1}

    def test_time_that_stands_or_goes_back_does_no_harm(self, make_detections: Make) -> None:
        tracker = _tracker()
        ids = [tracker.update(make_detections(_walk(0)), t).track_id.tolist() for t in (5.0, 5.0, 1.0, 1.1, 0.0)]
        assert ids == [[], [1], [1], [1], [1]]
        assert len(tracker.update(make_detections(), 0.0)) == 0


class TestState:
    def test_a_restored_tracker_goes_on_exactly(self) -> None:
        whole, broken = _tracker(), _tracker()
        for frame in range(40):
            keep = np.random.default_rng(frame).random(60) > 0.15
            detections = _crowd(frame, 60)[keep]
            expected = whole.update(detections, frame / 12)
            got = broken.update(detections, frame / 12)
            np.testing.assert_array_equal(got.track_id, expected.track_id)
            np.testing.assert_array_equal(got.xyxy, expected.xyxy)
            stored = json.loads(json.dumps(broken.state(), allow_nan=False))
            broken = _tracker()
            broken.restore(stored)
        assert broken.state() == whole.state()

    def test_memory_is_bounded(self) -> None:
        rng = np.random.default_rng(0)
        tracker = _tracker(min_hits=1, max_tracks=50, lost_s=60.0)
        for frame in range(30):
            low = rng.uniform(0, 5000, (40, 2))
            boxes = np.concatenate([low, low + 10], axis=1).astype(np.float32)
            tracker.update(Detections(boxes, np.ones(40, np.float32), np.zeros(40, np.int64)), frame / 10)
        assert len(tracker.state()["tracks"]["id"]) <= 50


def test_untracked_gives_every_detection_an_id_of_its_own(make_detections: Make) -> None:
    tracker = Untracked(UntrackedSettings())
    tracker.update(make_detections(_walk(0)), 0.0)
    state = tracker.state()
    assert tracker.update(make_detections((*_walk(0), 0.1), _walk(9)), 0.1).track_id.tolist() == [2, 3]
    again = Untracked(UntrackedSettings())
    again.restore(state)
    assert again.update(make_detections(_walk(0)), 0.1).track_id.tolist() == [2]
