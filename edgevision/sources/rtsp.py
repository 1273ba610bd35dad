"""A network camera over RTSP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from edgevision.config.settings import PositiveSeconds
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceLost
from edgevision.sources.base import SourceContext
from edgevision.sources.decoding import Decoder, open_video
from edgevision.sources.live import LiveSource
from edgevision.types import Frame, FrameTime

# From exposure to arrival: exposure, encoder, network and decoder of usual cameras take 50 to 500 ms.
ARRIVAL_UNCERTAINTY_MS = 500.0
# A camera's quartz and its NTP daemon; the offset is taken from the first report of a connection only.
RTCP_UNCERTAINTY_MS = 20.0
DRIFT_MS_PER_S = 0.05
# Probing for the frame rate would cost two seconds at every reconnect; nothing here needs it.
OPTIONS = {
    "fflags": "nobuffer",
    "allowed_media_types": "video",
    "fpsprobesize": "0",
    "analyzeduration": "500000",
}


class RtspSource(LiveSource):
    """Newest frames of an RTSP camera; reconnecting is the capture loop's job."""

    class Settings(SettingsBase):
        """A network camera."""

        kind: Literal["rtsp"] = "rtsp"
        url: SecretStr
        """Address, `rtsp://user:password@host:554/path`; it is never logged with its password."""
        transport: Literal["tcp", "udp"] = "tcp"
        """How the pictures travel: `tcp` loses nothing, `udp` has less delay on a good network."""
        open_timeout_s: PositiveSeconds = 10.0
        """How long to wait for the camera to answer and send its first pictures, seconds."""
        stall_timeout_s: PositiveSeconds = 5.0
        """Without a frame for so long the stream counts as lost, seconds."""
        clock_tolerance_s: Annotated[float, Field(ge=0)] = 2.0
        """The camera's own clock (RTCP) is believed while it is within this of ours, seconds; 0 never believes it."""

        @field_validator("url")
        @classmethod
        def _an_rtsp_address(cls, value: SecretStr) -> SecretStr:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme not in {"rtsp", "rtsps"} or not parts.hostname:
                msg = "must look like rtsp://host/path or rtsps://host/path"
                raise ValueError(msg)
            return value

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        super().__init__(context)
        self._settings = settings
        self._name = without_password(settings.url.get_secret_value())

    def frames(self) -> Iterator[Frame]:
        """Connect and yield frames until the stream is lost."""
        if self._closed.is_set():
            return
        settings = self._settings
        decoder = open_video(
            settings.url.get_secret_value(),
            context=self._context,
            name=self._name,
            format_name="rtsp",
            options=OPTIONS | {"rtsp_transport": settings.transport},
            timeout=(settings.open_timeout_s, settings.stall_timeout_s),
        )
        try:
            yield from self._read(decoder)
        finally:
            decoder.close()

    def _read(self, decoder: Decoder) -> Iterator[Frame]:
        monotonic, settings = self._context.monotonic, self._settings
        self._clock.reconnected()
        opened_s = monotonic()
        # Whoever joins in the middle waits for the next key frame: many cameras send one every few seconds only.
        for picture in self._pictures(
            decoder, max(settings.open_timeout_s, settings.stall_timeout_s), settings.stall_timeout_s
        ):
            pts_s = decoder.raw_seconds(picture.pts)
            time = self._time(self._clock.stamp(pts_s), pts_s, decoder.start_utc_s(), monotonic() - opened_s)
            yield self._frame(time, decoder.pixels(picture))
        if not self._closed.is_set():
            msg = f"{self._name}: the camera ended the stream"
            raise SourceLost(msg)

    def _time(self, t_s: float, pts_s: float | None, start_utc_s: float | None, connected_s: float) -> FrameTime:
        arrival = self._context.now_utc()
        uncertainty_ms = RTCP_UNCERTAINTY_MS + DRIFT_MS_PER_S * connected_s
        if start_utc_s is not None and pts_s is not None and uncertainty_ms < ARRIVAL_UNCERTAINTY_MS:
            sent = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=start_utc_s + pts_s)
            if abs((arrival - sent).total_seconds()) <= self._settings.clock_tolerance_s:
                return FrameTime(sent, t_s, "rtcp", uncertainty_ms)
        return FrameTime(arrival, t_s, "arrival", ARRIVAL_UNCERTAINTY_MS)


def without_password(url: str) -> str:
    """The address as it may be logged: user, password and query are left out."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"
