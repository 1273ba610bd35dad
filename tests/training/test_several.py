"""Several processes train one network, and one of them tells how it goes; a loss that is no number is survived."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import REPOSITORY, settings

from edgevision.bundle import read_bundle
from edgevision.training.curves import read_curves

pytestmark = pytest.mark.train
pytest.importorskip("ultralytics", reason="needs the extra `train`: make test-train")


def _train(engine: str, folder: Path, document: object, **more: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.yaml").write_text(json.dumps(document), "utf-8")
    words = [sys.executable, "tests/train_oddly.py", engine, str(folder / "train.yaml"), str(folder / "run")]
    environ = {**os.environ, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}", "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(words, capture_output=True, text=True, timeout=400, env=environ, cwd=REPOSITORY, check=False)


def test_two_processes_train_one_network_and_each_epoch_is_told_once(squares: Path, tmp_path: Path) -> None:
    done = _train("TwoProcesses", tmp_path, settings(squares, stop={"epochs": 3}))
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    epochs = [item["epoch"] for item in told if "epoch" in item]
    assert [item["number"] for item in epochs] == [1, 2, 3]
    assert sum(epochs[-1]["losses"].values()) < sum(epochs[0]["losses"].values())
    assert [row["epoch"] for row in read_curves(tmp_path / "run" / "curves.csv")] == [1, 2, 3]
    batches = [item["progress"]["batches"] for item in told if "progress" in item]
    assert set(batches) == {3}, "24 pictures in batches of 8, half of each in a process"
    assert read_bundle(tmp_path / "run" / "bundle").manifest.classes == ("red", "blue")


def test_a_process_whose_memory_is_full_says_what_to_try(squares: Path, tmp_path: Path) -> None:
    done = _train("TwoProcesses", tmp_path, settings(squares), TEST_MEMORY_IS_FULL="1")
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last == "not enough memory for batch: 8 at image_size: 96; try batch: 4, or a smaller image_size"


def test_a_loss_that_is_no_number_costs_an_epoch_and_nothing_else(squares: Path, tmp_path: Path) -> None:
    document = settings(squares, stop={"epochs": 3}, precision="bf16", ema=False)
    done = _train("NoNumber", tmp_path, document)
    assert done.returncode == 0, done.stderr
    assert [row["epoch"] for row in read_curves(tmp_path / "run" / "curves.csv")] == [1, 2, 3]
