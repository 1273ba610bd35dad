"""From a run to artefacts that are compared with the network in torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import REPOSITORY, run, settings, write_squares

from edgevision.bundle import read_bundle

pytestmark = pytest.mark.train
pytest.importorskip("ultralytics", reason="needs the extra `train`: make test-train")


@pytest.mark.parametrize("kind", ["yolo", "fcos"])
def test_what_was_trained_is_what_is_exported(tmp_path: Path, kind: str) -> None:
    squares = write_squares(tmp_path / "data", {"train": 24, "val": 16})
    model = {"kind": "yolo", "architecture": "yolo11n"} if kind == "yolo" else {"kind": "fcos"}
    done = run(tmp_path, settings(squares, model=model, stop={"epochs": 2}))
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-m", "edgevision", "export", str(tmp_path / "run"), "--out", str(tmp_path / "out")]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    made = subprocess.run(
        [*command, "--precision", "fp32,fp16", "--json"], capture_output=True, text=True, env=environ, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    document = json.loads(made.stdout.strip().splitlines()[-1])
    plain = document["artefacts"][0]["gate"][0]
    change = plain["change"]
    assert change is None or abs(change[0]) < 0.002, "the graph says what the network in torch says"
    bundle = read_bundle(tmp_path / "out")
    assert {item.precision for item in bundle.manifest.artefacts} >= {"fp32"}
    assert bundle.manifest.thresholds == read_bundle(tmp_path / "run" / "bundle").manifest.thresholds
