"""What every source that runs without a camera has to keep."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import rtsp_server
import video_files

from edgevision.errors import SourceError, SourceUnavailable
from edgevision.sources.base import Source, SourceContext
from edgevision.sources.file import FileSource
from edgevision.sources.images import ImagesSource
from edgevision.sources.rtsp import RtspSource
from edgevision.sources.scene import SceneSource
from edgevision.sources.v4l2 import V4l2Source
from edgevision.types import Frame

START = datetime(2026, 3, 1, 6, 0, tzinfo=timezone.utc)
Make = Callable[[int | None], Source]


def context(resume: int | None = None) -> SourceContext:
    return SourceContext("cam", resume, START)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video_files.write_video(tmp_path_factory.mktemp("video") / "bar.mp4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures")
    for index in range(12):
        cv2.imwrite(str(path / f"shot{index}.png"), video_files.drawn(index))
    return path


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if not rtsp_server.available():
        pytest.skip("no gst-rtsp-server under the system's Python")
    with rtsp_server.RtspServer() as running:
        yield running.url


KINDS = ["file", "file-realtime", "file-loop", "images", "scene", pytest.param("rtsp", marks=pytest.mark.service)]


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest) -> Make:
    kind = request.param
    if kind.startswith("file"):
        path = request.getfixturevalue("video")
        pace = "realtime" if kind.endswith("realtime") else "every_frame"
        settings = FileSource.Settings(path=path, pace=pace, loop=kind.endswith("loop"))
        return lambda resume: FileSource(settings, context(resume))
    if kind == "images":
        pictures = ImagesSource.Settings(path=request.getfixturevalue("folder"))
        return lambda resume: ImagesSource(pictures, context(resume))
    if kind == "rtsp":
        address = RtspSource.Settings(url=request.getfixturevalue("server"))
        return lambda resume: RtspSource(address, context(resume))
    return lambda resume: SceneSource(SceneSource.Settings(boards=1), context(resume))


def take(source: Source, count: int) -> list[Frame]:
    frames = list(islice(source.frames(), count))
    source.close()
    return frames


def test_indexes_and_time_grow(make: Make) -> None:
    frames = take(make(None), 10)
    assert [frame.index for frame in frames] == list(range(10))
    times = [frame.time.t_s for frame in frames]
    assert all(before < after for before, after in pairwise(times))
    assert all(frame.time.time_utc.utcoffset() is not None and frame.camera == "cam" for frame in frames)


def test_pixels_have_the_size_and_order_asked_for(make: Make) -> None:
    frame = take(make(None), 3)[-1]
    width, height = frame.size
    bgr = frame.pixels.bgr()
    assert bgr.shape == (height, width, 3)
    assert bgr.dtype == np.uint8
    small = frame.pixels.scaled(101, 67, "bgr")
    assert small.shape == (67, 101, 3)
    assert np.array_equal(small[..., ::-1], frame.pixels.scaled(101, 67, "rgb"))
    error = np.abs(small.astype(int) - cv2.resize(bgr, (101, 67), interpolation=cv2.INTER_AREA))
    assert error.mean() < 3


def test_close_from_another_thread_ends_the_frames(make: Make) -> None:
    source = make(None)
    first, ended = threading.Event(), threading.Event()

    def run() -> None:
        for _ in source.frames():
            first.set()
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    assert first.wait(20)
    source.close()
    source.close()
    assert ended.wait(10)
    assert list(islice(source.frames(), 1)) == []


@pytest.mark.parametrize("after", [1, 5, 11])
def test_resume_goes_on_exactly_where_it_stood(make: Make, after: int) -> None:
    whole = take(make(None), 12)
    position = whole[after - 1].position
    if position is None:
        assert make(None).policy == "latest", "only a live camera may have no position"
        return
    resumed = take(make(position), 12 - after)
    assert [frame.index for frame in resumed] == [frame.index for frame in whole[after:]]
    assert [frame.position for frame in resumed] == [frame.position for frame in whole[after:]]
    assert [frame.time for frame in resumed] == [frame.time for frame in whole[after:]]
    for one, other in zip(whole[after:], resumed, strict=True):
        assert np.array_equal(one.pixels.bgr(), other.pixels.bgr())


@pytest.mark.parametrize(
    "source",
    [
        FileSource(FileSource.Settings(path=Path("/nowhere/a.mp4")), context()),
        ImagesSource(ImagesSource.Settings(path=Path("/nowhere")), context()),
        V4l2Source(V4l2Source.Settings(device=Path("/dev/nothing")), context()),
        RtspSource(RtspSource.Settings(url="rtsp://bob:geheim@127.0.0.1:9/x"), context()),
    ],
    ids=["file", "images", "v4l2", "rtsp"],
)
def test_what_is_not_there_may_come_later(source: Source) -> None:
    with pytest.raises(SourceUnavailable) as caught:
        next(iter(source.frames()))
    assert len(str(caught.value).splitlines()) <= 2
    assert "geheim" not in str(caught.value)
    assert isinstance(caught.value, SourceError)
