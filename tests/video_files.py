"""Videos that tests encode for themselves."""

from __future__ import annotations

from collections.abc import Sequence
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
    path: Path,
    frames: int = 60,
    *,
    size: tuple[int, int] = (320, 240),
    gop: int = 12,
    fps: int = 20,
    open_gop: bool = False,
    stamps: Sequence[int] | None = None,
    title: str = "",
) -> Path:
    """H.264 with B-frames, one keyframe every ``gop``.

    Args:
        path: Its ending names the container.
        frames: How many.
        size: (width, height) in px.
        gop: Frames from keyframe to keyframe.
        fps: Frames per second.
        open_gop: Whether frames before a keyframe may hang on it.
        stamps: When each frame is shown, in ``1 / fps`` seconds; evenly without it.
        title: Of the file.
    """
    options = {"g": str(gop), "bf": "2", "crf": "18", "preset": "veryfast", "x264-params": f"open-gop={int(open_gop)}"}
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else {}) as out:
        out.metadata["title"] = title
        stream = out.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, fps)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(drawn(index, size), format="bgr24")
            frame.pts = index if stamps is None else stamps[index]
            frame.time_base = Fraction(1, fps)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def spoil(path: Path, *holes: tuple[int, int], out: Path) -> Path:
    """A copy in which packets are noise: each hole is the first one, in the order of the file, and how many."""
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(1)
    # There a packet's place is that of its header: without it nothing behind it would be found.
    header = 8 if path.suffix in {".avi", ".mkv"} else 0
    with av.open(str(path)) as video:
        packets = [packet for packet in video.demux(video=0) if packet.size]
    for first, count in holes:
        for packet in packets[first : first + count]:
            assert packet.pos is not None
            data[packet.pos + header : packet.pos + packet.size] = noise.bytes(packet.size - header)
    out.write_bytes(data)
    return out


def cut(path: Path, share: float, *, out: Path) -> Path:
    """A copy that breaks off."""
    data = path.read_bytes()
    out.write_bytes(data[: int(len(data) * share)])
    return out
