"""Real GStreamer pipelines, in a process of its own that sees the system's PyGObject."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

DIST_PACKAGES = "/usr/lib/python3/dist-packages"
SCRIPT = """
import json, sys
sys.path.append(sys.argv[1])
from datetime import datetime, timezone
from edgevision.errors import SourceError
from edgevision.sources.base import SourceContext
from edgevision.sources.gstreamer import GStreamerSource

settings = GStreamerSource.Settings(**json.loads(sys.argv[2]))
frames, error = [], None
try:
    for frame in GStreamerSource(settings, SourceContext("cam", None, datetime.now(timezone.utc))).frames():
        small = frame.pixels.scaled(80, 60, "rgb")
        corner = frame.pixels.bgr()[0, 0].tolist()
        frames.append([frame.size, small.shape, small[30, 40].tolist(), corner, frame.time.t_s])
except SourceError as exc:
    error = [type(exc).__name__, str(exc)]
print(json.dumps([frames, error]))
"""


def system_has_gi() -> bool:
    probe = (
        f"import sys; sys.path.append({DIST_PACKAGES!r}); import gi; gi.require_version('GstApp', '1.0');"
        "from gi.repository import GstApp"
    )
    return subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False).returncode == 0


with_gi = [
    pytest.mark.service,
    pytest.mark.skipif(not system_has_gi(), reason="the system's PyGObject does not load into this Python"),
]


def run(path: str = DIST_PACKAGES, **settings: object) -> tuple[list[Any], list[str] | None]:
    command = [sys.executable, "-c", SCRIPT, path, json.dumps(settings)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, timeout=60)
    frames, error = json.loads(done.stdout.splitlines()[-1])
    return frames, error


@pytest.mark.parametrize("pixel_format", ["BGR", "RGB", "BGRx", "NV12", "I420"])
@pytest.mark.parametrize("size", ["320x240", "322x242"])
class TestFormats:
    pytestmark = with_gi

    def test_every_layout_gives_the_right_colours(self, pixel_format: str, size: str) -> None:
        width, height = map(int, size.split("x"))
        frames, error = run(
            pipeline="videotestsrc num-buffers=6 is-live=true pattern=red ! "
            f"video/x-raw,format={pixel_format},width={width},height={height},framerate=25/1"
        )
        assert error == ["SourceLost", "the pipeline of cam has ended"]
        assert 1 <= len(frames) <= 6
        for shown, small, middle, corner, _ in frames:
            assert shown == [width, height]
            assert small == [60, 80, 3]
            assert middle == pytest.approx([255, 0, 0], abs=3)
            assert corner == pytest.approx([0, 0, 255], abs=3)
        times = [frame[4] for frame in frames]
        assert times == sorted(set(times))


class TestFailures:
    pytestmark = with_gi

    @pytest.mark.parametrize(
        ("pipeline", "kind", "why"),
        [
            ("nosuchelement", "SourceInvalid", "no element"),
            ("v4l2src device=/dev/video-none", "SourceUnavailable", "failed"),
            ("videotestsrc is-live=true ! valve drop=true", "SourceUnavailable", "no frame"),
        ],
    )
    def test_they_are_named(self, pipeline: str, kind: str, why: str) -> None:
        frames, error = run(pipeline=pipeline, open_timeout_s=1)
        assert frames == []
        assert error is not None
        assert error[0] == kind
        assert why in error[1]


def test_without_pygobject_the_user_hears_what_to_install() -> None:
    script = SCRIPT.replace("import json, sys\n", "import json, sys\nsys.modules['gi'] = None\n", 1)
    command = [sys.executable, "-c", script, "/nowhere", json.dumps({"pipeline": "videotestsrc"})]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2], timeout=60
    )
    _, error = json.loads(done.stdout.splitlines()[-1])
    assert error[0] == "SourceInvalid"
    assert "python3-gi" in error[1]
