"""Inspection: follows parts through a window, gathers their defects over frames, gives each part one verdict."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, field_validator, model_validator

from edgevision.analytics.base import AnalysisContext, State
from edgevision.analytics.clock import ROUNDING_S, StreamClock
from edgevision.analytics.parts import (
    ByClass,
    ByContour,
    ByTrigger,
    ClassFinder,
    ContourFinder,
    Finding,
    as_detections,
)
from edgevision.analytics.record import PartRecord
from edgevision.analytics.rules import Rule
from edgevision.analytics.tracking import ByteTrack, ByteTrackSettings
from edgevision.analytics.verdicts import Verdicts
from edgevision.config.settings import Name, PositiveSeconds, RelativePoint, Seconds, Settings
from edgevision.errors import ConfigError, Problem
from edgevision.geometry import inside, polygon_problem
from edgevision.types import BoolArray, FloatArray, Frame, FrameTime, Occurrence, Tracks

REMEMBERED = 1000  # ids of answered triggers that are kept to recognise a late frame
_EDGE_PX = 1.0  # a box this near to the picture's edge may go on outside it

Polygon = Annotated[list[RelativePoint], Field(min_length=3, max_length=100)]
_WHOLE: list[RelativePoint] = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


class InspectionSettings(Settings):
    """Inspects parts and gives each ONE verdict. Wants every detection: set the camera's tracker to `kind: none`."""

    kind: Literal["inspection"] = "inspection"
    part: Finding
    """How parts are found."""
    window: Polygon = _WHOLE
    """Where parts are inspected, fully inside and uncut: corners [x, y] in shares of the picture, 0..1."""
    rules: list[Rule] = []
    """Rules of acceptance; with none, any defect that the model reports makes a part `ng`."""
    regions: dict[Name, Polygon] = {}
    """Regions of a part by name, for rules: corners [x, y] in shares of the part's box, 0..1."""
    min_frames: Annotated[int, Field(ge=1, le=100)] = 1
    """A part inspected in fewer frames that breaks no rule is `review`."""
    mm_per_px: Annotated[float, Field(gt=0)] | None = None
    """Size of a pixel of the source on the part, mm per pixel; sizes are then given in mm too."""
    leave_s: Seconds = 0.2
    """How long a part must be out of the window before its verdict, seconds; bridges an unsteady outline."""
    lost_s: PositiveSeconds = 1.0
    """How long a part that is not seen can come back before its verdict, seconds."""

    @field_validator("window", mode="after")
    @classmethod
    def _sound(cls, polygon: list[RelativePoint]) -> list[RelativePoint]:
        problem = polygon_problem(np.array(polygon, np.float64))
        if problem:
            raise ValueError(problem)
        return polygon

    @field_validator("regions", mode="after")
    @classmethod
    def _all_sound(cls, regions: dict[str, list[RelativePoint]]) -> dict[str, list[RelativePoint]]:
        for name, polygon in regions.items():
            problem = polygon_problem(np.array(polygon, np.float64))
            if problem:
                msg = f"{name}: {problem}"
                raise ValueError(msg)
        return regions

    @model_validator(mode="after")
    def _known(self) -> InspectionSettings:
        for number, rule in enumerate(self.rules):
            if rule.region is not None and rule.region not in self.regions:
                allowed = ", ".join(self.regions) or "none is defined"
                msg = f"rules.{number}.region: no region is called {rule.region!r}; regions: {allowed}"
                raise ValueError(msg)
            if self.mm_per_px is None and (rule.min_length_mm or rule.min_area_mm2):
                msg = f"rules.{number}: sizes in mm need mm_per_px"
                raise ValueError(msg)
        return self


class Inspection:
    """Inspection of one camera.

    Args:
        settings: Parts, window, rules.
        context: Camera and class names.

    Raises:
        ConfigError: Unknown class names.
    """

    Settings = InspectionSettings
    judges = True

    def __init__(self, settings: InspectionSettings, context: AnalysisContext) -> None:
        self._set, self._camera = settings, context.camera
        self._part = settings.part
        self._is_defect = self._defect_mask(context)
        self._verdicts = Verdicts(
            settings.rules,
            settings.regions,
            context.classes,
            min_frames=settings.min_frames,
            mm_per_px=settings.mm_per_px,
        )
        self._window = np.array(settings.window, np.float64)
        self._finder: ClassFinder | ContourFinder | None = None
        if isinstance(self._part, ByClass):
            self._finder = ClassFinder(context.classes.index(self._part.label), self._part.min_score)
        elif isinstance(self._part, ByContour):
            self._finder = ContourFinder(self._part)
        self._tracker = self._new_tracker()
        self._clock = StreamClock()
        self._open: dict[int, PartRecord] = {}  # by track id; 0 is the part of a trigger
        self._answered: dict[str, None] = {}
        self._size: tuple[int, int] | None = None

    def _defect_mask(self, context: AnalysisContext) -> BoolArray:
        """Which classes a rule is about."""
        about = np.full(len(context.classes), not self._set.rules)
        own = context.labels([self._part.label] if isinstance(self._part, ByClass) else [], "part.label")
        for number, rule in enumerate(self._set.rules):
            path = f"rules.{number}.labels"
            wanted = context.wanted(rule.labels, path)
            if rule.labels and wanted[own].any():
                message = "the class of the part itself is no defect"
                raise ConfigError([Problem(f"camera {self._camera}", path, message)])
            about |= wanted
        about[own] = False
        return about

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        """One frame."""
        now_s = self._clock.frame(frame.time)
        found: list[Occurrence] = []
        if self._size is not None and frame.size != self._size:
            found += self._close_all(frame.time)  # boxes of before mean nothing now
        self._size = frame.size
        marks = tracks[self._is_defect[tracks.label] & (tracks.score >= self._verdicts.floor)]
        if self._finder is not None:
            return found + self._follow(self._finder.find(frame, tracks), frame, marks, now_s)
        if isinstance(self._part, ByTrigger):
            return found + self._triggered(self._part, frame, marks, now_s)
        record = PartRecord(self._new_id(frame, frame.index), _serial(frame), None, now_s, now_s)
        self._inspect_window(record, frame, marks)
        return found + self._verdicts.judge(record, frame.time, self._size)

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Time passed without frames: parts that are lost, triggers whose frames do not come."""
        now_s = self._clock.tick(t_s)
        wait_s = self._part.window_ms / 1000 if isinstance(self._part, ByTrigger) else self._set.lost_s
        time = self._clock.label(time_utc, t_s)
        found: list[Occurrence] = []
        for key, record in list(self._open.items()):
            if now_s - (record.since_s if isinstance(self._part, ByTrigger) else record.seen_s) > wait_s:
                found += self._close(key, time)
        return found

    def finish(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Every part still open gets its verdict."""
        return self._close_all(self._clock.label(time_utc, t_s))

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        return {
            "clock": self._clock.state(),
            "tracker": self._tracker.state(),
            "finder": None if self._finder is None else self._finder.state(),
            "open": [[key, record.state()] for key, record in self._open.items()],
            "answered": list(self._answered)[-200:],
            "size": self._size,
        }

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        self._clock.restore(state["clock"])
        self._tracker.restore(state["tracker"])
        if self._finder is not None:
            self._finder.restore(state["finder"])
        self._open = {key: PartRecord.load(record) for key, record in state["open"]}
        self._answered = dict.fromkeys(state["answered"])
        self._size = None if state["size"] is None else (state["size"][0], state["size"][1])

    def _follow(self, boxes: FloatArray, frame: Frame, marks: Tracks, now_s: float) -> list[Occurrence]:
        parts = self._tracker.update(as_detections(boxes), now_s)
        full, near = self._in_window(parts.xyxy, frame.size)
        found: list[Occurrence] = []
        fresh = 0
        for row, key in enumerate(parts.track_id.tolist()):
            record = self._open.get(key)
            if record is None:
                fresh += 1
                record = self._open[key] = PartRecord(self._new_id(frame, fresh), None, None, now_s, now_s)
            record.seen_s = now_s
            record.near |= bool(near[row])
            if full[row]:
                record.out_s = None
                if not record.judged:
                    record.inspect(frame, parts.xyxy[row].astype(np.float64), marks)
            elif record.inspected:
                record.out_s = now_s if record.out_s is None else record.out_s
                if now_s - record.out_s >= self._set.leave_s - ROUNDING_S:
                    found += self._judge(record, frame.time)
        for key in self._tracker.finished.tolist():
            found += self._close(key, frame.time)
        return found

    def _triggered(self, part: ByTrigger, frame: Frame, marks: Tracks, now_s: float) -> list[Occurrence]:
        found: list[Occurrence] = []
        record = self._open.get(0)
        other = frame.trigger_id is not None and (record is None or frame.trigger_id != record.trigger_id)
        late = record is not None and now_s - record.since_s > part.window_ms / 1000
        if record is not None and (other or late):
            found += self._close(0, frame.time)
            record = None
        if record is None:
            if frame.trigger_id is None or frame.trigger_id in self._answered:
                return found
            record = self._open[0] = PartRecord(frame.trigger_id, _serial(frame), frame.trigger_id, now_s, now_s)
        self._inspect_window(record, frame, marks)
        if record.inspected >= part.frames:
            found += self._close(0, frame.time)
        return found

    def _inspect_window(self, record: PartRecord, frame: Frame, marks: Tracks) -> None:
        window = self._window * np.array(frame.size, np.float64)
        if len(marks):
            boxes = marks.xyxy.astype(np.float64)
            marks = marks[inside((boxes[:, :2] + boxes[:, 2:]) / 2, window)]
        record.inspect(frame, np.concatenate([window.min(axis=0), window.max(axis=0)]), marks)

    def _in_window(self, xyxy: FloatArray, size: tuple[int, int]) -> tuple[BoolArray, BoolArray]:
        """Which parts are fully in the window and uncut, and whose centre is in it."""
        if not len(xyxy):
            return np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        boxes, frame_size = xyxy.astype(np.float64), np.array(size, np.float64)
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2) / frame_size
        corners = np.clip(corners, 0, 1 - 1e-9)
        uncut = (boxes[:, :2] >= _EDGE_PX) & (boxes[:, 2:] <= frame_size - _EDGE_PX)
        full: BoolArray = np.all(inside(corners, self._window).reshape(-1, 4), axis=1) & np.all(uncut, axis=1)
        return full, inside((boxes[:, :2] + boxes[:, 2:]) / 2 / frame_size, self._window)

    def _new_id(self, frame: Frame, number: int) -> str:
        """From capture time and order: the same in a replay, another after a restart."""
        return f"{self._camera}-{frame.time.time_utc:%Y%m%dT%H%M%S%f}-{number}"

    def _judge(self, record: PartRecord, time: FrameTime) -> list[Occurrence]:
        if record.judged or not (record.inspected or record.near):
            return []
        record.judged = True
        return self._verdicts.judge(record, time, self._size)

    def _close(self, key: int, time: FrameTime) -> list[Occurrence]:
        record = self._open.pop(key, None)
        if record is None:
            return []
        if record.trigger_id is not None:
            self._answered[record.trigger_id] = None
            if len(self._answered) > REMEMBERED:
                del self._answered[next(iter(self._answered))]
        return self._judge(record, time)

    def _close_all(self, time: FrameTime) -> list[Occurrence]:
        found = [occurrence for key in list(self._open) for occurrence in self._close(key, time)]
        self._tracker = self._new_tracker()
        return found

    def _new_tracker(self) -> ByteTrack:
        return ByteTrack(ByteTrackSettings(lost_s=self._set.lost_s, max_tracks=200))


def _serial(frame: Frame) -> str | None:
    """The picture's name as an event can carry it: bytes of a file's name that are no UTF-8 are spelt out."""
    return None if frame.name is None else os.fsencode(frame.name).decode("utf-8", "backslashreplace")
