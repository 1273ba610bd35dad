"""Pixels of decoded video and of plain arrays."""

from __future__ import annotations

import threading
from typing import Literal

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation

from edgevision.errors import SourceError
from edgevision.types import Image

Order = Literal["rgb", "bgr"]

# Area averaging without full chroma interpolation: at 1920x1080 -> 640x360 a third of the cost of BGR + INTER_AREA with
# a smaller error than swscale's bilinear (docs/LOG.md has the table).
SCALER = Interpolation.AREA
# Full size is for people and for measuring: there the exact chroma is worth its price.
EXACT = Interpolation.BILINEAR
for _flag in ("FULL_CHR_H_INT", "ACCURATE_RND"):  # PyAV 17, the newest for Python 3.10, has no names for them
    EXACT |= getattr(Interpolation, _flag, EXACT)


class VideoPixels:
    """A frame as the decoder left it; swscale makes of it what is asked for, with the frame's matrix and range.

    Args:
        frame: The decoded frame. Nobody else may scale it: swscale borrows its metadata meanwhile.
        turns: Quarter turns counter-clockwise that put the picture upright.
    """

    __slots__ = ("_bgr", "_frame", "_lock", "_turns")

    def __init__(self, frame: av.VideoFrame, turns: int = 0) -> None:
        self._frame = frame
        self._turns = turns % 4
        self._bgr: Image | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px, upright."""
        size = self._frame.width, self._frame.height
        return size[::-1] if self._turns % 2 else size

    def bgr(self) -> Image:
        """Full resolution, (H, W, 3) uint8, BGR, kept for the next caller. Not to be written into.

        Raises:
            SourceError: The decoder's picture cannot be converted.
        """
        with self._lock:
            if self._bgr is None:
                self._bgr = self._convert(self._frame.width, self._frame.height, "bgr", EXACT)
                self._bgr.flags.writeable = False
            return self._bgr

    def scaled(self, width: int, height: int, order: Order) -> Image:
        """The picture resized to exactly (height, width, 3) uint8 in the wanted channel order.

        Raises:
            SourceError: The decoder's picture cannot be converted.
        """
        if self._turns % 2:
            width, height = height, width
        with self._lock:
            return self._convert(width, height, order, SCALER)

    def _convert(self, width: int, height: int, order: Order, scaler: Interpolation) -> Image:
        try:
            frame = self._frame.reformat(
                width=width, height=height, format=f"{order}24", interpolation=scaler, threads=1
            )
            image = np.asarray(frame.to_ndarray(), dtype=np.uint8)
        except (av.error.FFmpegError, ValueError) as exc:
            msg = f"a {self._frame.format.name} frame cannot be converted to {order} {width}x{height}: {reason(exc)}"
            raise SourceError(msg) from exc
        return np.ascontiguousarray(np.rot90(image, self._turns)) if self._turns else image


class ArrayPixels:
    """A picture that is an array already.

    Args:
        image: (H, W, 3) uint8, BGR; from now on nobody writes into it.
    """

    __slots__ = ("_image",)

    def __init__(self, image: Image) -> None:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:  # noqa: PLR2004 - three channels
            msg = f"pixels: expected (H, W, 3) uint8, got {image.shape} {image.dtype}"
            raise ValueError(msg)
        self._image = image

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        return self._image.shape[1], self._image.shape[0]

    def bgr(self) -> Image:
        """The picture itself, not to be written into."""
        return self._image

    def scaled(self, width: int, height: int, order: Order) -> Image:
        """The picture resized to exactly (height, width, 3) uint8 in the wanted channel order."""
        return resize(self._image, width, height, order)


def resize(bgr: Image, width: int, height: int, order: Order) -> Image:
    """A copy of ``bgr`` in another size and order: averaging when it shrinks to less than half, else bilinear."""
    shrinks = bgr.shape[1] > 2 * width and bgr.shape[0] > 2 * height
    image = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    if order == "rgb":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    elif image is bgr:
        image = image.copy()
    return np.asarray(image, dtype=np.uint8)


def reason(exc: BaseException) -> str:
    """What the driver says, without the address: that may hold a password."""
    return str(getattr(exc, "strerror", None) or exc)
