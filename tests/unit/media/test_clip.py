"""A clip is what a camera would send, and its last frame is the picture that it was made of."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import video_files

from edgevision.errors import ImageError
from edgevision.media.clip import FRAMES, read_clip, write_clip
from edgevision.media.pixels import ArrayPixels


def test_the_last_frame_is_the_picture(tmp_path: Path) -> None:
    image = video_files.drawn(20, (322, 242))
    write_clip(tmp_path / "a.mp4", image)
    pixels = read_clip(tmp_path / "a.mp4", FRAMES - 1)
    assert pixels.size == (322, 242)
    assert np.abs(pixels.bgr().astype(int) - image).mean() < 2
    away = np.abs(read_clip(tmp_path / "a.mp4", 0).bgr().astype(int) - image).mean()
    assert away > np.abs(pixels.bgr().astype(int) - image).mean() + 1


def test_it_says_how_its_colours_are_coded(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", video_files.drawn(1))
    with av.open(str(tmp_path / "a.mp4")) as video:
        frames = list(video.decode(video=0))
    assert len(frames) == FRAMES
    assert {(int(frame.colorspace), int(frame.color_range)) for frame in frames} == {(1, 1)}
    assert [frame.key_frame for frame in frames] == [True] + [False] * (FRAMES - 1)


def test_the_fast_pixels_are_close_to_the_exact_ones(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", video_files.drawn(20, (640, 480)))
    pixels = read_clip(tmp_path / "a.mp4", FRAMES - 1)
    off = np.abs(
        pixels.scaled(213, 160, "rgb").astype(int) - ArrayPixels(pixels.bgr()).scaled(213, 160, "rgb").astype(int)
    )
    assert off.mean() < 2
    assert np.percentile(off, 99) <= 12


def test_an_odd_row_and_column_are_left_out(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", video_files.drawn(1, (321, 243)))
    assert read_clip(tmp_path / "a.mp4", 0).size == (320, 242)


def test_what_is_no_clip(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a\.mp4 is no clip, or it is truncated: No such file"):
        read_clip(tmp_path / "a.mp4", 0)
    (tmp_path / "a.mp4").write_bytes(b"no clip")
    with pytest.raises(ImageError, match=r"a\.mp4 is no clip, or it is truncated"):
        read_clip(tmp_path / "a.mp4", 0)
    write_clip(tmp_path / "b.mp4", video_files.drawn(1))
    whole = (tmp_path / "b.mp4").read_bytes()
    (tmp_path / "b.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"b\.mp4"):
        read_clip(tmp_path / "b.mp4", FRAMES - 1)


def test_a_frame_that_is_not_there(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", video_files.drawn(1))
    with pytest.raises(ImageError, match=r"a\.mp4 has no frame 6"):
        read_clip(tmp_path / "a.mp4", 6)
