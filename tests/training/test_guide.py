"""The guide for newcomers, done as it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from trainings import REPOSITORY, write_squares

pytestmark = pytest.mark.train
pytest.importorskip("ultralytics", reason="needs the extra `train`: make test-train")

GUIDE = REPOSITORY / "docs" / "guides" / "training.md"


def test_from_a_folder_of_pictures_to_results(tmp_path: Path) -> None:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (settings,) = [text for kind, text in blocks if kind == "yaml"]
    write_squares(tmp_path / "data", {"train": 30})
    small = settings.replace("image_size: 640", "image_size: 96").replace("{minutes: 30}", "{epochs: 2}")
    assert small != settings
    (tmp_path / "train.yaml").write_text(small, "utf-8")
    (tmp_path / "models").symlink_to(REPOSITORY / "models")
    calls = [
        line for kind, text in blocks if kind == "bash" for line in text.splitlines() if line.startswith("edgevision")
    ]
    assert [call.split()[1] for call in calls] == ["data", "data", "train", "train", "models", "inspect"]
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for call in calls:
        words = [sys.executable, "-m", *call.split()]
        done = subprocess.run(
            words, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=600, check=False
        )
        not_all_are_ok = call.split()[1] == "inspect" and done.returncode == 1
        assert done.returncode == 0 or not_all_are_ok, f"{call}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "preview.png").stat().st_size > 1000
    assert (tmp_path / "runs" / "my-part" / "report" / "report.html").exists()
    rows = (tmp_path / "results" / "results.jsonl").read_text("utf-8").splitlines()
    assert len([json.loads(row) for row in rows]) == 30
