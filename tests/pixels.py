"""Pixels of a picture in memory, for tests."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from edgevision.types import Image


class PlainPixels:
    """A picture in memory that counts how often it was read at full size."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.full_reads = 0

    @classmethod
    def blank(cls, width: int, height: int) -> PlainPixels:
        """All black."""
        return cls(np.zeros((height, width, 3), np.uint8))

    @property
    def size(self) -> tuple[int, int]:
        return self._image.shape[1], self._image.shape[0]

    def bgr(self) -> Image:
        self.full_reads += 1
        return self._image

    def scaled(self, width: int, height: int, order: Literal["rgb", "bgr"]) -> Image:
        small = np.asarray(cv2.resize(self._image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        return small if order == "bgr" else small[..., ::-1]
