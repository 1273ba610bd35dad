"""The life of objects: appeared, updated, disappeared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import numpy as np
from pydantic import Field as Setting

from edgevision.analytics.base import AnalysisContext, State
from edgevision.analytics.clock import StreamClock
from edgevision.analytics.payload import box, score
from edgevision.analytics.table import Field, Records, TrackTable, gather, scatter
from edgevision.config.settings import PositiveSeconds, Settings, Unit
from edgevision.types import Frame, FrameTime, IntArray, Occurrence, Tracks

_FIELDS: list[Field] = [
    ("label", "i8"),
    ("box", "f8", (4,)),
    ("score", "f8"),
    ("best", "f8"),
    ("first_s", "f8"),
    ("told_s", "f8"),
    ("hits", "i8"),
    ("shown", "?"),  # `appeared` has been said
]


class DetectionSettings(Settings):
    """Says when objects appear and disappear."""

    kind: Literal["detection"] = "detection"
    labels: list[str] = []
    """Class names that count; all when empty."""
    min_score: Unit = 0.5
    """An object appears when its score has once been this high, 0..1 ..."""
    min_hits: Annotated[int, Setting(ge=1)] = 3
    """... and it has been seen in this many frames."""
    update_every_s: PositiveSeconds | None = None
    """Say `updated` for what is in view, at most this often for each object, seconds; off when not given."""
    lost_s: PositiveSeconds = 3.0
    """How long after its last sighting an object has disappeared, seconds; no less than the tracker's `lost_s`."""


class Detection:
    """Object lifecycle of one camera.

    Args:
        settings: What counts as an object.
        context: Camera and class names.

    Raises:
        ConfigError: Unknown class names.
    """

    Settings = DetectionSettings

    def __init__(self, settings: DetectionSettings, context: AnalysisContext) -> None:
        self._set = settings
        self._classes = context.classes
        self._wanted = context.wanted(settings.labels, "labels")
        self._table = TrackTable(_FIELDS)
        self._clock = StreamClock()
        self._size: tuple[int, int] | None = None

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        """One frame."""
        now_s = self._clock.frame(frame.time)
        self._size = frame.size
        wanted = self._wanted[tracks.label]
        if not wanted.all():
            tracks = tracks[wanted]
        found = self._see(frame.time, tracks, now_s) if len(tracks) else []
        return found + self._expire(now_s - self._set.lost_s, frame.time)

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Time passed without frames."""
        now_s = self._clock.tick(t_s)
        return self._expire(now_s - self._set.lost_s, self._clock.label(time_utc, t_s))

    def finish(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Everything in view disappears."""
        return self._expire(np.inf, self._clock.label(time_utc, t_s))

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        return {
            "clock": self._clock.state(),
            "tracks": self._table.state(),
            "size": self._size,
        }

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        self._clock.restore(state["clock"])
        self._table.restore(state["tracks"])
        self._size = None if state["size"] is None else (state["size"][0], state["size"][1])

    def _see(self, time: FrameTime, tracks: Tracks, now_s: float) -> list[Occurrence]:
        rows, new = self._table.rows(tracks.track_id)
        records = gather(self._table.records, rows)
        if new.any():
            records["first_s"][new] = now_s
        records["seen"], records["label"], records["box"] = (
            now_s,
            tracks.label,
            tracks.xyxy,
        )
        records["score"] = tracks.score
        records["best"] = np.maximum(records["best"], tracks.score)
        records["hits"] += 1
        ripe = (records["hits"] >= self._set.min_hits) & (records["best"] >= self._set.min_score)
        appeared = (ripe & ~records["shown"]).nonzero()[0]
        updated: IntArray = np.zeros(0, np.int64)
        if self._set.update_every_s is not None:
            updated = np.flatnonzero(records["shown"] & (now_s - records["told_s"] >= self._set.update_every_s))
        records["shown"] |= ripe
        records["told_s"][appeared] = now_s
        records["told_s"][updated] = now_s
        scatter(self._table.records, rows, records)
        found = [self._occurrence("appeared", records, int(row), time) for row in appeared]
        return found + [self._occurrence("updated", records, int(row), time) for row in updated]

    def _expire(self, before_s: float, time: FrameTime) -> list[Occurrence]:
        gone = self._table.expire(before_s)
        return [self._occurrence("disappeared", gone, int(row), time) for row in np.flatnonzero(gone["shown"])]

    def _occurrence(self, name: str, records: Records, row: int, time: FrameTime) -> Occurrence:
        data: dict[str, object] = {
            "track_id": int(records["id"][row]),
            "label": self._classes[records["label"][row]],
            "score": score(records["best" if name == "disappeared" else "score"][row]),
            "box": box(records["box"][row]),
        }
        if name != "appeared":
            data["seen_s"] = round(float(records["seen"][row] - records["first_s"][row]), 2)
        return Occurrence("detection", name, time, data, size=self._size)
