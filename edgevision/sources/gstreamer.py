"""Any GStreamer pipeline that ends in an appsink: CSI cameras and hardware decoders of a Jetson, industrial cameras.

``gi`` (PyGObject) comes from the system, ``apt install python3-gi gir1.2-gst-plugins-base-1.0``, in an environment made
with ``--system-site-packages``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import cv2
import numpy as np

from edgevision.config.settings import PositiveSeconds, WithoutSecrets
from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceInvalid, SourceLost, SourceUnavailable
from edgevision.media.pixels import Order, resize
from edgevision.sources.base import SourceContext
from edgevision.sources.live import LiveSource
from edgevision.types import Frame, Image

SINK = "edgevision"
APPSINK = (
    f"appsink name={SINK} drop=true max-buffers=1 sync=false"
    ' caps="video/x-raw,format=(string){BGR,RGB,BGRx,NV12,I420}"'
)
ARRIVAL_UNCERTAINTY_MS = 200.0
POLL_NS = 200_000_000
CHANNELS = {"BGR": 3, "RGB": 3, "BGRx": 4}


class GStreamerSource(LiveSource):
    """Newest frames of a pipeline; one that ends or fails is started anew by the capture loop."""

    class Settings(SettingsBase):
        """A GStreamer pipeline."""

        kind: Literal["gstreamer"] = "gstreamer"
        pipeline: WithoutSecrets
        """As for gst-launch-1.0, giving BGR, RGB, BGRx, NV12 or I420 in system memory; the appsink is added."""
        open_timeout_s: PositiveSeconds = 15.0
        """How long to wait for the first frame, seconds."""
        stall_timeout_s: PositiveSeconds = 5.0
        """Without a frame for so long the pipeline counts as lost, seconds."""

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        super().__init__(context)
        self._settings = settings

    def frames(self) -> Iterator[Frame]:
        """Start the pipeline and yield frames until it ends."""
        if self._closed.is_set():
            return
        gst = _load()
        pipeline = self._parse(gst)
        try:
            pipeline.set_state(gst.State.PLAYING)
            self._clock.reconnected()
            yield from self._read(gst, pipeline)
        finally:
            pipeline.set_state(gst.State.NULL)

    def _parse(self, gst: Any) -> Any:  # noqa: ANN401 - gi has no types
        try:
            return gst.parse_launch(f"{self._settings.pipeline} ! {APPSINK}")
        except _glib_error() as exc:
            msg = f"the pipeline of {self._context.camera} cannot be made: {exc}"
            raise SourceInvalid(msg) from exc

    def _read(self, gst: Any, pipeline: Any) -> Iterator[Frame]:  # noqa: ANN401
        context, settings = self._context, self._settings
        sink, bus = pipeline.get_by_name(SINK), pipeline.get_bus()
        last_s, limit_s, seen = context.monotonic(), settings.open_timeout_s, False
        while not self._closed.is_set():
            sample = sink.emit("try-pull-sample", POLL_NS)
            if sample is None:
                self._check(gst, bus, seen=seen)
                silent_s = context.monotonic() - last_s
                if silent_s > limit_s:
                    msg = f"the pipeline of {context.camera} gave no frame for {silent_s:.1f} s"
                    raise (SourceLost if seen else SourceUnavailable)(msg)
                continue
            buffer = sample.get_buffer()
            pts_s = None if buffer.pts == gst.CLOCK_TIME_NONE else buffer.pts / gst.SECOND
            yield self._frame(self._arrived(pts_s, ARRIVAL_UNCERTAINTY_MS), _pixels(gst, sample, buffer))
            last_s, limit_s, seen = context.monotonic(), settings.stall_timeout_s, True

    def _check(self, gst: Any, bus: Any, *, seen: bool) -> None:  # noqa: ANN401
        message = bus.pop_filtered(gst.MessageType.ERROR | gst.MessageType.EOS)
        if message is None:
            return
        if message.type == gst.MessageType.EOS:
            msg = f"the pipeline of {self._context.camera} has ended"
            raise SourceLost(msg)
        error, _ = message.parse_error()
        msg = f"the pipeline of {self._context.camera} failed: {error.message}"
        raise (SourceLost if seen else SourceUnavailable)(msg)


class GstPixels:
    """A picture from an appsink, copied out of its buffer."""

    __slots__ = ("_bgr", "_data", "_format", "_size")

    def __init__(self, data: Image, size: tuple[int, int], pixel_format: str) -> None:
        self._data = data
        self._size = size
        self._format = pixel_format
        self._bgr: Image | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._size

    def bgr(self) -> Image:
        """Full resolution, (H, W, 3) uint8, BGR, not to be written into."""
        if self._bgr is None:
            codes = {
                "RGB": cv2.COLOR_RGB2BGR,
                "BGRx": cv2.COLOR_BGRA2BGR,
                "NV12": cv2.COLOR_YUV2BGR_NV12,
                "I420": cv2.COLOR_YUV2BGR_I420,
            }
            code = codes.get(self._format)
            self._bgr = self._data if code is None else np.asarray(cv2.cvtColor(self._data, code), dtype=np.uint8)
        return self._bgr

    def scaled(self, width: int, height: int, order: Order) -> Image:
        """The picture resized to exactly (height, width, 3) uint8 in the wanted channel order."""
        return resize(self.bgr(), width, height, order)


def _pixels(gst: Any, sample: Any, buffer: Any) -> GstPixels:  # noqa: ANN401
    caps = sample.get_caps().get_structure(0)
    width, height, pixel_format = caps.get_value("width"), caps.get_value("height"), caps.get_value("format")
    ok, mapped = buffer.map(gst.MapFlags.READ)
    if not ok:
        msg = "a GStreamer buffer cannot be read: it lies outside system memory; end the pipeline in nvvidconv"
        raise SourceInvalid(msg)
    try:
        flat = np.frombuffer(mapped.data, np.uint8)
        data = _packed(flat, width, height, pixel_format)
    finally:
        buffer.unmap(mapped)
    return GstPixels(data, (width, height), pixel_format)


def _packed(flat: Image, width: int, height: int, pixel_format: str) -> Image:
    """Rows without GStreamer's padding to four bytes, always a copy.

    Layouts: GStreamer design document "Raw Video Media Types", default strides and offsets.
    """
    if pixel_format in CHANNELS:
        channels = CHANNELS[pixel_format]
        stride = _up(width * channels, 4)
        rows = flat[: stride * height].reshape(height, stride)
        return rows[:, : width * channels].reshape(height, width, channels).copy()
    if width % 2 or height % 2:
        msg = f"{pixel_format} frames need even sizes, got {width}x{height}: add videoconvert ! video/x-raw,format=BGR"
        raise SourceInvalid(msg)
    stride, rows_y = _up(width, 4), height
    luma = flat[: stride * rows_y].reshape(rows_y, stride)[:, :width]
    rest = flat[stride * rows_y :]
    if pixel_format == "NV12":
        chroma = rest[: stride * height // 2].reshape(height // 2, stride)[:, :width]
        return np.concatenate([luma, chroma])
    stride_c = _up(width // 2, 4)
    planes = rest[: 2 * stride_c * (height // 2)].reshape(height, stride_c)[:, : width // 2]
    return np.concatenate([luma.reshape(-1), planes.reshape(-1)]).reshape(height * 3 // 2, width)


def _up(value: int, to: int) -> int:
    return (value + to - 1) // to * to


def _load() -> Any:  # noqa: ANN401
    try:
        import gi  # type: ignore[import-not-found,import-untyped,unused-ignore]

        gi.require_version("Gst", "1.0")
        gi.require_version("GstApp", "1.0")
        from gi.repository import Gst, GstApp  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except (ImportError, ValueError) as exc:
        msg = (
            f"GStreamer cannot be used: {exc}. Install python3-gi and gir1.2-gst-plugins-base-1.0, "
            "and make the environment with --system-site-packages"
        )
        raise SourceInvalid(msg) from exc
    Gst.init(None)
    return Gst


def _glib_error() -> type[Exception]:
    """GLib's error class."""
    from gi.repository import GLib  # type: ignore[import-not-found,import-untyped,unused-ignore]

    error: type[Exception] = GLib.Error
    return error
