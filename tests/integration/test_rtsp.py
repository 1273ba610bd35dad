"""Cameras on a real RTSP server that is killed, frozen and started again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from itertools import islice, pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import video_files
from rtsp_server import RtspServer, available

from edgevision.backoff import Backoff
from edgevision.errors import SourceLost, SourceUnavailable
from edgevision.sources.base import SourceContext, SourceState
from edgevision.sources.capture import Capture
from edgevision.sources.rtsp import RtspSource
from edgevision.types import Frame

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(not available(), reason="no gst-rtsp-server under the system's Python"),
]

Transport = Literal["tcp", "udp"]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return video_files.write_video(tmp_path_factory.mktemp("video") / "bar.mp4", frames=400, gop=10)


def source(url: str, transport: Transport = "tcp", **settings: object) -> RtspSource:
    timeouts = {"open_timeout_s": 5.0, "stall_timeout_s": 1.0} | settings
    return RtspSource(
        RtspSource.Settings(url=url, transport=transport, **timeouts),
        SourceContext("cam", None, datetime.now(timezone.utc)),
    )


class Running:
    """A capture in a thread, and what came of it."""

    def __init__(self, camera: RtspSource) -> None:
        self.frames: list[Frame] = []
        self.states: list[tuple[SourceState, str]] = []
        self._camera = camera
        self._stop = threading.Event()
        self._news = threading.Condition()
        capture = Capture("cam", camera, self._put, self._on_state, backoff=Backoff(0.05, 0.2))
        self._thread = threading.Thread(target=capture.run, args=(self._stop,), daemon=True)
        self._thread.start()

    def _put(self, frame: Frame) -> None:
        with self._news:
            self.frames.append(frame)
            self._news.notify_all()

    def _on_state(self, state: SourceState, why: str) -> None:
        with self._news:
            self.states.append((state, why))
            self._news.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self._news:
            assert self._news.wait_for(condition, 30), (len(self.frames), self.states)

    def frames_more(self, count: int) -> None:
        target = len(self.frames) + count
        self.until(lambda: len(self.frames) >= target)

    def state(self, state: SourceState) -> None:
        self.until(lambda: self.states[-1][0] is state)

    def close(self) -> None:
        self._stop.set()
        self._camera.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def run() -> Iterator[Callable[[RtspSource], Running]]:
    started: list[Running] = []

    def start(camera: RtspSource) -> Running:
        started.append(Running(camera))
        return started[-1]

    yield start
    for running in started:
        running.close()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_the_pictures_served_are_the_pictures_received(video: Path, transport: Transport) -> None:
    with RtspServer(video) as server:
        camera = source(server.url, transport)
        frames = list(islice(camera.frames(), 30))
        camera.close()
    assert {frame.size for frame in frames} == {(320, 240)}
    bars = [video_files.bar_at(frame.pixels.bgr()) for frame in frames]
    steps = np.diff(bars)
    assert np.median(steps) == pytest.approx(4, abs=1)
    spacing = np.diff([frame.time.t_s for frame in frames])
    assert np.all(spacing > 0)
    assert np.median(spacing) == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_killed_server_is_found_again_and_the_neighbour_never_notices(
    video: Path, transport: Transport, run: Callable[[RtspSource], Running]
) -> None:
    with RtspServer(video) as server, RtspServer() as other:
        camera, neighbour = run(source(server.url, transport)), run(source(other.url))
        camera.frames_more(10)
        neighbour.frames_more(10)
        server.kill()
        camera.state(SourceState.RECONNECTING)
        before = len(camera.frames)
        neighbour.frames_more(25)
        server.start()
        camera.state(SourceState.ONLINE)
        camera.frames_more(10)
        assert [state for state, _ in neighbour.states] == [SourceState.STARTING, SourceState.ONLINE]
    assert len(camera.frames) >= before + 10
    assert [frame.index for frame in camera.frames] == list(range(len(camera.frames)))
    times = [frame.time.t_s for frame in camera.frames]
    assert all(a < b for a, b in pairwise(times))
    gaps = np.diff([frame.time.t_s for frame in neighbour.frames])
    assert gaps.max() < 1.0


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_frozen_stream_is_lost_and_comes_back(transport: Transport, run: Callable[[RtspSource], Running]) -> None:
    with RtspServer() as server:
        camera = run(source(server.url, transport))
        camera.frames_more(10)
        server.freeze()
        camera.state(SourceState.RECONNECTING)
        server.thaw()
        camera.state(SourceState.ONLINE)
        camera.frames_more(10)


def test_a_frozen_stream_says_why(video: Path) -> None:
    with RtspServer(video) as server:
        camera = source(server.url)
        frames = camera.frames()
        for _ in range(5):
            next(frames)
        server.freeze()
        with pytest.raises(SourceLost, match=r"no frame for|stalled"):
            list(frames)


def test_a_stream_that_ends_is_lost(tmp_path: Path) -> None:
    short = video_files.write_video(tmp_path / "short.mp4", frames=30)
    with RtspServer(short) as server:
        frames = source(server.url).frames()
        with pytest.raises(SourceLost):
            list(frames)


def test_a_path_that_is_not_served_is_unavailable(video: Path) -> None:
    with RtspServer(video) as server, pytest.raises(SourceUnavailable, match="cannot be opened"):
        next(source(server.url + "-nothing").frames())


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_time_comes_from_the_senders_reports(transport: Transport) -> None:
    with RtspServer() as server:
        frames = islice(source(server.url, transport).frames(), 600)  # the first report comes within seconds
        told = next(frame for frame in frames if frame.time.source == "rtcp")
    assert told.time.uncertainty_ms < 100
    behind = datetime.now(timezone.utc) - told.time.time_utc
    assert 0 <= behind.total_seconds() < 30


def test_a_real_recording_over_rtsp(data_dir: Path) -> None:
    with RtspServer(data_dir / "videos" / "one-by-one-person-detection.mp4") as server:
        frames = list(islice(source(server.url).frames(), 12))
    assert {frame.size for frame in frames} == {(768, 432)}
    assert np.median(np.diff([frame.time.t_s for frame in frames])) == pytest.approx(0.1, abs=0.01)
    assert frames[0].pixels.scaled(640, 360, "rgb").std() > 10
