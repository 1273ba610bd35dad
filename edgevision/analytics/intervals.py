"""Counts per interval of the wall clock: published always, zeros too, with how much of the time was really watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevision.analytics.lines import Direction

GAP_S = 2.0  # a longer time between two frames was not watched
GRACE_S = 2.0  # so long after its end a tick leaves an interval open for frames that are still under way
KEPT = 64  # past intervals that a clock set back can come to again
MAX_EMPTY = 1500  # intervals that one step of time may leave empty; more is a broken clock, no pause
VALID_SHARE = 0.95
DEGRADED_SHARE = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Payload = dict[str, object]


@dataclass(slots=True)
class _Counts:
    """One interval of one line (in, out) or zone (entered, left, occupancy)."""

    forth: int = 0
    back: int = 0
    peak: int = 0
    object_s: float = 0.0
    dwell_s: float = 0.0
    longest_s: float = 0.0


@dataclass(slots=True)
class _Interval:
    """One interval of all lines and zones."""

    counts: list[_Counts]
    observed_s: float = 0.0
    revision: int = field(default=1, kw_only=True)

    def plain(self) -> list[Any]:
        """JSON-able; what never happened takes no room."""
        used = {str(index): astuple(counts) for index, counts in enumerate(self.counts) if counts != _Counts()}
        return [used, self.observed_s, self.revision]


class Intervals:
    """The running interval of all lines and zones of one camera.

    When the wall clock is set back, intervals come round again. What is counted then is added to what they had, and
    they are published as a higher revision, so that nothing is counted twice or lost.

    Args:
        period_s: Length of an interval; intervals start at whole multiples of it since 1970, UTC.
        lines: Names of the lines.
        zones: Names of the zones.
        zone_info: The site's time zone, for the published offset.
    """

    def __init__(
        self,
        period_s: int,
        lines: Sequence[str],
        zones: Sequence[str],
        zone_info: tzinfo,
    ) -> None:
        self._period = timedelta(seconds=period_s)
        self._names = [("line", name) for name in lines] + [("zone", name) for name in zones]
        self._lines = len(lines)
        self._tz = zone_info
        self._start: datetime | None = None
        self._newest: datetime | None = None  # start of the latest interval that was published
        self._last_s: float | None = None
        self._past: dict[datetime, _Interval] = {}
        self._now = self._new()

    def _new(self, revision: int = 1) -> _Interval:
        return _Interval([_Counts() for _ in self._names], revision=revision)

    def _open(self, start: datetime) -> None:
        self._start = start
        known = self._past.pop(start, None)
        if known is not None:
            known.revision += 1
        again = self._newest is not None and start <= self._newest
        self._now = known or self._new(2 if again else 1)

    def _close(self, start: datetime) -> list[Payload]:
        self._past[start] = self._now
        if len(self._past) > KEPT:
            del self._past[next(iter(self._past))]
        self._newest = start if self._newest is None else max(start, self._newest)
        return self._payloads(start)

    def frame(self, time_utc: datetime, now_s: float, occupancy: NDArray[np.int64]) -> list[Payload]:
        """A frame was seen; the intervals that ended before it.

        Args:
            time_utc: Its capture time.
            now_s: The same on the stream's clock, seconds.
            occupancy: (zones,) how many were inside since the last frame.
        """
        watched_s = 0.0 if self._last_s is None else now_s - self._last_s
        if watched_s > GAP_S:
            watched_s = 0.0
        self._last_s = now_s
        closed: list[Payload] = []
        if self._start is not None and time_utc >= self._start + self._period:
            after_s = (time_utc - self._start - self._period).total_seconds()
            self._watch(max(0.0, watched_s - after_s), occupancy)
            watched_s = min(watched_s, after_s)
            closed = self._close_until(time_utc)
        elif self._start is None or time_utc < self._start - self._period:
            closed = self._step_to(time_utc)
        self._watch(watched_s, occupancy)
        return closed

    def tick(self, time_utc: datetime) -> list[Payload]:
        """Time passed without a frame; the intervals that ended."""
        if self._start is None:
            self._open(self._floor(time_utc))
        return self._close_until(time_utc - timedelta(seconds=GRACE_S))

    def crossed(self, line: int, direction: Direction) -> None:
        """Count a crossing."""
        counts = self._now.counts[line]
        if direction == "in":
            counts.forth += 1
        else:
            counts.back += 1

    def passed(self, zone: int, dwell_s: float | None) -> None:
        """Count who entered a zone, or left it after ``dwell_s``."""
        counts = self._now.counts[self._lines + zone]
        if dwell_s is None:
            counts.forth += 1
            return
        counts.back += 1
        counts.dwell_s += dwell_s
        counts.longest_s = max(counts.longest_s, dwell_s)

    def occupied(self, occupancy: NDArray[np.int64]) -> None:
        """Note the (zones,) numbers inside now, for the peak."""
        for counts, count in zip(self._now.counts[self._lines :], occupancy.tolist(), strict=True):
            counts.peak = max(counts.peak, count)

    def finish(self) -> list[Payload]:
        """The running interval as far as it got; if it goes on nevertheless, it is published as a higher revision."""
        if self._start is None:
            return []
        closed, self._start = self._close(self._start), None
        return closed

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs, JSON-able."""
        return {
            "start": None if self._start is None else self._start.isoformat(),
            "newest": None if self._newest is None else self._newest.isoformat(),
            "last_s": self._last_s,
            "now": self._now.plain(),
            "past": {start.isoformat(): interval.plain() for start, interval in self._past.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from an earlier ``state()``."""
        self._start = None if state["start"] is None else datetime.fromisoformat(state["start"])
        self._newest = None if state["newest"] is None else datetime.fromisoformat(state["newest"])
        self._last_s = state["last_s"]
        self._now = self._load(state["now"])
        self._past = {datetime.fromisoformat(start): self._load(plain) for start, plain in state["past"].items()}

    def inherit(self, state: dict[str, Any]) -> None:
        """Take over which intervals were published, but not what was counted in them."""
        starts = {state["start"]: state["now"], **state["past"]} if state["start"] is not None else state["past"]
        self._past = {datetime.fromisoformat(start): self._new(revision) for start, (*_, revision) in starts.items()}
        known = [datetime.fromisoformat(text) for text in (state["newest"], state["start"]) if text is not None]
        self._newest = max(known, default=None)

    def _load(self, plain: list[Any]) -> _Interval:
        used, observed_s, revision = plain
        counts = [_Counts(*used.get(str(index), ())) for index in range(len(self._names))]
        return _Interval(counts, observed_s, revision=revision)

    def _watch(self, seconds: float, occupancy: NDArray[np.int64]) -> None:
        if seconds <= 0:
            return
        self._now.observed_s += seconds
        for counts, count in zip(self._now.counts[self._lines :], occupancy.tolist(), strict=True):
            counts.object_s += count * seconds
            counts.peak = max(counts.peak, count)

    def _floor(self, time_utc: datetime) -> datetime:
        return _EPOCH + ((time_utc - _EPOCH) // self._period) * self._period

    def _step_to(self, time_utc: datetime) -> list[Payload]:
        closed = [] if self._start is None else self._close(self._start)
        self._open(self._floor(time_utc))
        return closed

    def _close_until(self, time_utc: datetime) -> list[Payload]:
        if self._start is None or time_utc < self._start + self._period:
            return []
        if (time_utc - self._start) // self._period > MAX_EMPTY:
            return self._step_to(time_utc)
        closed: list[Payload] = []
        while self._start + self._period <= time_utc:
            closed += self._close(self._start)
            self._open(self._start + self._period)
        return closed

    def _payloads(self, start: datetime) -> list[Payload]:
        expected_s = self._period.total_seconds()
        observed_s = min(self._now.observed_s, expected_s)
        share = observed_s / expected_s
        status = "valid" if share >= VALID_SHARE else "degraded" if share >= DEGRADED_SHARE else "invalid"
        offset = self._tz.utcoffset(start.astimezone(self._tz).replace(tzinfo=None)) or timedelta()
        common = {
            "start": start.isoformat(),
            "utc_offset_s": round(offset.total_seconds()),
            "expected_s": expected_s,
            "observed_s": round(observed_s, 1),
            "status": status,
            "revision": self._now.revision,
        }
        payloads: list[Payload] = []
        for (kind, name), counts in zip(self._names, self._now.counts, strict=True):
            own = self._line(counts) if kind == "line" else self._zone(counts)
            payloads.append({kind: name, **common, **own})
        return payloads

    @staticmethod
    def _line(counts: _Counts) -> Payload:
        return {"count_in": counts.forth, "count_out": counts.back}

    def _zone(self, counts: _Counts) -> Payload:
        payload: Payload = {
            "entered": counts.forth,
            "left": counts.back,
            "occupancy_mean": round(counts.object_s / self._now.observed_s, 2) if self._now.observed_s else 0.0,
            "occupancy_max": counts.peak,
        }
        if counts.back:
            payload["dwell_mean_s"] = round(counts.dwell_s / counts.back, 2)
            payload["dwell_max_s"] = round(counts.longest_s, 2)
        return payload
