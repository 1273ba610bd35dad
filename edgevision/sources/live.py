"""What live cameras share: frames counted over reconnects, a clock that goes on, and a watch for silence."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import av

from edgevision.errors import SourceLost
from edgevision.sources.base import Policy, SourceContext
from edgevision.sources.clock import LiveClock
from edgevision.sources.decoding import Decoder
from edgevision.types import Frame, FrameTime, Pixels


class LiveSource:
    """Base of sources that give the newest frame; opening and reading is theirs."""

    policy: Policy = "latest"

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._index = 0
        self._clock = LiveClock(context.monotonic)
        self._closed = threading.Event()

    def close(self) -> None:
        """End after the frame under way, or after the open or stall timeout when none comes."""
        self._closed.set()

    def _frame(self, time: FrameTime, pixels: Pixels) -> Frame:
        index, self._index = self._index, self._index + 1
        return Frame(self._context.camera, index, time, pixels)

    def _arrived(self, pts_s: float | None, uncertainty_ms: float) -> FrameTime:
        return FrameTime(self._context.now_utc(), self._clock.stamp(pts_s), "arrival", uncertainty_ms)

    def _pictures(self, decoder: Decoder, first_s: float, stall_s: float) -> Iterator[av.VideoFrame]:
        """Sound pictures until closed; ``first_s`` is how long the first may take, ``stall_s`` any other, seconds.

        Raises:
            SourceLost: None came for so long, or the stream broke.
        """
        monotonic = self._context.monotonic
        last_s, limit_s = monotonic(), first_s
        for picture in decoder.frames():
            if self._closed.is_set():
                return
            silent_s = monotonic() - last_s
            # Also where a picture came: on a silent line FFmpeg hands out the last it holds after the first timeout.
            if silent_s > limit_s:
                msg = f"{decoder.name}: no frame for {silent_s:.1f} s"
                raise SourceLost(msg)
            if picture is not None:
                yield picture
                last_s, limit_s = monotonic(), stall_s
