from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import video_files

from edgevision.errors import SourceInvalid
from edgevision.sources.base import SourceContext
from edgevision.sources.file import FileSource

START = datetime(2026, 3, 1, 6, 0, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video_files.write_video(tmp_path_factory.mktemp("video") / "bar.mp4", frames=50)


def source(path: Path, resume: int | None = None, **settings: object) -> FileSource:
    return FileSource(FileSource.Settings(path=path, **settings), SourceContext("cam", resume, START))


def test_every_frame_comes_once_and_in_order(video: Path) -> None:
    frames = list(source(video).frames())
    assert len(frames) == 50
    assert [video_files.bar_at(frame.pixels.bgr()) for frame in frames] == pytest.approx(
        [4 * index for index in range(50)], abs=1
    )
    assert frames[10].time.t_s == pytest.approx(0.5)
    assert frames[10].time.source == "file"


def test_time_starts_where_the_settings_say(video: Path) -> None:
    start = datetime(2020, 5, 5, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    frames = list(islice(source(video, start_time=start).frames(), 11))
    assert frames[10].time.time_utc == datetime(2020, 5, 5, 10, 0, 0, 500_000, tzinfo=timezone.utc)
    assert next(iter(source(video).frames())).time.time_utc == START


@pytest.mark.parametrize("position", [1, 12, 13, 49, 50, 62, 137])
def test_a_loop_resumes_in_any_pass(video: Path, position: int) -> None:
    whole = list(islice(source(video, loop=True).frames(), position + 3))[position:]
    resumed = list(islice(source(video, resume=position, loop=True).frames(), 3))
    assert [frame.index for frame in resumed] == [position, position + 1, position + 2]
    for one, other in zip(whole, resumed, strict=True):
        assert one.time.t_s == pytest.approx(other.time.t_s, abs=1e-9)
        assert np.array_equal(one.pixels.bgr(), other.pixels.bgr())


def test_a_file_at_its_end_stays_ended(video: Path) -> None:
    assert list(source(video, resume=50).frames()) == []


def test_a_truncated_file_gives_what_it_holds(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    video_files.write_video(whole, frames=50)
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    assert 5 < len(list(source(cut).frames())) < 50


def test_corrupt_packets_are_skipped_and_the_rest_is_read(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    video_files.write_video(whole, frames=60, gop=6)
    data = bytearray(whole.read_bytes())
    rng = np.random.default_rng(1)
    middle = len(data) // 2
    data[middle : middle + 3000] = rng.integers(0, 256, 3000, dtype=np.uint8).tobytes()
    damaged = tmp_path / "damaged.ts"
    damaged.write_bytes(data)
    frames = list(source(damaged).frames())
    assert 20 < len(frames) <= 60
    assert video_files.bar_at(frames[-1].pixels.bgr()) == pytest.approx(4 * 59, abs=2)
    assert all(a.time.t_s < b.time.t_s for a, b in pairwise(frames))


@pytest.mark.parametrize("content", [b"", b"this is a text, no video" * 100], ids=["empty", "text"])
def test_what_is_no_video_never_works(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(SourceInvalid, match=r"a\.mp4: not a video"):
        next(iter(source(path).frames()))


def test_the_policy_follows_the_pace(video: Path) -> None:
    assert source(video).policy == "block"
    assert source(video, pace="realtime").policy == "latest"


def test_a_change_of_resolution_in_mid_stream_gives_frames_of_the_new_size(tmp_path: Path) -> None:
    parts = [
        video_files.write_video(tmp_path / "a.ts", frames=20, size=(320, 240)),
        video_files.write_video(tmp_path / "b.ts", frames=20, size=(176, 144)),
    ]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = list(source(both).frames())
    sizes = [frame.size for frame in frames]
    assert sizes.count((320, 240)) >= 18
    assert sizes.count((176, 144)) >= 18
    assert all(frame.pixels.scaled(32, 24, "rgb").shape == (24, 32, 3) for frame in frames)
    assert all(a.time.t_s < b.time.t_s for a, b in pairwise(frames))


@pytest.mark.parametrize("suffix", ["avi", "mp4", "mkv"])
def test_a_title_in_another_encoding_does_not_matter(tmp_path: Path, suffix: str) -> None:
    path = video_files.write_video(tmp_path / f"a.{suffix}", frames=10, title="Halle Mitte")
    path.write_bytes(path.read_bytes().replace(b"Halle Mitte", "Hölle Mütte".encode("latin-1")))
    assert len(list(source(path).frames())) == 10
