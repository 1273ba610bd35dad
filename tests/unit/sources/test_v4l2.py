"""There is no camera in a test: this proves the ways in which opening one fails."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from edgevision.errors import SourceInvalid, SourceUnavailable
from edgevision.sources.base import SourceContext
from edgevision.sources.v4l2 import V4l2Source, _options


def source(device: Path) -> V4l2Source:
    return V4l2Source(V4l2Source.Settings(device=device), SourceContext("cam", None, datetime.now(timezone.utc)))


def test_a_missing_device_may_come_back() -> None:
    with pytest.raises(SourceUnavailable, match="no such device"):
        next(source(Path("/dev/video-none")).frames())


def test_a_file_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    with pytest.raises(SourceInvalid, match="is no device"):
        next(source(tmp_path / "video0").frames())


def test_a_device_that_is_no_camera_cannot_be_opened() -> None:
    with pytest.raises(SourceUnavailable, match=r"/dev/null: cannot be opened"):
        next(source(Path("/dev/null")).frames())


def test_settings_become_options_of_the_driver() -> None:
    asked = V4l2Source.Settings(width=1280, height=720, fps=30, pixel_format="mjpeg")
    assert _options(asked) == {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"}
    assert _options(V4l2Source.Settings()) == {}
