"""Frames into a batch: scaled pixels go straight into the padded memory that the model reads."""

from __future__ import annotations

import numpy as np

from edgevision.inference.base import Batch, InputSpec
from edgevision.types import Frame, Image, Letterbox


class BatchBuffer:
    """Memory for up to ``capacity`` letterboxed pictures, used again and again.

    Different slots may be filled from different threads.

    Args:
        spec: What the detector wants.
        capacity: How many pictures fit.
    """

    def __init__(self, spec: InputSpec, capacity: int) -> None:
        self.spec = spec
        self.capacity = capacity
        self._images: Image = np.full((capacity, spec.height, spec.width, 3), spec.pad, np.uint8)
        self._letterboxes: list[Letterbox | None] = [None] * capacity

    def fill(self, slot: int, frame: Frame) -> None:
        """Scale ``frame`` into a slot.

        Raises:
            SourceError: The frame cannot be decoded.
            ImageError: The picture is broken.
        """
        spec = self.spec
        letterbox = Letterbox.fit(frame.size, (spec.width, spec.height), align=spec.align)
        width, height = letterbox.inner
        pixels = frame.pixels.scaled(width, height, spec.order)
        image, before = self._images[slot], self._letterboxes[slot]
        if before is not None and (before.inner, before.left, before.top) != (
            letterbox.inner,
            letterbox.left,
            letterbox.top,
        ):
            image[:] = spec.pad
        self._letterboxes[slot] = letterbox
        self.picture(slot)[:] = pixels

    def picture(self, slot: int) -> Image:
        """What a slot was filled with, without the padding; a view, good until the slot is filled again.

        Raises:
            ValueError: It never was.
        """
        letterbox = self._letterboxes[slot]
        if letterbox is None:
            msg = f"slot {slot} is empty"
            raise ValueError(msg)
        (width, height), left, top = letterbox.inner, letterbox.left, letterbox.top
        return self._images[slot, top : top + height, left : left + width]

    def batch(self, slots: list[int]) -> Batch:
        """The pictures of ``slots``, in that order; a view of this memory when they are the first ones."""
        letterboxes = [letterbox for slot in slots if (letterbox := self._letterboxes[slot]) is not None]
        leading = slots == list(range(len(slots)))
        return Batch(self._images[: len(slots)] if leading else self._images[slots], letterboxes)


def single_batch(frames: list[Frame], spec: InputSpec) -> Batch:
    """A batch of its own for a few frames, where speed does not matter.

    Raises:
        SourceError: A frame cannot be decoded.
        ImageError: A picture is broken.
    """
    buffer = BatchBuffer(spec, len(frames))
    for slot, frame in enumerate(frames):
        buffer.fill(slot, frame)
    return buffer.batch(list(range(len(frames))))
