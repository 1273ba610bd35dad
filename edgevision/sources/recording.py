"""One pass over a video file: its pictures, each with a number that does not hang on what could be decoded.

A picture's number is that of its packet in the order of display, counted from 0 over sound and damaged packets alike.
So the number a run stopped at means the same picture in the next run, whatever was damaged before it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import av
from av.video.stream import VideoStream

from edgevision.errors import SourceLost
from edgevision.sources.clock import RecordedClock
from edgevision.sources.decoding import Decoder

# Frames that a key frame may be shown after although they are decoded behind it: H.264 and HEVC allow 16.
REORDERED = 64
# Decoding starts three key frames early: the first may lack frames it is shown after, the second sets the numbers
# right, and from there on all is as if the file had been decoded from its beginning.
EARLIER = 3
# What a damaged packet leaves in the pictures behind it is gone at the next key frame. Streams that refresh their
# pictures bit by bit have none: there after so many.
HEALED = 250
BAD_READS_IN_A_ROW = 50
# Containers whose packets carry no time of display that can be trusted: there the number is the time.
UNSTAMPED = frozenset({"avi"})


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a packet hands on to its frame: its number in the order of the file, whether it is a key frame, its time."""

    number: int
    key: bool
    t_s: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A sound picture.

    Attributes:
        number: Its place in the order of display.
        t_s: Its time from the start of the pass, seconds.
        frame: The decoded frame.
        key: Whether decoding can start here.
        damage: What was found broken before it, since the last sound key frame; empty when nothing was.
    """

    number: int
    t_s: float
    frame: av.VideoFrame
    key: bool
    damage: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where to begin.

    Attributes:
        passes: Whole passes before this one.
        begin: Packets of this pass not to be decoded.
        packets: How many pictures one pass has; 0 while that is not known and not needed.
        length_s: How long one pass is, seconds.
    """

    passes: int = 0
    begin: int = 0
    packets: int = 0
    length_s: float = 0.0


class Recording:
    """One pass.

    Args:
        decoder: Freshly opened.
        closed: Ends the pass early.

    Attributes:
        packets: Pictures seen so far, sound or not.
        shown: Sound ones among those that were decoded.
        length_s: Time they cover, seconds.
    """

    def __init__(self, decoder: Decoder, closed: threading.Event) -> None:
        self.packets = 0
        self.shown = 0
        self.length_s = 0.0
        self._decoder = decoder
        self._closed = closed
        self._step_s = 1 / decoder.fps
        self._clock = RecordedClock(self._step_s)
        self._stamped = decoder.container.format.name not in UNSTAMPED
        self._last = -1
        self._recent: deque[int] = deque(maxlen=REORDERED)
        self._anchor = 0
        self._damaged: deque[int] = deque(maxlen=HEALED)
        self._why = ""
        self._gave_up = ""
        self._end_s = 0.0

    def pictures(self, begin: int = 0) -> Iterator[Picture]:
        """Sound pictures in display order, decoded from packet ``begin`` on: a ``Place`` tells which."""
        for read, packet in enumerate(self._packets()):
            if read == begin and begin:
                self._begin_late()
            mark = self._mark(packet)
            if read >= begin:
                packet.opaque = mark
                yield from self._decoded(packet)
        if self._gave_up:
            yield from self._decoded(None)

    def begin_for(self, number: int) -> int:
        """The packet to decode from, so that all is right from picture ``number`` on; reads up to it or to the end."""
        keys: deque[int] = deque([0] * EARLIER, maxlen=EARLIER)
        for read, packet in enumerate(self._packets()):
            mark = self._mark(packet)
            if mark is None:
                continue
            if mark.number > number:
                break
            if mark.key:
                keys.append(read)
        return keys[0]

    @property
    def damage(self) -> str:
        """What was found broken since the last sound key frame; empty when nothing was."""
        return self._why if any(number >= self._anchor for number in self._damaged) else ""

    def broken_off(self) -> str:
        """Where and why the file ends before its end; empty when it does not."""
        if self._gave_up:
            return f"{self._gave_up}, after {self.length_s:.1f} s"
        stream = self._decoder.stream
        stated_s = _stated_s(self._decoder)
        complete = 0 < stream.frames <= self.packets
        if stated_s is None or complete or self._end_s + max(0.25, 2 * self._step_s) >= stated_s:
            return ""
        return f"{self._decoder.name}: the file breaks off after {self.length_s:.1f} s of {stated_s:.1f} s"

    def _packets(self) -> Iterator[av.Packet[VideoStream]]:
        """All that can be read; what cannot is passed over."""
        failed = 0
        while failed < BAD_READS_IN_A_ROW:
            try:
                for packet in self._decoder.packets():
                    if self._closed.is_set():
                        return
                    failed = 0
                    yield packet
            except SourceLost as exc:
                failed += 1
                self._hurt(self.packets - 1, str(exc))
            else:
                return
        self._gave_up = self._why

    def _mark(self, packet: av.Packet[VideoStream]) -> _Mark | None:
        """``None`` for what is never shown: the end, and what an edit list cuts off."""
        if not packet.size or packet.is_discard:
            return None
        decoder = self._decoder
        if packet.pts is None and not self.packets:
            self._stamped = False
        pts_s = decoder.seconds(packet.pts)
        t_s = self._clock.stamp(pts_s, decoder.seconds(packet.dts))
        mark = _Mark(self.packets, packet.is_keyframe, t_s)
        self.packets += 1
        span_s = decoder.raw_seconds(packet.duration) or self._step_s
        self._end_s = max(self._end_s, (pts_s or 0.0) + span_s)
        self.length_s = max(self.length_s, t_s + span_s) if self._stamped else self.packets * self._step_s
        return mark

    def _decoded(self, packet: av.Packet[VideoStream] | None) -> Iterator[Picture]:
        frames, damage = self._decoder.decode(packet)
        if packet is not None and (damage or packet.is_corrupt):
            self._hurt(self.packets - 1, damage or "a packet is incomplete")
        for frame in frames:
            # A decoder that hands nothing on gives a frame a packet: then it is the newest one's.
            mark = frame.opaque if isinstance(frame.opaque, _Mark) else _Mark(self.packets - 1, key=False, t_s=-1.0)
            if frame.is_corrupt:
                self._hurt(mark.number, "a picture is damaged")
            if not self._sound(mark):
                continue
            number = self._number(mark)
            self.shown += 1
            t_s = mark.t_s if self._stamped and mark.t_s >= 0 else number * self._step_s
            yield Picture(number, t_s, frame, mark.key, self.damage)
            if mark.key:
                self._anchor = mark.number

    def _sound(self, mark: _Mark) -> bool:
        """A key frame stands alone; others hang on all that was decoded since the one before."""
        if mark.key:
            return mark.number not in self._damaged
        return not any(self._anchor <= number <= mark.number <= number + HEALED for number in self._damaged)

    def _number(self, mark: _Mark) -> int:
        """The next number; at a key frame all packets before it are counted, whether they gave a picture or not."""
        number = self._last + 1
        if mark.key:
            number = max(number, mark.number + sum(shown > mark.number for shown in self._recent))
        self._recent.append(mark.number)
        self._last = number
        return number

    def _begin_late(self) -> None:
        """What is shown before the first key frame hangs on frames that are not decoded."""
        self._last = self._anchor = self.packets - 1
        self._damaged.append(self._anchor)

    def _hurt(self, number: int, why: str) -> None:
        self._damaged.append(number)
        self._why = why


def find(opened: Callable[[], Decoder], position: int, closed: threading.Event, *, loop: bool) -> Place:
    """The place of a position: how many pictures there were before, over all passes. Nothing is decoded.

    Args:
        opened: Opens the file.
        position: From 0.
        closed: Ends the search early.
        loop: Whether there is more than one pass.
    """
    if not position:
        return Place()
    with closing(opened()) as decoder:
        survey = Recording(decoder, closed)
        begin = survey.begin_for(position)
    if survey.packets > position or not loop or not survey.packets:
        return Place(0, begin)
    passes, number = divmod(position, survey.packets)
    with closing(opened()) as decoder:
        begin = Recording(decoder, closed).begin_for(number)
    return Place(passes, begin, survey.packets, survey.length_s)


def _stated_s(decoder: Decoder) -> float | None:
    """How long the file says its video is, seconds; ``None`` where that is not said, or guessed from what is there."""
    container, stream = decoder.container, decoder.stream
    kinds = container.format.name.split(",")
    if "avi" in kinds:
        return stream.frames / decoder.fps if stream.frames else None
    if "mp4" in kinds:
        return decoder.raw_seconds(stream.duration)
    if "matroska" not in kinds:
        return None
    try:
        hours, minutes, seconds = stream.metadata["DURATION"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except (KeyError, ValueError):
        alone = len(container.streams) == 1 and container.duration
        return container.duration / av.time_base if alone and container.duration else None
