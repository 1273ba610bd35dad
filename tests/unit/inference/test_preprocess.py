"""Frames are scaled into the right place of the batch, and nothing is left of the frame before."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest

from edgevision.errors import ImageError
from edgevision.inference.base import InputSpec
from edgevision.inference.preprocess import BatchBuffer, single_batch
from edgevision.media.pixels import ArrayPixels
from edgevision.types import Frame, FrameTime

NOW = FrameTime(datetime(2026, 1, 1, tzinfo=timezone.utc), 0.0)
SPEC = InputSpec(40, 40)
BLUE = (255, 0, 0)


def _frame(width: int, height: int, bgr: tuple[int, int, int] = BLUE) -> Frame:
    return Frame("door", 0, NOW, ArrayPixels(np.full((height, width, 3), bgr, np.uint8)))


def test_a_wide_picture_is_centred_between_grey_bars() -> None:
    batch = single_batch([_frame(80, 40)], SPEC)
    image = batch.images[0]
    assert image.shape == (40, 40, 3)
    assert (image[:10] == 114).all()
    assert (image[30:] == 114).all()
    assert (image[10:30] == (0, 0, 255)).all(), "rgb"
    assert (batch.boxes[0].left, batch.boxes[0].top) == (0, 10)


def test_the_corner_and_the_order_of_yolox() -> None:
    batch = single_batch([_frame(20, 40)], InputSpec(40, 40, order="bgr", align="corner", pad=0))
    assert (batch.images[0][:, :20] == BLUE).all()
    assert (batch.images[0][:, 20:] == 0).all()


def test_boxes_come_back_to_source_pixels() -> None:
    letterbox = single_batch([_frame(80, 40)], SPEC).boxes[0]
    box = np.array([[8, 4, 40, 20]], np.float32)
    assert letterbox.to_source(letterbox.to_target(box)) == pytest.approx(box)


def test_a_slot_keeps_nothing_of_the_frame_before() -> None:
    buffer = BatchBuffer(SPEC, 1)
    for size in ((80, 40), (40, 80), (80, 40)):
        buffer.fill(0, _frame(*size))
        assert (buffer.batch([0]).images == single_batch([_frame(*size)], SPEC).images).all()


def test_leading_slots_are_not_copied() -> None:
    buffer = BatchBuffer(SPEC, 3)
    for slot in range(3):
        buffer.fill(slot, _frame(40, 40, (slot, 0, 0)))
    assert np.shares_memory(buffer.batch([0, 1]).images, buffer.batch([0]).images)


def test_a_gap_is_left_out() -> None:
    buffer = BatchBuffer(SPEC, 3)
    for slot, width in ((0, 40), (1, 80), (2, 20)):
        buffer.fill(slot, _frame(width, 40, (slot, 0, 0)))
    batch = buffer.batch([0, 2])
    assert [int(image[20, 20, 2]) for image in batch.images] == [0, 2]
    assert [letterbox.source for letterbox in batch.boxes] == [(40, 40), (20, 40)]


class _Broken(ArrayPixels):
    def scaled(self, width: int, height: int, order: object) -> np.ndarray:  # noqa: ARG002 - it fails before
        msg = "truncated"
        raise ImageError(msg)


def test_a_broken_picture_is_an_image_error() -> None:
    frame = Frame("door", 0, NOW, _Broken(np.zeros((4, 4, 3), np.uint8)))
    with pytest.raises(ImageError, match="truncated"):
        single_batch([frame], SPEC)
