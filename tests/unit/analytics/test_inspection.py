"""One verdict a part, whatever the part does."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from edgevision.analytics.base import AnalysisContext
from edgevision.analytics.inspection import Inspection, InspectionSettings
from edgevision.errors import ConfigError
from edgevision.events.build import EventBuilder
from edgevision.types import Frame, Image, Occurrence, Tracks

MakeFrame = Callable[..., Frame]
MakeTracks = Callable[..., Tracks]
BOARD = (200, 150)  # px
TOP = 100
Mark = tuple[float, float, float, float, int, float]  # x1, y1, x2, y2 on the board, label, score
BY_CLASS = {"part": {"by": "class", "label": "board"}}
SCRATCH: Mark = (60, 50, 90, 62, 0, 0.9)
CONTEXT = AnalysisContext("cam", ("scratch", "hole", "board"))


def _inspection(settings: dict[str, Any]) -> Inspection:
    return Inspection(InspectionSettings.model_validate(settings), CONTEXT)


class Line:
    """Boards on a belt in front of a 1000x500 camera; the model sees everything, parts as class 2."""

    def __init__(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        self._frame, self._tracks = make_frame, make_tracks

    def show(self, t_s: float, boards: Sequence[tuple[float, Sequence[Mark]]]) -> tuple[Frame, Tracks]:
        """Boards at x (left edge, px) with their marks."""
        image: Image = np.full((500, 1000, 3), 80, np.uint8)
        rows: list[tuple[float, ...]] = []
        for x, marks in boards:
            left, right = max(0.0, x), min(1000.0, x + BOARD[0])
            if right - left < 4:
                continue
            image[TOP : TOP + BOARD[1], round(left) : round(right)] = (40, 130, 40)
            rows.append((len(rows) + 1, left, TOP, right, TOP + BOARD[1], 2, 0.95))
            for x1, y1, x2, y2, label, score in marks:
                box = (max(0.0, x + x1), TOP + y1, min(1000.0, x + x2), TOP + y2)
                if box[2] - box[0] > 2:
                    image[round(box[1]) : round(box[3]), round(box[0]) : round(box[2])] = (10, 10, 10)
                    rows.append((len(rows) + 1, *box, label, score))
        return self._frame(t_s, image), self._tracks(*rows)

    def run(
        self, inspection: Inspection, xs: Sequence[float], marks: Sequence[Mark] = (), *, fps: float = 10.0
    ) -> list[Occurrence]:
        """One board at each of ``xs``."""
        return [o for i, x in enumerate(xs) for o in inspection.update(*self.show(i / fps, [(x, marks)]))]


@pytest.fixture(name="line")
def _line(make_frame: MakeFrame, make_tracks: MakeTracks) -> Line:
    return Line(make_frame, make_tracks)


def _verdicts(found: Sequence[Occurrence]) -> list[Occurrence]:
    return [o for o in found if o.name == "verdict"]


def _results(found: Sequence[Occurrence]) -> list[object]:
    return [o.data["result"] for o in _verdicts(found)]


PASSING = list(range(-200, 1100, 25))
CONTOUR = {"part": {"by": "contour"}, "rules": [{"labels": ["scratch", "hole"]}]}


@pytest.mark.parametrize("settings", [BY_CLASS, CONTOUR], ids=["class", "contour"])
class TestPassing:
    def test_a_good_part_gets_one_ok(self, line: Line, settings: dict[str, Any]) -> None:
        found = line.run(_inspection(settings), PASSING)
        (verdict,) = found
        assert (verdict.family, verdict.name) == ("defect", "verdict")
        assert verdict.data["result"] == "ok"
        assert verdict.data["reason"] is None
        assert verdict.data["defects"] == []
        assert 29 <= int(str(verdict.data["frames"])) <= 33
        assert verdict.part is not None
        assert verdict.key == verdict.part.id
        assert verdict.part.id.startswith("cam-20260302T08")

    def test_a_defect_seen_in_many_frames_is_one(self, line: Line, settings: dict[str, Any]) -> None:
        detected, verdict = line.run(_inspection({**settings, "mm_per_px": 0.5}), PASSING, [SCRATCH])
        assert detected.name == "detected"
        assert detected.part == verdict.part
        assert detected.size == (1000, 500)
        assert {k: detected.data[k] for k in ("label", "score", "severity")} == {
            "label": "scratch",
            "score": 0.9,
            "severity": "ng",
        }
        assert detected.data["frames"] == verdict.data["frames"]
        assert detected.data["length_px"] == pytest.approx(30, abs=1)
        assert detected.data["width_px"] == pytest.approx(12, abs=1)
        assert detected.data["area_px"] == pytest.approx(360, rel=0.05)
        assert detected.data["length_mm"] == pytest.approx(15, abs=0.5)
        assert detected.data["area_mm2"] == pytest.approx(90, rel=0.05)
        assert (verdict.data["result"], verdict.data["reason"]) == ("ng", "1 scratch; 0 allowed")
        assert verdict.data["defect_count"] == 1

    def test_neighbouring_defects_stay_apart(self, line: Line, settings: dict[str, Any]) -> None:
        marks: list[Mark] = [(20, 20, 40, 30, 0, 0.9), (44, 20, 64, 30, 0, 0.8), (20, 20, 40, 30, 1, 0.7)]
        verdict = line.run(_inspection(settings), PASSING, marks)[-1]
        assert verdict.data["defect_count"] == 3

    def test_a_part_that_stops_or_turns_back_gets_one_verdict(self, line: Line, settings: dict[str, Any]) -> None:
        xs = list(range(-200, 300, 25)) + [300] * 50 + list(range(300, 200, -25)) + list(range(200, 1100, 25))
        assert _results(line.run(_inspection(settings), xs, [SCRATCH])) == ["ng"]

    def test_a_part_that_flickers_gets_one_verdict(self, line: Line, settings: dict[str, Any]) -> None:
        inspection = _inspection(settings)
        found = []
        for i, x in enumerate(PASSING):
            hidden = i % 7 in (3, 4)
            found += inspection.update(*line.show(i / 10, [] if hidden else [(x, [SCRATCH])]))
        assert _results(found) == ["ng"]

    def test_parts_one_after_another_each_get_their_own(self, line: Line, settings: dict[str, Any]) -> None:
        inspection, found = _inspection(settings), []
        marks: list[list[Mark]] = [[], [SCRATCH], [], [SCRATCH, (120, 90, 140, 110, 1, 0.8)], [SCRATCH]]
        for i in range(120):
            boards = [(-250.0 * (n + 1) + 25 * i, marks[n]) for n in range(5)]
            found += inspection.update(*line.show(i / 10, boards))
        verdicts = _verdicts(found)
        assert [v.data["defect_count"] for v in verdicts] == [0, 1, 0, 2, 1]
        assert len({v.key for v in verdicts}) == 5

    def test_the_same_again_in_a_replay(self, line: Line, settings: dict[str, Any]) -> None:
        first, second = (line.run(_inspection(settings), PASSING, [SCRATCH]) for _ in range(2))
        assert first == second


class TestWindow:
    SETTINGS = {**BY_CLASS, "window": [(0.3, 0), (0.8, 0), (0.8, 1), (0.3, 1)]}

    def test_only_frames_fully_inside_count(self, line: Line) -> None:
        (verdict,) = line.run(_inspection(self.SETTINGS), PASSING)
        assert verdict.data["frames"] == len([x for x in PASSING if 300 <= x < 600])

    def test_the_verdict_comes_when_the_part_has_left(self, line: Line) -> None:
        (verdict,) = line.run(_inspection({**self.SETTINGS, "leave_s": 0.3}), PASSING)
        out = next(i for i, x in enumerate(PASSING) if x >= 600)
        assert verdict.time.t_s == pytest.approx(out / 10 + 0.3)

    def test_an_unsteady_edge_at_the_way_in_is_no_leaving(self, line: Line) -> None:
        xs = [200, 250, 301, 298, 302, 299, 303, *range(310, 1100, 25)]
        assert _results(line.run(_inspection(self.SETTINGS), xs, [SCRATCH])) == ["ng"]

    def test_defects_outside_the_window_do_not_count(self, line: Line) -> None:
        inspection, found = _inspection(self.SETTINGS), []
        for i, x in enumerate(PASSING):
            marks = [SCRATCH] if x < 280 or x > 620 else []
            found += inspection.update(*line.show(i / 10, [(x, marks)]))
        assert _results(found) == ["ok"]

    def test_a_part_too_large_for_the_window_is_reviewed(self, line: Line) -> None:
        settings = {**BY_CLASS, "window": [(0.45, 0), (0.55, 0), (0.55, 1), (0.45, 1)]}
        inspection, found = _inspection(settings), []
        for i, x in enumerate(range(-200, 1800, 25)):
            found += inspection.update(*line.show(i / 10, [(x, [])]))
        (verdict,) = found
        assert (verdict.data["result"], verdict.data["reason"]) == ("review", "never fully in view")

    def test_a_part_that_never_comes_near_gets_none(self, line: Line) -> None:
        settings = {**BY_CLASS, "window": [(0, 0.8), (1, 0.8), (1, 1), (0, 1)]}
        inspection = _inspection(settings)
        found = line.run(inspection, list(range(-200, 1800, 25)))
        found += inspection.finish(found[-1].time.time_utc if found else line.show(0, [])[0].time.time_utc, 99.0)
        assert found == []


class TestLost:
    def test_a_part_taken_off_the_belt_gets_its_verdict(self, line: Line) -> None:
        inspection, found = _inspection(BY_CLASS), []
        for i in range(60):
            found += inspection.update(*line.show(i / 10, [(300 + i, [SCRATCH])] if i < 20 else []))
        (verdict,) = _verdicts(found)
        assert verdict.data["result"] == "ng"
        assert verdict.time.t_s == pytest.approx(3.0, abs=0.11)

    def test_a_dead_camera_too(self, line: Line) -> None:
        inspection = _inspection(BY_CLASS)
        for i in range(20):
            frame, tracks = line.show(i / 10, [(300 + i, [])])
            inspection.update(frame, tracks)
        base = frame.time.time_utc
        assert _results(inspection.advance(base + timedelta(seconds=0.9), 2.8)) == []
        assert _results(inspection.advance(base + timedelta(seconds=1.2), 3.1)) == ["ok"]
        late = [o for i in range(32, 50) for o in inspection.update(*line.show(i / 10, [(1000.0, [])]))]
        assert late == []

    def test_the_end_of_the_source_closes_what_is_open(self, line: Line) -> None:
        inspection = _inspection({**BY_CLASS, "min_frames": 5})
        for i in range(4):
            frame, tracks = line.show(i / 10, [(300 + i, [])])
            inspection.update(frame, tracks)
        (verdict,) = inspection.finish(frame.time.time_utc, 0.3)
        assert verdict.data["result"] == "review"
        assert verdict.data["reason"] == "inspected in 3 of at least 5 frames"  # the first sighting only confirms it
        assert list(inspection.finish(frame.time.time_utc, 0.3)) == []

    def test_a_change_of_the_frame_size_closes_what_is_open(
        self, line: Line, make_frame: MakeFrame, make_tracks: MakeTracks
    ) -> None:
        inspection = _inspection(BY_CLASS)
        for i in range(5):
            inspection.update(*line.show(i / 10, [(300 + i, [])]))
        assert _results(inspection.update(make_frame(0.5, size=(500, 250)), make_tracks())) == ["ok"]


class TestTrigger:
    ONE = {"part": {"by": "trigger"}}
    THREE = {"part": {"by": "trigger", "frames": 3, "window_ms": 500}}

    def _frame(self, make_frame: MakeFrame, t_s: float, trigger_id: str | None) -> Frame:
        return make_frame(t_s, trigger_id=trigger_id)

    def test_every_triggered_frame_is_a_part(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection, found = _inspection(self.ONE), []
        for i in range(6):
            marks = [(1, 10, 10, 30, 30, 0, 0.9)] if i % 2 else []
            found += inspection.update(make_frame(i / 10, trigger_id=f"t{i}"), make_tracks(*marks))
        verdicts = _verdicts(found)
        assert _results(found) == ["ok", "ng"] * 3
        assert [v.key for v in verdicts] == [f"t{i}" for i in range(6)]
        assert all(v.part is not None and v.part.trigger_id == v.key for v in verdicts)

    def test_frames_nobody_asked_for_are_ignored(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection(self.ONE)
        assert list(inspection.update(make_frame(0.0), make_tracks((1, 10, 10, 30, 30)))) == []

    def test_a_repeated_trigger_has_no_second_verdict(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection(self.ONE)
        found = [o for i in range(3) for o in inspection.update(make_frame(i / 10, trigger_id="t"), make_tracks())]
        assert _results(found) == ["ok"]

    def test_several_frames_answer_one_trigger(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection({**self.THREE, "rules": [{"frames": {"seen": 2}}]})
        found: list[Occurrence] = []
        for i, trigger_id in enumerate(["a", "a", None, "b", "b", "b"]):
            marks = [(1, 10, 10, 30, 30, 0, 0.9)] if i in (0, 2, 3) else []
            found += inspection.update(make_frame(i / 10, trigger_id=trigger_id), make_tracks(*marks))
        assert [(v.key, v.data["result"], v.data["frames"]) for v in _verdicts(found)] == [
            ("a", "ng", 3),
            ("b", "ok", 3),
        ]

    def test_the_next_trigger_ends_the_one_before(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection({**self.THREE, "min_frames": 3})
        found = list(inspection.update(make_frame(0.0, trigger_id="a"), make_tracks()))
        found += inspection.update(make_frame(0.1, trigger_id="b"), make_tracks())
        assert [(v.key, v.data["result"]) for v in _verdicts(found)] == [("a", "review")]

    def test_frames_that_do_not_come_are_not_waited_for(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection({**self.THREE, "min_frames": 3})
        frame = make_frame(0.0, trigger_id="a")
        inspection.update(frame, make_tracks())
        assert list(inspection.advance(frame.time.time_utc + timedelta(seconds=0.4), 0.4)) == []
        (verdict,) = inspection.advance(frame.time.time_utc + timedelta(seconds=0.6), 0.6)
        assert verdict.data["result"] == "review"
        assert verdict.data["reason"] == "inspected in 1 of at least 3 frames"
        assert list(inspection.update(make_frame(0.7, trigger_id="a"), make_tracks())) == []


class TestPicture:
    def test_every_picture_is_a_part(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection({"part": {"by": "picture"}})
        found = list(inspection.update(make_frame(0.0, name="a.png"), make_tracks((1, 10, 10, 30, 30))))
        found += inspection.update(make_frame(0.0, name="b.png"), make_tracks())
        assert _results(found) == ["ng", "ok"]
        assert [v.part.serial for v in _verdicts(found) if v.part] == ["a.png", "b.png"]

    def test_a_name_that_no_event_can_carry_gets_its_verdict_all_the_same(
        self, make_frame: MakeFrame, make_tracks: MakeTracks
    ) -> None:
        inspection, builder = _inspection({"part": {"by": "picture"}}), EventBuilder("s", "d", "c" * 12)
        names = [os.fsdecode(name) for name in (b"\xff.png", b"\xfe.png", "Prüfling.png".encode())]
        frames = [make_frame(float(second), name=name) for second, name in enumerate(names)]
        found = [occurrence for frame in frames for occurrence in inspection.update(frame, make_tracks())]
        verdicts = _verdicts(found)
        assert [v.part.serial for v in verdicts if v.part] == ["\\xff.png", "\\xfe.png", "Prüfling.png"]
        drafts = [builder.draft(verdict, camera="cam") for verdict in verdicts]
        assert len({draft.envelope["id"] for draft in drafts}) == 3

    def test_only_the_window_is_looked_at(self, make_frame: MakeFrame, make_tracks: MakeTracks) -> None:
        inspection = _inspection({"part": {"by": "picture"}, "window": [(0, 0), (0.5, 0), (0.5, 1), (0, 1)]})
        assert _results(inspection.update(make_frame(0.0), make_tracks((1, 700, 10, 720, 30)))) == ["ok"]
        assert _results(inspection.update(make_frame(0.1), make_tracks((1, 300, 10, 320, 30)))) == ["ng"]


class TestRules:
    REGION = {"pads": [(0.5, 0), (1, 0), (1, 1), (0.5, 1)]}

    def test_a_region_of_the_part_moves_with_it(self, line: Line) -> None:
        settings = {**BY_CLASS, "regions": self.REGION, "rules": [{"region": "pads"}]}
        assert _results(line.run(_inspection(settings), PASSING, [SCRATCH])) == ["ok"]
        right: Mark = (140, 50, 160, 62, 0, 0.9)
        detected, verdict = line.run(_inspection(settings), PASSING, [right])
        assert detected.data["region"] == "pads"
        assert verdict.data["reason"] == "1 scratch in pads; 0 allowed"

    def test_a_defect_in_a_single_frame_is_noise_where_three_are_wanted(self, line: Line) -> None:
        inspection, found = _inspection({**BY_CLASS, "rules": [{"frames": {"seen": 3}}]}), []
        for i, x in enumerate(PASSING):
            found += inspection.update(*line.show(i / 10, [(x, [SCRATCH] if i == 20 else [])]))
        assert [o.name for o in found] == ["verdict"]
        assert _results(found) == ["ok"]

    def test_the_worst_defects_stand_in_the_verdict(self, line: Line) -> None:
        marks: list[Mark] = [(10 + 24 * n, 20, 24 + 24 * n, 34, 0, 0.55 + 0.05 * n) for n in range(7)]
        verdict = line.run(_inspection(BY_CLASS), PASSING, marks)[-1]
        assert verdict.data["defect_count"] == 7
        listed = verdict.data["defects"]
        assert isinstance(listed, list)
        assert [row["score"] for row in listed] == [0.85, 0.8, 0.75, 0.7, 0.65]
        assert len(json.dumps(verdict.data)) < 600


class TestCost:
    def test_full_pixels_are_read_only_when_a_better_view_comes(self, line: Line) -> None:
        inspection, reads = _inspection(BY_CLASS), 0
        for i, x in enumerate(PASSING):
            frame, tracks = line.show(i / 10, [(x, [SCRATCH])])
            inspection.update(frame, tracks)
            reads += frame.pixels.full_reads  # type: ignore[attr-defined]
        assert reads == 1

    def test_a_part_that_stands_for_hours_takes_no_more_memory(self, line: Line) -> None:
        inspection = _inspection(BY_CLASS)
        sizes = []
        for i in range(900):
            inspection.update(*line.show(i / 10, [(300, [SCRATCH])]))
            if i in (450, 899):
                sizes.append(len(json.dumps(inspection.state())))
        assert abs(sizes[1] - sizes[0]) < 40


@pytest.mark.parametrize("settings", [BY_CLASS, CONTOUR], ids=["class", "contour"])
@pytest.mark.parametrize("at", [5, 15, 25, 40])
def test_a_restart_in_mid_part_changes_nothing(line: Line, settings: dict[str, Any], at: int) -> None:
    whole = line.run(_inspection(settings), PASSING, [SCRATCH])
    inspection, found = _inspection(settings), []
    for i, x in enumerate(PASSING):
        if i == at:
            stored = json.loads(json.dumps(inspection.state(), allow_nan=False))
            inspection = _inspection(settings)
            inspection.restore(stored)
        found += inspection.update(*line.show(i / 10, [(x, [SCRATCH])]))
    assert found == whole


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"part": {"by": "class", "label": "tray"}}, "part.label: the model has no class 'tray'; it has: scratch"),
            ({**BY_CLASS, "rules": [{"labels": ["dent"]}]}, "rules.0.labels: the model has no class 'dent'"),
            ({**BY_CLASS, "rules": [{"labels": ["board"]}]}, "the class of the part itself is no defect"),
        ],
    )
    def test_classes_the_model_does_not_have(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            _inspection(settings)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({}, "part"),
            ({"part": {"by": "magic"}}, "by"),
            ({**BY_CLASS, "rules": [{"region": "pads"}]}, "no region is called 'pads'; regions: none is defined"),
            ({**BY_CLASS, "rules": [{"min_length_mm": 1}]}, "sizes in mm need mm_per_px"),
            ({**BY_CLASS, "rules": [{"min_area_mm2": 1}]}, "sizes in mm need mm_per_px"),
            ({**BY_CLASS, "window": [(0, 0), (1, 1), (1, 0), (0, 1)]}, "cross each other"),
            ({**BY_CLASS, "regions": {"r": [(0, 0), (1, 1), (0.5, 0.5)]}}, "r: the polygon has no area"),
            ({"part": {"by": "contour", "belt": "grey"}}, "pattern"),
        ],
    )
    def test_nonsense_is_refused(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            InspectionSettings.model_validate(settings)
