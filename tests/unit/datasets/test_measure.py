"""What is measured of a picture file, whatever its state."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled import sample

from edgevision.datasets.base import DataSet
from edgevision.datasets.check import CheckSettings, check
from edgevision.datasets.measure import measure, measure_all


def jpeg() -> bytes:
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8), (7, 7), 0)
    return bytes(cv2.imencode(".jpg", picture)[1])


def test_a_sound_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    facts = measure(tmp_path / "a.jpg")
    assert (facts.error, facts.size, len(facts.sha256), facts.bits.shape) == ("", (320, 240), 64, (256,))
    assert 100 < facts.brightness < 155


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (b"", "the file is empty"),
        (b"GIF89a", "not a picture of a known format"),
        (jpeg()[:3000], "the file is truncated"),
        (jpeg()[:3000] + b"\xff\xd9", "is damaged inside"),
        (jpeg()[:3000] + bytes(value ^ 0x5A for value in jpeg()[3000:3400]) + jpeg()[3400:], "is damaged inside"),
    ],
    ids=["empty", "gif", "cut", "cut with an end", "other bytes inside"],
)
def test_a_broken_picture_says_why(tmp_path: Path, capfd: pytest.CaptureFixture[str], broken: bytes, says: str) -> None:
    (tmp_path / "a.jpg").write_bytes(broken)
    assert measure(tmp_path / "a.jpg").error.startswith(says)
    assert capfd.readouterr() == ("", "")
    shown = DataSet(("a", "b"), (sample(tmp_path, "b.jpg", []),), (), tmp_path)
    (tmp_path / "b.jpg").write_bytes(broken)
    assert [item.kind for item in check(shown, CheckSettings()).findings if item.severity == "error"] == ["unreadable"]


def test_each_file_is_measured_once_and_counted(tmp_path: Path) -> None:
    files = [sample(tmp_path, f"{number}.png", []).file for number in range(5)]
    seen = []
    facts = measure_all([*files, files[0]], lambda: seen.append(1))
    assert (list(facts), len(seen)) == (files, 5)
    assert facts[files[0]].thumb.std() > 10
