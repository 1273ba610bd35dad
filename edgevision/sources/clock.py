"""From the timestamps a stream carries to seconds that only grow."""

from __future__ import annotations

import threading
from collections.abc import Callable

SMALLEST_STEP_S = 1e-6


class RecordedClock:
    """Time of a recording, packet by packet in the order of the file, so that it hangs on nothing that was decoded.

    The recording's own timestamps; where they jump or are missing, one frame's duration.

    Args:
        step_s: Usual time between frames, seconds.
        max_gap_s: A longer pause between packets is taken for a broken timestamp, seconds.
    """

    def __init__(self, step_s: float, max_gap_s: float = 10.0) -> None:
        self._step_s = step_s
        self._max_gap_s = max_gap_s
        self._offset_s = 0.0
        self._decoded_s: float | None = None
        self._newest_s = -step_s

    def stamp(self, pts_s: float | None, dts_s: float | None) -> float:
        """When the next packet's picture is shown, by its times of display and of decoding; all in seconds."""
        if dts_s is not None:
            self._follow(dts_s)
        if pts_s is None or (dts_s is not None and abs(pts_s - dts_s) > self._max_gap_s):
            at = self._newest_s + self._step_s
        else:
            at = max(0.0, pts_s + self._offset_s)
        self._newest_s = max(self._newest_s, at)
        return at

    def _follow(self, dts_s: float) -> None:
        """Decoding times only grow, unlike those of display: they show a jump."""
        at, last = dts_s + self._offset_s, self._decoded_s
        if last is not None and not -self._step_s < at - last <= self._max_gap_s:
            self._offset_s += last + self._step_s - at
            at = last + self._step_s
        self._decoded_s = at if last is None else max(last, at)


class LiveClock:
    """Time of a live stream on the daemon's monotonic clock.

    Evenly spaced by the camera's timestamps while these keep within ``tolerance_s`` of the arrival, else the arrival.

    Args:
        monotonic: Seconds on a clock that never steps.
        tolerance_s: How far stream and arrival may part before the stream is taken up anew, seconds.
    """

    def __init__(self, monotonic: Callable[[], float], tolerance_s: float = 1.0) -> None:
        self._monotonic = monotonic
        self._tolerance_s = tolerance_s
        self._offset_s: float | None = None
        self._last_s = float("-inf")

    def reconnected(self) -> None:
        """The stream's timestamps start anew."""
        self._offset_s = None

    def stamp(self, pts_s: float | None) -> float:
        """Seconds of the frame that has just arrived, more than those of the frame before."""
        now = at = self._monotonic()
        if pts_s is not None:
            if self._offset_s is None or abs(pts_s + self._offset_s - now) > self._tolerance_s:
                self._offset_s = now - pts_s
            at = pts_s + self._offset_s
        self._last_s = max(at, self._last_s + SMALLEST_STEP_S)
        return self._last_s


class Pace:
    """Holds recorded frames back until their time has come.

    Args:
        monotonic: Seconds on a clock that never steps.
        closed: Ends a wait early.
    """

    def __init__(self, monotonic: Callable[[], float], closed: threading.Event) -> None:
        self._monotonic = monotonic
        self._closed = closed
        self._offset_s: float | None = None

    def wait(self, t_s: float) -> None:
        """Until ``t_s`` has come, counted from the first call."""
        now = self._monotonic()
        if self._offset_s is None:
            self._offset_s = now - t_s
        if t_s + self._offset_s > now:
            self._closed.wait(t_s + self._offset_s - now)
