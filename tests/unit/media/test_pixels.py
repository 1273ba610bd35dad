from __future__ import annotations

import av
import cv2
import numpy as np
import pytest
import video_files
from av.video.reformatter import ColorRange, Colorspace

from edgevision.media.pixels import ArrayPixels, VideoPixels


def decoded(*, matrix: Colorspace = Colorspace.ITU601, full: bool = False) -> av.VideoFrame:
    """A planar frame that says how its colours were coded."""
    frame = av.VideoFrame.from_ndarray(video_files.drawn(20, (640, 480)), format="bgr24")
    return frame.reformat(
        format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG
    )


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("full", [False, True])
def test_colours_come_back_by_the_frames_own_matrix_and_range(matrix: Colorspace, *, full: bool) -> None:
    pixels = VideoPixels(decoded(matrix=matrix, full=full))
    truth = video_files.drawn(20, (640, 480))
    for place in ((20, 20), (460, 20), (460, 620), (20, 400)):
        assert np.abs(pixels.bgr()[place].astype(int) - truth[place]).max() <= 6
    small = pixels.scaled(160, 120, "rgb")
    assert np.abs(small[5, 5, ::-1].astype(int) - truth[20, 20]).max() <= 6


def test_scaled_planes_are_close_to_area_averaging() -> None:
    pixels = VideoPixels(decoded())
    error = np.abs(
        pixels.scaled(213, 160, "bgr").astype(int) - cv2.resize(pixels.bgr(), (213, 160), interpolation=cv2.INTER_AREA)
    )
    assert error.mean() < 2
    assert np.percentile(error, 99) <= 12


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_turned_recordings_stand_upright(turns: int) -> None:
    frame = decoded()
    upright = np.rot90(VideoPixels(frame).bgr(), turns)
    pixels = VideoPixels(frame, turns)
    assert pixels.size == (upright.shape[1], upright.shape[0])
    assert np.array_equal(pixels.bgr(), upright)
    assert pixels.scaled(60, 90, "bgr").shape == (90, 60, 3)


def test_full_size_is_kept_and_protected() -> None:
    pixels = VideoPixels(decoded())
    assert pixels.bgr() is pixels.bgr()
    with pytest.raises(ValueError, match="read-only"):
        pixels.bgr()[0, 0] = 0


def test_arrays_are_never_handed_out_to_be_written_into() -> None:
    image = video_files.drawn(1)
    pixels = ArrayPixels(image)
    same = pixels.scaled(320, 240, "bgr")
    same[:] = 0
    assert image.max() > 0
    assert np.array_equal(pixels.scaled(320, 240, "rgb"), image[..., ::-1])


def test_arrays_of_another_form_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
        ArrayPixels(np.zeros((4, 4), np.uint8))
