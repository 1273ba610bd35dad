"""What becomes of results that cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgevision.batch.inspection import PictureResult
from edgevision.batch.results import ResultWriter
from edgevision.errors import EdgevisionError


def test_names_that_are_no_utf8_are_written_and_annotated(tmp_path: Path) -> None:
    shot, out = tmp_path / os.fsdecode(b"\xff.png"), tmp_path / "out"
    shot.write_bytes(cv2.imencode(".png", np.zeros((40, 60, 3), np.uint8))[1].tobytes())
    with ResultWriter(out, tmp_path, ["scratch"]) as writer:
        writer.write(PictureResult(shot, (60, 40), "ok", ""))
    assert [file.name for file in (out / "annotated").iterdir()] == [f"{shot.name}.jpg"]
    assert "\\udcff.png" in (out / "results.csv").read_text("utf-8")


def test_an_annotated_picture_that_cannot_be_written_is_an_error_and_the_rest_is_kept(tmp_path: Path) -> None:
    shot, out = tmp_path / "a.png", tmp_path / "out"
    cv2.imwrite(str(shot), np.zeros((40, 60, 3), np.uint8))
    with ResultWriter(out, tmp_path, ["scratch"]) as writer:
        (out / "annotated" / "a.png.jpg").mkdir(parents=True)  # a folder stands in the way
        with pytest.raises(EdgevisionError, match=r"annotated/a\.png\.jpg: cannot be written"):
            writer.write(PictureResult(shot, (60, 40), "ok", ""))
    assert '"file": "a.png"' in (out / "results.jsonl").read_text("utf-8")
    assert "a.png" in (out / "coco_images.json").read_text("utf-8")
