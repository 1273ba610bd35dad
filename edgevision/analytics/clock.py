"""Time as an analysis sees it: never back, whatever the stream does."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from edgevision.types import FrameTime, TimeSource

ROUNDING_S = 1e-6  # differences of times are compared with this in mind
JUMP_S = 2.0  # a smaller step back is jitter between frames and ticks


class StreamClock:
    """Turns the times of frames and ticks into seconds that never fall.

    A small step back stands still until time catches up; a larger one (a restarted stream) goes on from there. Ticks
    before the first frame know nothing of the stream's own count, so the first frame goes on from there too.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._offset_s: float | None = None
        self._framed = False
        self._source: TimeSource = "arrival"
        self._uncertainty_ms = 0.0

    def frame(self, time: FrameTime) -> float:
        """Seconds at a frame."""
        self._source, self._uncertainty_ms = time.source, time.uncertainty_ms
        if not self._framed:
            self._framed, self._offset_s = True, None
        return self.tick(time.t_s)

    def tick(self, t_s: float) -> float:
        """Seconds at ``t_s`` of the stream."""
        if self._offset_s is None or t_s + self._offset_s < self.now_s - JUMP_S:
            self._offset_s = self.now_s - t_s
        self.now_s = max(self.now_s, t_s + self._offset_s)
        return self.now_s

    def label(self, time_utc: datetime, t_s: float) -> FrameTime:
        """The time of an occurrence that no frame but a tick decided."""
        return FrameTime(time_utc, t_s, self._source, self._uncertainty_ms)

    def state(self) -> dict[str, Any]:
        """All that ``restore`` needs, JSON-able; a restored clock has seen its stream."""
        return {
            "now_s": self.now_s,
            "offset_s": self._offset_s,
            "source": self._source,
            "uncertainty_ms": self._uncertainty_ms,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from an earlier ``state()``."""
        self.now_s, self._offset_s, self._framed = state["now_s"], state["offset_s"], True
        self._source, self._uncertainty_ms = state["source"], state["uncertainty_ms"]
