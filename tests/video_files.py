"""Videos that tests encode for themselves."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from edgevision.types import Image


def drawn(index: int, size: tuple[int, int] = (320, 240)) -> Image:
    """A grey picture with a bar whose place tells the index, and colours in three corners."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[: height // 4, : width // 4] = (0, 0, 220)
    image[-height // 4 :, : width // 4] = (0, 220, 0)
    image[-height // 4 :, -width // 4 :] = (220, 0, 0)
    left = index * 4 % (width - 16)
    cv2.rectangle(image, (left, height // 2 - 12), (left + 11, height // 2 + 11), (255, 255, 255), -1)
    return image


def bar_at(bgr: Image) -> int:
    """Left edge of the bar that ``drawn`` makes, px."""
    row = bgr[bgr.shape[0] // 2, :, :].min(axis=1)
    return int(np.argmax(row > 180))


def write_video(
    path: Path, frames: int = 60, *, size: tuple[int, int] = (320, 240), gop: int = 12, fps: int = 20
) -> Path:
    """H.264 with B-frames, one keyframe every ``gop``."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(
            "libx264", rate=fps, options={"g": str(gop), "bf": "2", "crf": "18", "preset": "veryfast"}
        )
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        for index in range(frames):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(drawn(index, size), format="bgr24")))
        out.mux(stream.encode(None))
    return path
