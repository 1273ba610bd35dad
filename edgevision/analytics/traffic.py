"""People and things in motion: crossings of lines, stays in zones, counts per interval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from pydantic import Field, field_validator

from edgevision.analytics.base import AnalysisContext, State
from edgevision.analytics.clock import StreamClock
from edgevision.analytics.intervals import Intervals, Payload
from edgevision.analytics.lines import Lines, LineTable
from edgevision.analytics.payload import box
from edgevision.analytics.table import Field as RecordField
from edgevision.analytics.table import Records, TrackTable, gather, scatter
from edgevision.analytics.zones import Passage, Zones, ZoneTable
from edgevision.config.settings import PositiveSeconds, Settings
from edgevision.geometry import all_anchors
from edgevision.types import Frame, FrameTime, Occurrence, Tracks


class TrafficSettings(Settings):
    """Counts crossings of lines and stays in zones."""

    kind: Literal["traffic"] = "traffic"
    lines: LineTable = {}
    """Lines by name."""
    zones: ZoneTable = {}
    """Zones by name."""
    period_s: Annotated[int, Field(ge=1, le=86_400)] = 60
    """Length of the intervals that counts are published for, seconds."""
    timezone: str = "UTC"
    """Time zone of the site (IANA name, e.g. `Europe/Berlin`): intervals carry its offset."""
    lost_s: PositiveSeconds = 3.0
    """How long after its last sighting a track has left for good, seconds; no less than the tracker's `lost_s`."""

    @field_validator("timezone", mode="after")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            msg = f"no time zone is called {value!r}; give an IANA name such as Europe/Berlin"
            raise ValueError(msg) from exc
        return value


class Traffic:
    """Lines and zones of one camera.

    Args:
        settings: Lines, zones, periods.
        context: Camera and class names.

    Raises:
        ConfigError: Unknown class names.
    """

    Settings = TrafficSettings

    def __init__(self, settings: TrafficSettings, context: AnalysisContext) -> None:
        self._camera, self._classes = context.camera, context.classes
        self._lost_s = settings.lost_s
        self._lines = Lines(settings.lines, context)
        self._zones = Zones(settings.zones, context)
        tz = ZoneInfo(settings.timezone)
        self._intervals = Intervals(settings.period_s, self._lines.names, self._zones.names, tz)
        own: list[RecordField] = [("label", "i8"), ("box", "f8", (4,))]
        self._table = TrackTable([*own, *self._lines.fields(), *self._zones.fields()])
        self._clock = StreamClock()
        self._size: tuple[int, int] | None = None

    def update(self, frame: Frame, tracks: Tracks) -> Sequence[Occurrence]:
        """One frame."""
        now_s = self._clock.frame(frame.time)
        self._size = frame.size
        closed = self._intervals.frame(frame.time.time_utc, now_s, self._zones.occupancy(self._table.records))
        found = self._interval_events(closed, frame.time)
        if len(tracks):
            found += self._judge(frame, tracks, now_s)
        found += self._expire(now_s - self._lost_s, frame.time)
        self._intervals.occupied(self._zones.occupancy(self._table.records))
        return found

    def advance(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Time passed without frames."""
        time = self._clock.label(time_utc, t_s)
        found = self._expire(self._clock.tick(t_s) - self._lost_s, time)
        return found + self._interval_events(self._intervals.tick(time_utc), time)

    def finish(self, time_utc: datetime, t_s: float) -> Sequence[Occurrence]:
        """Everybody leaves; the running interval ends."""
        time = self._clock.label(time_utc, t_s)
        found = self._expire(np.inf, time)
        return found + self._interval_events(self._intervals.finish(), time)

    def state(self) -> State:
        """All that ``restore`` needs, JSON-able."""
        return {
            "clock": self._clock.state(),
            "tracks": self._table.state(),
            "intervals": self._intervals.state(),
            "size": self._size,
        }

    def restore(self, state: State) -> None:
        """Go on from an earlier ``state()``."""
        self._clock.restore(state["clock"])
        self._table.restore(state["tracks"])
        self._intervals.restore(state["intervals"])
        self._size = None if state["size"] is None else (state["size"][0], state["size"][1])

    def inherit(self, state: State) -> None:
        """Another Traffic counted before, with other lines: intervals that it has published get higher revisions."""
        self._intervals.inherit(state["intervals"])

    def _judge(self, frame: Frame, tracks: Tracks, now_s: float) -> list[Occurrence]:
        rows, new = self._table.rows(tracks.track_id)
        records = gather(self._table.records, rows)
        records["seen"], records["label"], records["box"] = (
            now_s,
            tracks.label,
            tracks.xyxy,
        )
        anchors = all_anchors(tracks.xyxy)
        found: list[Occurrence] = []
        if self._lines.names:
            height = anchors[:, 0, 1] - anchors[:, 2, 1]
            for crossing in self._lines.update(records, new, anchors, (tracks.label, height, frame.size)):
                self._intervals.crossed(crossing.line, crossing.direction)
                data: Payload = {
                    "line": self._lines.names[crossing.line],
                    "direction": crossing.direction,
                }
                found.append(self._occurrence("crossed", data, records, crossing.row, frame.time))
        if self._zones.names:
            relative = anchors / np.array(frame.size, np.float64)
            passages = self._zones.update(records, tracks.label, relative, now_s)
            found += self._passages(passages, records, frame.time)
        scatter(self._table.records, rows, records)
        return found

    def _expire(self, before_s: float, time: FrameTime) -> list[Occurrence]:
        gone = self._table.expire(before_s)
        return self._passages(self._zones.leave(gone), gone, time) if len(gone) else []

    def _passages(self, passages: list[Passage], records: Records, time: FrameTime) -> list[Occurrence]:
        found = []
        for passage in passages:
            self._intervals.passed(passage.zone, passage.dwell_s)
            data: Payload = {
                "zone": self._zones.names[passage.zone],
                "action": passage.action,
            }
            if passage.dwell_s is not None:
                data["dwell_s"] = round(passage.dwell_s, 2)
            found.append(self._occurrence("zone", data, records, passage.row, time))
        return found

    def _occurrence(self, name: str, data: Payload, records: Records, row: int, time: FrameTime) -> Occurrence:
        about = {
            "track_id": int(records["id"][row]),
            "label": self._classes[records["label"][row]],
            "box": box(records["box"][row]),
        }
        return Occurrence("traffic", name, time, {**data, **about}, size=self._size)

    def _interval_events(self, payloads: list[Payload], time: FrameTime) -> list[Occurrence]:
        found = []
        for data in payloads:
            kind = "line" if "line" in data else "zone"
            key = f"{self._camera}/{kind}/{data[kind]}/{data['start']}"
            found.append(Occurrence("traffic", "interval", time, data, key=key))
        return found
