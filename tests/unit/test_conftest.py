"""The rule about skips in CI, tried on a small suite of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
SUITE = """
import pytest

@pytest.mark.service
def test_server():
    pytest.skip("no mosquitto")

@pytest.mark.service
@pytest.mark.skipif(True, reason="not installed")
def test_marked():
    raise AssertionError

@pytest.mark.service
def test_real_data(data_dir):
    raise AssertionError

def test_other():
    pytest.skip("no GPU")
"""


@pytest.mark.parametrize(("ci", "expected"), [("true", "1 failed, 2 skipped, 1 error"), ("", "4 skipped")])
def test_skipped_service_test_fails_in_ci_only(tmp_path: Path, ci: str, expected: str) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = service: a real server\n", encoding="utf-8")
    environment = {**os.environ, "CI": ci, "EDGEVISION_DATA": str(tmp_path / "absent")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert expected in done.stdout
    assert ("no mosquitto" in done.stdout) == (ci == "true")
