"""What real cameras do to their streams: damaged packets, another resolution in mid-stream, passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path

import pytest
from daemon_process import DaemonProcess, ask, events_in, wait_until, write_settings
from rtsp_server import CORRUPT, RARE_KEYS, RESIZED, RtspServer, available

from edgevision.errors import SourceLost
from edgevision.sources.base import SourceContext
from edgevision.sources.rtsp import RtspSource
from edgevision.types import Frame

pytestmark = [
    pytest.mark.service,
    pytest.mark.skipif(not available(), reason="no gst-rtsp-server under the system's Python"),
]


def _frames(url: str, **settings: float) -> Iterator[Frame]:
    chosen = RtspSource.Settings(url=url, **({"open_timeout_s": 5.0, "stall_timeout_s": 2.0} | settings))  # type: ignore[arg-type]
    return RtspSource(chosen, SourceContext("cam", None, datetime.now(timezone.utc))).frames()


def test_damaged_packets_cost_pictures_and_nothing_else() -> None:
    with RtspServer(pipeline=CORRUPT) as server:
        frames = list(islice(_frames(server.url), 150))
    assert len(frames) == 150
    assert {frame.size for frame in frames} == {(320, 240)}
    assert [frame.index for frame in frames] == list(range(150))
    pictures = [frame.pixels.scaled(320, 240, "rgb") for frame in frames]
    assert all(picture.shape == (240, 320, 3) for picture in pictures)


def test_whoever_joins_between_two_rare_keyframes_waits_for_the_next() -> None:
    with RtspServer(pipeline=RARE_KEYS) as server:
        first = _frames(server.url)
        assert len(list(islice(first, 40))) == 40
        assert len(list(islice(_frames(server.url, open_timeout_s=10.0, stall_timeout_s=0.5), 10))) == 10


def test_another_resolution_in_mid_stream_is_the_size_of_its_frames() -> None:
    sizes: list[tuple[int, int]] = []
    with RtspServer(pipeline=RESIZED) as server, suppress(SourceLost):
        for frame in _frames(server.url):
            assert frame.pixels.bgr().shape == (frame.size[1], frame.size[0], 3)
            sizes.append(frame.size)
    change = sizes.index((640, 480))
    assert change >= 10
    assert set(sizes[:change]) == {(320, 240)}
    assert set(sizes[change:]) == {(640, 480)}
    assert len(sizes) - change >= 10


CAMERAS = """\
  damaged:
    source: {{kind: rtsp, url: '{damaged}', stall_timeout_s: 2}}
    model: people
    analyses: [{{kind: detection}}]
  resized:
    source: {{kind: rtsp, url: '{resized}', stall_timeout_s: 2}}
    model: people
    analyses: [{{kind: detection}}]
  nowhere:
    source: {{kind: rtsp, url: 'rtsp://operator:secret@127.0.0.1:{closed}/cam', open_timeout_s: 1}}
    model: people
    analyses: [{{kind: detection}}]
"""


def test_bad_cameras_beside_a_good_one_disturb_it_in_nothing(tmp_path: Path, free_port: int) -> None:
    with RtspServer(pipeline=CORRUPT) as damaged, RtspServer(pipeline=RESIZED) as resized, RtspServer() as gone:
        closed = gone.port
        gone.kill()
        more = CAMERAS.format(damaged=damaged.url, resized=resized.url, closed=closed)
        settings = write_settings(tmp_path, pace="realtime", more=more, http=f"{{port: {free_port}}}")
        daemon = DaemonProcess(settings)
        try:
            wait_until(lambda: ask(free_port, "/readyz")[1])
            state = lambda: {item["name"]: item for item in ask(free_port, "/readyz")[1]["components"]}  # noqa: E731
            wait_until(lambda: all(state().get(f"camera/{name}", {}).get("ok") for name in ("damaged", "hall")))
            wait_until(
                lambda: any(e["data"].get("previous") == "online" for e in _camera_events(tmp_path, "resized")), 40
            )
            assert state()["camera/hall"]["ok"]
            assert not state()["camera/nowhere"]["ok"]
            assert "127.0.0.1" in state()["camera/nowhere"]["detail"]
        finally:
            clean = daemon.stop()
        assert clean == 0, daemon.text()
    assert "secret" not in daemon.text()
    assert [e["data"]["state"] for e in _camera_events(tmp_path, "hall")] == ["online"]
    assert all("secret" not in str(event) for event in events_in(tmp_path / "outbox.sqlite"))


def _camera_events(folder: Path, camera: str) -> list[dict[str, dict[str, str]]]:
    return [
        event
        for event in events_in(folder / "outbox.sqlite")
        if event["type"] == "edgevision.health.camera.v1" and event["source"].endswith(f"/{camera}")
    ]
