"""A camera on the device itself: USB and the like, over Video4Linux2."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgevision.config.settings import PositiveSeconds
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceInvalid, SourceLost, SourceUnavailable
from edgevision.sources.base import Policy, SourceContext
from edgevision.sources.clock import LiveClock
from edgevision.sources.decoding import open_video
from edgevision.types import Frame, FrameTime

ARRIVAL_UNCERTAINTY_MS = 100.0


class V4l2Source:
    """Newest frames of a Video4Linux2 device; one that vanishes and comes back is found again by the capture loop."""

    policy: Policy = "latest"

    class Settings(SettingsBase):
        """A camera on this machine."""

        kind: Literal["v4l2"] = "v4l2"
        device: Path = Path("/dev/video0")
        """The device; a name under /dev/v4l/by-id stays the same when cameras are plugged in another order."""
        width: Annotated[int, Field(gt=0, le=16384)] | None = None
        """Width to ask for, px; with `height`. Without it the camera's own."""
        height: Annotated[int, Field(gt=0, le=16384)] | None = None
        """Height to ask for, px."""
        fps: Annotated[float, Field(gt=0, le=1000)] | None = None
        """Frames per second to ask for."""
        pixel_format: Literal["mjpeg", "yuyv422", "nv12", "h264", "rgb24", "bgr24", "gray"] | None = None
        """Form of the pixels to ask for; `mjpeg` passes large pictures over USB 2."""
        stall_timeout_s: PositiveSeconds = 5.0
        """Without a frame for so long the camera counts as lost, seconds."""

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._index = 0
        self._clock = LiveClock(context.monotonic)
        self._closed = threading.Event()

    def frames(self) -> Iterator[Frame]:
        """Open the device and yield frames until it is lost."""
        if self._closed.is_set():
            return
        settings, monotonic = self._settings, self._context.monotonic
        device = settings.device
        if not device.exists():
            msg = f"{device}: there is no such device"
            raise SourceUnavailable(msg)
        if not device.is_char_device():
            msg = f"{device}: is no device"
            raise SourceInvalid(msg)
        decoder = open_video(
            device,
            context=self._context,
            name=str(device),
            format_name="v4l2",
            options=_options(settings),
            timeout=(settings.stall_timeout_s, settings.stall_timeout_s),
        )
        self._clock.reconnected()
        last_s = monotonic()
        try:
            for picture in decoder.frames():
                if self._closed.is_set():
                    return
                if monotonic() - last_s > settings.stall_timeout_s:
                    msg = f"{device}: no frame for {monotonic() - last_s:.1f} s"
                    raise SourceLost(msg)
                if picture is None:
                    continue
                t_s = self._clock.stamp(decoder.raw_seconds(picture.pts))
                time = FrameTime(self._context.now_utc(), t_s, "arrival", ARRIVAL_UNCERTAINTY_MS)
                index, self._index = self._index, self._index + 1
                yield Frame(self._context.camera, index, time, decoder.pixels(picture))
                last_s = monotonic()
        finally:
            decoder.close()
        msg = f"{device}: the device is gone"
        raise SourceLost(msg)

    def close(self) -> None:
        """End after the frame under way, or after the stall timeout when none comes."""
        self._closed.set()


def _options(settings: V4l2Source.Settings) -> dict[str, str]:
    options = {}
    if settings.width and settings.height:
        options["video_size"] = f"{settings.width}x{settings.height}"
    if settings.fps:
        options["framerate"] = f"{settings.fps:g}"
    if settings.pixel_format:
        options["input_format"] = settings.pixel_format
    return options
