"""Golden items are read as cameras give them, and say what was found."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx_models import colour_manifest, write_colour_model

from edgevision.bundle import write_bundle
from edgevision.errors import ImageError
from edgevision.inference.golden import CLIP, bare_items, golden_frame, golden_items, read_picture, with_clip
from edgevision.inference.onnx import OnnxDetector
from edgevision.inference.selftest import in_exact_pixels, selftest
from edgevision.media.pixels import ArrayPixels, VideoPixels


@pytest.fixture(name="picture")
def _picture(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "p.png"), np.full((48, 64, 3), (0, 0, 204), np.uint8))
    return tmp_path / "p.png"


def test_a_clip_is_made_of_the_first_picture(picture: Path, tmp_path: Path) -> None:
    files: dict[str, Path | bytes] = {"model.onnx": write_colour_model(tmp_path / "m.onnx")}
    files |= with_clip({"golden/0.png": picture, "golden/1.png": picture.read_bytes()})
    assert list(files) == ["model.onnx", "golden/0.png", "golden/1.png", CLIP]
    bare = bare_items(["golden/0.png", CLIP])
    assert bare == [{"file": "golden/0.png"}, {"file": CLIP, "frame": 5}]
    bundle = write_bundle(tmp_path / "b", colour_manifest(golden=bare), files)
    still, clip = (golden_frame(bundle, item) for item in bundle.manifest.golden)
    assert isinstance(still.pixels, ArrayPixels)
    assert isinstance(clip.pixels, VideoPixels)
    assert isinstance(golden_frame(bundle, bundle.manifest.golden[1], exact=True).pixels, ArrayPixels)
    assert still.size == clip.size == (64, 48)
    detector = OnnxDetector(bundle)
    items = golden_items(bundle, detector)
    assert [{**item, "boxes": len(item["boxes"])} for item in items] == [{**item, "boxes": 1} for item in bare]
    assert items[0]["boxes"][0]["class"] == "red"
    assert items[0]["boxes"][0]["score"] == pytest.approx(0.8, abs=1e-3)
    whole = write_bundle(tmp_path / "whole", colour_manifest(golden=items), files)
    assert all(result.ok and result.expected == 1 for result in selftest(whole, detector))
    (exact,) = in_exact_pixels(whole, detector)
    assert exact.ok
    assert exact.file == CLIP


def test_bytes_do_as_well_as_a_file(picture: Path) -> None:
    assert with_clip({"a.png": picture.read_bytes()})[CLIP] == with_clip({"a.png": picture})[CLIP]


def test_without_pictures_there_is_no_clip() -> None:
    assert with_clip({}) == {}


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n truncated"])
def test_a_broken_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.png").write_bytes(content)
    with pytest.raises(ImageError, match=r"p.png is no picture, or it is truncated"):
        read_picture(tmp_path / "p.png")
    with pytest.raises(ImageError, match=r"p.png is no picture, or it is truncated"):
        with_clip({"p.png": content})


def test_a_missing_picture(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot read"):
        read_picture(tmp_path / "p.png")
