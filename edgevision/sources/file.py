"""A video file: every frame of it, or at the pace it was recorded."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import structlog
from pydantic import AwareDatetime

from edgevision.config.settings import Settings as SettingsBase
from edgevision.errors import SourceInvalid, SourceUnavailable
from edgevision.sources.base import CORRUPT, Policy, SourceContext
from edgevision.sources.clock import SMALLEST_STEP_S, Pace
from edgevision.sources.decoding import Decoder, open_video
from edgevision.sources.recording import Picture, Place, Recording, find
from edgevision.types import Frame, FrameTime

log = structlog.get_logger(__name__)


class FileSource:
    """Frames of a video file. ``position`` is the index of the next frame, growing over loops.

    Damage in the middle is passed over: what it cost is counted, logged once a break, and missing in the indexes.
    """

    recorded = True

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
        self._next = int(context.resume or 0)
        self._closed = threading.Event()
        self._last_s = float("-inf")
        self._lost, self._why = 0, ""

    @property
    def policy(self) -> Policy:
        """A file played like a camera may lose frames like one."""
        return "latest" if self._settings.pace == "realtime" else "block"

    def frames(self) -> Iterator[Frame]:
        """Yield frames from the position on.

        Raises:
            SourceInvalid: It cannot be decoded, or it breaks off before its end; what there was has come.
        """
        if self._closed.is_set():
            return
        place = find(self._open, self._next, self._closed, loop=self._settings.loop)
        pace = Pace(self._context.monotonic, self._closed) if self._settings.pace == "realtime" else None
        while True:
            with closing(self._open()) as decoder:
                recording = Recording(decoder, self._closed)
                yield from self._pass(decoder, recording, place, pace)
                if self._closed.is_set():
                    return
                self._check(recording, place)
            if not self._settings.loop:
                return
            place = Place(place.passes + 1, 0, recording.packets, recording.length_s)

    def close(self) -> None:
        """End after the frame under way."""
        self._closed.set()

    def _open(self) -> Decoder:
        path = self._settings.path
        if not path.is_file():
            msg = f"{path}: there is no such file"
            raise SourceUnavailable(msg)
        try:
            return open_video(path, context=self._context, name=str(path))
        except SourceUnavailable as exc:
            msg = f"{path}: not a video that can be read: {exc.__cause__}"
            raise SourceInvalid(msg) from exc

    def _pass(self, decoder: Decoder, recording: Recording, place: Place, pace: Pace | None) -> Iterator[Frame]:
        start_utc = self._start_utc(decoder)
        first, first_s = place.passes * place.packets, place.passes * place.length_s
        try:
            for picture in recording.pictures(place.begin):
                index = first + picture.number
                t_s = self._last_s = max(first_s + picture.t_s, self._last_s + SMALLEST_STEP_S)
                if index < self._next:
                    continue
                if pace is not None:
                    pace.wait(t_s)
                if self._closed.is_set():
                    return
                self._arrived(index, picture)
                time = FrameTime(start_utc + timedelta(seconds=t_s), t_s, "file")
                yield Frame(self._context.camera, index, time, decoder.pixels(picture.frame), position=self._next)
            if not self._closed.is_set():
                self._miss(first + recording.packets, recording.damage)
        finally:
            self._tell_lost(recording.length_s)

    def _arrived(self, index: int, picture: Picture) -> None:
        self._miss(index, picture.damage)
        self._next = index + 1
        if picture.key:
            self._tell_lost(picture.t_s)

    def _miss(self, index: int, damage: str) -> None:
        """Nothing came before ``index``. Without damage that is no loss: some codecs have packets of no picture."""
        if damage:
            self._lost += max(0, index - self._next)
            self._why = damage
        self._next = max(index, self._next)

    def _tell_lost(self, at_s: float) -> None:
        if self._lost:
            camera, until_s = self._context.camera, round(at_s, 3)
            log.warning("source.damaged", camera=camera, lost=self._lost, until_s=until_s, reason=self._why)
            self._context.dropped(CORRUPT, self._lost)
        self._lost = 0

    def _check(self, recording: Recording, place: Place) -> None:
        """After a pass: was it one?"""
        if not recording.shown and not place.begin:
            msg = f"{self._settings.path}: not one frame can be decoded"
            raise SourceInvalid(msg)
        broken = recording.broken_off()
        if broken and not self._settings.loop:
            raise SourceInvalid(broken)
        if broken:
            log.warning("source.broken_off", camera=self._context.camera, reason=broken)

    def _start_utc(self, decoder: Decoder) -> datetime:
        if self._settings.start_time is not None:
            return self._settings.start_time.astimezone(timezone.utc)
        for metadata in (decoder.container.metadata, decoder.stream.metadata):
            try:
                created = datetime.fromisoformat(metadata["creation_time"].replace("Z", "+00:00"))
            except (KeyError, ValueError):
                continue
            if created.year > 1970:  # noqa: PLR2004 - zero is what a muxer without a clock writes
                return (created if created.tzinfo else created.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
        return self._context.started_utc
