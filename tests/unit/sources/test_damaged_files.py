"""Videos with holes: what is sound comes exactly once, in one run or in several, and what is not is counted."""

from __future__ import annotations

import hashlib
import threading
from datetime import datetime, timezone
from itertools import islice, pairwise
from pathlib import Path

import av
import pytest
import video_files

from edgevision.errors import SourceInvalid
from edgevision.sources.base import SourceContext, SourceState
from edgevision.sources.capture import Capture
from edgevision.sources.file import FileSource
from edgevision.types import Frame

START = datetime(2026, 3, 1, 6, 0, tzinfo=timezone.utc)
FRAMES = 96
UNEVEN = [index + index // 3 + (40 if index > 50 else 0) for index in range(FRAMES)]
KINDS = {
    "mp4": {},
    "mp4-open": {"open_gop": True},
    "mp4-uneven": {"stamps": UNEVEN},
    "ts": {},
    "ts-open": {"open_gop": True},
    "mkv-uneven": {"stamps": UNEVEN},
    "avi": {},
    "h264": {},
    "h264-open": {"open_gop": True},
}
# Which packets are noise: none, one in mid-group, a keyframe, several groups, the very beginning and end.
HOLES = {"sound": [], "one": [(40, 1)], "key": [(36, 2)], "groups": [(30, 34)], "ends": [(1, 3), (70, 2), (92, 4)]}


class Lost:
    """Counts what a source drops."""

    def __init__(self) -> None:
        self.count = 0
        self.calls = 0

    def __call__(self, reason: str, count: int) -> None:
        assert reason == "corrupt"
        self.calls += 1
        self.count += count


def source(path: Path, resume: int | None = None, lost: Lost | None = None, *, loop: bool = False) -> FileSource:
    context = SourceContext("cam", resume, START, dropped=lost or Lost())
    return FileSource(FileSource.Settings(path=path, loop=loop), context)


def seen(frame: Frame) -> tuple[int, int | None, float, str]:
    return frame.index, frame.position, frame.time.t_s, hashlib.sha256(frame.pixels.bgr()).hexdigest()


@pytest.fixture(scope="module", params=KINDS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / f"a.{request.param.split('-')[0]}"
    return video_files.write_video(path, FRAMES, size=(96, 64), **KINDS[request.param])


@pytest.mark.parametrize("holes", HOLES)
def test_whatever_is_damaged_every_frame_comes_once_over_two_runs(whole: Path, tmp_path: Path, holes: str) -> None:
    path = video_files.spoil(whole, *HOLES[holes], out=tmp_path / f"a{whole.suffix}")
    frames = list(source(path).frames())
    assert len(frames) > FRAMES // 4
    assert all(a.index < b.index and a.time.t_s < b.time.t_s for a, b in pairwise(frames))
    if holes == "sound":
        assert [frame.index for frame in frames] == list(range(FRAMES))
    one_run = [seen(frame) for frame in frames]
    for after in [*range(1, len(frames), 7), len(frames)]:
        resumed = source(path, frames[after - 1].position)
        assert [seen(frame) for frame in resumed.frames()] == one_run[after:], after


@pytest.mark.parametrize("kind", ["mp4", "ts", "mkv", "avi"])
def test_decoding_goes_on_behind_hundreds_of_bad_packets(tmp_path: Path, kind: str) -> None:
    whole = video_files.write_video(tmp_path / f"whole.{kind}", 400, size=(96, 64))
    path = video_files.spoil(whole, (60, 300), out=tmp_path / f"a.{kind}")
    frames = list(source(path).frames())
    assert 60 < len(frames) < 120
    assert seen(frames[-1])[1:] == seen(list(source(whole).frames())[-1])[1:] or kind in {"ts", "mkv"}
    assert video_files.bar_at(frames[-1].pixels.bgr()) == pytest.approx(399 * 4 % 80, abs=2)


def test_what_is_lost_is_counted_once_a_break(tmp_path: Path) -> None:
    whole = video_files.write_video(tmp_path / "whole.mp4", FRAMES, size=(96, 64))
    path = video_files.spoil(whole, (20, 10), (70, 3), out=tmp_path / "a.mp4")
    lost = Lost()
    frames = list(source(path, lost=lost).frames())
    assert lost.calls == 2
    assert lost.count == FRAMES - len(frames)
    again = Lost()
    left = list(source(path, frames[29].position, again).frames())
    assert len(left) == len(frames) - 30
    assert again.calls == 1
    assert again.count == FRAMES - frames[29].index - 1 - len(left)


def test_a_sound_file_loses_nothing(whole: Path) -> None:
    lost = Lost()
    assert len(list(source(whole, lost=lost).frames())) == FRAMES
    assert lost.calls == 0


@pytest.mark.parametrize("position", [30, 95, 96, 100, 120, 191, 260, 300])
def test_a_damaged_loop_resumes_in_any_pass(tmp_path: Path, position: int) -> None:
    whole = video_files.write_video(tmp_path / "whole.mp4", FRAMES, size=(96, 64), open_gop=True)
    path = video_files.spoil(whole, (26, 20), (92, 4), out=tmp_path / "a.mp4")
    frames = [seen(frame) for frame in islice(source(path, loop=True).frames(), 250)]
    wanted = [frame for frame in frames if frame[0] >= position][:30]
    resumed = [seen(frame) for frame in islice(source(path, position, loop=True).frames(), len(wanted))]
    assert len(wanted) > 3
    assert resumed == wanted


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("share", [0.4, 0.8])
def test_a_file_that_breaks_off_is_broken_and_not_ended(tmp_path: Path, kind: str, share: float) -> None:
    whole = video_files.write_video(tmp_path / f"whole.{kind}", 200, size=(96, 64))
    path = video_files.cut(whole, share, out=tmp_path / f"a.{kind}")
    frames: list[Frame] = []
    states: list[tuple[SourceState, str]] = []
    capture = Capture("cam", source(path), frames.append, lambda state, why: states.append((state, why)))
    capture.run(threading.Event())
    assert 10 < len(frames) < 200
    state, why = states[-1]
    assert state is SourceState.FAILED
    assert "a." in why
    assert "breaks off after" in why
    assert "of 10.0 s" in why
    with pytest.raises(SourceInvalid, match="breaks off"):
        next(source(path, frames[-1].position).frames())


def test_a_loop_over_a_file_that_breaks_off_goes_on(tmp_path: Path) -> None:
    whole = video_files.write_video(tmp_path / "whole.mkv", 100, size=(96, 64))
    path = video_files.cut(whole, 0.5, out=tmp_path / "a.mkv")
    assert len(list(islice(source(path, loop=True).frames(), 150))) == 150


def test_a_file_without_one_sound_frame_never_works(tmp_path: Path) -> None:
    whole = video_files.write_video(tmp_path / "whole.mp4", 24, size=(96, 64))
    path = video_files.spoil(whole, (0, 24), out=tmp_path / "a.mp4")
    with pytest.raises(SourceInvalid, match="not one frame can be decoded"):
        next(source(path).frames())


@pytest.mark.parametrize("position", [96, 97, 5000, 2**40])
def test_a_position_behind_the_end_gives_nothing(whole: Path, position: int) -> None:
    assert list(source(whole, position).frames()) == []


@pytest.mark.parametrize("kind", ["avi", "h264", "mp4", "ts", "mkv"])
def test_time_runs_as_recorded_in_every_container(tmp_path: Path, kind: str) -> None:
    path = video_files.write_video(tmp_path / f"a.{kind}", FRAMES, size=(96, 64), fps=25)
    times = [frame.time.t_s for frame in source(path).frames()]
    assert times == pytest.approx([index / 25 for index in range(FRAMES)], abs=2e-3)


def test_a_wrong_timestamp_leaves_later_times_right_and_the_same_in_two_runs(tmp_path: Path) -> None:
    path = video_files.write_video(tmp_path / "a.mkv", 96, size=(96, 64))
    with av.open(str(path)) as video:
        packet = [packet for packet in video.demux(video=0) if packet.size][45]
    assert packet.pos is not None
    assert packet.pts is not None
    data = bytearray(path.read_bytes())
    # A block begins with the number of its track and its time in two bytes (Matroska, section 10.1).
    data[packet.pos + 1 : packet.pos + 3] = (packet.pts + 1000).to_bytes(2, "big")
    path.write_bytes(data)
    frames = list(source(path).frames())
    assert frames[-1].time.t_s == pytest.approx(95 / 20)
    for after in (44, 46, 48, 60):
        resumed = list(source(path, frames[after - 1].position).frames())
        assert [seen(frame) for frame in resumed] == [seen(frame) for frame in frames[after:]]


def test_close_ends_the_search_for_a_position(whole: Path) -> None:
    video = source(whole, 60)
    video.close()
    assert list(video.frames()) == []
