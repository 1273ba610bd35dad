"""Golden items: pictures, and a frame of a clip, with what a model finds in them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgevision.bundle import Bundle, Golden
from edgevision.errors import ImageError
from edgevision.inference.base import Detector
from edgevision.inference.preprocess import single_batch
from edgevision.media.clip import FRAMES, read_clip, write_clip
from edgevision.media.pixels import ArrayPixels
from edgevision.types import Detections, Frame, FrameTime, Image, Pixels

CLIP = "golden/clip.mp4"


def read_picture(path: Path) -> Frame:
    """An image file as a frame.

    Raises:
        ImageError: It is missing or no picture.
    """
    try:
        data = path.read_bytes()
    except OSError as exc:
        msg = f"cannot read {path} ({exc.strerror or exc})"
        raise ImageError(msg) from exc
    return _frame(path, ArrayPixels(_decoded(data, str(path))))


def golden_frame(bundle: Bundle, item: Golden, *, exact: bool = False) -> Frame:
    """A golden item as a camera would give it: a clip's pixels are scaled straight from the decoder's planes.

    Args:
        bundle: Whose it is.
        item: A picture or a clip.
        exact: Whether a clip's pixels are converted at full size first, as those of a picture are.

    Raises:
        ImageError: It cannot be read.
    """
    path = bundle.path(item.file)
    if item.frame is None:
        return read_picture(path)
    pixels = read_clip(path, item.frame)
    return _frame(path, ArrayPixels(pixels.bgr()) if exact else pixels)


def detect(detector: Detector, frame: Frame) -> Detections:
    """What a detector sees in one frame.

    Raises:
        BackendError: The detector failed.
        ImageError: The picture is broken.
    """
    return detector.infer(single_batch([frame], detector.input))[0]


def with_clip(files: Mapping[str, Path | bytes]) -> dict[str, Path | bytes]:
    """Golden pictures by name, and a clip that is made of the first one.

    Raises:
        ImageError: That one cannot be read.
    """
    for name, file in files.items():
        image = _decoded(file, name) if isinstance(file, bytes) else read_picture(file).pixels.bgr()
        with tempfile.TemporaryDirectory(prefix="edgevision-") as room:
            clip = Path(room) / "clip.mp4"
            write_clip(clip, image)
            return {**files, CLIP: clip.read_bytes()}
    return {}


def bare_items(names: Iterable[str]) -> list[dict[str, Any]]:
    """Golden items by their files, before it is known what is found in them."""
    return [{"file": name, "frame": FRAMES - 1} if name == CLIP else {"file": name} for name in names]


def golden_items(bundle: Bundle, detector: Detector) -> list[dict[str, Any]]:
    """A bundle's golden items with all that a detector finds in them now, as a manifest lists them.

    Args:
        bundle: With its golden items; the boxes that they have do not count.
        detector: Known to be good.

    Raises:
        ImageError: An item cannot be read.
        BackendError: The detector failed.
    """
    items = []
    for item in bundle.manifest.golden:
        found = detect(detector, golden_frame(bundle, item))
        boxes = [
            {
                "class": detector.classes[label],
                "xyxy": [round(float(side), 1) for side in box],
                "score": round(float(score), 4),
            }
            for box, score, label in zip(found.xyxy, found.score, found.label, strict=True)
        ]
        items.append({**item.model_dump(include={"file", "frame"}, exclude_none=True), "boxes": boxes})
    return items


def _decoded(data: bytes, what: str) -> Image:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise ImageError(f"{what} is no picture, or it is truncated")
    return np.asarray(image, np.uint8)


def _frame(path: Path, pixels: Pixels) -> Frame:
    time = FrameTime(datetime.fromtimestamp(path.stat().st_mtime, timezone.utc), 0.0, "file")
    return Frame("golden", 0, time, pixels, name=path.name)
