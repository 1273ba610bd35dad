"""A camera on the device itself: USB and the like, over Video4Linux2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgevision.config.settings import PositiveSeconds
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceInvalid, SourceLost, SourceUnavailable
from edgevision.sources.base import SourceContext
from edgevision.sources.decoding import open_video
from edgevision.sources.live import LiveSource
from edgevision.types import Frame

ARRIVAL_UNCERTAINTY_MS = 100.0


class V4l2Source(LiveSource):
    """Newest frames of a Video4Linux2 device; one that vanishes and comes back is found again by the capture loop."""

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
        super().__init__(context)
        self._settings = settings

    def frames(self) -> Iterator[Frame]:
        """Open the device and yield frames until it is lost."""
        if self._closed.is_set():
            return
        settings = self._settings
        device, stall_s = settings.device, settings.stall_timeout_s
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
            timeout=(stall_s, stall_s),
        )
        self._clock.reconnected()
        with closing(decoder):
            for picture in self._pictures(decoder, stall_s, stall_s):
                time = self._arrived(decoder.raw_seconds(picture.pts), ARRIVAL_UNCERTAINTY_MS)
                yield self._frame(time, decoder.pixels(picture))
        if not self._closed.is_set():
            msg = f"{device}: the device is gone"
            raise SourceLost(msg)


def _options(settings: V4l2Source.Settings) -> dict[str, str]:
    options = {}
    if settings.width and settings.height:
        options["video_size"] = f"{settings.width}x{settings.height}"
    if settings.fps:
        options["framerate"] = f"{settings.fps:g}"
    if settings.pixel_format:
        options["input_format"] = settings.pixel_format
    return options
