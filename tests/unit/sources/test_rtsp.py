from __future__ import annotations

import socket
from datetime import datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from edgevision.errors import SourceUnavailable
from edgevision.sources.base import SourceContext
from edgevision.sources.rtsp import RtspSource, without_password

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=timezone.utc)


def source(url: str = "rtsp://127.0.0.1/x", **settings: object) -> RtspSource:
    context = SourceContext("cam", None, NOW, now_utc=lambda: NOW)
    return RtspSource(RtspSource.Settings(url=url, **settings), context)


@pytest.mark.parametrize("url", ["http://cam/x", "rtsp://", "cam/x", "", "file:///etc/passwd"])
def test_only_rtsp_addresses_are_taken(url: str) -> None:
    with pytest.raises(ValidationError, match="must look like rtsp://"):
        RtspSource.Settings(url=url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://bob:geheim@cam:554/live?token=geheim", "rtsp://cam:554/live"),
        ("rtsps://bob:ge@heim@cam/live", "rtsps://cam/live"),
        ("rtsp://bob:geheim@[fe80::1]:8554/", "rtsp://[fe80::1]:8554/"),
    ],
)
def test_the_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown
    settings = RtspSource.Settings(url=url)
    assert "geheim" not in f"{settings!r} {settings.model_dump_json()}"


def test_a_server_that_never_answers_is_unavailable_after_the_timeout() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        camera = source(f"rtsp://bob:geheim@127.0.0.1:{silent.getsockname()[1]}/x", open_timeout_s=0.3)
        with pytest.raises(SourceUnavailable, match="no answer in time") as caught:
            next(camera.frames())
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("off_s", "connected_s", "expected"),
    [(-0.3, 10, "rtcp"), (0.5, 10, "rtcp"), (-3600, 10, "arrival"), (3, 10, "arrival"), (-0.3, 100_000, "arrival")],
)
def test_the_cameras_clock_is_believed_while_it_is_plausible(off_s: float, connected_s: float, expected: str) -> None:
    began = NOW.timestamp() - 5 + off_s
    time = source()._time(1.0, 5.0, began, connected_s)
    assert time.source == expected
    assert time.time_utc == (NOW + timedelta(seconds=off_s) if expected == "rtcp" else NOW)
    assert time.uncertainty_ms > 0


def test_without_reports_the_arrival_is_the_time() -> None:
    assert source()._time(1.0, 5.0, None, 10.0).source == "arrival"
