"""The command line as a user runs it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_CALL = "from edgevision.cli.main import main; main()"


def edgevision(
    *arguments: object, cwd: Path | None = None, timeout_s: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run ``edgevision ARGUMENTS``; output as text, without colours."""
    command = [sys.executable, "-c", _CALL, *map(str, arguments)]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "120"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=timeout_s, check=False
    )


def edgevision_process(*arguments: object) -> subprocess.Popen[str]:
    """Start ``edgevision ARGUMENTS`` and leave it running; output as text."""
    command = [sys.executable, "-c", _CALL, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def error_of(done: subprocess.CompletedProcess[str], lines: int = 2) -> str:
    """The message of a run that was refused: exit code 2, at most ``lines`` lines, no traceback."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= lines, done.stderr
    return done.stderr.strip()
