"""Short clips: a few frames of H.264 as a camera would send them, and one frame of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from edgevision.errors import ImageError
from edgevision.media.pixels import VideoPixels, reason
from edgevision.types import Image

FRAMES = 6
_FPS = 25
_STEP_PX = 2  # between frames: enough that they are coded as motion and not as one still
# As cameras do it: BT.709 in limited range, without frames that hang on later ones.
_CODED = {"preset": "medium", "crf": "16", "bf": "0", "g": str(FRAMES)}


def write_clip(path: Path, image: Image) -> None:
    """Write a clip whose picture slides into place: in the last frame it lies where it lies in ``image``.

    Args:
        path: An ``.mp4``.
        image: (H, W, 3) uint8, BGR; an odd row or column at the end is left out.

    Raises:
        ImageError: It cannot be coded here.
    """
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    try:
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=_FPS, options=_CODED)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.color_range = ColorRange.MPEG
            stream.codec_context.colorspace = Colorspace.ITU709
            for index in range(FRAMES):
                away = (FRAMES - 1 - index) * _STEP_PX
                moved = cv2.copyMakeBorder(image, away, 0, away, 0, cv2.BORDER_REPLICATE)[:height, :width]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(moved, np.uint8), format="bgr24")
                frame = frame.reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                )
                frame.pts, frame.time_base = index, Fraction(1, _FPS)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError) as exc:
        raise ImageError(f"{path}: no clip can be written: {reason(exc)}") from exc


def read_clip(path: Path, index: int) -> VideoPixels:
    """A frame of a clip as the decoder left it.

    Args:
        path: The clip.
        index: Of the frame, from 0.

    Raises:
        ImageError: It is missing, no clip, or has no such frame.
    """
    try:
        with av.open(str(path)) as video:
            for number, frame in enumerate(video.decode(video=0)):
                if number == index:
                    return VideoPixels(frame)
    except (av.error.FFmpegError, OSError, IndexError) as exc:
        raise ImageError(f"{path} is no clip, or it is truncated: {reason(exc)}") from exc
    raise ImageError(f"{path} has no frame {index}")
