"""What the demo makes of a daemon that does not end well, and of pictures that cannot be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgevision.cli.demo_story import Story, Summary, ended
from edgevision.errors import EdgevisionError


@pytest.mark.parametrize(
    ("at_sigterm", "timeout_s", "trouble"),
    [
        ("sys.exit(0)", 20.0, None),
        ("sys.exit(3)", 20.0, "the daemon ended with exit code 3"),
        ("None", 0.2, "the daemon did not stop within 0 s and was killed"),
    ],
)
def test_a_daemon_is_stopped_and_its_trouble_told(at_sigterm: str, timeout_s: float, trouble: str | None) -> None:
    script = (
        f"import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: {at_sigterm});"
        "print('ready', flush=True); [time.sleep(0.05) for _ in range(600)]"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == b"ready\n"
        assert ended(daemon, timeout_s) == trouble
        assert daemon.poll() is not None


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    story = Story(boards=1, seed=7, model=None, out=tmp_path)
    (tmp_path / "board-001.png").mkdir()
    with pytest.raises(EdgevisionError, match=r"board-001\.png: cannot be written"):
        story._compare(Summary(1, 0))
