"""Crossings, stays and intervals, on objects whose path is known."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.traffic import Traffic, TrafficSettings
from edgevision.errors import ConfigError
from edgevision.geometry import along, side
from edgevision.types import Frame, Occurrence, Tracks

MakeFrame = Callable[..., Frame]
MakeTracks = Callable[..., Tracks]
Feet = tuple[float, float]
Play = Callable[..., list[Occurrence]]
GATE = {"lines": {"gate": {"from": (0.5, 0.2), "to": (0.5, 0.8)}}}
ROOM = {"zones": {"room": {"polygon": [(0.4, 0.4), (0.6, 0.4), (0.6, 1.0), (0.4, 1.0)]}}}


def _traffic(settings: dict[str, Any], context: AnalysisContext) -> Traffic:
    return Traffic(TrafficSettings.model_validate(settings), context)


@pytest.fixture(name="play")
def _play(make_frame: MakeFrame, make_tracks: MakeTracks) -> Play:
    """Walk the feet of track 1 (a box 40 wide, 100 high) along points of a 1000x500 picture, ten a second."""

    def play(
        traffic: Traffic, path: Iterable[Feet | None], *, start_s: float = 0.0, label: int = 0
    ) -> list[Occurrence]:
        found: list[Occurrence] = []
        for i, feet in enumerate(path):
            row = [] if feet is None else [(1, feet[0] - 20, feet[1] - 100, feet[0] + 20, feet[1], label)]
            found += traffic.update(make_frame(start_s + i / 10), make_tracks(*row))
        return found

    return play


def _steps(a: Feet, b: Feet, count: int = 21) -> list[Feet]:
    return [(a[0] + (b[0] - a[0]) * i / (count - 1), a[1] + (b[1] - a[1]) * i / (count - 1)) for i in range(count)]


def _directions(found: Sequence[Occurrence], line: str = "gate") -> list[object]:
    return [o.data["direction"] for o in found if o.name == "crossed" and o.data["line"] == line]


class TestLines:
    def test_from_left_to_right_over_a_line_pointing_down_is_out(self, play: Play, context: AnalysisContext) -> None:
        settings = {"lines": {"gate": {"from": (0.74, 0), "to": (0.74, 1)}}}
        assert _directions(play(_traffic(settings, context), _steps((600, 300), (900, 300)))) == ["out"]

    def test_the_other_way_and_the_turned_line_are_in(self, play: Play, context: AnalysisContext) -> None:
        assert _directions(play(_traffic(GATE, context), _steps((700, 250), (300, 250)))) == ["in"]
        turned = {"lines": {"gate": {"from": (0.5, 0.8), "to": (0.5, 0.2)}}}
        assert _directions(play(_traffic(turned, context), _steps((300, 250), (700, 250)))) == ["in"]

    def test_what_a_crossing_says(self, play: Play, context: AnalysisContext) -> None:
        (crossed,) = play(_traffic(GATE, context), _steps((300, 250), (700, 250)))
        assert crossed.family == "traffic"
        assert crossed.size == (1000, 500)
        assert crossed.key is None
        assert {k: crossed.data[k] for k in ("line", "direction", "track_id", "label")} == {
            "line": "gate",
            "direction": "out",
            "track_id": 1,
            "label": "person",
        }
        assert crossed.data["box"] == [500.0, 150.0, 540.0, 250.0]  # the first box beyond the band of 10 px

    @pytest.mark.parametrize("y", [60, 450])
    def test_beyond_the_ends_nothing_is_crossed(self, play: Play, context: AnalysisContext, y: float) -> None:
        assert _directions(play(_traffic(GATE, context), _steps((300, y), (700, y)))) == []

    def test_round_the_end_and_back_through_counts_once(self, play: Play, context: AnalysisContext) -> None:
        path = _steps((400, 250), (400, 450)) + _steps((400, 450), (600, 450)) + _steps((600, 450), (600, 250))
        path += _steps((600, 250), (400, 250))
        assert _directions(play(_traffic(GATE, context), path)) == ["in"]

    def test_flicker_on_the_line_counts_once(self, play: Play, context: AnalysisContext) -> None:
        shaking = [(500 + (8 if i % 2 else -8), 250.0) for i in range(40)]
        path = [*_steps((300, 250), (492, 250)), *shaking, *_steps((508, 250), (700, 250))]
        assert _directions(play(_traffic(GATE, context), path)) == ["out"]

    def test_standing_on_the_line_and_turning_back_counts_nothing(self, play: Play, context: AnalysisContext) -> None:
        path = [*_steps((300, 250), (505, 250)), *_steps((505, 250), (300, 250))]
        assert _directions(play(_traffic(GATE, context), path)) == []

    def test_there_and_back_counts_both(self, play: Play, context: AnalysisContext) -> None:
        path = [*_steps((300, 250), (700, 250)), *_steps((700, 250), (300, 250))]
        assert _directions(play(_traffic(GATE, context), path)) == ["out", "in"]

    def test_one_long_step_over_the_line_counts(self, play: Play, context: AnalysisContext) -> None:
        assert _directions(play(_traffic(GATE, context), [(300, 250), (700, 250)])) == ["out"]

    def test_a_gap_while_crossing_counts(self, play: Play, context: AnalysisContext) -> None:
        path: list[Feet | None] = [*_steps((300, 250), (450, 250)), *[None] * 10, *_steps((560, 250), (700, 250))]
        assert _directions(play(_traffic(GATE, context), path)) == ["out"]

    def test_too_small_a_move_waits_for_more(self, play: Play, context: AnalysisContext) -> None:
        settings = {"lines": {"gate": {**GATE["lines"]["gate"], "min_move": 2.0}}}
        assert _directions(play(_traffic(settings, context), _steps((450, 250), (600, 250)))) == []
        assert _directions(play(_traffic(settings, context), _steps((450, 250), (700, 250)))) == ["out"]

    def test_the_band_may_be_given_in_pixels(self, play: Play, context: AnalysisContext) -> None:
        settings = {"lines": {"gate": {**GATE["lines"]["gate"], "hysteresis_px": 60}}}
        path = _steps((300, 250), (555, 250))
        assert _directions(play(_traffic(settings, context), path)) == []
        assert _directions(play(_traffic(GATE, context), path)) == ["out"]

    def test_anchor(self, play: Play, context: AnalysisContext) -> None:
        across = {"from": (0.2, 0.5), "to": (0.8, 0.5), "hysteresis": 0.02}
        settings = {"lines": {name: {**across, "anchor": name} for name in ("feet", "centre", "head")}}
        found = play(_traffic(settings, context), _steps((500, 200), (500, 320)))  # line at y = 250; boxes 100 high
        assert [(o.data["line"], o.data["direction"]) for o in found if o.name == "crossed"] == [
            ("feet", "in"),
            ("centre", "in"),
        ]

    def test_only_wanted_labels_count(self, play: Play, context: AnalysisContext) -> None:
        settings = {"lines": {"gate": {**GATE["lines"]["gate"], "labels": ["car", "dog"]}}}
        assert _directions(play(_traffic(settings, context), _steps((300, 250), (700, 250)), label=0)) == []
        assert _directions(play(_traffic(settings, context), _steps((300, 250), (700, 250)), label=2)) == ["out"]

    @pytest.mark.parametrize("seed", range(4))
    def test_any_line_counts_as_its_geometry_says(
        self, make_frame: MakeFrame, make_tracks: MakeTracks, context: AnalysisContext, seed: int
    ) -> None:
        rng = np.random.default_rng(seed)
        ends = rng.uniform(0.1, 0.9, (2, 2))
        line = {"from": ends[0].tolist(), "to": ends[1].tolist(), "hysteresis": 0, "min_move": 0}
        expected, counted = [], []
        for _ in range(60):
            a, b = rng.uniform([20, 100], [980, 500], (2, 2))
            before, after = side(np.array([a, b]), *(ends * (1000, 500)))
            share = before / (before - after)
            place = along((a + share * (b - a))[None], *(ends * (1000, 500)))[0]
            hit = before * after < 0 and 0 <= place <= 1
            expected += [["out" if before > 0 else "in"] if hit else []]
            traffic = _traffic({"lines": {"gate": line}}, context)
            rows = [(1, x - 20, y - 100, x + 20, y) for x, y in (a, b)]
            found = [o for i, row in enumerate(rows) for o in traffic.update(make_frame(i / 10), make_tracks(row))]
            counted += [_directions(found)]
        assert counted == expected
        assert any(expected)


class TestZones:
    def test_a_stay_is_measured_from_the_first_to_the_last_moment_inside(
        self, play: Play, context: AnalysisContext
    ) -> None:
        path = [(300.0, 300.0)] * 5 + [(500.0, 300.0)] * 40 + [(800.0, 300.0)] * 20
        entered, left = (o for o in play(_traffic(ROOM, context), path) if o.name == "zone")
        assert entered.data["action"] == "entered"
        assert "dwell_s" not in entered.data
        assert entered.time.t_s == pytest.approx(1.0)  # 0.5 s after it came in
        assert left.data["action"] == "left"
        assert left.data["dwell_s"] == pytest.approx(4.0)
        assert left.time.t_s == pytest.approx(5.5)

    def test_a_short_visit_and_a_short_absence_are_flicker(self, play: Play, context: AnalysisContext) -> None:
        out, into = (300.0, 300.0), (500.0, 300.0)
        path = [out] * 5 + [into] * 3 + [out] * 5 + [into] * 20 + [out] * 6 + [into] * 20 + [out] * 20
        actions = [(o.data["action"], o.data.get("dwell_s")) for o in play(_traffic(ROOM, context), path)]
        assert actions == [("entered", None), ("left", pytest.approx(4.6))]

    def test_who_vanishes_inside_left_when_last_seen(self, play: Play, context: AnalysisContext) -> None:
        found = play(_traffic(ROOM, context), [(500.0, 300.0)] * 21 + [None] * 40)
        left = found[-1]
        assert left.data["action"] == "left"
        assert left.data["dwell_s"] == pytest.approx(2.0)
        assert left.time.t_s == pytest.approx(5.1)  # the lost buffer of 3 s is over

    def test_a_dead_camera_lets_time_pass_too(
        self, play: Play, context: AnalysisContext, make_frame: MakeFrame
    ) -> None:
        traffic = _traffic(ROOM, context)
        play(traffic, [(500.0, 300.0)] * 21)
        base = make_frame(0).time.time_utc
        assert traffic.advance(base + timedelta(seconds=4.9), 4.9) == []
        (left,) = traffic.advance(base + timedelta(seconds=5.1), 5.1)
        assert left.data["dwell_s"] == pytest.approx(2.0)

    def test_finish_lets_everybody_leave(self, play: Play, context: AnalysisContext, make_frame: MakeFrame) -> None:
        traffic = _traffic(ROOM, context)
        play(traffic, [(500.0, 300.0)] * 11)
        found = traffic.finish(make_frame(1.0).time.time_utc, 1.0)
        assert [o.data["action"] for o in found if o.name == "zone"] == ["left"]

    def test_feet_on_the_pictures_lower_edge_are_inside(self, play: Play, context: AnalysisContext) -> None:
        assert [o.data["action"] for o in play(_traffic(ROOM, context), [(500.0, 500.0)] * 10)] == ["entered"]


class TestIntervals:
    def _intervals(self, found: Sequence[Occurrence]) -> list[dict[str, Any]]:
        return [dict(o.data) for o in found if o.name == "interval"]

    def test_counts_come_at_the_end_of_each_minute(self, play: Play, context: AnalysisContext) -> None:
        traffic = _traffic({**GATE, **ROOM}, context)
        path = _steps((300, 250), (700, 250), 600) + _steps((700, 250), (300, 250), 600) + [(300.0, 250.0)]
        rows = self._intervals(play(traffic, path))
        assert [(r.get("line"), r.get("count_in"), r.get("count_out")) for r in rows if "line" in r] == [
            ("gate", 0, 1),
            ("gate", 1, 0),
        ]
        assert rows[0]["start"] == "2026-03-02T08:00:00+00:00"
        assert rows[2]["start"] == "2026-03-02T08:01:00+00:00"
        for row in rows:
            assert (row["status"], row["expected_s"], row["revision"]) == ("valid", 60.0, 1)
            assert row["observed_s"] == pytest.approx(60, abs=0.2)
        zone = rows[1]
        assert (zone["zone"], zone["entered"], zone["left"], zone["occupancy_max"]) == ("room", 1, 1, 1)
        assert zone["occupancy_mean"] == pytest.approx(0.5, abs=0.05)
        assert zone["dwell_mean_s"] == zone["dwell_max_s"] == pytest.approx(30, abs=0.5)

    def test_keys_are_camera_line_and_start(self, play: Play, context: AnalysisContext) -> None:
        found = play(_traffic({**GATE, **ROOM, "period_s": 1}, context), [None] * 11)
        assert [o.key for o in found] == [
            "cam/line/gate/2026-03-02T08:00:00+00:00",
            "cam/zone/room/2026-03-02T08:00:00+00:00",
        ]

    def test_a_dead_camera_is_no_empty_shop(self, play: Play, context: AnalysisContext, make_frame: MakeFrame) -> None:
        traffic = _traffic(GATE, context)
        play(traffic, [None] * 400)  # 40 s watched
        base = make_frame(0).time.time_utc
        found = [o for s in range(41, 200) for o in traffic.advance(base + timedelta(seconds=s), float(s))]
        rows = self._intervals(found)
        assert [(r["status"], r["observed_s"]) for r in rows] == [
            ("degraded", pytest.approx(39.9, abs=0.2)),
            ("invalid", 0.0),
            ("invalid", 0.0),
        ]

    def test_a_break_between_frames_is_not_watched(self, play: Play, context: AnalysisContext) -> None:
        traffic = _traffic(GATE, context)
        found = play(traffic, [None] * 100) + play(traffic, [None] * 450, start_s=20.0)
        (row,) = self._intervals(found)
        assert row["status"] == "degraded"
        assert row["observed_s"] == pytest.approx(49.9, abs=0.2)

    def test_the_offset_is_the_sites(self, play: Play, context: AnalysisContext) -> None:
        traffic = _traffic({**GATE, "period_s": 1, "timezone": "Asia/Tokyo"}, context)
        (row,) = self._intervals(play(traffic, [None] * 11))
        assert row["utc_offset_s"] == 9 * 3600
        assert row["start"].endswith("+00:00")

    def test_finish_publishes_what_there_is(self, play: Play, context: AnalysisContext, make_frame: MakeFrame) -> None:
        traffic = _traffic(GATE, context)
        play(traffic, _steps((300, 250), (700, 250)))
        (row,) = self._intervals(traffic.finish(make_frame(2.0).time.time_utc, 2.0))
        assert (row["count_out"], row["status"]) == (1, "invalid")

    def test_an_interval_that_goes_on_after_the_end_has_a_higher_revision(
        self, play: Play, context: AnalysisContext, make_frame: MakeFrame
    ) -> None:
        traffic = _traffic(GATE, context)
        play(traffic, _steps((300, 250), (700, 250)))
        (early,) = self._intervals(traffic.finish(make_frame(2.0).time.time_utc, 2.0))
        again = _traffic(GATE, context)  # the same camera is added again, or a file goes on where it failed
        again.restore(json.loads(json.dumps(traffic.state())))
        again.update(make_frame(2.1), Tracks.empty())
        (late,) = self._intervals(again.finish(make_frame(2.1).time.time_utc, 2.1))
        assert (early["start"], early["count_out"]) == (late["start"], late["count_out"])
        assert late["observed_s"] > early["observed_s"]
        assert (early["revision"], late["revision"]) == (1, 2)

    def test_a_clock_set_back_continues_the_old_intervals(
        self, context: AnalysisContext, make_frame: MakeFrame, make_tracks: MakeTracks
    ) -> None:
        traffic = _traffic({**GATE, "period_s": 10}, context)
        found: list[Occurrence] = []
        for step in range(
            800
        ):  # 80 s; after half of them the wall clock is set back by 35 s; somebody crosses each 5 s
            frame = make_frame(step / 10)
            shift = timedelta(seconds=0 if step < 400 else -35)
            moved = replace(frame, time=replace(frame.time, time_utc=frame.time.time_utc + shift))
            x = 300 + (step % 50) * 8
            found += traffic.update(moved, make_tracks((1 + step // 50, x - 20, 150, x + 20, 250)))
            if step == 600:
                state = json.loads(json.dumps(traffic.state()))
                traffic = _traffic({**GATE, "period_s": 10}, context)
                traffic.restore(state)
        found += traffic.finish(moved.time.time_utc, moved.time.t_s)
        crossed = sum(o.name == "crossed" for o in found)
        rows = self._intervals(found)
        assert len({(r["start"], r["revision"]) for r in rows}) == len(rows)
        last = {r["start"]: r for r in rows}  # the higher revision comes later
        assert {r["revision"] for r in rows} == {1, 2}
        assert sum(r["count_out"] for r in last.values()) == crossed == 16

    def test_a_broken_clock_does_not_flood(self, context: AnalysisContext, make_frame: MakeFrame) -> None:
        traffic = _traffic(GATE, context)
        traffic.update(make_frame(0.0), Tracks.empty())
        for jump_s in (3e9, -1e8):
            frame = make_frame(0.0)
            later = frame.time.time_utc + timedelta(seconds=jump_s)
            assert len(self._intervals(traffic.advance(later, 1.0))) <= 1


class TestSettings:
    def test_unknown_labels_are_named_with_what_there_is(self, context: AnalysisContext) -> None:
        with pytest.raises(
            ConfigError, match=r"lines.gate.labels: the model has no class 'cat'; it has: person, car, dog"
        ):
            _traffic({"lines": {"gate": {**GATE["lines"]["gate"], "labels": ["cat"]}}}, context)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"lines": {"gate": {"from": (0.5, 0.5), "to": (0.5, 0.5)}}}, "two different ends"),
            ({"lines": {"gate": {"from": (0.5, 0.5), "to": (1.5, 0.5)}}}, "less than or equal to 1"),
            ({"zones": {"z": {"polygon": [(0, 0), (1, 1), (1, 0), (0, 1)]}}}, "cross each other"),
            ({"zones": {"z": {"polygon": [(0, 0), (0.5, 0.5), (1, 1)]}}}, "no area"),
            ({"zones": {"z": {"polygon": [(0, 0), (1, 1)]}}}, "at least 3"),
            ({"timezone": "Mars/Olympus"}, "IANA name"),
            ({"lines": {"Gate 1": {"from": (0, 0), "to": (1, 1)}}}, "pattern"),
        ],
    )
    def test_nonsense_is_refused(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            TrafficSettings.model_validate(settings)
