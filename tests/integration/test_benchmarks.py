"""The benchmarks run; what they measure is for people to read, not for tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = [pytest.mark.service, pytest.mark.slow]


@pytest.mark.parametrize(
    ("script", "options", "parts"),
    [
        ("daemon.py", ["--quick", "--only", "throughput", "overhead", "latency", "start"],
         {"throughput", "overhead", "latency", "start"}),
        ("backends.py", ["--rounds", "3"], {"backends", "preprocess"}),
        ("outbox.py", ["--events", "1000", "--waiting", "1000", "--runs", "1"], {"rates", "commit_ms_p50_p99"}),
    ],
)  # fmt: skip
def test_a_benchmark_ends_with_a_line_for_machines(
    script: str, options: list[str], parts: set[str], tmp_path: Path
) -> None:
    command = [sys.executable, str(BENCHMARKS / script), *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    numbers = json.loads(done.stdout.strip().splitlines()[-1])
    assert parts <= set(numbers)
