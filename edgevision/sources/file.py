"""A video file: every frame of it, or at the pace it was recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import av
from pydantic import AwareDatetime

from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceInvalid, SourceLost, SourceUnavailable
from edgevision.sources.base import Policy, SourceContext
from edgevision.sources.clock import Pace, RecordedClock
from edgevision.sources.decoding import Decoder, open_video
from edgevision.types import Frame, FrameTime


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file to begin: after ``skip`` whole frames, first of them at timestamp ``pts``, with this clock."""

    clock: RecordedClock
    pts: int | None = None
    skip: int = 0


class FileSource:
    """Frames of a video file. ``position`` is the index of the next frame, growing over loops."""

    class Settings(SettingsBase):
        """A video file."""

        kind: Literal["file"] = "file"
        path: Path
        """The file; anything FFmpeg reads."""
        pace: Literal["every_frame", "realtime"] = "every_frame"
        """`every_frame` loses nothing and runs as fast as the model; `realtime` plays it like a camera."""
        loop: bool = False
        """Start again at the end, for ever."""
        start_time: AwareDatetime | None = None
        """Capture time of the first frame; without it the file's creation time, else the start of the daemon."""

    def __init__(self, settings: Settings, context: SourceContext) -> None:
        self._settings = settings
        self._context = context
        self._next = context.resume or 0
        self._closed = threading.Event()
        self._name = str(settings.path)

    @property
    def policy(self) -> Policy:
        """A file played like a camera may lose frames like one."""
        return "latest" if self._settings.pace == "realtime" else "block"

    def frames(self) -> Iterator[Frame]:
        """Yield frames from the position on."""
        path = self._settings.path
        if not path.is_file():
            msg = f"{path}: there is no such file"
            raise SourceUnavailable(msg)
        try:
            decoder = open_video(path, camera=self._context.camera, name=self._name)
        except SourceUnavailable as exc:
            msg = f"{path}: not a video that can be read: {exc.__cause__}"
            raise SourceInvalid(msg) from exc
        try:
            yield from self._passes(decoder)
        finally:
            decoder.close()

    def close(self) -> None:
        """End after the frame under way."""
        self._closed.set()

    def _passes(self, decoder: Decoder) -> Iterator[Frame]:
        start_utc = self._start_utc(decoder)
        place = self._find(decoder) if self._next else _Place(RecordedClock(1 / decoder.fps))
        pace = Pace(self._context.monotonic, self._closed) if self._settings.pace == "realtime" else None
        while True:
            before = self._next
            for picture in self._pictures(decoder, place):
                t_s = place.clock.stamp(decoder.seconds(picture.pts))
                if pace is not None:
                    pace.wait(t_s)
                if self._closed.is_set():
                    return
                time = FrameTime(start_utc + timedelta(seconds=t_s), t_s, "file")
                index, self._next = self._next, self._next + 1
                yield Frame(self._context.camera, index, time, decoder.pixels(picture), position=self._next)
            if not self._settings.loop or self._closed.is_set():
                return
            if self._next == before and not place.skip and place.pts is None:
                msg = f"{self._name}: not one frame can be decoded"
                raise SourceInvalid(msg)
            place = _Place(place.clock)
            _seek(decoder, decoder.stream.start_time or 0)

    def _pictures(self, decoder: Decoder, place: _Place) -> Iterator[av.VideoFrame]:
        """Frames of one pass from ``place`` on. A file that breaks off in mid-frame simply ends there."""
        if place.pts is not None:
            _seek(decoder, place.pts)
        skip, first = place.skip, True
        frames = decoder.frames()
        while True:
            try:
                frame = next(frames)
            except (StopIteration, SourceLost):
                return
            if frame is None:
                continue
            if first and place.pts is not None and frame.pts is not None and frame.pts > place.pts:
                # The keyframe lies behind the wanted frame (an open group of pictures): go the long way.
                _seek(decoder, decoder.stream.start_time or 0)
                frames = decoder.frames()
                first = False
                continue
            first = False
            if place.pts is not None and frame.pts is not None and frame.pts < place.pts:
                continue
            if skip:
                skip -= 1
                continue
            yield frame

    def _find(self, decoder: Decoder) -> _Place:
        """The place of frame ``self._next``, by the timestamps of all packets (nothing is decoded)."""
        packets = [
            packet.pts for packet in decoder.container.demux(decoder.stream) if packet.size and not packet.is_discard
        ]
        step_s = 1 / decoder.fps
        _seek(decoder, decoder.stream.start_time or 0)
        if any(pts is None for pts in packets):
            return _Place(RecordedClock(step_s), skip=self._next)
        stamps = sorted(pts for pts in packets if pts is not None)
        passes, index = divmod(self._next, len(stamps)) if stamps else (0, 0)
        if not stamps or (passes and not self._settings.loop):
            return _Place(RecordedClock(step_s), pts=(stamps[-1] + 1) if stamps else 0)
        clock = RecordedClock(step_s)
        for pts in stamps:
            last_s = clock.stamp(decoder.seconds(pts))
        clock = RecordedClock(step_s, start_s=passes * (last_s + step_s))
        for pts in stamps[:index]:
            clock.stamp(decoder.seconds(pts))
        return _Place(clock, pts=stamps[index])

    def _start_utc(self, decoder: Decoder) -> datetime:
        if self._settings.start_time is not None:
            return self._settings.start_time.astimezone(timezone.utc)
        for metadata in (decoder.container.metadata, decoder.stream.metadata):
            try:
                created = datetime.fromisoformat(metadata["creation_time"].replace("Z", "+00:00"))
            except (KeyError, ValueError):
                continue
            if created.year > 1970:  # noqa: PLR2004 - zero is what a muxer without a clock writes
                return created if created.tzinfo else created.replace(tzinfo=timezone.utc)
        return self._context.started_utc


def _seek(decoder: Decoder, pts: int) -> None:
    try:
        decoder.container.seek(pts, stream=decoder.stream)
    except (av.error.FFmpegError, OSError) as exc:
        msg = f"{decoder.name}: cannot be wound to another place: {exc}"
        raise SourceInvalid(msg) from exc
