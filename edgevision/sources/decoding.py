"""Packets in, sound frames out: what files, RTSP and V4L2 share of PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import structlog
from av.container import InputContainer
from av.video.stream import VideoStream

from edgevision.errors import SourceInvalid, SourceLost, SourceUnavailable
from edgevision.media.pixels import VideoPixels, reason
from edgevision.sources.base import CORRUPT, SourceContext

log = structlog.get_logger(__name__)

BAD_PACKETS_IN_A_ROW = 250
USUAL_FPS = 25.0


class Decoder:
    """The first video stream of a container.

    Args:
        container: Opened by ``open_video``.
        context: Names the camera and counts what is dropped.
        name: What is opened, as a person may read it (no password).
    """

    def __init__(self, container: InputContainer, context: SourceContext, name: str) -> None:
        self.container = container
        self.name = name
        self._context = context
        self._bad = 0
        if not container.streams.video:
            container.close()
            msg = f"{name}: there is no video in it"
            raise SourceInvalid(msg)
        self.stream: VideoStream = container.streams.video[0]
        # Frame threads would hold back one frame a thread; with many cameras the cameras are the parallelism.
        self.stream.thread_type = "SLICE"
        # A frame then carries what was put on its packet, whatever was dropped or reordered between the two.
        self.stream.codec_context.copy_opaque = True

    @property
    def fps(self) -> float:
        """Frames per second as the container states them, else 25."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate else USUAL_FPS

    def start_utc_s(self) -> float | None:
        """Wall-clock of timestamp zero by the sender's RTCP reports, seconds since 1970; ``None`` while unknown."""
        start_us = getattr(self.container, "start_time_realtime", None)  # PyAV >= 18
        return start_us / 1e6 if start_us else None

    def seconds(self, pts: int | None) -> float | None:
        """A timestamp in seconds from the stream's start."""
        return None if pts is None else self.raw_seconds(pts - (self.stream.start_time or 0))

    def raw_seconds(self, pts: int | None) -> float | None:
        """A timestamp in seconds as the stream counts them."""
        return None if pts is None or self.stream.time_base is None else float(pts * self.stream.time_base)

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """Packets in the order of the container, at its end an empty one; may be asked again after an error.

        Raises:
            SourceLost: Nothing came in time, or what comes cannot be read.
        """
        try:
            yield from self.container.demux(self.stream)
        except av.error.ExitError as exc:
            msg = f"{self.name}: nothing came in time, the stream stalled"
            raise SourceLost(msg) from exc
        except (av.error.FFmpegError, OSError) as exc:
            msg = f"{self.name}: the stream broke off: {reason(exc)}"
            raise SourceLost(msg) from exc

    def decode(self, packet: av.Packet[VideoStream] | None) -> tuple[list[av.VideoFrame], str]:
        """Frames in display order, damaged ones too, and what is wrong with the packet; ``None`` asks for the last."""
        try:
            return self.stream.codec_context.decode(packet), ""
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            return [], reason(exc)

    def frames(self) -> Iterator[av.VideoFrame | None]:
        """Sound frames of a live stream; ``None`` for a packet that gave none, so that a caller can look at its clock.

        Raises:
            SourceLost: The stream broke: nothing came in time, or nothing that can be decoded.
        """
        in_a_row = 0
        for packet in self.packets():
            frames, damage = ([], "it is incomplete") if packet.is_corrupt else self.decode(packet)
            sound = [frame for frame in frames if not frame.is_corrupt]
            if damage or len(sound) < len(frames):
                self._drop(len(frames) - len(sound) or 1, damage or "its picture is damaged")
            in_a_row = 0 if sound else in_a_row + bool(damage)
            if in_a_row >= BAD_PACKETS_IN_A_ROW:
                msg = f"{self.name}: {in_a_row} packets in a row cannot be decoded: {damage}"
                raise SourceLost(msg)
            yield from sound
            if not sound:
                yield None

    def pixels(self, frame: av.VideoFrame) -> VideoPixels:
        """The frame's pixels, turned upright where the recording says how."""
        return VideoPixels(frame, round(frame.rotation / 90) if frame.rotation else 0)

    def close(self) -> None:
        """Close the container."""
        if self._bad:
            log.warning("source.bad_packets", camera=self._context.camera, count=self._bad)
        self.container.close()

    def _drop(self, count: int, why: str) -> None:
        if not self._bad:
            log.warning("source.bad_packet", camera=self._context.camera, reason=why)
        self._bad += count
        self._context.dropped(CORRUPT, count)


def open_video(
    url: str | Path,
    *,
    context: SourceContext,
    name: str,
    format_name: str | None = None,
    options: dict[str, str] | None = None,
    timeout: tuple[float, float] | None = None,
) -> Decoder:
    """Open what FFmpeg can read.

    Args:
        url: File or address.
        context: Names the camera and counts what is dropped.
        name: The same without secrets, for messages.
        format_name: FFmpeg's name of the format where it cannot be guessed.
        options: FFmpeg's options.
        timeout: (open, read) seconds after which a blocked call is given up.

    Raises:
        SourceUnavailable: Nobody answers, or what answers is no video now.
        SourceInvalid: There is no video in it.
    """
    arguments: dict[str, Any] = {"format": format_name, "options": options or {}, "timeout": timeout}
    # Titles in other encodings are common, and no reason to refuse a video.
    arguments["metadata_errors"] = "replace"
    began_s = time.monotonic()
    try:
        container = av.open(str(url), "r", **arguments)
    except (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError) as exc:
        msg = f"{name}: user or password refused"
        raise SourceUnavailable(msg) from exc
    except (av.error.FFmpegError, OSError) as exc:
        # An interrupted RTSP handshake is reported as "invalid data": the clock tells better.
        late = timeout is not None and time.monotonic() - began_s >= timeout[0]
        msg = f"{name}: no answer in time" if late else f"{name}: cannot be opened: {reason(exc)}"
        raise SourceUnavailable(msg) from exc
    except ValueError as exc:
        msg = f"{name}: {exc}"
        raise SourceInvalid(msg) from exc
    return Decoder(container, context, name)
