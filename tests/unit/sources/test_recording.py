"""Passes over files whose container cannot be read in places."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import av
import pytest
import video_files
from av.container import InputContainer
from av.video.stream import VideoStream

from edgevision.errors import SourceLost
from edgevision.sources.base import SourceContext
from edgevision.sources.decoding import Decoder
from edgevision.sources.recording import Recording, find

CONTEXT = SourceContext("cam", None, datetime(2026, 3, 1, tzinfo=timezone.utc))


class Failing(Decoder):
    """Cannot be read at packet ``at``, ``times`` times in a row."""

    def __init__(self, container: InputContainer, at: int, times: int) -> None:
        super().__init__(container, CONTEXT, "a.mp4")
        self._source = enumerate(container.demux(self.stream))
        self._at = at
        self._times = times

    def packets(self) -> Iterator[av.Packet[VideoStream]]:
        """Packets, then the error."""
        if self._times and self._at == 0:
            self._fail()
        for read, packet in self._source:
            yield packet
            if self._times and read == self._at - 1:
                self._at = 0
                self._fail()

    def _fail(self) -> None:
        self._times -= 1
        msg = "a.mp4: the stream broke off: Input/output error"
        raise SourceLost(msg)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], InputContainer]:
    path: Path = tmp_path_factory.mktemp("video") / "a.mp4"
    video_files.write_video(path, 60, size=(96, 64))
    return lambda: av.open(str(path))


def test_reading_goes_on_behind_a_place_that_cannot_be_read(opened: Callable[[], InputContainer]) -> None:
    recording = Recording(Failing(opened(), 30, 3), threading.Event())
    numbers = [picture.number for picture in recording.pictures()]
    assert numbers[:27] == list(range(27))
    assert numbers[-24:] == list(range(36, 60))
    assert recording.broken_off() == ""


def test_a_file_that_can_be_read_no_further_gives_what_it_has_and_says_why(
    opened: Callable[[], InputContainer],
) -> None:
    recording = Recording(Failing(opened(), 30, 1_000_000), threading.Event())
    numbers = [picture.number for picture in recording.pictures()]
    assert numbers[:27] == list(range(27))
    assert recording.broken_off() == "a.mp4: the stream broke off: Input/output error, after 1.5 s"


@pytest.mark.parametrize(("position", "begin"), [(0, 0), (11, 0), (35, 0), (36, 12), (47, 12), (48, 24), (1000, 24)])
def test_decoding_begins_three_keyframes_before(
    opened: Callable[[], InputContainer], position: int, begin: int
) -> None:
    place = find(lambda: Decoder(opened(), CONTEXT, "a.mp4"), position, threading.Event(), loop=False)
    assert (place.passes, place.begin) == (0, begin)


def test_a_position_in_a_later_pass_knows_the_passes_before(opened: Callable[[], InputContainer]) -> None:
    place = find(lambda: Decoder(opened(), CONTEXT, "a.mp4"), 2 * 60 + 50, threading.Event(), loop=True)
    assert (place.passes, place.begin, place.packets) == (2, 24, 60)
    assert place.length_s == pytest.approx(3.0)
